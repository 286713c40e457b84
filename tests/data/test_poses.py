"""Anatomical angles point limbs where anatomy says; samplers stay within limits, off the body and smooth."""

from __future__ import annotations

import numpy as np
import pytest

from spams_core.data.anatomy import ANGLE_INDEX, ANGLES, LIMITS_DEG, NEUTRAL_DEG, clip_angles, poses_from_angles
from spams_core.data.poses import sample_angles, sample_motion, sample_poses
from spams_core.data.skeleton import JOINT_INDEX, floor_clearance_m, intersects_itself, joint_positions_m


def bone(start: str, end: str, **degrees: float) -> np.ndarray:
    """Direction of a bone in the pose that has these angles and otherwise zeros."""
    angles = np.zeros((1, len(ANGLES)))
    for name, value in degrees.items():
        angles[0, ANGLE_INDEX[name]] = value
    place, _ = joint_positions_m(poses_from_angles(angles))
    vector = place[0, JOINT_INDEX[end]] - place[0, JOINT_INDEX[start]]
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize(("side", "suffix", "out"), [("left", ".L", 1.0), ("right", ".R", -1.0)])
def test_limbs_point_where_the_angles_say(side, suffix, out):
    def arm(**degrees):
        return bone("upperarm01" + suffix, "lowerarm01" + suffix, **{f"{side}_{k}": v for k, v in degrees.items()})

    def forearm(**degrees):
        return bone("lowerarm01" + suffix, "wrist" + suffix, **{f"{side}_{k}": v for k, v in degrees.items()})

    def thigh(**degrees):
        return bone("upperleg01" + suffix, "lowerleg01" + suffix, **{f"{side}_{k}": v for k, v in degrees.items()})

    def shin(**degrees):
        return bone("lowerleg01" + suffix, "foot" + suffix, **{f"{side}_{k}": v for k, v in degrees.items()})

    down, up, front, back, side_axis = [0, -1, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1], [out, 0, 0]
    for direction, expected in (
        (arm(), down),
        (arm(shoulder_elevation=90), side_axis),
        (arm(shoulder_elevation=90, shoulder_plane=90), front),
        (forearm(), down),
        (forearm(elbow_flexion=90), front),
        (forearm(shoulder_elevation=90, elbow_flexion=90), front),
        (forearm(shoulder_elevation=90, shoulder_twist=90, elbow_flexion=90), up),
        (forearm(shoulder_twist=-70, elbow_flexion=90), [-out * np.sin(np.deg2rad(70)), 0, np.cos(np.deg2rad(70))]),
        (thigh(), down),
        (thigh(hip_flexion=90), front),
        (thigh(hip_abduction=45), np.array([out, -1, 0]) / np.sqrt(2)),
        (shin(), down),
        (shin(knee_flexion=90), back),
        (shin(hip_flexion=90, knee_flexion=90), down),
    ):
        np.testing.assert_allclose(direction, expected, atol=1e-9)


def test_trunk_bends_forwards_and_to_the_left():
    assert bone("spine05", "head", spine_flexion=40)[2] > 0.3
    assert bone("spine05", "head", spine_bend=30)[0] > 0.2
    assert bone("neck01", "head", neck_flexion=40)[2] > bone("neck01", "head")[2]
    # A turn to the left takes the left shoulder back.
    assert bone("spine01", "upperarm01.L", spine_twist=40)[2] < bone("spine01", "upperarm01.L")[2] - 0.3


def test_angles_beyond_the_limits_are_clipped():
    wild = np.full((1, len(ANGLES)), 1000.0)
    np.testing.assert_array_equal(clip_angles(wild)[0], [high for _, high in LIMITS_DEG.values()])
    np.testing.assert_array_equal(clip_angles(-wild)[0], [low for low, _ in LIMITS_DEG.values()])
    np.testing.assert_array_equal(poses_from_angles(wild).rotations, poses_from_angles(clip_angles(wild)).rotations)
    np.testing.assert_array_equal(clip_angles(NEUTRAL_DEG), NEUTRAL_DEG)


def test_sampled_angles_stay_within_limits_and_off_the_body():
    angles = sample_angles(np.random.default_rng(0), 300)
    np.testing.assert_array_equal(angles, clip_angles(angles))
    poses = poses_from_angles(angles)
    assert not intersects_itself(poses).any()
    place, _ = joint_positions_m(poses)
    for suffix in (".L", ".R"):
        # Overhead, sideways and before the chest: the distribution covers where hands go.
        hand, shoulder = place[:, JOINT_INDEX["wrist" + suffix]], place[:, JOINT_INDEX["upperarm01" + suffix]]
        assert 0.1 < (hand[:, 1] > shoulder[:, 1] + 0.05).mean() < 0.5
        assert (np.abs(hand[:, 0]) > 0.45).mean() > 0.1
        assert (hand[:, 2] > 0.25).mean() > 0.2
        knee = place[:, JOINT_INDEX["lowerleg01" + suffix]]
        assert (knee[:, 1] > -0.3).mean() > 0.05


def test_sampling_is_deterministic_and_depends_on_the_generator():
    first, again, other = (sample_poses(np.random.default_rng(seed), 4).rotations for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


@pytest.mark.parametrize("walk", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_motion_is_smooth_and_stands_on_the_floor(walk, seed):
    fps = 30.0
    motion = sample_motion(np.random.default_rng(seed), 60, fps, walk)
    assert len(motion.poses) == len(motion.root_rotation) == len(motion.root_translation_m) == 60
    np.testing.assert_allclose(np.linalg.det(motion.root_rotation), 1.0)
    np.testing.assert_allclose(floor_clearance_m(motion), 0.0, atol=1e-9)
    place, _ = joint_positions_m(motion.poses)
    world = np.einsum("tij,tnj->tni", motion.root_rotation, place) + motion.root_translation_m[:, None]
    # A hard throw moves the hand at 20 m/s; nothing here comes near it, and nothing jumps.
    assert np.linalg.norm(np.diff(world, axis=0), axis=2).max() * fps < 10.0
    assert np.abs(motion.root_translation_m[:, [0, 2]]).max() < 2.0
    travelled = np.linalg.norm(np.diff(motion.root_translation_m[:, [0, 2]], axis=0), axis=1).sum()
    assert travelled > 0.8 or not walk
    feet = world[:, [JOINT_INDEX["foot.L"], JOINT_INDEX["foot.R"]]]
    standing = feet[:-1, :, 1].argmin(axis=1)
    slide = np.linalg.norm(np.diff(feet[..., [0, 2]], axis=0), axis=2)[np.arange(59), standing] * fps
    assert np.median(slide) < 0.2


def test_walking_moves_forwards():
    motion = sample_motion(np.random.default_rng(3), 90, 30.0, True)
    step = np.diff(motion.root_translation_m, axis=0)
    facing = motion.root_rotation[:-1, :, 2]
    speed = (step * facing).sum() / (89 / 30.0)
    # Strolling to brisk.
    assert 0.4 < speed < 1.4


def test_one_frame_is_a_motion():
    assert len(sample_motion(np.random.default_rng(0), 1, 30.0, True).poses) == 1
