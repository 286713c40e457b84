from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fits import ball_fit

from spams_core.data.fit import MatchReason, read_fit, write_fit
from spams_core.errors import InputError


def test_a_fit_with_and_one_without_reasons_are_read(tmp_path):
    fit = ball_fit()
    write_fit(tmp_path / "old", fit)
    old = read_fit(tmp_path / "old")
    assert old.match_reasons is None
    assert old.observation(1).reasons is None
    reasons = np.arange(len(fit.match_weights), dtype=np.uint8) % len(MatchReason)
    write_fit(tmp_path / "new", replace(fit, match_reasons=reasons))
    new = read_fit(tmp_path / "new")
    assert np.array_equal(new.match_reasons, reasons)
    assert np.array_equal(new.observation(1).reasons, reasons[4:8])


def test_reasons_of_other_pairs_are_refused(tmp_path):
    write_fit(tmp_path / "bad", replace(ball_fit(), match_reasons=np.zeros(3, np.uint8)))
    with pytest.raises(InputError, match="do not belong together"):
        read_fit(tmp_path / "bad")
