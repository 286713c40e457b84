"""Synthetic bodies: frames, units, sides, parts and correspondence."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spams_core.data.anatomy import neutral_pose
from spams_core.data.poses import sample_motion, sample_poses
from spams_core.data.retarget import retarget
from spams_core.data.skeleton import JOINT_INDEX, JOINTS, LEG_LENGTH_M, Motion, Poses
from spams_core.data.synthetic_bodies import HEIGHT_RANGE_M, PART_NAMES, BodyGenerator
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.mesh import Mesh
from spams_core.io.bvh import read_bvh

# anny builds its cache the first time it runs on a machine.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def identities(bodies):
    generator = np.random.default_rng(0)
    return [bodies.sample_identity(generator) for _ in range(12)]


def centre(bodies, vertices, part):
    return vertices[bodies.part_weights[:, PART_NAMES.index(part)] > 0.9].mean(axis=0)


def test_topology_is_one_closed_surface_with_outward_faces(bodies, identities):
    vertices = bodies.canonical(identities[0])
    mesh = Mesh(vertices, bodies.faces).trimesh()
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.body_count == 1
    # A body displaces 40–150 litres.
    assert 0.04 < mesh.volume / CANONICAL_PER_METRE**3 < 0.15
    assert bodies.faces.dtype == np.int32
    assert len(np.unique(bodies.faces)) == len(vertices)


def test_part_weights_are_soft_labels(bodies):
    weights = bodies.part_weights
    assert weights.dtype == np.float32
    assert weights.shape == (bodies.faces.max() + 1, 6)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    assert weights.min() >= 0.0
    two = ((weights > 0.1).sum(axis=1) == 2).sum()
    assert 300 < two < 1500
    assert (weights.argmax(axis=1)[:, None] == np.arange(6)).any(axis=0).all()


def test_canonical_frame(bodies, identities):
    for identity in identities:
        vertices = bodies.canonical(identity)
        assert vertices.dtype == np.float32
        assert np.abs(vertices).max() <= 1.0
        place = {part: centre(bodies, vertices, part) for part in PART_NAMES}
        assert place["head"][1] > place["torso"][1] > place["left_leg"][1]
        for limb in ("arm", "leg"):
            # The subject's left is +x, and the A-pose is symmetric.
            assert place[f"left_{limb}"][0] > 0.05
            np.testing.assert_allclose(place[f"left_{limb}"] * [-1, 1, 1], place[f"right_{limb}"], atol=0.01)
        # The nose and the toes are in front.
        head = vertices[bodies.part_weights[:, 0] > 0.9]
        assert head[np.abs(head[:, 2]).argmax(), 2] > 0
        low = vertices[vertices[:, 1] < vertices[:, 1].min() + 0.05]
        assert low[:, 2].max() > 1.4 * -low[:, 2].min()
        # The A-pose's arms: between hanging and horizontal.
        shoulder, hand = vertices[:, 0].argmax(), place["left_arm"]
        assert vertices[shoulder, 1] < hand[1] < place["torso"][1]


def test_heights_are_those_of_adults_and_bodies_differ(bodies, identities):
    heights = [np.ptp(bodies.posed(identity, neutral_pose())[0, :, 1]) / CANONICAL_PER_METRE for identity in identities]
    assert all(HEIGHT_RANGE_M[0] <= height <= HEIGHT_RANGE_M[1] for height in heights)
    assert np.ptp(heights) > 0.15
    genders = [identity.phenotypes["gender"] for identity in identities]
    assert min(genders) < 0.3
    assert max(genders) > 0.7


def test_identities_are_deterministic_and_leave_torchs_generator_alone(bodies):
    import torch

    before = torch.get_rng_state()
    first, again, other = (bodies.sample_identity(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    assert first == again
    np.testing.assert_array_equal(bodies.canonical(first), bodies.canonical(again))
    assert np.abs(bodies.canonical(first) - bodies.canonical(other)).max() > 0.01


def test_rest_rotations_give_the_canonical_body_and_batches_equal_single_poses(bodies, identities):
    poses = sample_poses(np.random.default_rng(1), 18)
    poses.rotations[0] = 0.0
    together = bodies.posed(identities[0], poses)
    np.testing.assert_array_equal(together[0], bodies.canonical(identities[0]))
    np.testing.assert_allclose(together[17], bodies.posed(identities[0], poses[17:])[0], atol=1e-6)


def test_posing_moves_the_part_that_the_joint_belongs_to(bodies, identities):
    rotations = np.zeros((1, len(JOINTS), 3))
    rotations[0, JOINT_INDEX["lowerleg01.L"]] = [np.pi / 2, 0.0, 0.0]
    rest, bent = bodies.canonical(identities[0]), bodies.posed(identities[0], Poses(rotations))[0]
    moved = np.linalg.norm(bent - rest, axis=1) > 1e-4
    assert (bodies.part_weights[moved, PART_NAMES.index("left_leg")] > 0.99).all()
    # The knee bends backwards and the foot comes up.
    foot = rest[:, 1] < rest[:, 1].min() + 0.05
    foot &= rest[:, 0] > 0
    assert (bent[foot, 2] < rest[foot, 2] - 0.1).all()
    assert bent[foot, 1].mean() > rest[foot, 1].mean() + 0.1


def test_posed_bodies_stay_in_correspondence_and_in_the_unit_box(bodies, identities):
    poses = sample_poses(np.random.default_rng(2), 30)
    posed = bodies.posed(identities[1], poses)
    assert (np.abs(posed) <= 1.0).all(axis=-1).mean() > 0.999
    canonical = bodies.canonical(identities[1])
    edges = Mesh(canonical, bodies.faces).trimesh().edges_unique
    rest = np.linalg.norm(canonical[edges[:, 0]] - canonical[edges[:, 1]], axis=1)
    stretched = np.linalg.norm(posed[:, edges[:, 0]] - posed[:, edges[:, 1]], axis=2)
    # Skin stretches at joints; nowhere else does an edge change its length.
    assert np.quantile(np.abs(stretched / rest - 1), 0.5) < 0.03
    assert np.quantile(stretched / rest, 0.999) < 2.5


def test_grounded_motion_stands_on_the_floor_and_scales_with_the_legs(bodies, identities):
    motion = sample_motion(np.random.default_rng(3), 20, 10.0, True)
    for identity in identities[:3]:
        grounded = bodies.grounded(identity, motion)
        world = (
            bodies.posed(identity, grounded.poses) @ grounded.root_rotation.transpose(0, 2, 1) / CANONICAL_PER_METRE
            + grounded.root_translation_m[:, None]
        )
        np.testing.assert_allclose(world[..., 1].min(axis=1), 0.0, atol=1e-5)
        scale = bodies.leg_length_m(identity) / LEG_LENGTH_M
        assert 0.75 < scale < 1.25
        np.testing.assert_allclose(grounded.root_translation_m[:, [0, 2]], scale * motion.root_translation_m[:, [0, 2]])


def test_jumps_stay_above_the_floor(bodies, identities):
    motion = sample_motion(np.random.default_rng(3), 4, 10.0, False)
    lifted = Motion(
        motion.poses, motion.root_rotation, motion.root_translation_m + np.array([0.0, 0.5, 0.0]), motion.fps
    )
    down, up = (bodies.grounded(identities[0], m).root_translation_m[:, 1] for m in (motion, lifted))
    np.testing.assert_allclose(up - down, 0.5 * bodies.leg_length_m(identities[0]) / LEG_LENGTH_M, atol=1e-6)


def test_published_clip_faces_the_way_its_t_pose_faces(bodies, identities, shared_data):
    motion = retarget(read_bvh(shared_data / "motion" / "martial_03.bvh"), 10.0)
    yaw = Rotation.from_matrix(motion.root_rotation[0]).as_rotvec()
    # This subject faces where the T-pose faces, +z, within a quarter turn, and walks along z.
    assert np.linalg.norm(yaw) < np.pi / 4
    world = bodies.posed(identities[0], motion.poses[:1])[0] @ motion.root_rotation[0].T
    rest = bodies.canonical(identities[0])[:, 2] * (bodies.part_weights[:, 0] > 0.9)
    nose, nape = rest.argmax(), rest.argmin()
    assert world[nose, 2] > world[nape, 2] + 0.1
    assert centre(bodies, world, "left_leg")[0] > centre(bodies, world, "right_leg")[0]


def test_missing_anny_names_the_extra(monkeypatch):
    imported = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == "anny":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"pip install 'spam-studio\[synthetic\]'"):
        BodyGenerator()
