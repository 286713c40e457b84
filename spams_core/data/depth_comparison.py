"""What the sensor measured beside what it would have measured of the fitted surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spams_core.data.fit import Fit
from spams_core.data.sequence import DepthSequence
from spams_core.geometry.depth_image import depth_image

__all__ = ["DepthComparison", "compare_depth"]

_MARGIN_PX = 6


@dataclass(frozen=True)
class DepthComparison:
    """The rectangle of one frame's image that holds the subject and the fitted surface.

    Attributes:
        frame: Of the recording.
        left, top: Pixel (u, v) of the rectangle's upper left corner.
        sensor_m: [h, w] the subject's readings, metres; NaN where there is none.
        fit_m: [h, w] depth of the fitted surface, metres; NaN where there is none.
        difference_m: [h, w] fit minus sensor: positive where the surface lies behind the reading.
    """

    frame: int
    left: int
    top: int
    sensor_m: Float[np.ndarray, "h w"]
    fit_m: Float[np.ndarray, "h w"]
    difference_m: Float[np.ndarray, "h w"]


def compare_depth(fit: Fit, row: int, sequence: DepthSequence) -> DepthComparison:
    """Render fitted frame `row` with the recording's camera and compare.

    Raises:
        InputError: The recording's frame cannot be read.
    """
    frame = int(fit.frame_indices[row])
    depth, mask = sequence.read_depth_m(frame), sequence.read_mask(frame)
    sensor = np.where(mask & (depth > 0), depth, np.nan).astype(np.float32)
    rendered = depth_image(fit.mesh_world(row), sequence.camera)
    fitted = np.where(rendered > 0, rendered, np.nan).astype(np.float32)
    there = np.isfinite(sensor) | np.isfinite(fitted)
    rows, columns = np.nonzero(there.any(1))[0], np.nonzero(there.any(0))[0]
    if not len(rows):
        rows, columns = np.arange(there.shape[0]), np.arange(there.shape[1])
    top, left = max(int(rows[0]) - _MARGIN_PX, 0), max(int(columns[0]) - _MARGIN_PX, 0)
    window = slice(top, int(rows[-1]) + 1 + _MARGIN_PX), slice(left, int(columns[-1]) + 1 + _MARGIN_PX)
    return DepthComparison(frame, left, top, sensor[window], fitted[window], (fitted - sensor)[window])
