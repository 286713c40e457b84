"""Some frames of the open fit, fitted anew from the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recordings import write_ball

Opened = Callable[[Path], Any]


def test_chosen_frames_are_fitted_anew_into_a_new_folder(
    opened: Opened, fit_folder: Path, recording: Path, fitter: Any, qtbot: Any
) -> None:
    window = opened(fit_folder)
    panel = window.fit_workspace.panel.refit_panel
    before = {file: file.read_bytes() for file in fit_folder.iterdir()}
    window.session.frame = 4
    panel.here_button.click()
    assert panel.frames == "4:5"
    panel.last.setValue(6)
    panel.part.setCurrentText("Head only")
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        panel.button.click()
    ran = fitter.settings[-1]
    assert (ran.start_from, ran.frames, ran.reseed) == (fit_folder, "4:7", ("head",))
    assert (ran.sequence, ran.method) == (recording, "spam")
    assert window.session.fit_path == ran.out == recording.with_name("ball_fit")
    assert {file: file.read_bytes() for file in fit_folder.iterdir()} == before


def test_the_numbers_of_the_frames_are_seen(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    window.turn_to("fit")
    panel = window.fit_workspace.panel
    panel.tabs.setCurrentWidget(panel.refit_panel)
    for box in (panel.refit_panel.first, panel.refit_panel.last):
        shown = box.lineEdit().width() - box.lineEdit().textMargins().left()
        assert shown > box.fontMetrics().horizontalAdvance("0000")


def test_a_refit_waits_while_another_fit_runs(opened: Opened, fit_folder: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(fit_folder)
    fitter.steps = 60
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    window.fit_workspace.panel.refit_panel.choose(2, 3)
    window.commands.actions["fit.refit"].trigger()
    queue = window.fitting.queue
    assert [run.state for run in queue.runs] == ["running", "waiting"]
    assert (queue.runs[1].settings.frames, queue.runs[1].settings.start_from) == ("2:4", fit_folder)
    qtbot.waitUntil(lambda: [run.state for run in queue.runs] == ["done", "done"], timeout=20_000)
    assert fitter.settings[-1] is queue.runs[1].settings


def test_refit_needs_a_fit_and_its_recording(opened: Opened, recording: Path, tmp_path: Path) -> None:
    window = opened(recording)
    panel = window.fit_workspace.panel.refit_panel
    assert not panel.button.isEnabled()
    assert not window.commands.actions["fit.refit"].isEnabled()
    assert {"start_from", "reseed"}.isdisjoint(window.fit_workspace.panel.form._editors)
    opened(write_ball(tmp_path / "other", 3))
    assert not panel.button.isEnabled()


@pytest.mark.parametrize(("first", "last", "shown"), [(3, 1, "1:2"), (2, 5, "2:6"), (40, 50, "8:9")])
def test_the_range_is_always_one(opened: Opened, fit_folder: Path, first: int, last: int, shown: str) -> None:
    panel = opened(fit_folder).fit_workspace.panel.refit_panel
    panel.first.setValue(first)
    panel.last.setValue(last)
    assert panel.frames == shown, "the last fitted frame is 8"
