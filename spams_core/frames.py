"""Coordinate frames, axes, units and dimension letters, and the only converters between frames.

Frames
    camera     metres; OpenCV axes: +x right, +y down, +z forward. Pixel centres lie at integer (u, v).
    world      metres; +y up.
    posed      canonical units; the subject's root at the origin with the root rotation removed.
    canonical  canonical units; A-pose, root at the origin, +y up, facing +z, the subject's left is +x.

One constant, `CANONICAL_PER_METRE`, turns metres into canonical units, so that a code keeps a body's metric size and
every training body lies in [-1, 1]³. `world_from_camera` reads as `points_world = world_from_camera @ points_camera`.

Subjects of another size than people have a constant of their own, which their archives tell as `canonical_per_metre`.
All lengths in metres that training and fitting go by are meant for subjects of human size: a recording of others is
read `enlargement` times as large, and what was fitted is made as small again.

Dimension letters
    T frames, Q parts, N points, V vertices, F faces, R resolution, I identities, P posed instances, D code length,
    H × W image rows and columns.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "CAMERA_FROM_UPRIGHT",
    "CANONICAL_PER_METRE",
    "enlargement",
    "posed_from_world",
    "transform_points",
    "world_from_posed",
]

CANONICAL_PER_METRE = 0.8
"""Canonical units per metre: 1 unit is 1.25 m, so a raised arm of the tallest body stays inside [-1, 1]³."""

CAMERA_FROM_UPRIGHT = np.diag([1.0, -1.0, -1.0])
"""Turns +y up, +z backward axes into the camera's +y down, +z forward and back (its own inverse)."""


def enlargement(canonical_per_metre: float) -> float:
    """How many times larger a subject would be if it were as large as a person: 1 for people, about 8 for a hand."""
    return canonical_per_metre / CANONICAL_PER_METRE


def transform_points(
    matrix: Float[np.ndarray, "4 4"], points: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch 3"]:
    """Apply a rigid 4 × 4 transform to points; `b_from_a` and points in frame a give points in frame b."""
    moved: np.ndarray = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def world_from_posed(
    points_posed: Float[Tensor, "*batch N 3"],
    root_rotation: Float[Tensor, "*batch 3 3"],
    root_translation_m: Float[Tensor, "*batch 3"],
    canonical_per_metre: float = CANONICAL_PER_METRE,
) -> Float[Tensor, "*batch N 3"]:
    """Posed frame (canonical units) to world frame (metres): R · x / c + t."""
    return points_posed @ root_rotation.mT / canonical_per_metre + root_translation_m.unsqueeze(-2)


def posed_from_world(
    points_world: Float[np.ndarray, "*batch 3"],
    root_rotation: Float[np.ndarray, "3 3"],
    root_translation_m: Float[np.ndarray, "3"],
    canonical_per_metre: float = CANONICAL_PER_METRE,
) -> Float[np.ndarray, "*batch 3"]:
    """World frame (metres) to posed frame (canonical units), the inverse of `world_from_posed`: Rᵀ (x − t) · c."""
    posed: np.ndarray = (points_world - root_translation_m) @ root_rotation * canonical_per_metre
    return posed
