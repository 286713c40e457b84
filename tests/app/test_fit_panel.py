"""The fit panel: its form, its loss curve, and what it says while a fit begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLineEdit, QScrollArea
from recordings import write_ball

from app.facts import view_facts

Opened = Callable[[Path], Any]


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ("50:60", "Frames 50:60 chooses none of the 10 frames, 0 to 9."),
        ("5:2", "Frames 5:2 chooses none of the 10 frames"),
        ("abc", "Frames abc: write a:b:step"),
        ("::-1", "Frames ::-1: the step must be positive."),
    ],
)
def test_frames_that_the_recording_lacks_are_refused(opened: Opened, recording: Path, frames: str, why: str) -> None:
    window = opened(recording)
    panel, action = window.fit_workspace.panel, window.commands.actions["fit.start"]
    panel.form.set_value("frames", frames)
    assert panel.form.problem.startswith(why)
    assert not panel.fit_button.isEnabled()
    assert not panel.enqueue_button.isEnabled()
    assert not action.isEnabled()
    panel.form.set_value("frames", "2:8:2")
    assert not panel.form.problem
    assert panel.fit_button.isEnabled()
    assert action.isEnabled()


def test_frames_are_judged_anew_for_another_recording(opened: Opened, recording: Path, tmp_path: Path) -> None:
    window = opened(recording)
    panel = window.fit_workspace.panel
    panel.form.set_value("frames", "4:")
    assert panel.fit_button.isEnabled()
    opened(write_ball(tmp_path / "short", 3))
    assert "none of the 3 frames" in panel.form.problem
    assert not panel.fit_button.isEnabled()
    panel.form.set_value("frames", "1:")
    assert panel.fit_button.isEnabled()


def test_no_control_of_the_form_is_cut_in_a_low_window(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    window.resize(1280, 720)
    window.turn_to("fit")
    panel = window.fit_workspace.panel
    form, scroll = panel.form, panel.findChild(QScrollArea)
    shown = {False: ("preset", "frames", "method", "out"), True: ("model", "labels", "device", "seed")}
    for unfolded in (False, True):
        form.more_button.setChecked(unfolded)
        QTest.qWait(50)
        assert [form.editor(name).isVisible() for name in shown[False] + shown[True]] == [True] * 4 + [unfolded] * 4
        for editor in (*form.findChildren(QComboBox), *form.findChildren(QLineEdit)):
            if editor.isVisible():
                below = editor.mapTo(form, editor.rect().bottomLeft()).y()
                assert editor.height() >= editor.minimumSizeHint().height()
                assert editor.parentWidget().rect().contains(editor.geometry())
                assert below < form.height()
        assert form.geometry().bottom() < panel.fit_button.geometry().top()
    window.resize(1280, 800)
    for unfolded in (True, False):
        form.more_button.setChecked(unfolded)
        QTest.qWait(50)
        assert panel.plot.height() >= panel.plot.minimumSizeHint().height()
    assert scroll.verticalScrollBar().maximum() == 0, "folded, all of it is seen at once"
    path = form.editor("out").edit
    assert path.toolTip() == path.text() == str(fit_folder.with_name("ball_fit"))


def test_a_closed_fit_takes_its_curve_along(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    panel = window.fit_workspace.panel
    assert panel._plot_stack.currentWidget() is panel.plot
    assert panel.plot.names
    window.fitting.show(None, None)
    assert panel._plot_stack.currentWidget() is panel._plot_hint
    assert panel.plot.names == []


def test_before_the_first_step_nothing_is_promised(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    panel = window.fit_workspace.panel
    fitter.placing_s = 0.6
    assert window.view_bar.facts()[1] == "press Fit"
    window.start_fit()
    qtbot.waitUntil(lambda: panel._message.text() == "Placing the body", timeout=5_000)
    assert window.view_bar.facts()[1] == "fitting…"
    assert (panel._bar.minimum(), panel._bar.maximum()) == (0, 0), "a bar that only moves"
    assert panel._left.text() == ""
    assert panel._plot_stack.currentWidget() is panel._plot_hint
    qtbot.waitUntil(lambda: bool(panel.plot.names), timeout=10_000)
    assert panel._plot_stack.currentWidget() is panel.plot
    qtbot.waitUntil(lambda: panel._bar.maximum() == fitter.steps, timeout=5_000)
    window.fitting.cancel()
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=5_000)
    window.session.live = None
    assert view_facts(window.session, None)[1] == window.view_bar.facts()[1] == "press Fit"


def test_terms_and_weights_have_the_same_names_and_few_digits(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any
) -> None:
    window = opened(recording)
    panel = window.fit_workspace.panel
    fitter.steps = 200
    window.start_fit()
    qtbot.waitUntil(lambda: "ICP" in panel.plot._legend.text(), timeout=10_000)
    assert "Weight of L_icp; 10 mm count 1." in panel.plot._legend.toolTip()
    assert panel.plot._plot.getAxis("left").labelText == "loss"
    boxes = panel.weights.boxes
    assert boxes["icp_weight"].accessibleName() == "Weight of ICP"
    assert [boxes[f"{name}_weight"].text() for name in ("reconstruction", "icp", "shape_prior")] == [
        "20",
        "0.6",
        "0.03",
    ]
    panel.weights.sliders["icp_weight"].setValue(3)
    assert (boxes["icp_weight"].text(), boxes["icp_weight"].value()) == ("0.739", 0.739)
    for typed, shown in (("1234.5", "1230"), ("0.12345", "0.123"), ("20.0", "20")):
        boxes["icp_weight"].selectAll()
        QTest.keyClicks(boxes["icp_weight"].lineEdit(), typed + "\r")
        assert boxes["icp_weight"].text() == shown
        assert panel.weights.values()["icp_weight"] == float(shown)
    window.fitting.cancel()
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=5_000)
