"""Strips below the timeline that say what is wrong with a frame: each part's residual, missing depth, jitter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap

from app.colormap import MAGNITUDE
from app.frame_axis import FrameAxis, Scale
from app.translation import tr

if TYPE_CHECKING:
    from spams_core.data.diagnosis import FrameDiagnosis

__all__ = ["TITLE_WIDTH", "DiagnosisStrips"]

TITLE_WIDTH = 104
"""Room for the titles at the left, pixels."""

_ROW, _GAP = 15, 1
_OTHERS = (
    (tr("Missing depth"), "%", 50.0, tr("of the subject's pixels without a reading")),
    (tr("Jitter"), "mm", 20.0, tr("from the middle between the frames before and after")),
)
_PART_TOP_MM = 30.0


class DiagnosisStrips(FrameAxis):
    """One row per part, then missing depth and jitter; the colours are those of the mesh, small blue and large red."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: Sequence[str] = ()
        self._part_top_mm = _PART_TOP_MM
        self._values: dict[int, list[float]] = {}
        self._pixmap: QPixmap | None = None
        self._pixmap_key: tuple[object, ...] = ()
        self.set_left(TITLE_WIDTH)
        self.setAccessibleName(tr("Diagnosis of each frame"))

    def set_parts(self, titles: Sequence[str], enlarged: float = 1.0) -> None:
        """The parts that have a row, and how many times larger they would be if the subject were of a person's size."""
        self._part_top_mm = round(_PART_TOP_MM / enlarged, 1)
        self._parts = tuple(titles)
        self._pixmap = None
        self.updateGeometry()
        self.update()

    def set_rows(self, rows: Mapping[int, FrameDiagnosis]) -> None:
        """Show what is measured."""
        self._values = {
            row.frame: [*(1e3 * row.part_residual_m).tolist(), 1e2 * row.missing_share, 1e3 * row.jitter_m]
            for row in rows.values()
        }
        self._pixmap = None
        self.update()

    def values(self, frame: int) -> list[float] | None:
        """The numbers of a frame from top to bottom, NaN where one is not known; None if it is not measured."""
        return self._values.get(frame)

    def titles(self) -> list[str]:
        """Of the rows."""
        return [*self._parts, *(title for title, *_ in _OTHERS)]

    def scales(self) -> list[Scale]:
        """One ramp, with an end of its own for parts, missing depth and jitter."""
        colors = tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in MAGNITUDE.stops)
        tops = ((tr("Parts"), self._part_top_mm, "mm"), *((title, top, unit) for title, unit, top, _ in _OTHERS))
        return [Scale(title, colors, "0", f"≥ {top:g} {unit}") for title, top, unit in tops]

    def sizeHint(self) -> QSize:
        """One line per row."""
        return QSize(400, len(self.titles()) * (_ROW + _GAP) + 4)

    def describe(self, event: QMouseEvent) -> str:
        """Frame, row and number."""
        titles = self.titles()
        row = int(np.clip(event.position().y() // (_ROW + _GAP), 0, len(titles) - 1))
        values = self._values.get(self.frame_at(event.position().x()))
        if values is None or row >= len(values) or not np.isfinite(values[row]):
            said = tr("not known")
        elif row < len(self._parts):
            said = tr("{distance:.1f} mm median distance of its points to the surface", distance=values[row])
        else:
            _, unit, _, meaning = _OTHERS[row - len(self._parts)]
            said = f"{values[row]:.1f} {unit} {meaning}"
        return f"{super().describe(event)}\n{titles[row]}: {said}"

    def paintEvent(self, event: QPaintEvent) -> None:
        """What is measured, and the playhead."""
        pixmap = self._drawn()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, pixmap)
        if self._count:
            x = self.x_of(self._frame)
            painter.setPen(QPen(QColor(self._theme.accent), 2))
            painter.drawLine(QLineF(QPointF(x, 0), QPointF(x, len(self.titles()) * (_ROW + _GAP))))

    def _drawn(self) -> QPixmap:
        """Titles and cells; kept until they change, for the playhead moves more often than they do."""
        key = self._theme, self._count, self._left, self.size(), self.devicePixelRatioF(), self.font()
        if self._pixmap is None or key != self._pixmap_key:
            pixmap = QPixmap(self.size() * self.devicePixelRatioF())
            pixmap.setDevicePixelRatio(self.devicePixelRatioF())
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            painter.setFont(self.font())
            self._draw(painter, self.devicePixelRatioF())
            painter.end()
            self._pixmap, self._pixmap_key = pixmap, key
        return self._pixmap

    def _draw(self, painter: QPainter, ratio: float) -> None:
        """Titles, one cell per row and frame; `ratio` is device pixels per pixel."""
        titles, step = self.titles(), self._step()
        tops = [self._part_top_mm] * len(self._parts) + [top for _, _, top, _ in _OTHERS]
        frames = [frame for frame, values in self._values.items() if len(values) == len(tops)]
        numbers = np.array([self._values[frame] for frame in frames]).reshape(-1, len(tops))
        colors = np.stack([MAGNITUDE.colors(numbers[:, k], 0.0, top) for k, top in enumerate(tops)], 1)
        gap = 1.0 if step > 4 else 0.0
        places = np.array(frames, dtype=float) * step
        starts = np.round(places * ratio).astype(int)
        widths = np.maximum(np.round((places + step - gap) * ratio).astype(int) - starts, 1)
        for k, title in enumerate(titles):
            top = k * (_ROW + _GAP)
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(
                QRectF(14, top, self._left - 20, _ROW),
                Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
                title,
            )
            area = QRectF(self._left, top, self._width(), _ROW)
            painter.fillRect(area, QColor(self._theme.window))
            known = np.isfinite(numbers[:, k])
            line = np.zeros((1, round(self._width() * ratio), 4), np.uint8)
            for offset in range(int(widths.max(initial=0))):
                here = known & (offset < widths) & (starts + offset < line.shape[1])
                line[0, starts[here] + offset] = np.insert(colors[here, k], 3, 255, axis=1)
            image = QImage(line.data, line.shape[1], 1, QImage.Format.Format_RGBA8888)
            painter.drawImage(area, image)
