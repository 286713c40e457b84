"""Messages in the status line: none is cut, all are in the log."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPoint, Qt

from app.panels.log_panel import LogPanel
from spams_core.errors import InputError

LONG = "depth/000007.png is 8-bit; depth needs 16-bit PNG. Re-export it, or set depth_scale. " + ", ".join(
    f"depth/{number:06d}.png as well" for number in range(8, 40)
)


def logged(window: Any) -> list[str]:
    window.log.collect()
    return [entry.text for entry in window.log.entries]


def test_a_long_message_is_elided_and_found_in_tooltip_and_log(window: Any, qtbot: Any) -> None:
    status = window.status
    window.reader.failed.emit(InputError(LONG))
    shown = status.message_on_screen()
    assert shown.endswith("…")
    assert LONG.startswith(shown[:-1])
    room = status.message_area()
    assert status.fontMetrics().horizontalAdvance(shown) <= room.width()
    assert all(room.right() < label.x() for label in status.facts.values() if label.isVisible())
    assert LONG in status.toolTip()
    assert any(LONG in text for text in logged(window))
    qtbot.mouseClick(status, Qt.MouseButton.LeftButton, pos=QPoint(room.left() + 20, room.center().y()))
    panels = [panel for panel in window.findChildren(LogPanel) if panel.isVisible()]
    assert len(panels) == 1
    panels[0].close()


def test_a_short_message_stands_as_it_is_and_leaves_no_tooltip(window: Any, qtbot: Any) -> None:
    status = window.status
    window.notify("Saved\n/tmp/x")  # a message of two lines stands on one
    assert status.message_on_screen() == "Saved /tmp/x"
    assert any("Saved" in text for text in logged(window))
    status.clearMessage()
    assert status.toolTip() == ""
    qtbot.mouseClick(status, Qt.MouseButton.LeftButton, pos=QPoint(30, status.height() // 2))
    assert not [panel for panel in window.findChildren(LogPanel) if panel.isVisible()]
