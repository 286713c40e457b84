"""Planes, and the floor among the points of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["Plane", "find_floor", "fit_plane"]

_TRIALS = 400
_SAMPLE = 6000
"""Points that vote for a candidate: enough for one per cent, and all candidates take 20 ms."""

_NORMAL_COSINE = 0.9
"""A floor point's own normal lies within 26° of the plane's; noise turns it less, furniture's edges more."""

_BELOW_COST = 3.0
"""A point below a candidate weighs as much as this many upon it: table tops have a room below them."""

_LEAST_SHARE = 0.05
_LEAST_SPREAD_M = 0.15


@dataclass(frozen=True)
class Plane:
    """The points x with normal · x = offset_m.

    Attributes:
        normal: [3] unit.
        offset_m: Signed distance of the plane from the origin.
    """

    normal: Float[np.ndarray, "3"]
    offset_m: float

    def heights_m(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch"]:
        """Signed distances of points to the plane, positive on the normal's side."""
        heights: np.ndarray = points @ self.normal - self.offset_m
        return heights


def fit_plane(points: Float[np.ndarray, "N 3"], up: Float[np.ndarray, "3"]) -> Plane:
    """The plane with the least squared distances to at least three points, its normal on the side of `up`."""
    middle = points.mean(0)
    _, axes = np.linalg.eigh(np.cov((points - middle).T))
    normal = axes[:, 0] if axes[:, 0] @ up >= 0 else -axes[:, 0]
    return Plane(normal, float(normal @ middle))


def find_floor(
    points: Float[np.ndarray, "N 3"],
    normals: Float[np.ndarray, "N 3"],
    up: Float[np.ndarray, "3"],
    generator: np.random.Generator,
    *,
    band_m: float = 0.03,
    tilt_deg: float = 50.0,
) -> Plane | None:
    """The floor by random sample consensus (Fischler and Bolles 1981): the large plane that has nothing below it.

    Three drawn points make a candidate. Points near it whose own normals agree vote for it, points farther below vote
    against it; least squares over the voters refine the winner.

    Args:
        points: Metres, any frame.
        normals: Unit, towards the camera.
        up: Roughly upwards, unit.
        generator: Source of all draws.
        band_m: Points this near to a candidate lie on it.
        tilt_deg: A floor's normal is within this angle of `up`; a camera whose tilt nobody wrote down needs room here.

    Returns:
        The floor, or None where no plane holds a twentieth of the points and reaches 0.15 m (one standard deviation) in
        both directions.
    """
    sample = generator.permutation(len(points))[:_SAMPLE]
    points, normals = points[sample], normals[sample]
    flat = normals @ up > np.cos(np.radians(tilt_deg))
    candidates = np.flatnonzero(flat)
    if len(candidates) < max(3, _LEAST_SHARE * len(points)):
        return None
    best, best_score = None, 0.0
    for _ in range(_TRIALS):
        a, b, c = points[generator.choice(candidates, 3, replace=False)]
        normal = np.cross(b - a, c - a)
        length = np.linalg.norm(normal)
        if length < 1e-6:
            continue
        normal = normal / length * (1.0 if normal @ up >= 0 else -1.0)
        if normal @ up < np.cos(np.radians(tilt_deg)):
            continue
        plane = Plane(normal, float(normal @ a))
        heights = plane.heights_m(points)
        score = float((np.abs(heights) < band_m).sum() - _BELOW_COST * (heights < -3 * band_m).sum())
        if score > best_score:
            best, best_score = plane, score
    for _ in range(4):
        if best is None:
            return None
        upon = (np.abs(best.heights_m(points)) < band_m) & (normals @ best.normal > _NORMAL_COSINE)
        if upon.sum() < max(3, _LEAST_SHARE * len(points)):
            return None
        best = fit_plane(points[upon], up)
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(points[upon].T)), 0.0))
    return best if spread[1] >= _LEAST_SPREAD_M else None
