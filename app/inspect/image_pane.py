"""A picture made of numbers, scaled to its place, that says which pixel the pointer is on."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import THEMES, Theme

__all__ = ["ImagePane"]


class ImagePane(QWidget):
    """An RGB image with square pixels.

    Signals:
        pointed: Column and row under the pointer; -1, -1 when it has left.
    """

    pointed = Signal(int, int)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self._pixels: UInt8[np.ndarray, "h w 3"] | None = None
        self._cross: tuple[int, int] | None = None
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setMinimumSize(QSize(80, 80))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(name)

    @property
    def pixels(self) -> UInt8[np.ndarray, "h w 3"] | None:
        """What is shown."""
        return self._pixels

    def set_theme(self, theme: Theme) -> None:
        """Colours around the picture."""
        self._theme = theme
        self.update()

    def show_pixels(self, pixels: UInt8[np.ndarray, "h w 3"] | None) -> None:
        """Show a picture, or none."""
        self._pixels = None if pixels is None else np.ascontiguousarray(pixels)
        self.update()

    def set_cross(self, at: tuple[int, int] | None) -> None:
        """Mark a pixel."""
        self._cross = at
        self.update()

    def place(self) -> QRectF:
        """Where the picture is."""
        if self._pixels is None:
            return QRectF()
        height, width = self._pixels.shape[:2]
        scale = min(self.width() / width, self.height() / height)
        return QRectF(
            (self.width() - scale * width) / 2, (self.height() - scale * height) / 2, scale * width, scale * height
        )

    def pixel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Column and row of the picture's pixel at a place of the widget."""
        place = self.place()
        if self._pixels is None or not place.contains(x, y):
            return None
        height, width = self._pixels.shape[:2]
        column, row = (x - place.left()) / place.width() * width, (y - place.top()) / place.height() * height
        return min(int(column), width - 1), min(int(row), height - 1)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what is under the pointer."""
        at = self.pixel_at(event.position().x(), event.position().y())
        self.pointed.emit(*(at or (-1, -1)))

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is."""
        self.pointed.emit(-1, -1)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Picture and cross."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.window))
        if self._pixels is None:
            return
        height, width = self._pixels.shape[:2]
        place = self.place()
        painter.drawImage(place, QImage(self._pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888))
        if self._cross is not None:
            x = place.left() + (self._cross[0] + 0.5) * place.width() / width
            y = place.top() + (self._cross[1] + 0.5) * place.height() / height
            painter.setPen(QPen(QColor(self._theme.accent), 1))
            painter.drawLine(QLineF(QPointF(place.left(), y), QPointF(place.right(), y)))
            painter.drawLine(QLineF(QPointF(x, place.top()), QPointF(x, place.bottom())))
