"""The timeline: transport buttons, and a strip to scrub on that shows what is fitted, how well, and what is cached."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Slot
from PySide6.QtGui import (
    QAction,
    QColor,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from app.frame_axis import FrameAxis, Scale
from app.playback import PlaybackClock
from app.scale_legend import ScaleLegend
from app.theme import Theme
from app.translation import tr
from app.units import length_text, scale_of

__all__ = ["Strip", "Timeline"]

_GOOD_MM, _BAD_MM = 10.0, 40.0
_TITLE_FROM_PX = 60
"""Room at the left from which on the strip says what it shows, as those below it do."""
_SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


class Strip(FrameAxis):
    """One column per frame, coloured by the fit's residual; press or drag to scrub."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._residual_mm: dict[int, float] = {}
        self._good_mm, self._bad_mm = _GOOD_MM, _BAD_MM
        self._cached: list[int] = []
        self._labelled: list[int] = []
        self._keys: list[int] = []
        self.unit = "mm"
        self.setAccessibleName(tr("Timeline"))

    def sizeHint(self) -> QSize:
        """Room for ruler, residuals and cache bar."""
        return QSize(400, 56)

    def set_residuals(
        self, frames: Int[np.ndarray, "T"], residual_m: Float[np.ndarray, "T"], enlarged: float = 1.0
    ) -> None:
        """Median distance to the fitted surface per fitted frame; NaN where a frame is fitted but not yet measured.

        Args:
            enlarged: How many times larger the subject would be if it were as large as a person: what is good and bad
                shrinks with it.
        """
        self._good_mm, self._bad_mm = _GOOD_MM / enlarged, _BAD_MM / enlarged
        self._residual_mm = dict(zip(np.asarray(frames).tolist(), (1e3 * np.asarray(residual_m)).tolist(), strict=True))
        self.scales_changed.emit()
        self.update()

    def set_known(self, cached: Sequence[int], labelled: Sequence[int]) -> None:
        """Frames in memory, and frames whose parts are known."""
        told = bool(self._cached), bool(self._labelled)
        self._cached, self._labelled = list(cached), list(labelled)
        if told != (bool(self._cached), bool(self._labelled)):
            self.scales_changed.emit()
        self.update()

    @property
    def keys(self) -> list[int]:
        """Frames with a diamond."""
        return self._keys

    def set_keys(self, frames: Sequence[int]) -> None:
        """Mark keyframes of a pose edit by diamonds."""
        if list(frames) != self._keys:
            self._keys = list(frames)
            self.scales_changed.emit()
            self.update()

    def scales(self) -> list[Scale]:
        """Residual, the two thin lines below it, and the diamonds."""
        theme, found = self._theme, []
        if self._residual_mm:
            per_mm = scale_of(self.unit)[0] / 1000.0
            low, high = (f"{limit * per_mm:.2g}" for limit in (self._good_mm, self._bad_mm))
            colors = (theme.good, theme.warning, theme.danger)
            found.append(Scale(tr("Residual"), colors, f"≤ {low}", f"≥ {high} {self.unit}"))
        for frames, color, title in (
            (self._cached, theme.border_strong, tr("in memory")),
            (self._labelled, theme.good, tr("parts known")),
            (self._keys, theme.accent, tr("keyframe")),
        ):
            if frames:
                found.append(Scale(title, (color,)))
        return found

    def describe(self, event: QMouseEvent) -> str:
        """Frame, residual, and what is known of it."""
        frame = self.frame_at(event.position().x())
        residual = self._residual_mm.get(frame)
        measured = ""
        if residual is not None and np.isfinite(residual):
            measured = tr(", residual {length}", length=length_text(1e-3 * residual, self.unit))
        known = tr(", in memory") if frame in self._cached else ""
        labelled = tr(", parts known") if frame in self._labelled else ""
        key = tr(", keyframe") if frame in self._keys else ""
        return f"{super().describe(event)}{measured}{known}{labelled}{key}"

    def paintEvent(self, event: QPaintEvent) -> None:
        """Ruler, residual columns, cache bar, keyframes, playhead."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme, width, left = self._theme, self._width(), self._left
        track = QRectF(left, 22, width, 22)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.window))
        painter.drawRoundedRect(track, 4, 4)
        if not self._count:
            return
        step = self._step()
        for frame, residual in self._residual_mm.items():
            gap = 1.0 if step > 4 else 0.0
            painter.fillRect(
                QRectF(left + frame * step, track.top() + 1, step - gap, track.height() - 2), self._heat(residual)
            )
        for frames, color, top in ((self._cached, theme.border_strong, 47), (self._labelled, theme.good, 51)):
            for frame in frames:
                painter.fillRect(QRectF(left + frame * step, top, step, 2), QColor(color))
        if left > _TITLE_FROM_PX:
            painter.setPen(QColor(theme.muted))
            painter.drawText(
                QRectF(14, track.top(), left - 20, track.height()), Qt.AlignmentFlag.AlignVCenter, tr("Residual")
            )
        self._paint_ruler(painter, step)
        painter.setPen(QPen(QColor(theme.window), 1.5))
        painter.setBrush(QColor(theme.accent))
        for frame in self._keys:
            x, y = self.x_of(frame), track.center().y()
            painter.drawPolygon(QPolygonF([QPointF(x - 6, y), QPointF(x, y - 7), QPointF(x + 6, y), QPointF(x, y + 7)]))
        x = self.x_of(self._frame)
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.drawLine(QPointF(x, 14), QPointF(x, 53))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent))
        painter.drawPolygon(
            QPolygonF([QPointF(x - 6, 10), QPointF(x + 6, 10), QPointF(x + 6, 15), QPointF(x, 21), QPointF(x - 6, 15)])
        )

    def _paint_ruler(self, painter: QPainter, step: float) -> None:
        metrics = QFontMetrics(painter.font())
        every = next(n for n in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 5000, 10**9) if n * step > 44)
        for frame in range(0, self._count, every):
            text, x = str(frame), self.x_of(frame)
            painter.setPen(QColor(self._theme.border_strong))
            painter.drawLine(QPointF(x, 17), QPointF(x, 21))
            if abs(frame - self._frame) * step > 14:
                painter.setPen(QColor(self._theme.muted))
                painter.drawText(QPointF(x - metrics.horizontalAdvance(text) / 2, 13), text)

    def _heat(self, residual_mm: float) -> QColor:
        """Good below 10 mm, bad above 40 mm for a person, plain while unknown."""
        if not np.isfinite(residual_mm):
            return QColor(self._theme.border_strong)
        share = float(np.clip((residual_mm - self._good_mm) / (self._bad_mm - self._good_mm), 0.0, 1.0))
        stops = [QColor(c) for c in (self._theme.good, self._theme.warning, self._theme.danger)]
        channels = [[c.red() for c in stops], [c.green() for c in stops], [c.blue() for c in stops]]
        return QColor(*(int(np.interp(share, (0.0, 0.5, 1.0), channel)) for channel in channels))


class Timeline(QWidget):
    """Transport, strip, and the clock that plays."""

    def __init__(self, clock: PlaybackClock, actions: Sequence[QAction], parent: QWidget | None = None) -> None:
        """Actions are shown in this order: to start, back, play, forward, to end, loop."""
        super().__init__(parent)
        self.setObjectName("timeline")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.clock = clock
        self.strip = Strip()
        self._count, self._fps = 0, 30.0
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 6)
        layout.setSpacing(2)
        row = QHBoxLayout()
        row.setSpacing(2)
        self._position = QLabel("–")
        self._position.setObjectName("muted")
        self._position.setMinimumWidth(150)
        self._position.setContentsMargins(8, 0, 0, 0)
        self.speed = QComboBox()
        for speed in _SPEEDS:
            self.speed.addItem(f"{speed:g}×", speed)
        self.speed.setCurrentIndex(_SPEEDS.index(1.0))
        self.speed.setToolTip(tr("Playing speed"))
        self.speed.setAccessibleName(tr("Playing speed"))
        self.speed.currentIndexChanged.connect(self._on_speed)
        self.pace = QComboBox()
        self.pace.addItem(tr("Real time"), "real time")
        self.pace.addItem(tr("Every frame"), "every frame")
        self.pace.setAccessibleName(tr("Pace"))
        self.pace.setToolTip(
            tr(
                "Real time keeps the recording's rate and drops frames that cannot be drawn in time.\n"
                "Every frame shows each one, however long it takes."
            )
        )
        self.pace.currentIndexChanged.connect(self._on_pace)
        row.addWidget(self._position, 1)
        for action in actions:
            button = QToolButton()
            button.setDefaultAction(action)
            button.setIconSize(QSize(18, 18))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            row.addWidget(button)
        right = QHBoxLayout()
        right.setSpacing(6)
        right.addStretch(1)
        right.addWidget(self.speed)
        right.addWidget(self.pace)
        right.setContentsMargins(0, 0, 8, 0)
        row.addLayout(right, 1)
        layout.addLayout(row)
        layout.addWidget(self.strip)
        self.legend = ScaleLegend()
        self.legend.add(self.strip)
        layout.addWidget(self.legend)
        self._layout = layout
        self._strips: list[FrameAxis] = [self.strip]
        for box in (self.speed, self.pace):
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def add_strip(self, strip: FrameAxis) -> None:
        """Put another strip below the first; it scrubs as that one does."""
        self._strips.append(strip)
        strip.set_range(self._count, self._fps)
        strip.scrubbed.connect(self.strip.scrubbed)
        self.legend.add(strip)
        self._layout.insertWidget(self._layout.indexOf(self.legend), strip)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.strip.set_theme(theme)
        self.legend.set_theme(theme)

    def add_row(self, row: QWidget) -> None:
        """Put something that counts no frames below everything."""
        self._layout.addWidget(row)

    def set_range(self, count: int, fps: float) -> None:
        """Frames and their rate."""
        self._count, self._fps = count, fps
        self.clock.set_range(count, fps)
        for strip in self._strips:
            strip.set_range(count, fps)
        self.setEnabled(count > 0)

    def set_frame(self, frame: int) -> None:
        """Show where the playhead is."""
        self.clock.seek(frame)
        for strip in self._strips:
            strip.set_frame(frame)
        dropped = (
            tr("  ·  {count} dropped", count=self.clock.dropped) if self.clock.dropped and self.clock.playing else ""
        )
        seconds = frame / self._fps if self._fps else 0.0
        self._position.setText(
            tr(
                "Frame {frame} / {last}  ·  {seconds:.2f} s{dropped}",
                frame=frame,
                last=self._count - 1,
                seconds=seconds,
                dropped=dropped,
            )
            if self._count
            else "–"
        )

    @Slot()
    def _on_speed(self) -> None:
        self.clock.speed = float(self.speed.currentData())

    @Slot()
    def _on_pace(self) -> None:
        self.clock.pace = self.pace.currentData()
