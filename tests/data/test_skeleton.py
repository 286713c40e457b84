"""Forward kinematics, swing and twist, and the proxy that finds limbs inside the body."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from spams_core.data.anatomy import ANGLE_INDEX, NEUTRAL_DEG, neutral_pose, poses_from_angles
from spams_core.data.skeleton import (
    JOINT_INDEX,
    JOINTS,
    PARENTS,
    REST_JOINTS_M,
    Motion,
    Poses,
    axes_along,
    floor_clearance_m,
    intersects_itself,
    is_plausible,
    joint_positions_m,
    split_twist,
)

vectors = st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3).map(np.array)


def with_angles(**degrees: float) -> Poses:
    angles = NEUTRAL_DEG.copy()
    for name, value in degrees.items():
        angles[ANGLE_INDEX[name]] = value
    return poses_from_angles(angles[None])


def test_zero_rotations_are_the_rest_pose():
    place, turned = joint_positions_m(Poses(np.zeros((2, len(JOINTS), 3))))
    np.testing.assert_allclose(place, np.broadcast_to(REST_JOINTS_M, place.shape), atol=1e-12)
    np.testing.assert_allclose(turned, np.broadcast_to(np.eye(3), turned.shape), atol=1e-12)


def test_parents_come_first_and_sides_mirror():
    assert all(parent < joint for joint, parent in enumerate(PARENTS))
    for name in JOINTS:
        if name.endswith(".L"):
            mirrored = REST_JOINTS_M[JOINT_INDEX[name[:-1] + "R"]] * [-1, 1, 1]
            np.testing.assert_array_equal(mirrored, REST_JOINTS_M[JOINT_INDEX[name]])
            assert REST_JOINTS_M[JOINT_INDEX[name], 0] > 0


def test_any_pose_keeps_bone_lengths():
    generator = np.random.default_rng(0)
    place, _ = joint_positions_m(Poses(generator.normal(size=(5, len(JOINTS), 3))))
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            length = np.linalg.norm(place[:, joint] - place[:, parent], axis=1)
            np.testing.assert_allclose(length, np.linalg.norm(REST_JOINTS_M[joint] - REST_JOINTS_M[parent]), atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(vectors, vectors.filter(lambda v: np.linalg.norm(v) > 0.1))
def test_swing_times_twist_is_the_rotation(vector, axis):
    rotation = Rotation.from_rotvec(vector[None])
    swing, twist = split_twist(rotation, axis)
    np.testing.assert_allclose((swing * twist).as_matrix(), rotation.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(np.cross(twist.as_rotvec()[0], axis), 0.0, atol=1e-6)
    assert abs(swing.as_rotvec()[0] @ axis) < 1e-6 * np.linalg.norm(axis)


def test_axes_along_is_a_rotation():
    axes = axes_along(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_clearance_is_the_height_of_the_lowest_point():
    motion = Motion(neutral_pose(), np.eye(3)[None], np.array([[0.0, 2.0, 0.0]]), 30.0)
    height = floor_clearance_m(motion)[0]
    place, _ = joint_positions_m(motion.poses)
    ankle = place[0, JOINT_INDEX["foot.L"], 1]
    # The sole lies about 8 cm below the ankle.
    assert height == pytest.approx(2.0 + ankle - 0.083, abs=0.01)
    # Upside down it is the head that touches, higher than the soles would.
    upside_down = Motion(motion.poses, np.diag([1.0, -1.0, -1.0])[None], motion.root_translation_m, 30.0)
    assert floor_clearance_m(upside_down)[0] == pytest.approx(2.0 - place[0, JOINT_INDEX["head"], 1] - 0.05, abs=0.02)


@pytest.mark.parametrize("side", ["left", "right"])
def test_hands_in_the_belly_head_or_thigh_are_found(side):
    assert not intersects_itself(neutral_pose())[0]
    arm = {"shoulder_elevation": 25, "shoulder_plane": -50, "shoulder_twist": -70, "elbow_flexion": 80}
    assert intersects_itself(with_angles(**{f"{side}_{name}": value for name, value in arm.items()}))[0]
    arm = {"shoulder_elevation": 110, "shoulder_plane": 30, "shoulder_twist": 30, "elbow_flexion": 145}
    assert intersects_itself(with_angles(**{f"{side}_{name}": value for name, value in arm.items()}))[0]
    assert intersects_itself(with_angles(**{f"{side}_shoulder_elevation": 0, f"{side}_shoulder_twist": -20}))[0]


def test_crossed_shins_are_found():
    assert intersects_itself(with_angles(left_hip_abduction=-15, right_hip_abduction=-15))[0]


def test_thigh_behind_the_back_is_implausible():
    assert is_plausible(neutral_pose())[0]
    poses = neutral_pose()
    poses.rotations[0, JOINT_INDEX["upperleg01.L"]] = [np.pi / 2, 0.0, 0.0]
    assert not is_plausible(poses)[0]
