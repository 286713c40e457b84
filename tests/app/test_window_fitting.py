"""A fit in the window: started, watched, held, cancelled, failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from looking import dialogs
from PySide6.QtTest import QTest

from spams_core.errors import InputError

Opened = Callable[[Path], Any]


def test_fit_runs_with_live_mesh_and_loss(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    assert window.fitting.possible()
    live: list[Any] = []
    window.session.live_changed.connect(live.append)
    with qtbot.waitSignal(window.fit_finished, timeout=20_000) as finished:
        window.commands.actions["fit.start"].trigger()
        assert not window.commands.actions["fit.start"].isEnabled()
        qtbot.waitUntil(lambda: window.scene.body.visible, timeout=10_000)
        left = window.fit_workspace.panel._left
        qtbot.waitUntil(lambda: "left" in left.text() or window.session.live is None, timeout=10_000)
    assert any(shown is not None for shown in live)
    assert finished.args[0] is window.session.fit
    assert window.session.live is None
    steps, values = window.fit_workspace.panel.plot.points("total")
    assert len(steps) == len(values) > 0
    # Written beside the recording, and the next fit will not overwrite it.
    assert window.session.fit_path == recording.with_name("ball_fit")
    assert (recording.with_name("ball_fit") / "manifest.json").is_file()
    assert window.fit_workspace.panel.form.value().out == recording.with_name("ball_fit_2")


def test_loss_curve_holds_every_step(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: window.fit_workspace.panel.plot.names != [], timeout=10_000)
    measured: list[int] = []
    window.jobs.fit_measured.connect(lambda metrics: measured.extend(step for step, _ in metrics))
    already = list(window.fit_workspace.panel.plot.points("total")[0])
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=20_000)
    assert already + [float(step) for step in measured] == [float(step) for step in range(1, fitter.steps + 1)]


def test_cancel_ends_within_half_a_second(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.steps = 10_000
    window = opened(recording)
    chosen = recording.with_name("chosen")
    window.fit_workspace.panel.form.set_value("out", chosen)
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    begin = time.perf_counter()
    window.fit_workspace.panel.cancel_button.click()
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=5_000)
    assert fitter.closed_at - begin < 0.5
    assert window.fit_workspace.panel.form.value().out == chosen
    assert not chosen.exists()
    assert window.fitting.possible()
    assert window.session.live is None


def test_cancel_does_not_wait_for_a_long_step(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.step_s = 2.0
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    begin = time.perf_counter()
    window.fit_workspace.panel.cancel_button.click()
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=5_000)
    # Half a second is promised; drawing in software on a busy machine may add to it.
    assert time.perf_counter() - begin < 1.0
    assert window.fitting.possible()
    qtbot.waitUntil(lambda: not window.jobs.running, timeout=10_000)
    assert fitter.closed_at
    assert not recording.with_name("ball_fit").exists()


def test_pause_holds_and_resume_goes_on(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.steps = 60
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    window.fit_workspace.panel.pause_button.click()
    assert window.fit_workspace.panel.pause_button.text() == "Resume"
    QTest.qWait(200)
    held = list(window.fit_workspace.panel.plot.points("total")[0])
    QTest.qWait(300)
    assert window.fit_workspace.panel.plot.points("total")[0] == held
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        window.fit_workspace.panel.pause_button.click()


def test_exception_in_a_fit_is_shown_and_the_window_goes_on(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any
) -> None:
    fitter.error = ZeroDivisionError("seven")
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: len(dialogs(window)) == 1, timeout=10_000)
    box = dialogs(window)[0]
    assert "ZeroDivisionError: seven" in box.informativeText()
    assert "conftest.py" in box.detailedText()
    box.close()
    fitter.error = None
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        window.start_fit()


def test_input_error_in_a_fit_is_shown_as_it_is(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.error = InputError("frame 000007 has no reading. Leave it out (--frames).")
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: len(dialogs(window)) == 1, timeout=10_000)
    assert dialogs(window)[0].text() == "frame 000007 has no reading. Leave it out (--frames)."
    assert not dialogs(window)[0].detailedText()
    dialogs(window)[0].close()


def test_closing_while_fitting_asks(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.steps = 10_000
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    window.close()
    assert window.isVisible()
    next(b for b in dialogs(window)[0].buttons() if b.text() == "Keep working").click()
    assert window.jobs.fitting is not None
    window.close()
    next(b for b in dialogs(window)[-1].buttons() if b.text() == "Stop and close").click()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5_000)
    assert fitter.closed_at
    assert window.jobs.running == []
