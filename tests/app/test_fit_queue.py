"""Fits that wait for each other, and weights that change while one runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox
from recordings import write_ball

from spams_core.errors import InputError

Opened = Callable[[Path], Any]


def dialogs(window: Any) -> list[QMessageBox]:
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def states(window: Any) -> list[str]:
    return [run.state for run in window.fitting.queue.runs]


def enqueue(window: Any, count: int) -> None:
    for _ in range(count):
        window.commands.actions["fit.enqueue"].trigger()


def test_queued_fits_run_one_after_another(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    panel = window.fit_workspace.panel
    enqueue(window, 3)
    assert panel.queue_panel.texts() == [(f"ball_fit{n}", "waiting") for n in ("", "_2", "_3")]
    assert panel.tabs.tabText(panel.tabs.indexOf(panel.queue_panel)) == "Queue (3)"
    assert window.jobs.fitting is None, "they wait to be started"
    most: list[int] = []
    window.jobs.changed.connect(lambda: most.append(sum(worker.name == "fit" for worker in window.jobs.running)))
    panel.queue_panel.start_button.click()
    qtbot.waitUntil(lambda: states(window) == ["done", "running", "waiting"], timeout=20_000)
    qtbot.waitUntil(lambda: panel.queue_panel.texts()[1][1] not in ("running 0 %", "waiting"), timeout=10_000)
    assert "1 waiting" in panel._left.text()
    qtbot.waitUntil(lambda: states(window) == ["done"] * 3, timeout=20_000)
    assert max(most) == 1
    assert all((recording.parent / f"ball_fit{n}" / "manifest.json").is_file() for n in ("", "_2", "_3"))
    assert window.session.fit_path == recording.with_name("ball_fit_3")
    # A double click opens one that is done.
    with qtbot.waitSignal(window.opened, timeout=10_000):
        panel.queue_panel.list.itemDoubleClicked.emit(panel.queue_panel.list.topLevelItem(0), 0)
    assert window.session.fit_path == recording.with_name("ball_fit")


def test_reorder_and_remove(opened: Opened, recording: Path, fitter: Any) -> None:
    window = opened(recording)
    queue, panel = window.fitting.queue, window.fit_workspace.panel.queue_panel
    enqueue(window, 3)
    first, second, third = queue.runs
    panel.select(third)
    assert not panel.down_button.isEnabled()
    panel.up_button.click()
    assert panel.selected is third
    panel.up_button.click()
    assert queue.runs == [third, first, second]
    assert not panel.up_button.isEnabled()
    panel.down_button.click()
    assert queue.runs == [first, third, second]
    panel.remove_button.click()
    assert queue.runs == [first, second]


def test_the_queue_survives_a_cancelled_and_a_failed_fit(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any
) -> None:
    window = opened(recording)
    fitter.steps = 40
    enqueue(window, 4)
    queue, panel = window.fitting.queue, window.fit_workspace.panel
    queue.start()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    panel.pause_button.click()
    panel.cancel_button.click()
    qtbot.waitUntil(lambda: states(window)[:2] == ["cancelled", "running"], timeout=10_000)
    assert not window.jobs.fitting.paused
    assert panel.pause_button.text() == "Pause", "a pause ends with the fit that was paused"
    fitter.error = InputError("frame 7 has no reading. Leave it out.")
    qtbot.waitUntil(lambda: states(window)[1] == "failed", timeout=20_000)
    fitter.error = None
    panel.queue_panel.select(queue.runs[1])
    assert panel.queue_panel._note.text() == "frame 7 has no reading. Leave it out."
    # One that waits may go while another runs.
    qtbot.waitUntil(lambda: states(window)[2] == "running", timeout=10_000)
    queue.remove(queue.runs[3])
    qtbot.waitUntil(lambda: states(window) == ["cancelled", "failed", "done"], timeout=20_000)
    assert not recording.with_name("ball_fit").exists()
    for box in dialogs(window):
        box.close()


def test_time_left_counts_all_that_wait_and_no_pause(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    now = [0.0]
    queue = window.fitting.queue
    queue._now = lambda: now[0]
    fitter.steps = 10_000
    enqueue(window, 1)
    window.fit_workspace.panel.form.set_value("frames", "0:5")
    enqueue(window, 1)
    assert [run.frame_count for run in queue.runs] == [10, 5]
    queue.start()
    qtbot.waitUntil(lambda: queue.current is not None and queue.current.report is not None, timeout=10_000)
    window.jobs.fitting.set_paused(True)
    QTest.qWait(150)
    run = queue.current
    run.time._anchor = (0, run.report.total, 0.0)
    run.report = dataclasses.replace(run.report, step=2_500)
    run.time.set_paused(False)
    now[0] = 25.0
    assert queue.left_s() == pytest.approx(75 + 50), "the second has half the frames"
    run.time.set_paused(True)
    now[0] = 1000.0
    assert queue.left_s() == pytest.approx(75 + 50)


def test_two_fits_of_the_queue_never_share_a_folder(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    form = window.fit_workspace.panel.form
    enqueue(window, 1)
    assert form.value().out == recording.with_name("ball_fit_2")
    form.set_value("out", recording.with_name("ball_fit"))
    enqueue(window, 1)
    assert len(window.fitting.queue.runs) == 1
    assert "another fit of the queue" in dialogs(window)[0].text()
    dialogs(window)[0].close()


def test_other_recordings_can_be_opened_and_queued_while_a_fit_runs(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any, tmp_path: Path
) -> None:
    window = opened(recording)
    fitter.steps = 100
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    other = write_ball(tmp_path / "other", 4)
    opened(other)
    QTest.qWait(200)
    assert window.session.live is None, "the mesh of one recording does not stand in another"
    panel = window.fit_workspace.panel
    assert not panel._form_area.isVisible()
    panel.next_button.click()
    assert panel._form_area.isVisible()
    assert not panel.fit_button.isVisible()
    assert window.height() <= 800, "the panel's content does not make the window taller"
    panel.enqueue_button.click()
    assert panel.queue_panel.isVisible()
    assert not panel._form_area.isVisible()
    qtbot.waitUntil(lambda: states(window) == ["done", "running"], timeout=20_000)
    assert window.session.fit is None, "what is done does not push aside what is open"
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    qtbot.waitUntil(lambda: states(window) == ["done", "done"], timeout=20_000)
    assert window.session.fit_path == tmp_path / "other_fit"
    assert window.session.fit.manifest["sequence"] == str(other)


def test_closing_with_waiting_fits_asks(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    enqueue(window, 2)
    window.close()
    assert window.isVisible()
    assert "2 fits wait in the queue." in dialogs(window)[0].text()
    next(b for b in dialogs(window)[0].buttons() if b.text() == "Keep working").click()
    fitter.steps = 10_000
    window.fitting.queue.start()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    window.close()
    assert "The fit is not finished. 1 fit waits in the queue." in dialogs(window)[-1].text()
    next(b for b in dialogs(window)[-1].buttons() if b.text() == "Stop and close").click()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5_000)
    assert window.jobs.running == []
    assert len(fitter.controls) == 1, "the waiting fit did not start while the window closed"


def test_weights_reach_the_running_fit(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    from spams_core.tasks.fit import LIVE_WEIGHTS, PRESETS

    fitter.steps = 10_000
    window = opened(recording)
    weights = window.fit_workspace.panel.weights
    assert not weights.isVisible()
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    assert weights.isVisible()
    assert all(box.lineEdit().width() > box.fontMetrics().horizontalAdvance("0.0012") for box in weights.boxes.values())
    fast = PRESETS["fast"]
    assert weights.values() == {name: getattr(fast, name) for name in LIVE_WEIGHTS}
    controls = fitter.controls[-1]
    assert controls.take(0) == {}, "showing the weights changes none"
    weights.sliders["icp_weight"].setValue(10)
    assert weights.boxes["icp_weight"].value() == pytest.approx(2 * fast.icp_weight)
    weights.boxes["temporal_weight"].setValue(0.0)
    assert weights.sliders["temporal_weight"].value() == weights.sliders["temporal_weight"].minimum()
    assert controls.take(0) == {"icp_weight": pytest.approx(2 * fast.icp_weight), "temporal_weight": 0.0}
    window.fit_workspace.panel.cancel_button.click()
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=5_000)
    assert not weights.isVisible()
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    assert weights.values() == {name: getattr(fast, name) for name in LIVE_WEIGHTS}, "the next fit starts from its own"
