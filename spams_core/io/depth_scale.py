"""Metres per unit of depth images that do not say it: the scale at which what is seen has a person's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spams_core.geometry.camera import Camera

__all__ = ["FLOAT_SCALES", "INTEGER_SCALES", "guess_scale"]

INTEGER_SCALES = (0.001, 0.0002)
"""Millimetres, and the fifths of a millimetre of TUM RGB-D."""

FLOAT_SCALES = (1.0, 0.001)

_PERSON_M = 1.6
_DISTANCE_M = 2.2
_CROPPED_SHARE = 0.5
"""Where fewer pixels than this have a reading, the background is gone and the readings' height is a body's."""


def guess_scale(
    frames: Sequence[np.ndarray[Any, Any]], camera: Camera, candidates: Sequence[float]
) -> tuple[float, str] | None:
    """The candidate that brings what is seen nearest to a person's size, and what it gives, for people.

    Where the background is removed, the height of the readings is compared with 1.6 m; else their median distance with
    2.2 m. Either by its ratio, so that the choice between 0.001 and 0.0002 falls at a factor of √5.

    Args:
        frames: A few depth images in their stored unit.
        camera: Intrinsics; a size is its angle times its distance.
        candidates: Metres per unit.

    Returns:
        None where no image has a reading.
    """
    heights, distances, shares = [], [], []
    for units in frames:
        with np.errstate(invalid="ignore"):
            seen = np.isfinite(units) & (units > 0)
        if not seen.any():
            continue
        distance = float(np.median(units[seen]))
        low, high = np.percentile(np.nonzero(seen)[0], [1, 99])
        distances.append(distance)
        heights.append((high - low + 1) / camera.fy * distance)
        shares.append(float(seen.mean()))
    if not distances:
        return None
    cropped = float(np.median(shares)) < _CROPPED_SHARE
    size, wanted = (np.median(heights), _PERSON_M) if cropped else (np.median(distances), _DISTANCE_M)
    best = min(candidates, key=lambda scale: abs(float(np.log(size * scale / wanted))))
    what = "what is seen is" if cropped else "the middle of what is seen lies at"
    return best, f"guessed: {what} {size * best:.2f} m {'tall' if cropped else 'distance'}"
