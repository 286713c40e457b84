"""The workspace Inspect: what the colours of the mesh say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor

from app.colormap import DIFFERENCE, MAGNITUDE, MISSING
from app.theme import THEMES

Opened = Callable[[Path], Any]


def body_colors(window: Any) -> np.ndarray:
    return np.asarray(window.scene.body.data.point_data["color"])


@pytest.fixture
def inspecting(opened: Opened, fit_folder: Path) -> Any:
    """The window with a fit, turned to Inspect."""
    window = opened(fit_folder)
    window.turn_to("inspect")
    return window


def choose(window: Any, by: str) -> None:
    box = window.inspect_workspace.colors_card.choice
    box.setCurrentIndex(box.findData(by))


def test_mesh_wears_the_colours_of_a_measure(inspecting: Any, qtbot: Any) -> None:
    window, colors = inspecting, inspecting.inspect_workspace.colors
    by_part = body_colors(window)
    choose(window, "displacement")
    qtbot.waitUntil(lambda: colors.shown() is not None and colors.top == 100.0, timeout=10_000)
    # The ball moves one metre along x in five frames, a quarter per fitted frame.
    for frame, way_cm in ((0, 0.0), (4, 50.0), (8, 100.0)):
        window.player.go_to(frame)
        qtbot.waitUntil(lambda: colors.shown() is not None, timeout=10_000)
        expected = MAGNITUDE.colors(np.array([way_cm]), 0.0, 100.0)
        assert np.abs(body_colors(window).astype(int) - expected).max() <= 1
    bar = window.inspect_workspace.colors_card.bar
    assert bar.isVisible()
    assert bar.ticks() == ["0", "25", "50", "75", "≥ 100 cm"]
    window.inspect_workspace.colors_card.top.setValue(200.0)
    assert np.abs(body_colors(window).astype(int) - MAGNITUDE.colors(np.array([100.0]), 0.0, 200.0)).max() <= 1
    window.turn_to("edit")
    assert np.array_equal(body_colors(window), by_part)
    window.turn_to("inspect")
    assert not np.array_equal(body_colors(window), by_part)
    choose(window, "part")
    assert np.array_equal(body_colors(window), by_part)


@pytest.mark.parametrize("by", ["distance", "kept", "truth", "normal"])
def test_every_measure_paints(inspecting: Any, qtbot: Any, by: str) -> None:
    by_part = body_colors(inspecting)
    choose(inspecting, by)
    qtbot.waitUntil(lambda: not np.array_equal(body_colors(inspecting), by_part), timeout=10_000)
    if by == "normal":
        # A vertex at the right-hand end of the ball faces along +x.
        body = inspecting.scene.body
        right = int(np.argmax(body.data.points[:, 0]))
        assert np.abs(body_colors(inspecting)[right].astype(int) - [255, 128, 128]).max() <= 12


def test_truth_is_offered_only_where_there_is_one(
    opened: Opened, fit_folder: Path, recording: Path, qtbot: Any
) -> None:
    recording.rename(recording.with_name("gone"))
    window = opened(fit_folder)
    window.turn_to("inspect")
    box = window.inspect_workspace.colors_card.choice
    assert not box.model().item(box.findData("truth")).isEnabled()
    assert box.model().item(box.findData("distance")).isEnabled()


def test_ramps_run_from_end_to_end() -> None:
    for ramp in (MAGNITUDE, DIFFERENCE):
        ends = ramp.colors(np.array([-5.0, 0.0, 1.0, 9.0, np.nan]), 0.0, 1.0)
        assert tuple(ends[0]) == tuple(ends[1]) == ramp.stops[0]
        assert tuple(ends[2]) == tuple(ends[3]) == ramp.stops[-1]
        assert tuple(ends[4]) == MISSING


def test_strips_say_what_every_frame_lacks(inspecting: Any, qtbot: Any) -> None:
    window, workspace = inspecting, inspecting.inspect_workspace
    strips = workspace.strips
    qtbot.waitUntil(lambda: workspace.diagnosis.complete and strips.values(8) is not None, timeout=10_000)
    assert strips.isVisible()
    assert strips.titles() == ["Head", "Torso", "Missing depth", "Jitter"]
    head, torso, missing, jitter = strips.values(2)
    assert head > 0
    assert np.isnan(torso)  # no observed point of the stand-in is torso
    assert missing == 0
    assert jitter == pytest.approx(0, abs=1e-3)
    assert strips.values(3) is None  # not fitted
    # Its columns stand below those of the timeline, and scrub as they do.
    assert strips.x_of(7) == window.timeline.strip.x_of(7)
    qtbot.mouseClick(strips, Qt.MouseButton.LeftButton, pos=QPoint(int(strips.x_of(7)), 5))
    assert window.session.frame == 7
    window.commands.actions["inspect.strips"].trigger()
    assert not strips.isVisible()
    window.commands.actions["inspect.strips"].trigger()
    assert strips.isVisible()
    window.turn_to("edit")
    assert not strips.isVisible()
    assert window.timeline.strip.x_of(0) < strips.x_of(0)


def test_strips_are_drawn_anew_only_when_they_change(inspecting: Any, qtbot: Any, monkeypatch: Any) -> None:
    window, workspace = inspecting, inspecting.inspect_workspace
    strips = workspace.strips
    qtbot.waitUntil(lambda: workspace.diagnosis.complete and strips.values(8) is not None, timeout=10_000)
    rows = {row: replace(made, missing_share=0.1 * row) for row, made in workspace.diagnosis.rows.items()}
    strips.set_rows(rows)
    window.player.go_to(9)
    before = strips.grab().toImage()
    drawn: list[object] = []
    draw = strips._draw

    def counted(*arguments: Any) -> None:
        drawn.append(arguments)
        draw(*arguments)

    monkeypatch.setattr(strips, "_draw", counted)
    for frame in (4, 0, 9):
        window.player.go_to(frame)
        assert (strips.grab().toImage() == before) == (frame == 9)
    assert drawn == []

    def color(frame: int, row: int) -> str:
        image, ratio = strips.grab().toImage(), strips.devicePixelRatioF()
        at = QPoint(int((strips.x_of(frame) - 4) * ratio), int((16 * row + 8) * ratio))
        return str(image.pixelColor(at).name())

    assert [color(frame, 2) for frame in (0, 4, 8)] == [
        QColor(*made.tolist()).name() for made in MAGNITUDE.colors(np.array([0.0, 20.0, 40.0]), 0.0, 50.0)
    ]
    empty = QColor(window.theme.window).name()
    assert color(3, 2) == color(4, 1) == empty  # not fitted; no point of the torso
    strips.set_rows({row: made for row, made in rows.items() if row})
    assert color(0, 2) == empty
    count = len(drawn)
    light = THEMES["light" if window.theme is THEMES["dark"] else "dark"]
    strips.set_theme(light)
    assert color(0, 2) == QColor(light.window).name()
    strips.resize(strips.width() - 50, strips.height())
    strips.grab()
    assert len(drawn) == count + 2


def test_worst_frames_are_visited_forth_and_back(inspecting: Any) -> None:
    from dataclasses import replace

    window = inspecting
    residual = np.array([0.01, 0.05, 0.02, 0.04, 0.03], np.float32)
    window.session.fit = replace(window.session.fit, residual_m=residual)
    forth, back = (window.commands.actions[name] for name in ("play.worst", "play.worst_back"))
    visited = []
    for action in (forth, forth, forth, back, back, back, forth):
        action.trigger()
        visited.append(window.session.frame)
    assert visited == [2, 6, 8, 6, 2, 0, 2]  # from the worst one back to the least bad of the five


def test_without_a_fit_there_is_nothing_to_set(opened: Opened, recording: Path, fit_folder: Path) -> None:
    window = opened(recording)
    window.turn_to("inspect")
    inspect = window.inspect_workspace
    cards = (inspect.colors_card, inspect.compare_card, inspect.matches_card)
    assert inspect.lacking.isVisible()
    assert not any(card.isEnabled() for card in cards)
    assert not inspect.matches_card.plot.isVisible()
    opened(fit_folder)
    assert not inspect.lacking.isVisible()
    assert all(card.isEnabled() for card in cards)
    assert inspect.matches_card.plot.isVisible()


def test_points_do_not_cover_a_coloured_mesh(inspecting: Any, qtbot: Any) -> None:
    window = inspecting
    points = window.scene.fit_cloud.actor.GetProperty()
    size = points.GetPointSize
    before = size()
    assert points.GetOpacity() == 1.0
    choose(window, "distance")
    qtbot.waitUntil(lambda: window.session.body_paint is not None, timeout=10_000)
    assert size() == 1.0
    assert points.GetOpacity() < 0.5
    window.turn_to("edit")
    assert (size(), points.GetOpacity()) == (before, 1.0)
