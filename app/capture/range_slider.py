"""A slider with two ends."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from app.theme import THEMES, Theme

__all__ = ["RangeSlider"]

_HANDLE_PX = 7
_EDGE_PX = 9


class RangeSlider(QWidget):
    """Chooses an interval within limits.

    Signals:
        moved: Low and high end, while a handle is dragged or the end of the drag.
    """

    moved = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self._limits = (0.0, 1.0)
        self._ends = (0.0, 1.0)
        self._held: int | None = None
        self.setFixedHeight(24)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        """Wide enough to aim."""
        return QSize(180, 24)

    @property
    def limits(self) -> tuple[float, float]:
        """What can be chosen from."""
        return self._limits

    @property
    def ends(self) -> tuple[float, float]:
        """The chosen interval."""
        return self._ends

    def set_limits(self, low: float, high: float) -> None:
        """Choose from another interval; the ends follow into it."""
        self._limits = (low, max(high, low + 1e-3))
        self.set_ends(*self._ends)

    def set_ends(self, low: float, high: float) -> None:
        """Show an interval; emits nothing."""
        first, last = self._limits
        self._ends = (min(max(low, first), last), min(max(high, first), last))
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self.update()

    def place_of(self, value: float) -> QPointF:
        """Where a value is on the widget."""
        first, last = self._limits
        room = self.width() - 2 * _EDGE_PX
        return QPointF(_EDGE_PX + room * (value - first) / (last - first), self.height() / 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Groove, chosen part, handles."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle = self.height() / 2
        painter.setBrush(QColor(self._theme.border_strong))
        painter.drawRoundedRect(QRectF(_EDGE_PX, middle - 2, self.width() - 2 * _EDGE_PX, 4), 2, 2)
        low, high = (self.place_of(end) for end in self._ends)
        accent = QColor(self._theme.accent if self.isEnabled() else self._theme.faint)
        painter.setBrush(accent)
        painter.drawRect(QRectF(low.x(), middle - 2, high.x() - low.x(), 4))
        painter.setPen(QPen(accent, 2))
        painter.setBrush(QColor(self._theme.raised))
        for place in (low, high):
            painter.drawEllipse(place, _HANDLE_PX, _HANDLE_PX)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the nearer handle."""
        if event.button() == Qt.MouseButton.LeftButton:
            low, high = (abs(self.place_of(end).x() - event.position().x()) for end in self._ends)
            at_once = self._ends[0] == self._ends[1]
            right = event.position().x() > self.place_of(self._ends[1]).x()
            self._held = int(right) if at_once else int(high < low)
            self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag it."""
        if self._held is not None:
            self._drag(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._held = None

    def _drag(self, event: QMouseEvent) -> None:
        first, last = self._limits
        share = (event.position().x() - _EDGE_PX) / max(self.width() - 2 * _EDGE_PX, 1)
        value = min(max(first + share * (last - first), first), last)
        low, high = self._ends
        # An empty interval is none: the ends keep a hundredth of the whole between them.
        gap = 0.01 * (last - first)
        ends = (min(value, high - gap), high) if self._held == 0 else (low, max(value, low + gap))
        if ends != self._ends:
            self.set_ends(*ends)
            self.moved.emit(*self._ends)
