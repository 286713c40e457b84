"""The rounds of a fit: what is kept of them, and what an archive may hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fits import ball_fit, ball_history

from spams_core.data.fit import read_fit, write_fit
from spams_core.data.fit_history import MOST_SNAPSHOTS, HistoryRecorder
from spams_core.errors import InputError


def test_a_history_survives_the_archive_and_old_fits_have_none(tmp_path: Path) -> None:
    history = ball_history()
    write_fit(tmp_path / "new", replace(ball_fit(), history=history))
    kept = read_fit(tmp_path / "new").history
    assert kept is not None
    for name, array in history.arrays().items():
        assert np.array_equal(getattr(kept, name), array), name
    assert json.loads((tmp_path / "new" / "manifest.json").read_text())["history_version"] == 1
    write_fit(tmp_path / "old", ball_fit())
    assert read_fit(tmp_path / "old").history is None


def test_a_history_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    write_fit(tmp_path / "fit", replace(ball_fit(), history=ball_history()))
    manifest = tmp_path / "fit" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"history_version": 1', '"history_version": 2'))
    assert read_fit(tmp_path / "fit").history is None


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("rows", np.full(11, 5, np.int32)),  # the fit has five frames
        ("steps", np.array([0, 2, 9], np.int32)),  # and three steps
        ("offsets", np.array([0, 9, 5, 11])),
        ("stages", np.array([0, 1, 99], np.uint8)),
        ("pose_codes", np.zeros((11, 2, 3), np.float16)),
    ],
)
def test_a_history_of_another_fit_is_refused(tmp_path: Path, name: str, wrong: np.ndarray) -> None:
    write_fit(tmp_path / "fit", replace(ball_fit(), history=replace(ball_history(), **{name: wrong})))
    with pytest.raises(InputError, match="do not belong together"):
        read_fit(tmp_path / "fit")


def test_a_frame_keeps_its_codes_until_it_moves_again() -> None:
    history = ball_history()  # all five frames, then frames 0 and 4 … then all
    assert [history.index(0, 4), history.index(1, 4), history.index(2, 4)] == [4, 6, 11]
    assert [history.index(0, 2), history.index(1, 2), history.index(2, 2)] == [2, 2, 9]
    assert [history.moved(1, row) for row in range(5)] == [True, False, False, False, True]
    assert history.index(2, 7) is None


def test_many_rounds_are_thinned_and_no_movement_is_lost() -> None:
    expected, frames = 500, 7
    recorder = HistoryRecorder(expected)
    position = np.zeros(frames)
    for number in range(expected):
        moved = np.arange(frames) if number == 0 else np.array([number % frames])
        position[moved] = number
        if recorder.due(moved):
            rows = recorder.pending
            shift = np.stack([position[rows]] * 3, 1)
            codes = position[rows, None, None]
            turn = np.broadcast_to(np.eye(3), (len(rows), 3, 3))
            recorder.record(number, "start" if number == 0 else "joint", np.zeros((1, 1)), codes, turn, shift)
    history = recorder.history()
    assert history is not None
    assert history.count == MOST_SNAPSHOTS
    assert history.steps[0] == 0
    assert history.steps[-1] == expected - 1
    assert np.diff(history.steps).max() - np.diff(history.steps).min() <= 1
    for row in range(frames):
        index = history.index(history.count - 1, row)
        assert index is not None
        assert history.root_translation_m[index, 0] == position[row]
