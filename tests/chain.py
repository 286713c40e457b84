"""A bar of three parts that turn about known joints: a body whose rig is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

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
