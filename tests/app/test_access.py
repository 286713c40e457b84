"""The window without a mouse, and for those who hear it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QApplication, QComboBox, QLineEdit, QScrollBar, QSpinBox

Opened = Callable[[Path], Any]


def unnamed(window: Any) -> list[str]:
    """Controls that a screen reader could only call by their kind."""
    found = []
    for kind in (QAbstractButton, QAbstractSlider, QLineEdit, QComboBox, QSpinBox):
        for widget in window.findChildren(kind):
            if isinstance(widget, QScrollBar) or widget.objectName().startswith("qt_"):
                continue
            text = widget.text() if isinstance(widget, QAbstractButton) else ""
            inside = isinstance(widget.parentWidget(), (QComboBox, QSpinBox, QLineEdit))
            if not (widget.accessibleName() or text or inside):
                found.append(f"{type(widget).__name__} in {type(widget.parentWidget()).__name__}: {widget.toolTip()}")
    return found


def test_every_control_has_a_name(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    for workspace in window.workspaces:
        window.turn_to(workspace.id)
        assert unnamed(window) == []
    for name in ("palette", "shortcuts", "help.page", "help.log", "preferences"):
        window.commands.actions[name].trigger()
    assert unnamed(window) == []
    for dialog in QApplication.topLevelWidgets():
        if dialog is not window and dialog.parent() is window:
            dialog.close()


def test_tab_reaches_the_fit_form_and_the_timeline(opened: Opened, recording: Path) -> None:
    window = opened(recording)
    window.activateWindow()
    assert QTest.qWaitForWindowActive(window, 5000)
    window.turn_to("fit")
    window.viewport.setFocus()
    seen = set()
    for _ in range(60):
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
        seen.add(QApplication.focusWidget())
    panel = window.fit_workspace.panel
    assert {window.timeline.speed, window.timeline.pace, panel.fit_button, panel.form.editor("preset")} <= seen
