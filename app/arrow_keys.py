"""Keys that a control keeps for itself while it has the focus."""

from __future__ import annotations

from collections.abc import Container

from PySide6.QtCore import QEvent
from PySide6.QtGui import QKeyEvent

__all__ = ["keeps_key"]


def keeps_key(event: QEvent, keys: Container[int]) -> bool:
    """Whether an event asks if a key may trigger a shortcut of the window, and it may not: one of `keys`.

    A control that says so in its `event` gets the key itself.
    """
    if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in keys:
        event.accept()
        return True
    return False
