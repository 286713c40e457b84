"""The sliders and the blend in the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import ball_fit
from looking import colors_in, column_pixels
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QToolButton

Opened = Callable[[Path], Any]


def drag(slider: Any, values: list[int]) -> None:
    """Press on the handle, move, release: as the mouse does it."""
    y = slider.height() // 2
    points = [QPoint(round(slider._x(value)), y) for value in values]
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=points[0])
    for point in points[1:]:
        QTest.mouseMove(slider, point)
        QTest.qWait(20)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=points[-1])


def test_pose_slider_moves_the_body(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    window.edit_workspace.show_sliders()
    QTest.qWait(50)
    before = np.array(window.scene.body.data.points)
    drag(window.edit_workspace.codes_panel.pose_sliders[0], [0, 60, 120, 200])
    qtbot.waitUntil(lambda: window.session.edited is not None and not window.session.edited.preview, timeout=5_000)
    qtbot.waitUntil(lambda: window.editor.idle, timeout=5_000)
    sigma = window.edit_workspace.codes_panel.pose_sigma[0, 0]
    assert sigma == pytest.approx(2.0, abs=0.05)
    # One deviation is 0.1 units, a unit 1.25 m; the stand-in moves everything along x by the sum of the codes.
    codes = ball_fit().pose_codes[0].sum() + 0.1 * sigma
    assert window.session.edited.vertices_world[:, 0].mean() == pytest.approx(codes / 0.8, abs=1e-3)
    assert window.scene.body.data.points.shape == before.shape
    assert not np.allclose(window.scene.body.data.points, before)
    assert window.view_bar.facts()[1] == "edited, not saved"
    window.editing.undo_stack.undo()
    qtbot.waitUntil(lambda: window.session.edited is None, timeout=5_000)
    np.testing.assert_allclose(window.scene.body.data.points, before)
    assert window.edit_workspace.codes_panel.pose_sliders[0].value() == 0


def test_shape_slider_changes_the_canonical_body(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    window.edit_workspace.show_sliders()
    window.edit_workspace.codes_panel.shape_sliders[1].setValue(300)
    qtbot.waitUntil(lambda: window.session.edited is not None and not window.session.edited.preview, timeout=5_000)
    stretched = 1 + ball_fit().shape_codes[0, :3] + np.array([0, 0.3, 0])
    height = np.ptp(window.scene.canonical.data.points[:, 1])
    assert height == pytest.approx(0.8 * stretched[1], rel=1e-3)
    window.commands.actions["edit.reset"].trigger()
    qtbot.waitUntil(lambda: window.session.edited is None, timeout=5_000)


def test_slow_decoding_draws_only_the_newest(opened: Opened, fit_folder: Path, bench: Any, qtbot: Any) -> None:
    window = opened(fit_folder)
    bench.delay_s = 0.05
    bodies: list[Any] = []
    window.session.edited_changed.connect(bodies.append)
    for value in range(0, 300, 3):
        window.edit_workspace.codes_panel.shape_sliders[0].setValue(value)
    qtbot.waitUntil(lambda: window.editor.idle and bool(bodies), timeout=5_000)
    QTest.qWait(50)
    assert len(bodies) < 10
    wanted = 0.8 * (1 + ball_fit().shape_codes[0, 0] + 0.1 * 2.97)
    assert np.ptp(bodies[-1].canonical.vertices[:, 0]) == pytest.approx(wanted, rel=1e-3)


def test_blend_walks_from_a_to_b(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    panel = window.edit_workspace.blend_panel
    window.turn_to("edit")
    window.edit_workspace.tabs.setCurrentWidget(panel)
    QTest.qWait(50)
    for slot, wanted in zip("AB", ("Fitted body at the playhead", "Mean body"), strict=True):
        menu = next(b.menu() for b in panel.findChildren(QToolButton) if b.toolTip() == f"Choose body {slot}")
        titles = [action.text() for action in menu.actions()]
        assert titles[-2:] == ["", "From another fit…"], "a line sets what comes from a file apart"
        menu.actions()[titles.index(wanted)].trigger()
    drag(panel.shape_slider, [0, 50, 100])
    qtbot.waitUntil(lambda: window.session.edited is not None and window.editor.idle, timeout=5_000)
    amount = panel.shape_slider.value() / panel.shape_slider.maximum()
    assert amount == pytest.approx(0.5, abs=0.02)
    codes = window.editor.codes_on_screen()
    np.testing.assert_allclose(codes.shape, (1 - amount) * ball_fit().shape_codes, atol=1e-6)
    np.testing.assert_allclose(codes.pose, ball_fit().pose_codes[0], atol=1e-6)
    panel.pose_slider.setValue(panel.pose_slider.maximum())
    np.testing.assert_allclose(window.editor.codes_on_screen().pose, 0, atol=1e-6)
    panel.reset.click()
    qtbot.waitUntil(lambda: window.session.edited is None, timeout=5_000)


def test_model_can_be_explored_without_a_recording(window: Any, qtbot: Any) -> None:
    window.welcome.explore.click()
    qtbot.waitUntil(lambda: window.scene.body.visible and window.scene.canonical.visible, timeout=5_000)
    assert [bool(renderer.GetDraw()) for renderer in window.viewport.renderers] == [False, True, True]
    assert colors_in(column_pixels(window, 1)) > 0.02
