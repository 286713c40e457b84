"""What the colours of the timeline mean, in words and in colours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QToolTip

Opened = Callable[[Path], Any]


@pytest.fixture
def inspecting(opened: Opened, fit_folder: Path, qtbot: Any) -> Any:
    window = opened(fit_folder)
    window.turn_to("inspect")
    qtbot.waitUntil(lambda: window.inspect_workspace.diagnosis.complete, timeout=20_000)
    return window


def told(window: Any) -> dict[str, str]:
    return {scale.title: scale.text() for scale in window.timeline.legend.scales()}


def test_every_strip_on_screen_is_explained_with_its_unit(inspecting: Any, qtbot: Any) -> None:
    window, legend = inspecting, inspecting.timeline.legend
    qtbot.waitUntil(lambda: "in memory" in told(window) and "parts known" in told(window), timeout=20_000)
    texts = told(window)
    assert texts["Residual"] == "Residual: ≤ 10 to ≥ 40 mm"
    assert texts["Parts"] == "Parts: 0 to ≥ 30 mm"
    assert texts["Missing depth"] == "Missing depth: 0 to ≥ 50 %"
    assert texts["Jitter"] == "Jitter: 0 to ≥ 20 mm"
    assert all(text in legend.toolTip() for text in texts.values())
    window.preferences.unit = "cm"
    window.apply_preferences()
    assert told(window)["Residual"] == "Residual: ≤ 1 to ≥ 4 cm"
    window.turn_to("edit")  # the strips of the parts are gone
    assert "Parts" not in told(window)
    assert "Parts" not in legend.toolTip()
    window.timeline.strip.set_keys([2])
    assert "keyframe" in told(window)


def test_the_legend_wears_the_colours_of_the_cells(inspecting: Any, qtbot: Any) -> None:
    window, legend = inspecting, inspecting.timeline.legend
    for light in (False, True):
        window.use_light_theme(light)
        scales = {scale.title: scale for scale in legend.scales()}
        # A frame without error is drawn in the low end's colour, one beyond the range in the high end's.
        strip = window.timeline.strip
        strip.set_residuals(np.array([3, 7]), np.array([0.0, 1.0]))
        image = strip.grab().toImage()
        for frame, color in ((3, scales["Residual"].colors[0]), (7, scales["Residual"].colors[-1])):
            assert image.pixelColor(int(strip.x_of(frame)), 30) == QColor(color)
        picture = legend.grab().toImage()
        seen = {picture.pixelColor(x, legend.height() // 2).name() for x in range(legend.width())}
        assert scales["in memory"].colors[0] in seen


def test_the_number_under_the_pointer_is_told_at_once(inspecting: Any, qtbot: Any) -> None:
    strips = inspecting.inspect_workspace.strips
    qtbot.waitUntil(lambda: strips.values(2) is not None, timeout=20_000)
    for frame in (2, 3):
        qtbot.mouseMove(strips, QPoint(int(strips.x_of(frame)), 5))
        said = f"{strips.values(2)[0]:.1f} mm" if frame == 2 else "not known"
        qtbot.waitUntil(lambda frame=frame: QToolTip.text().startswith(f"Frame {frame} "), timeout=20_000)
        assert said in QToolTip.text()
    QToolTip.hideText()
    assert strips.cursor().shape() == Qt.CursorShape.PointingHandCursor
