"""Pull points of the surface: the pose deviations of their parts that bring them to their targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

__all__ = ["Decoder", "pull", "seam_points"]

_STEPS = 4
_TOLERANCE = 0.01
_LIMIT_SIGMA = 3.0
_DIFFERENCE_SIGMA = 0.02
_SEAM = 0.12
_SEAM_POINTS = 12


class Decoder(Protocol):
    """What a pull needs of the workbench."""

    pose_directions: Float[np.ndarray, "Q K Dp"]

    def points_in_poses(
        self,
        points: Float[np.ndarray, "N 3"],
        shape_codes: Float[np.ndarray, "Q Ds"],
        pose_codes: Float[np.ndarray, "M Q Dp"],
    ) -> Float[np.ndarray, "M N 3"]:
        """Canonical points in many poses; posed frame, canonical units."""


def pull(
    bench: Decoder,
    points: Float[np.ndarray, "N 3"],
    targets: Float[np.ndarray, "N 3"],
    shape: Float[np.ndarray, "Q Ds"],
    pose: Float[np.ndarray, "Q Dp"],
    parts: Sequence[int],
    sigma: Float[np.ndarray, "Q K"],
    staying: Float[np.ndarray, "S 3"] | None = None,
) -> Float[np.ndarray, "Q K"]:
    """Deviations of some parts' poses that bring canonical points near their targets, by four Gauss-Newton steps.

    Minimises Σ |x(σ) − target|² / 0.01² + |σ − σ₀|²: each target is a soft constraint of 0.01 canonical units
    (12.5 mm) and the pose stays as close to where it began as that allows. No deviation exceeds 3, or its start where
    that is larger. Points that stay keep the places that they have at the start, with the weight of one target
    together.

    Args:
        points: Canonical frame, canonical units.
        targets: Posed frame, canonical units.
        pose: Codes that hold `sigma` already.
        parts: Those whose deviations may change.
        sigma: Deviations σ₀ at the start.
        staying: Further points, of parts that shall stay where they are.
    """
    moving, start = list(parts), np.asarray(sigma, dtype=float)
    result = start.copy()
    if not moving:
        return result
    count = start.shape[1]
    first = start[moving].ravel()
    limit = np.maximum(_LIMIT_SIGMA, np.abs(first))
    tries = _DIFFERENCE_SIGMA * np.concatenate([np.zeros((1, len(first))), np.eye(len(first))])
    directions = bench.pose_directions[moving, :count]
    held = np.zeros((0, 3)) if staying is None else np.asarray(staying)
    every = np.concatenate([np.asarray(points), held]).astype(np.float32)
    scale = np.full(len(every), 1 / _TOLERANCE)
    scale[len(points) :] /= max(1, len(held)) ** 0.5
    goals = np.asarray(targets, dtype=float)
    if len(held):
        goals = np.concatenate([goals, bench.points_in_poses(held.astype(np.float32), shape, pose[None])[0]])
    now = first.copy()
    for _ in range(_STEPS):
        codes = np.repeat(pose[None], len(tries), 0).astype(np.float32)
        steps = (now - first + tries).reshape(len(tries), len(moving), count)
        codes[:, moving] += np.einsum("mqk,qkd->mqd", steps, directions).astype(np.float32)
        places = bench.points_in_poses(every, shape, codes).astype(float)
        slopes = (places[1:] - places[0]) / _DIFFERENCE_SIGMA * scale[:, None]
        jacobian = slopes.reshape(len(first), -1).T
        residual = ((places[0] - goals) * scale[:, None]).ravel()
        normal = jacobian.T @ jacobian + np.eye(len(first))
        now = np.clip(now - np.linalg.solve(normal, jacobian.T @ residual + now - first), -limit, limit)
    result[moving] = now.reshape(len(moving), count)
    return result


def seam_points(
    vertices: Float[np.ndarray, "V 3"], parts: Int[np.ndarray, "V"], held: Sequence[int], moving: Sequence[int]
) -> Float[np.ndarray, "S 3"]:
    """Points of held parts that moving parts could carry along: at most 12, within 0.12 canonical units of them.

    Args:
        vertices: Canonical surface.
        parts: [V] the part of each vertex.
    """
    own, others = np.isin(parts, list(held)), np.isin(parts, list(moving))
    if not own.any() or not others.any():
        return np.zeros((0, 3), dtype=np.float32)
    candidates = np.asarray(vertices)[own]
    away, _ = KDTree(np.asarray(vertices)[others]).query(candidates)
    near = candidates[away < _SEAM]
    chosen = near[np.unique(np.linspace(0, len(near) - 1, _SEAM_POINTS).astype(int))] if len(near) else near
    result: Float[np.ndarray, "S 3"] = chosen.astype(np.float32)
    return result
