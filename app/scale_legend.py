"""One line that says what the colours of the timeline's strips mean."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Slot
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.frame_axis import FrameAxis, Scale
from app.theme import THEMES, Theme
from app.translation import tr

__all__ = ["ScaleLegend"]

_EDGE, _GAP, _BETWEEN = 14, 4, 15
_RAMP, _PATCH, _THICK = 32, 12, 8


class ScaleLegend(QWidget):
    """A swatch for each colour or ramp of the strips that are on screen, with its ends and unit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self._strips: list[FrameAxis] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """One line, whatever it says, so that the views above keep their size."""
        return QSize(300, self.fontMetrics().height() + 4)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self.refresh()

    def add(self, strip: FrameAxis) -> None:
        """Explain another strip."""
        self._strips.append(strip)
        strip.scales_changed.connect(self.refresh)
        strip.installEventFilter(self)

    def scales(self) -> list[Scale]:
        """What is explained now."""
        return [scale for strip in self._strips if strip.isVisible() for scale in strip.scales()]

    @Slot()
    def refresh(self) -> None:
        """Say what is on screen now."""
        told = "\n".join(scale.text() for scale in self.scales())
        self.setToolTip(tr("What the colours mean:\n{told}", told=told) if told else "")
        self.setAccessibleName(tr("Colours of the timeline: {told}", told=told).replace("\n", "; "))
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A strip that comes or goes takes its colours with it."""
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self.refresh()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """As many as there is room for; the tooltip has them all."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics, middle = painter.fontMetrics(), self.height() / 2
        base = middle + (metrics.ascent() - metrics.descent()) / 2
        x = float(_EDGE)
        for scale in self.scales():
            swatch = _RAMP if len(scale.colors) > 1 else _PATCH if scale.colors else 0
            texts = [text for text in (scale.title, scale.low, scale.high) if text]
            width = sum(metrics.horizontalAdvance(text) + _GAP for text in texts) + swatch
            if x + width > self.width() - _EDGE:
                break
            painter.setPen(QColor(self._theme.muted))
            ramp = len(scale.colors) > 1
            if not ramp:
                x = self._swatch(painter, x, middle, swatch, scale) + _GAP
            for text in (scale.title, scale.low):
                if text:
                    painter.drawText(QPointF(x, base), text)
                    x += metrics.horizontalAdvance(text) + _GAP
            if ramp:
                x = self._swatch(painter, x, middle, swatch, scale) + _GAP
                painter.drawText(QPointF(x, base), scale.high)
                x += metrics.horizontalAdvance(scale.high)
            x += _BETWEEN

    def _swatch(self, painter: QPainter, x: float, middle: float, width: int, scale: Scale) -> float:
        """The colours; returns where they end."""
        place = QRectF(x, middle - _THICK / 2, width, _THICK)
        brush = QLinearGradient(place.topLeft(), place.topRight())
        for k, color in enumerate(scale.colors):
            brush.setColorAt(k / max(1, len(scale.colors) - 1), QColor(color))
        painter.save()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(brush)
        painter.drawRoundedRect(place, 2, 2)
        painter.restore()
        return x + width
