"""Whether a fit has exchanged the subject's left and right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from spams_core.geometry.nearest import nearest_points

__all__ = ["mirrored_pairs", "sides_swapped", "sides_swapped_over_time"]

_FEWEST_POINTS = 20
"""Fewer points of a pair of limbs tell nothing: they may all lie on the border of a neighbouring part."""


def mirrored_pairs(part_names: Sequence[str]) -> list[tuple[int, int]]:
    """Parts `left_X` and `right_X` of one another, as (left, right)."""
    places = {name: place for place, name in enumerate(part_names)}
    return [
        (place, places[mirrored])
        for name, place in places.items()
        if name.startswith("left_") and (mirrored := f"right_{name.removeprefix('left_')}") in places
    ]


def sides_swapped(
    points: Float[np.ndarray, "N 3"],
    true_parts: Int[np.ndarray, "N"],
    vertices: Float[np.ndarray, "V 3"],
    vertex_parts: Int[np.ndarray, "V"],
    pairs: Sequence[tuple[int, int]],
) -> bool | None:
    """Whether, for some pair of limbs, most of its points are nearer to the mirrored limb of the fit than to their own.

    Args:
        points: What was observed of one frame.
        true_parts: Part of each point, -1 where unknown.
        vertices, vertex_parts: The fitted surface in that frame, in the points' frame and unit.
        pairs: (left, right) of `mirrored_pairs`.

    Returns:
        None where no pair has 20 points or the fit lacks one of its limbs.
    """
    found = []
    for pair in pairs:
        limbs = [vertices[vertex_parts == part] for part in pair]
        shown = [points[true_parts == part] for part in pair]
        if not all(map(len, limbs)) or sum(map(len, shown)) < _FEWEST_POINTS:
            continue
        crossed = [
            nearest_points(seen, other)[0] < nearest_points(seen, own)[0]
            for seen, own, other in zip(shown, limbs, limbs[::-1], strict=True)
            if len(seen)
        ]
        found.append(bool(np.concatenate(crossed).mean() > 0.5))
    return any(found) if found else None


def sides_swapped_over_time(
    vertices: Float[np.ndarray, "T V 3"], vertex_parts: Int[np.ndarray, "V"], pairs: Sequence[tuple[int, int]]
) -> Bool[np.ndarray, "T"] | None:
    """Which frames have some pair of limbs exchanged against most of the frames; for recordings without true parts.

    Left and right jump across between two frames where each limb's centre comes nearer to where the other one was than
    to where itself was. Moving or turning the body by less than a quarter turn cannot do that. Each jump exchanges the
    pair until the next one; of the two states the one of fewer frames counts as swapped, and at a tie that without the
    first frame. A fit that has them exchanged throughout isn't found out.

    Args:
        vertices: The fitted surface in successive frames.
        vertex_parts: Part of each vertex.
        pairs: (left, right) of `mirrored_pairs`.

    Returns:
        None where there is one frame only or no pair that the fit has.
    """
    present = [pair for pair in pairs if all((vertex_parts == part).any() for part in pair)]
    if len(vertices) < 2 or not present:
        return None
    swapped: np.ndarray[Any, Any] = np.zeros(len(vertices), dtype=bool)
    for pair in present:
        left, right = (vertices[:, vertex_parts == part].mean(1, dtype=np.float64) for part in pair)
        left_crosses = _way(left[1:], right[:-1]) < _way(left[1:], left[:-1])
        right_crosses = _way(right[1:], left[:-1]) < _way(right[1:], right[:-1])
        exchanged = np.concatenate([[False], np.cumsum(left_crosses & right_crosses) % 2 == 1])
        swapped |= ~exchanged if exchanged.mean() > 0.5 else exchanged
    return swapped


def _way(a: Float[np.ndarray, "T 3"], b: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T"]:
    length: np.ndarray[Any, Any] = np.linalg.norm(a - b, axis=1)
    return length
