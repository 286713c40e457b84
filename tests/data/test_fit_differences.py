from __future__ import annotations

import pytest
from fits import ball_fit

from spams_core.data.fit_differences import fit_differences, require_same_recording
from spams_core.errors import InputError


def test_only_settings_that_differ_are_told():
    common = {"seed": 3, "sequence": "walk"}
    a = ball_fit(settings={**common, "out": "a", "solve": {"rounds": 4, "icp_weight": 0.6}}, preset="fast")
    b = ball_fit(settings={**common, "out": "b", "solve": {"rounds": 8, "new": True}}, preset="accurate")
    assert fit_differences(a, b) == [
        ("preset", "fast", "accurate"), ("rounds", "4", "8"), ("icp_weight", "0.6", "–"), ("new", "–", "True"),
    ]  # fmt: skip
    assert fit_differences(a, a) == []


def test_of_a_model_the_content_counts_not_the_place():
    def names(model, digest):
        other = ball_fit(model=model, inputs={"model/shape": digest})
        return [name for name, *_ in fit_differences(ball_fit(model="/a/human", inputs={"model/shape": "1"}), other)]

    assert names("/b/human", "1") == []
    assert names("/a/human", "2") == ["model"]


def test_fits_of_other_recordings_are_refused():
    camera = {"camera": "c0ffee"}
    a = ball_fit(sequence="/data/walk", sequence_name="walk", inputs=camera)
    require_same_recording(a, ball_fit(sequence="/data/walk"))
    require_same_recording(a, ball_fit(sequence="/moved/walk", sequence_name="walk", inputs=camera))
    with pytest.raises(InputError, match="This fit shows run, not walk"):
        require_same_recording(a, ball_fit(sequence="/data/run", sequence_name="run", inputs=camera))
    with pytest.raises(InputError, match="same recording"):
        require_same_recording(a, ball_fit(sequence="/other/walk", sequence_name="walk", inputs={"camera": "1"}))
