"""Linear blend skinning against a slow reference, and rotations as quaternions."""

from __future__ import annotations

import numpy as np
from chain import chain_mesh, chain_motion, chain_rig
from scipy.spatial.transform import Rotation

from spams_core.geometry.rig import RigMotion, joint_places, local_rotations, quaternions, skin


def test_skin_is_the_weighted_mean_of_the_chains_of_transforms():
    rig, motion = chain_rig(chain_mesh(), 0.1), chain_motion(4)
    local = local_rotations(rig, motion)
    for t in range(4):
        matrices: list[np.ndarray] = []
        for bone, parent in enumerate(rig.parents):
            own = np.eye(4)
            own[:3, :3] = local[t, bone]
            own[:3, 3] = motion.root_place[t] if parent < 0 else rig.joints[bone] - rig.joints[parent]
            matrices.append(own if parent < 0 else matrices[parent] @ own)
        assert np.allclose([matrix[:3, 3] for matrix in matrices], joint_places(rig, motion)[t])
        found = skin(rig, motion, t)
        for v in range(0, len(found), 37):
            wanted = np.zeros(3)
            for bone, weight in zip(rig.bones[v], rig.weights[v], strict=True):
                away = np.append(rig.vertices[v] - rig.joints[bone], 1)
                wanted += weight * (matrices[bone] @ away)[:3]
            assert np.allclose(found[v], wanted, atol=1e-12)


def test_a_rig_that_does_not_turn_keeps_its_shape():
    rig = chain_rig(chain_mesh(), 0.1)
    still = RigMotion(np.broadcast_to(np.eye(3), (1, 3, 3, 3)), rig.joints[:1])
    assert np.allclose(skin(rig, still, 0), rig.vertices)


def test_quaternions_turn_as_the_matrices_do_and_never_jump():
    angles = np.linspace(0, 12, 80)
    rotations = Rotation.from_rotvec(np.outer(angles, [0.6, 0, 0.8])).as_matrix()[:, None]
    turns = quaternions(rotations)[:, 0]
    assert np.allclose(Rotation.from_quat(turns).as_matrix(), rotations[:, 0])
    # A step of 0.152 rad is half of that between quaternions.
    assert np.linalg.norm(np.diff(turns, axis=0), axis=1).max() < 0.08
