"""Numbers as colours: one ramp for sizes, one for signed differences, both readable with a colour deficiency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from app.depth_colors import DEPTH_RAMP

__all__ = ["CONFIDENCE", "DEPTH", "DIFFERENCE", "MAGNITUDE", "MISSING", "Ramp"]

MISSING = (112, 118, 130)
"""Where there is no number."""


@dataclass(frozen=True)
class Ramp:
    """Colours at equal steps from the low to the high end, with straight lines between them."""

    stops: tuple[tuple[int, int, int], ...]

    def colors(self, values: Float[np.ndarray, "*batch"], low: float, high: float) -> UInt8[np.ndarray, "*batch 3"]:
        """The colour of each value; those beyond an end take its colour, NaN takes `MISSING`."""
        known = np.isfinite(values)
        share = np.clip((np.where(known, values, low) - low) / max(high - low, 1e-12), 0.0, 1.0)
        at = share * (len(self.stops) - 1)
        table = np.asarray(self.stops, dtype=float)
        mixed = np.stack([np.interp(at, np.arange(len(table)), table[:, k]) for k in range(3)], axis=-1)
        mixed[~known] = MISSING
        colors: UInt8[np.ndarray, "*batch 3"] = np.rint(mixed).astype(np.uint8)
        return colors


MAGNITUDE = Ramp(((30, 60, 130), (32, 127, 160), (66, 178, 143), (250, 217, 100), (245, 132, 66), (214, 49, 62)))
"""Small blue, large red; lightness rises to the middle, so that both ends stand out."""

CONFIDENCE = Ramp(MAGNITUDE.stops[::-1])
"""What is doubtful is red."""

DEPTH = Ramp(tuple((int(r), int(g), int(b)) for r, g, b in DEPTH_RAMP))
"""Near yellow, far violet, as in the input's view."""

DIFFERENCE = Ramp(((38, 94, 190), (140, 180, 226), (240, 240, 240), (240, 164, 130), (196, 50, 54)))
"""Negative blue, zero nearly white, positive red."""
