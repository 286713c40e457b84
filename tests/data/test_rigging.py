"""The rig of a moving surface: known joints and poses are found, and every part gets its place in the tree."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import trimesh
from chain import CHAIN_JOINTS, CHAIN_PARTS, chain_mesh, chain_motion, chain_rig, frames_of
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

from spams_core.data.rigging import RigSettings, _on_simplex, part_tree, rig_body, smooth_weights
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.rig import Rig, skin
from spams_core.progress import run_to_end


def test_known_joints_poses_and_weights_are_found():
    mesh = chain_mesh()
    truth, motion = chain_rig(mesh, 0.08), chain_motion(12)
    body = run_to_end(rig_body(mesh, CHAIN_PARTS, 12, frames_of(truth, motion), RigSettings(rounds=8)))
    assert body.rig.names == ("middle", "tip", "end")
    assert body.rig.parents == (-1, 0, 0)
    assert np.abs(body.rig.joints[1:] - CHAIN_JOINTS[1:]).max() < 0.005
    apart = Rotation.from_matrix((motion.rotations.transpose(0, 1, 3, 2) @ body.motion.rotations).reshape(-1, 3, 3))
    assert np.degrees(apart.magnitude()).max() < 0.5
    assert body.error.mean_mm < 0.5
    assert body.error.max_mm < 5


def test_the_error_is_that_of_the_skin_against_every_vertex_of_every_frame():
    mesh = chain_mesh()
    surface = frames_of(chain_rig(mesh, 0.2), chain_motion(5, seed=3))
    body = run_to_end(rig_body(mesh, CHAIN_PARTS, 5, surface))
    off = 1000 * np.stack([np.linalg.norm(skin(body.rig, body.motion, t) - surface(t), axis=1) for t in range(5)])
    assert body.error.mean_mm == pytest.approx(off.mean(), rel=1e-5)
    assert body.error.p95_mm == pytest.approx(np.percentile(off, 95), rel=1e-4)
    assert body.error.max_mm == pytest.approx(off.max(), rel=1e-5)


def test_fitted_weights_bring_the_skin_closer_than_smooth_ones_and_these_than_rigid_parts():
    mesh = chain_mesh()
    surface = frames_of(chain_rig(mesh, 0.15), chain_motion(8))

    def mean_mm(**settings: float) -> float:
        body = run_to_end(rig_body(mesh, CHAIN_PARTS, 8, surface, RigSettings(**settings)))
        return body.error.mean_mm

    rigid, smooth = mean_mm(weight_sigma_m=100, smooth_m=1e-4), mean_mm(weight_sigma_m=100)
    assert mean_mm() < 0.5 * smooth < 0.5 * rigid


def test_weights_are_at_most_four_and_sum_to_one():
    mesh = chain_mesh()
    body = run_to_end(rig_body(mesh, CHAIN_PARTS, 4, frames_of(chain_rig(mesh, 0.1), chain_motion(4))))
    rig = body.rig
    assert rig.weights.shape == rig.bones.shape == (len(mesh.vertices), 4)
    assert rig.weights.min() >= 0
    assert np.allclose(rig.weights.sum(1), 1)
    for bones, weights in zip(rig.bones, rig.weights, strict=True):
        used = bones[weights > 0]
        assert len(set(used)) == len(used)


def test_one_frame_and_one_part_is_a_rigid_placement():
    mesh = dataclasses.replace(chain_mesh(), vertex_parts=np.zeros(len(chain_mesh().vertices), np.int32))
    turn = Rotation.from_rotvec([0.3, 2.0, -0.4]).as_matrix()
    placed = mesh.vertices @ turn.T + [1, 2, 3]
    body = run_to_end(rig_body(mesh, ["body"], 1, lambda t: placed))
    assert body.rig.parents == (-1,)
    assert np.allclose(body.motion.rotations[0, 0], turn)
    assert body.error.max_mm < 1e-6


def test_the_tree_grows_along_the_longest_borders_from_the_part_that_touches_most():
    # Four boxes in a row, 3-0-1-2, and one beside 1 that touches nothing: five parts of any name.
    mesh = trimesh.creation.box((4, 1, 1))
    for _ in range(4):
        mesh = mesh.subdivide()
    row = np.array([3, 0, 1, 2])[np.clip(np.floor(np.asarray(mesh.vertices)[:, 0] + 2), 0, 3).astype(int)]
    lone = trimesh.creation.icosphere(1, 0.2)
    lone.apply_translation([0.5, 1.0, 0])
    vertices = np.concatenate([mesh.vertices, lone.vertices])
    faces = np.concatenate([mesh.faces, lone.faces + len(mesh.vertices)])
    parts = np.concatenate([row, np.full(len(lone.vertices), 4)])
    order, parents, places = part_tree(Mesh(vertices, faces, parts), 6)  # a sixth part has no vertex
    up = {part: order[parent] if parent >= 0 else None for part, parent in zip(order, parents, strict=True)}
    assert up in ({0: None, 3: 0, 1: 0, 2: 1, 4: 1}, {1: None, 0: 1, 2: 1, 3: 0, 4: 1})
    assert all(parent < bone for bone, parent in enumerate(parents))
    assert np.allclose(places[order.index(2)], [1, 0, 0], atol=0.13)
    assert np.allclose(places[order.index(3)], [-1, 0, 0], atol=0.13)  # half an edge
    assert np.allclose(places[order.index(4)], [0.5, 0.65, 0], atol=0.05)


def test_smooth_weights_fade_evenly_across_a_border():
    mesh = chain_mesh()
    owner = np.array([1, 0, 2])[mesh.vertex_parts]
    weights = smooth_weights(mesh, owner, 3, 0.08)
    assert np.allclose(weights.sum(1), 1)
    assert weights.min() >= 0
    y = mesh.vertices[:, 1]
    assert np.abs(weights[np.abs(y - 0.25) < 0.02, 1] - 0.5).max() < 0.2
    assert weights[y > 0.25 + 0.4, 1].min() > 0.98
    # One implicit step of diffusion falls off as exp(-d/length): by e over each length.
    near, far = (weights[np.abs(y - place) < 0.02, 1].mean() for place in (0.15, 0.07))
    assert near / far == pytest.approx(np.e, rel=0.25)


def test_weights_on_the_simplex_are_the_best_there():
    generator = np.random.default_rng(1)
    roots = generator.normal(size=(50, 6, 4))
    wanted = generator.normal(size=(50, 6))
    matrix, linear = roots.transpose(0, 2, 1) @ roots, (roots.transpose(0, 2, 1) @ wanted[..., None])[..., 0]
    found = _on_simplex(matrix, linear)
    assert np.allclose(found.sum(1), 1)
    for root, goal, weights in zip(roots, wanted, found, strict=True):
        # The sum enters non-negative least squares as one more, very heavy, equation.
        heavy = np.vstack([root, np.full(4, 1e5)])
        assert np.allclose(weights, nnls(heavy, np.append(goal, 1e5))[0], atol=1e-4)


def test_a_single_frame_leaves_the_joints_in_the_middle_of_the_borders():
    mesh = chain_mesh()
    truth = chain_rig(mesh, 0.1)
    still = Rig(truth.names, truth.parents, truth.joints, truth.vertices, truth.bones, truth.weights)
    body = run_to_end(rig_body(mesh, CHAIN_PARTS, 1, lambda t: still.vertices))
    assert np.abs(body.rig.joints[1:] - part_tree(mesh, 3)[2][1:]).max() < 1e-6
    assert body.error.max_mm < 1e-3
