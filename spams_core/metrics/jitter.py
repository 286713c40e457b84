"""How much a fitted surface trembles where the recording stands still."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["PartImage", "part_movement", "still_parts"]

_NOISE_M = 0.025
"""A still surface's depth changes by less: one step of a first-generation Kinect at 3 m."""

_KEPT_SHARE = 0.85
"""Of a still part's pixels, at least these keep their depth; edges flicker. A limb w pixels wide loses more when it
moves aside by 0.08 w."""

_STILL_M = 0.006
"""A still part's mean movement, as far as depth shows it, is below this; noise alone comes to 4 mm."""

_DAMPING = 0.02
"""Weight of staying in place against the pixels' mean weight; it decides only where depth says next to nothing."""

_FEWEST_PIXELS = 30
"""A part that shows fewer pixels is not judged."""


@dataclass(frozen=True)
class PartImage:
    """What a frame shows of the subject, pixel by pixel.

    Attributes:
        depth_m: [H, W] distance along +z; only where `labels` is not negative.
        points: [H, W, 3] the same as points in metres, in a frame that rests.
        normals: [H, W, 3] their unit normals.
        labels: [H, W] part of each pixel, -1 where the subject has no reading.
        silhouette: [H, W] the subject, pixels without a reading included.
    """

    depth_m: Float[np.ndarray, "H W"]
    points: Float[np.ndarray, "H W 3"]
    normals: Float[np.ndarray, "H W 3"]
    labels: Int[np.ndarray, "H W"]
    silhouette: Bool[np.ndarray, "H W"]


def still_parts(before: PartImage, after: PartImage, part_count: int) -> list[int]:
    """The parts that do not move between two frames of a resting camera, by the observation alone.

    A part is looked at in all pixels that carry its label in either frame, so that labels which flicker between a limb
    and the torso do not look like movement. It is still where both hold:

    1. at least 85 % of these pixels keep their depth within 25 mm; those that leave the silhouette do not, and those
       that lack a reading inside it are not counted,
    2. the movement d that explains the changes of depth best, min Σ (n · (d - Δp))² + 0.02 N |d|² over the N pixels
       with point change Δp and normal n, is shorter than 6 mm.

    A part with fewer than 30 pixels in either frame, or with as few comparable ones, is not called still.
    """
    seen = (before.labels >= 0) & (after.labels >= 0)
    gone = ((before.labels >= 0) & ~after.silhouette) | ((after.labels >= 0) & ~before.silhouette)
    kept = seen & (np.abs(np.where(seen, after.depth_m - before.depth_m, 0.0)) < _NOISE_M)
    still = []
    for part in range(part_count):
        here_before, here_after = before.labels == part, after.labels == part
        region = here_before | here_after
        compared, same = int((region & (seen | gone)).sum()), region & kept
        if min(here_before.sum(), here_after.sum(), same.sum()) < _FEWEST_PIXELS:
            continue
        if same.sum() >= _KEPT_SHARE * compared and _movement_m(before, after, same) < _STILL_M:
            still.append(part)
    return still


def part_movement(
    before: Float[np.ndarray, "V 3"],
    after: Float[np.ndarray, "V 3"],
    vertex_parts: Int[np.ndarray, "V"],
    parts: Collection[int],
) -> float | None:
    """Median way of the vertices of some parts from one frame to the next, in their unit; None without vertices."""
    chosen = np.isin(vertex_parts, list(parts))
    if not chosen.any():
        return None
    return float(np.median(np.linalg.norm(after[chosen].astype(np.float64) - before[chosen], axis=1)))


def _movement_m(before: PartImage, after: PartImage, pixels: Bool[np.ndarray, "H W"]) -> float:
    """Length of the translation that explains the changes of depth in some pixels best."""
    normals = before.normals[pixels].astype(np.float64)
    along_normal = (normals * (after.points[pixels] - before.points[pixels])).sum(1)
    matrix: np.ndarray[Any, Any] = normals.T @ normals + _DAMPING * len(normals) * np.eye(3)
    return float(np.linalg.norm(np.linalg.solve(matrix, normals.T @ along_normal)))
