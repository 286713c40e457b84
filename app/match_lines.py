"""The correspondences of a frame as line segments: kept ones by their length, rejected ones grey and dashed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int, UInt8

from app.colormap import MAGNITUDE

if TYPE_CHECKING:
    from spams_core.data.fit import FrameObservation

__all__ = ["FAR_MM", "MatchLines", "match_lines"]

FAR_MM = 40.0
"""Pairs of a person as long as this take the last colour."""

_MOST = 600
"""Of the kept, and of the rejected pairs: more lines hide each other."""

_DASHES = 4
_REJECTED = (150, 156, 168)


@dataclass(frozen=True)
class MatchLines:
    """What is drawn.

    Attributes:
        rows: [N] pairs of the observation that are drawn.
        starts, ends: [S, 3] segments in world metres; a kept pair is one, a rejected one several.
        colors: [S, 3].
    """

    rows: Int[np.ndarray, "N"]
    starts: Float[np.ndarray, "S 3"]
    ends: Float[np.ndarray, "S 3"]
    colors: UInt8[np.ndarray, "S 3"]


def match_lines(seen: FrameObservation, reasons: Collection[int], far_mm: float = FAR_MM) -> MatchLines:
    """The pairs with one of the given reasons, `MatchReason`; 0 are those that were kept.

    A fit that does not say why it rejected a pair shows all rejected ones when any reason but 0 is asked for.
    """
    from spams_core.data.fit import MatchReason

    kept = seen.match_weights > 0
    rejected = ~kept & (seen.matched_world != 0).any(1)  # without a vertex of the part there is no line
    others = [reason for reason in reasons if reason != MatchReason.KEPT]
    if seen.reasons is not None:
        rejected &= np.isin(seen.reasons, others)
    elif not others:
        rejected[:] = False
    kept_rows = _some(np.nonzero(kept)[0]) if MatchReason.KEPT in reasons else np.zeros(0, dtype=np.int64)
    rejected_rows = _some(np.nonzero(rejected)[0])
    a, b = seen.points_world[kept_rows], seen.matched_world[kept_rows]
    colors = MAGNITUDE.colors(1e3 * np.linalg.norm(b - a, axis=1), 0.0, far_mm)
    from_, to = seen.points_world[rejected_rows], seen.matched_world[rejected_rows]
    # VTK's core profile has no line stipple: a dash is a segment of its own.
    shares = np.linspace(0.0, 1.0, 2 * _DASHES)
    dash = [(from_ + shares[k] * (to - from_), from_ + shares[k + 1] * (to - from_)) for k in range(0, 2 * _DASHES, 2)]
    grey = np.tile(np.array([_REJECTED], dtype=np.uint8), (_DASHES * len(rejected_rows), 1))
    return MatchLines(
        np.concatenate([kept_rows, rejected_rows]),
        np.concatenate([a, *(start for start, _ in dash)]),
        np.concatenate([b, *(end for _, end in dash)]),
        np.concatenate([colors, grey]),
    )


def _some(rows: Int[np.ndarray, "N"]) -> Int[np.ndarray, "N"]:
    return np.random.default_rng(0).permutation(rows)[:_MOST]
