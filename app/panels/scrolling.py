"""What is too high for its place."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

__all__ = ["scrolled"]


def scrolled(content: QWidget) -> QScrollArea:
    """A panel as wide as its place that scrolls where it is higher: in a low window all keep their height."""
    area = QScrollArea()
    for widget in (area, content):
        widget.setObjectName("panel")
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(content)
    return area
