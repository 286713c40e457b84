"""A bar of three parts that turn about known joints: a body whose rig is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from fits import ball_fit
from scipy.spatial.transform import Rotation

from spams_core.data.fit import write_fit
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.rig import Rig, RigMotion, skin

CHAIN_PARTS = ("tip", "middle", "end")
CHAIN_JOINTS = np.array([[0.0, 0.0, 0.0], [0.0, 0.25, 0.0], [0.0, -0.25, 0.0]])
"""Of the middle, which is the root, the tip and the end."""


def chain_mesh() -> Mesh:
    """1.4 m along y; the tip is above 0.25, the end below -0.25."""
    capsule = trimesh.creation.capsule(height=1.2, radius=0.1, count=[16, 16])
    vertices, faces = trimesh.remesh.subdivide_to_size(capsule.vertices, capsule.faces, 0.05)
    vertices = vertices[:, [1, 2, 0]]
    parts = np.select([vertices[:, 1] > 0.25, vertices[:, 1] < -0.25], [0, 2], 1)
    return Mesh(vertices, faces, parts.astype(np.int32))


def chain_rig(mesh: Mesh, fade_m: float) -> Rig:
    """The truth: weights fade over |y ∓ 0.25| < fade."""
    y = mesh.vertices[:, 1]
    tip, end = (np.clip((sign * y - 0.25 + fade_m) / (2 * fade_m), 0, 1) for sign in (1, -1))
    weights = np.stack([1 - tip - end, tip, end, np.zeros_like(y)], axis=1)
    bones = np.where(weights > 0, np.array([0, 1, 2, 0]), 0)
    return Rig(("middle", "tip", "end"), (-1, 0, 0), CHAIN_JOINTS, mesh.vertices, bones, weights)


def chain_motion(frames: int, seed: int = 0) -> RigMotion:
    """Turns of up to a radian about any axis, on a walk."""
    generator = np.random.default_rng(seed)
    turns = Rotation.from_rotvec(generator.uniform(-0.6, 0.6, (frames * 3, 3))).as_matrix().reshape(frames, 3, 3, 3)
    whole = Rotation.from_euler("y", np.linspace(0, 6, frames)[:, None]).as_matrix()[:, None]
    return RigMotion(whole @ turns, np.linspace([0, 1, -3], [2, 1, -3], frames))


def frames_of(rig: Rig, motion: RigMotion) -> Callable[[int], np.ndarray]:
    """The moving surface."""
    return lambda t: skin(rig, motion, t)


def write_chain_fit(path: Path, frames: int) -> np.ndarray:
    """Write a fit of the chain to every second frame of a recording of 15 per second.

    Returns:
        [T, V, 3] its surface; it fades over a wider band than any rig would guess.
    """
    mesh, motion = chain_mesh(), chain_motion(frames)
    rig = chain_rig(mesh, 0.2)
    surface = np.stack([skin(rig, motion, t) for t in range(frames)]).astype(np.float32)
    fit = dataclasses.replace(
        ball_fit(part_names=list(CHAIN_PARTS)),
        shape_codes=np.zeros((3, 8), np.float32),
        pose_codes=np.zeros((frames, 3, 4), np.float32),
        root_rotation=np.broadcast_to(np.eye(3, dtype=np.float32), (frames, 3, 3)).copy(),
        root_translation_m=np.zeros((frames, 3), np.float32),
        canonical_vertices=(mesh.vertices * CANONICAL_PER_METRE).astype(np.float32),
        faces=mesh.faces.astype(np.int32),
        vertex_parts=mesh.vertex_parts,
        vertices_world=surface,
        frame_indices=np.arange(0, 2 * frames, 2, dtype=np.int32),
        residual_m=np.zeros(frames, np.float32),
        observed_offsets=np.zeros(frames + 1, np.int32),
        observed_points=np.zeros((0, 3), np.float32),
        observed_labels=np.zeros(0, np.int32),
        matched_points=np.zeros((0, 3), np.float32),
        match_weights=np.zeros(0, np.float32),
    )
    write_fit(path, fit)
    return surface
