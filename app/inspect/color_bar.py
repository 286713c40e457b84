"""A colour bar: what the colours mean, with ticks and a unit."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.colormap import MAGNITUDE, MISSING, Ramp
from app.theme import THEMES, Theme
from app.translation import tr

__all__ = ["ColorBar"]

_EDGE = 2
_HEIGHT = 12


class ColorBar(QWidget):
    """A ramp from the low to the high end, five ticks, and a patch for what has no number."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self.ramp: Ramp = MAGNITUDE
        self.low, self.high = 0.0, 1.0
        self.unit, self.missing, self.bounded = "", "", False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Bar, ticks and, where something has no number, a line that says so."""
        return QSize(220, 54 if self.missing else 34)

    def set_theme(self, theme: Theme) -> None:
        """Colours of the text."""
        self._theme = theme
        self.update()

    def show_scale(
        self, ramp: Ramp, low: float, high: float, unit: str, missing: str = "", *, bounded: bool = False
    ) -> None:
        """Say what the colours mean.

        Args:
            low, high: Ends in the given unit.
            missing: What the grey patch means; empty = no patch.
            bounded: Nothing lies beyond the ends.
        """
        self.ramp, self.low, self.high, self.unit, self.missing = ramp, low, high, unit, missing
        self.bounded = bounded or unit == "%"
        self.setAccessibleName(tr("Colours from {low:g} to {high:g} {unit}", low=low, high=high, unit=unit))
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def ticks(self) -> list[str]:
        """Texts below the bar, from the low to the high end; the last one has the unit, and open ends say so."""
        values = np.linspace(self.low, self.high, 5)
        texts = [f"{value:.3g}" for value in values]
        first = "≤ " if self.low < 0 and not self.bounded else ""
        last = "" if self.bounded else "≥ "
        return [f"{first}{texts[0]}", *texts[1:-1], f"{last}{texts[-1]} {self.unit}"]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bar, ticks, patch."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        place = QRectF(_EDGE, 1, self.width() - 2 * _EDGE, _HEIGHT)
        row = self.ramp.colors(np.linspace(0.0, 1.0, 256), 0.0, 1.0)[None]
        pixels = np.ascontiguousarray(row)
        image = QImage(pixels.data, 256, 1, 3 * 256, QImage.Format.Format_RGB888)
        painter.drawImage(place, image)
        painter.setPen(QColor(self._theme.muted))
        metrics = QFontMetrics(painter.font())
        texts = self.ticks()
        last = place.right() - metrics.horizontalAdvance(texts[-1])
        free = place.left()
        for k, text in enumerate(texts):
            x = place.left() + place.width() * k / (len(texts) - 1)
            width = metrics.horizontalAdvance(text)
            left = min(max(x - width / 2, place.left()), place.right() - width)
            if k < len(texts) - 1 and (left < free or left + width + 5 > last):
                continue  # both ends are worth more than the ticks beside them
            free = left + width + 5
            painter.drawText(QPointF(left, place.bottom() + 4 + metrics.ascent()), text)
        if self.missing:
            patch = QRectF(_EDGE, 39, 12, 12)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(*MISSING))
            painter.drawRoundedRect(patch, 2, 2)
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(QPointF(patch.right() + 6, patch.bottom() - 2), self.missing)
