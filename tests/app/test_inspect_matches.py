"""Correspondences in the workspace Inspect: lines, reasons, the one that is clicked, the histogram."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from app.colormap import MAGNITUDE
from app.match_lines import match_lines
from spams_core.data.fit import FrameObservation, MatchReason

Opened = Callable[[Path], Any]
LENGTHS_M = np.array([0.01, 0.03, 0.12, 0.02])
REASONS = np.array([MatchReason.KEPT, MatchReason.KEPT, MatchReason.DISTANCE, MatchReason.NORMAL], np.uint8)


def with_pairs(fit: Any, reasons: np.ndarray | None = REASONS) -> Any:
    """Four pairs per frame, in front of the ball, with known lengths."""
    points = np.tile(np.array([[-0.3, 0.3, 1.0], [-0.1, 0.1, 1.0], [0.1, -0.1, 1.0], [0.3, -0.3, 1.0]]), (5, 1))
    matched = points + np.tile(LENGTHS_M, 5)[:, None] * [0, 0, -1]
    return replace(
        fit, observed_points=points.astype(np.float32), matched_points=matched.astype(np.float32),
        match_weights=(np.tile(REASONS, 5) == 0).astype(np.float32),
        match_reasons=None if reasons is None else np.tile(reasons, 5),
    )  # fmt: skip


@pytest.fixture
def inspecting(opened: Opened, fit_folder: Path) -> Any:
    window = opened(fit_folder)
    window.session.fit = with_pairs(window.session.fit)
    window.turn_to("inspect")
    return window


def test_kept_lines_have_the_colour_of_their_length_and_rejected_ones_are_dashed(inspecting: Any) -> None:
    card, scene = inspecting.inspect_workspace.matches_card, inspecting.scene
    assert card.boxes[MatchReason.KEPT].text() == "Kept (2)"
    assert card.boxes[MatchReason.DISTANCE].text() == "Rejected: too far (1)"
    card.boxes[MatchReason.KEPT].setChecked(True)
    assert inspecting.session.show_matches
    assert scene.matches.data.n_cells == 2
    colors = np.asarray(scene.matches.data.cell_data["color"])
    expected = MAGNITUDE.colors(1e3 * LENGTHS_M[scene.match_rows[0]], 0.0, 40.0)
    assert np.abs(colors.astype(int) - expected).max() <= 1
    card.boxes[MatchReason.NORMAL].setChecked(True)
    assert scene.matches.data.n_cells == 2 + 4  # four dashes
    card.boxes[MatchReason.KEPT].setChecked(False)
    assert scene.match_rows[0].tolist() == [3]
    card.boxes[MatchReason.NORMAL].setChecked(False)
    assert not inspecting.session.show_matches
    assert not scene.matches.visible


def test_clicked_line_is_read_out(inspecting: Any, qtbot: Any) -> None:
    workspace, session = inspecting.inspect_workspace, inspecting.session
    session.match_reasons = frozenset(MatchReason)
    session.show_matches = True
    inspecting.view_from("left")  # from the front the lines would be points
    for row, words in ((1, ("30.0 mm", "weight 1", "kept", "Head")), (2, ("120.0 mm", "weight 0", "too far"))):
        seen = session.fit.observation(0)
        middle = (seen.points_world[row] + seen.matched_world[row]) / 2
        x, y = workspace.picker.to_pixels(middle[None])[0]
        qtbot.mouseClick(inspecting.viewport, Qt.MouseButton.LeftButton, pos=QPoint(round(x), round(y)))
        assert session.picked_match == row
        assert all(word in workspace.matches_card.picked.text() for word in words)
        assert inspecting.scene.picked.visible
    qtbot.mouseClick(inspecting.viewport, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    assert session.picked_match is None
    assert not inspecting.scene.picked.visible
    workspace.picker.pick(x, y)
    inspecting.player.go_to(2)
    assert session.picked_match is None  # it was a line of another frame


def test_pixels_are_where_the_view_draws(inspecting: Any) -> None:
    """The middle of what the camera looks at is the middle of the fit's view."""
    viewport = inspecting.viewport
    focus = np.array([viewport.world_camera.GetFocalPoint()])
    left, _, right, _ = viewport.renderers[1].GetViewport()
    expected = [(left + right) / 2 * viewport.width(), viewport.height() / 2]
    assert np.allclose(inspecting.inspect_workspace.picker.to_pixels(focus)[0], expected, atol=1e-3)


def test_histogram_holds_the_kept_pairs_of_each_part(inspecting: Any) -> None:
    curves = inspecting.inspect_workspace.matches_card.curves
    assert list(curves) == [0]  # all points of the stand-in are head
    edges, share = curves[0].getData()
    assert share.sum() == pytest.approx(100)
    lengths = edges[:-1][share > 0]
    assert lengths.tolist() == [10.0, 30.0] or lengths.tolist() == [8.0, 28.0]  # rounding at the bins' edges


def test_fit_that_does_not_say_why_shows_all_rejected() -> None:
    points = np.ones((3, 3), np.float32)
    seen = FrameObservation(points, np.zeros(3, int), points * 2, np.array([1.0, 0, 0]), None)
    assert match_lines(seen, {MatchReason.KEPT}).rows.tolist() == [0]
    assert sorted(match_lines(seen, {MatchReason.KEPT, MatchReason.DISTANCE}).rows) == [0, 1, 2]
