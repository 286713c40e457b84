"""Tabs whose titles are all seen."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QTabWidget, QWidget

__all__ = ["SideTabs"]


class SideTabs(QTabWidget):
    """As wide as its pages and the titles in its bar need, in whatever language, and at least `least_width`."""

    def __init__(self, least_width: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._least_width = least_width
        self.setDocumentMode(True)

    def minimumSizeHint(self) -> QSize:
        """No title behind the bar's end."""
        hint = super().minimumSizeHint()
        return QSize(max(hint.width(), self.tabBar().sizeHint().width(), self._least_width), hint.height())
