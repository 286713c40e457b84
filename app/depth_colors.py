"""Colours of numbers along a ramp: distance in the depth image and the input view, confidence of the labels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["CONFIDENCE_RAMP", "DEPTH_RAMP", "UNSURE", "ramp_colors"]

DEPTH_RAMP = np.array([[253, 231, 120], [122, 209, 129], [42, 150, 160], [70, 90, 170], [84, 50, 130]], dtype=float)
"""Near to far: yellow, green, teal, blue, violet."""

CONFIDENCE_RAMP = np.array(
    [[215, 60, 72], [240, 178, 70], [236, 226, 130], [96, 190, 140], [46, 140, 170]], dtype=float
)
"""Unsure to sure: red, amber, pale yellow, blue; no red stands against green."""

UNSURE = 0.5
"""Confidence that gets the ramp's first colour, as does everything below: a coin toss between two parts."""


def ramp_colors(share: Float[np.ndarray, "*batch"], ramp: Float[np.ndarray, "K 3"]) -> UInt8[np.ndarray, "*batch 3"]:
    """Colours for numbers from 0, the ramp's first, to 1, its last; what lies outside takes the end's."""
    place = np.clip(share, 0.0, 1.0) * (len(ramp) - 1)
    channels = [np.interp(place, np.arange(len(ramp)), ramp[:, k]) for k in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)
