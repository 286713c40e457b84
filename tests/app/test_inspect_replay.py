"""The rounds of a fit, replayed in the workspace Inspect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import ball_fit, ball_history
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication

from spams_core.data.fit import read_fit, write_fit

Opened = Callable[[Path], Any]


@pytest.fixture
def replayed_fit(tmp_path: Path, recording: Path) -> Path:
    """The ball's fit with three snapshots: the start, keyframes 0 and 8, and all frames as fitted."""
    fit = ball_fit(sequence=str(recording), model=str(tmp_path / "model"))
    losses = np.array([[8.0], [2.0], [0.5]], np.float32)
    write_fit(tmp_path / "with_rounds", replace(fit, history=ball_history(), loss_history=losses))
    return tmp_path / "with_rounds"


@pytest.fixture
def replaying(opened: Opened, replayed_fit: Path, qtbot: Any) -> Any:
    window = opened(replayed_fit)
    window.turn_to("inspect")
    qtbot.waitUntil(lambda: window.inspect_workspace.replay.possible, timeout=20_000)
    return window


def shows(window: Any, number: int) -> bool:
    body = window.session.replayed
    return body is not None and body.round == number and body.frame == window.session.frame and not body.preview


def middle(window: Any) -> np.ndarray:
    points = window.scene.body.data.points
    found: np.ndarray = (points.max(0) + points.min(0)) / 2
    return found


def test_scrubbing_shows_the_body_of_each_round(replaying: Any, qtbot: Any) -> None:
    window, bar = replaying, replaying.inspect_workspace.replay_bar
    fit = window.session.fit
    assert bar.isVisible()
    assert bar.label.text().splitlines()[0] == "Round 2 of 2 · joint · loss 0.5"
    final = np.array(window.scene.body.data.points)
    spans = []
    for number, label in enumerate(("Round 0 of 2 · start", "Round 1 of 2 · keyframes · loss 2")):
        x = int(bar.track.x_of(number)) + (1 if number == 0 else 0)
        qtbot.mouseClick(bar.track, Qt.MouseButton.LeftButton, pos=QPoint(x, 25))
        qtbot.waitUntil(lambda number=number: shows(window, number), timeout=20_000)
        assert bar.label.text().splitlines()[0] == label
        # A stand-in's pose codes move the body along x by their sum, its shape codes stretch it; frame 0 is a keyframe.
        share = number / 2
        shape = (share * fit.shape_codes).astype(np.float16).astype(np.float32)
        assert middle(window)[0] == pytest.approx(share * fit.pose_codes[0].sum() / 0.8, abs=0.01)
        spans.append(np.ptp(window.scene.body.data.points, axis=0))
        assert spans[-1] == pytest.approx(1 + shape[0, :3], abs=0.01)
    window.player.go_to(4)  # no keyframe: it stands at the start until the last round
    qtbot.waitUntil(lambda: window.session.replayed.frame == 4, timeout=20_000)
    assert bar.label.text().splitlines()[1] == "this frame has not moved yet"
    assert middle(window)[0] == pytest.approx(fit.root_translation_m[2, 0], abs=0.01)
    window.player.go_to(0)
    window.commands.actions["inspect.replay_leave"].trigger()
    assert window.session.replayed is None
    assert np.array_equal(window.scene.body.data.points, final)
    assert not window.commands.actions["inspect.replay_leave"].isEnabled()


def test_playing_goes_through_all_rounds_and_stops(replaying: Any, qtbot: Any) -> None:
    window, replay = replaying, replaying.inspect_workspace.replay
    seen: list[int] = []
    window.session.replayed_changed.connect(lambda body: body is not None and seen.append(body.round))
    action = window.commands.actions["inspect.replay"]
    action.trigger()
    assert replay.playing
    assert action.isChecked()
    qtbot.waitUntil(lambda: not replay.playing and shows(window, 2), timeout=20_000)
    assert sorted(set(seen)) == [0, 1, 2]
    assert seen == sorted(seen)
    assert not action.isChecked()
    window.turn_to("edit")  # elsewhere the final body is shown
    assert window.session.replayed is None
    assert not window.inspect_workspace.replay_bar.isVisible()


def test_arrows_step_through_the_rounds_while_the_curve_has_the_focus(replaying: Any, qtbot: Any) -> None:
    window, track = replaying, replaying.inspect_workspace.replay_bar.track
    asked = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier)
    asked.ignore()
    QApplication.sendEvent(track, asked)
    assert asked.isAccepted()  # so the arrow is not taken for a step of the frames
    qtbot.keyClick(track, Qt.Key.Key_Left)
    assert window.inspect_workspace.replay.round == 1
    qtbot.keyClick(track, Qt.Key.Key_Home)
    assert window.inspect_workspace.replay.round == 0
    assert "start" in track.accessibleDescription()
    assert window.session.frame == 0


def test_colours_of_a_measure_are_those_of_the_final_body(replaying: Any, qtbot: Any) -> None:
    window, workspace = replaying, replaying.inspect_workspace
    workspace.colors.set_by("normal")
    qtbot.waitUntil(lambda: window.session.body_paint is not None, timeout=20_000)
    workspace.replay.go_to(1)
    qtbot.waitUntil(lambda: shows(window, 1), timeout=20_000)
    assert window.session.body_paint is None
    workspace.replay.leave()
    qtbot.waitUntil(lambda: window.session.body_paint is not None, timeout=20_000)


def test_a_fit_without_rounds_says_why(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    window.turn_to("inspect")
    bar = window.inspect_workspace.replay_bar
    assert bar.reason.isVisible()
    assert "keeps no rounds" in bar.reason.text()
    assert not bar.track.isVisible()
    assert not window.commands.actions["inspect.replay"].isEnabled()


def test_a_fit_that_was_just_made_can_be_replayed(
    opened: Opened, recording: Path, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spams_core.progress import Progress

    made = replace(ball_fit(sequence=str(recording), model=str(tmp_path / "model")), history=ball_history())

    def fit(settings: Any, controls: Any = None) -> Any:
        yield Progress(1, 1, "Joint fit", {"total": 1.0})
        write_fit(settings.out, made)
        return made

    monkeypatch.setattr("spams_core.tasks.fit.fit", fit)
    window = opened(recording)
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        window.start_fit()
    window.turn_to("inspect")
    replay = window.inspect_workspace.replay
    qtbot.waitUntil(lambda: replay.possible, timeout=20_000)
    replay.go_to(1)
    qtbot.waitUntil(lambda: shows(window, 1), timeout=20_000)
    assert read_fit(window.session.fit_path).history is not None
