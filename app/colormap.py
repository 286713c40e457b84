"""Numbers as colours: ramps for sizes, distances, confidences, differences, readable with a colour deficiency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["CONFIDENCE", "DEPTH", "DIFFERENCE", "MAGNITUDE", "MISSING", "UNSURE", "Ramp"]

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
        table = self._table()
        colors: UInt8[np.ndarray, "*batch 3"] = table[np.rint(share * (len(table) - 1)).astype(np.int32)]
        colors[~known] = MISSING
        return colors

    def _table(self) -> UInt8[np.ndarray, "K 3"]:
        """So many steps between two stops that none is more than one grey level; an image is looked up in it."""
        at = np.linspace(0, len(self.stops) - 1, 240 * (len(self.stops) - 1) + 1)
        stops = np.asarray(self.stops, dtype=float)
        mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, k]) for k in range(3)], axis=-1)
        table: UInt8[np.ndarray, "K 3"] = np.rint(mixed).astype(np.uint8)
        return table


MAGNITUDE = Ramp(((30, 60, 130), (32, 127, 160), (66, 178, 143), (250, 217, 100), (245, 132, 66), (214, 49, 62)))
"""Small blue, large red; lightness rises to the middle, so that both ends stand out."""

CONFIDENCE = Ramp(((215, 60, 72), (240, 178, 70), (236, 226, 130), (96, 190, 140), (46, 140, 170)))
"""Unsure to sure: red, amber, pale yellow, blue; no red stands against green."""

UNSURE = 0.5
"""Confidence of a label that gets the ramp's first colour, as does everything below: a coin toss between two parts."""

DEPTH = Ramp(((253, 231, 120), (122, 209, 129), (42, 150, 160), (70, 90, 170), (84, 50, 130)))
"""Near to far: yellow, green, teal, blue, violet."""

DIFFERENCE = Ramp(((38, 94, 190), (140, 180, 226), (240, 240, 240), (240, 164, 130), (196, 50, 54)))
"""Negative blue, zero nearly white, positive red."""
