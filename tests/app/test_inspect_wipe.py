"""A second fit beyond a line that can be dragged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import ball_fit
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from spams_core.data.fit import write_fit

Opened = Callable[[Path], Any]


@pytest.fixture
def wiping(opened: Opened, fit_folder: Path, recording: Path, tmp_path: Path, qtbot: Any) -> Any:
    """The window with two fits of which the first is all head, the second all torso."""
    fit = ball_fit(sequence=str(recording))
    write_fit(tmp_path / "second", replace(fit, vertex_parts=np.ones_like(fit.vertex_parts)))
    window = opened(fit_folder)
    window.session.fit = replace(window.session.fit, vertex_parts=np.zeros_like(fit.vertex_parts))
    window.session.show_cloud = False
    window.turn_to("inspect")
    window.inspect_workspace.comparison.open_path(tmp_path / "second")
    qtbot.waitUntil(lambda: window.session.compared is not None, timeout=20_000)
    way = window.inspect_workspace.compare_card.way
    way.setCurrentIndex(way.findData("wipe"))
    return window


def fit_view(window: Any, qtbot: Any) -> np.ndarray:
    """The pixels of the fit's view after one more paint, the upper row first."""
    viewport = window.viewport
    before = viewport.paint_count
    viewport.render()
    qtbot.waitUntil(lambda: viewport.paint_count > before, timeout=20_000)
    image = viewport.grabFramebuffer().convertToFormat(viewport.grabFramebuffer().Format.Format_RGB888)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = pixels[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    left, _, right, _ = viewport.renderers[1].GetViewport()
    return pixels[:, round(left * image.width()) : round(right * image.width())].astype(int)


def columns_of(pixels: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Columns in which a colour's hue is seen, whatever the light."""
    unit = color / np.linalg.norm(color)
    brightness = np.linalg.norm(pixels, axis=-1)
    alike = (pixels @ unit) / np.maximum(brightness, 1) > 0.985
    return np.nonzero((alike & (brightness > 60)).sum(0) > 3)[0]


def test_each_fit_stays_on_its_side_of_the_line_however_the_camera_turns(wiping: Any, qtbot: Any) -> None:
    from spams_core.resources import part_colors

    window, wipe = wiping, wiping.inspect_workspace.wipe
    first, second = part_colors(("head", "torso")).astype(float)
    assert window.scene.beyond.visible
    assert wipe.isVisible()
    assert [label.text() for label in wipe.captions] == ["ball_fitted", "second"]
    center = window.scene.body.data.points.mean(0)
    window.viewport.frame_world(center, np.ones(3), center + np.array([0, 0, 3]))
    for share, side, parallel in ((0.5, "sensor", False), (0.45, "left", False), (0.55, "top", True)):
        window.view_from(side)
        window.use_parallel(parallel)
        wipe.set_share(share)
        pixels = fit_view(window, qtbot)
        line = share * pixels.shape[1]
        left, right = columns_of(pixels, first), columns_of(pixels, second)
        assert len(left) > 10
        assert len(right) > 10
        assert left.max() <= line + 1
        assert right.min() >= line - 2
        assert right.min() - left.max() <= 3  # and no gap between them


def test_the_line_is_dragged_and_goes_with_its_workspace(wiping: Any, qtbot: Any) -> None:
    window, wipe = wiping, wiping.inspect_workspace.wipe
    view_width = wipe._view().width()
    before = wipe.geometry().center().x()
    QTest.mousePress(wipe, Qt.MouseButton.LeftButton, pos=QPoint(14, 60))
    QTest.mouseMove(wipe, QPoint(14 + 40, 60))
    QTest.mouseRelease(wipe, Qt.MouseButton.LeftButton, pos=QPoint(14, 60))
    assert wipe.share == pytest.approx(0.5 + 40 / view_width, abs=1.5 / view_width)
    assert wipe.geometry().center().x() == pytest.approx(before + 40, abs=1)
    qtbot.keyClick(wipe, Qt.Key.Key_End)
    assert wipe.share == 0.98  # it never leaves the view
    window.turn_to("edit")
    assert not wipe.isVisible()
    assert window.scene.body.mapper.GetClippingPlanes().GetNumberOfItems() == 0
    window.turn_to("inspect")
    assert wipe.isVisible()
    window.inspect_workspace.compare_card.close_button.click()
    assert not wipe.isVisible()
    assert not window.scene.beyond.visible
    assert window.scene.body.mapper.GetClippingPlanes().GetNumberOfItems() == 0


def test_the_line_follows_its_view_when_others_are_hidden(wiping: Any, qtbot: Any) -> None:
    window, wipe = wiping, wiping.inspect_workspace.wipe
    window.commands.actions["inspect.table"].trigger()
    qtbot.waitUntil(
        lambda: abs(wipe.x() + 0.5 * wipe.width() - 0.5 * window.viewport.width()) <= 1 and wipe.isVisible(),
        timeout=20_000,
    )
