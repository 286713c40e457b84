"""Ramps go through their stops, in straight lines, and stand still beyond the ends."""

from __future__ import annotations

import numpy as np
import pytest

from app.colormap import CONFIDENCE, DEPTH, DIFFERENCE, MAGNITUDE, MISSING, Ramp


@pytest.mark.parametrize("ramp", [CONFIDENCE, DEPTH, DIFFERENCE, MAGNITUDE])
def test_a_ramp_goes_through_its_stops(ramp: Ramp) -> None:
    stops = np.array(ramp.stops)
    assert np.array_equal(ramp.colors(np.linspace(2, 5, len(stops)), 2, 5), stops)
    assert np.array_equal(ramp.colors(np.array([-1.0, 9.0]), 2, 5), stops[[0, -1]])
    values = np.random.default_rng(0).uniform(2, 5, (40, 30))
    at = (values - 2) / 3 * (len(stops) - 1)
    exact = np.stack([np.interp(at, np.arange(len(stops)), stops[:, k]) for k in range(3)], axis=-1)
    assert np.abs(ramp.colors(values, 2, 5) - exact).max() <= 1
    assert np.array_equal(ramp.colors(np.array([np.nan, np.inf]), 2, 5), [MISSING, MISSING])
