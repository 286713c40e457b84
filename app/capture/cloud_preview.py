"""A small drawing of a point cloud with its size in metres; turned by dragging."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8
from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from app.colormap import DEPTH
from app.theme import Theme
from app.translation import tr

__all__ = ["CloudPreview"]

_MOST = 20_000
_MARGIN_PX = 46
_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]


class CloudPreview(QWidget):
    """Points in their box, seen from the front at first; +y is up on the screen.

    It is painted without OpenGL: a dialog's second viewport would cost more than it shows.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._points = np.zeros((0, 3))
        self._low = self._high = np.zeros(3)
        self._colors = np.zeros((0, 3), dtype=np.uint8)
        self.azimuth_deg, self.elevation_deg = 0.0, 8.0
        self._last: QPointF | None = None
        self.setMinimumSize(300, 320)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setToolTip(tr("Drag to turn"))
        self.setAccessibleName(tr("Points of the recording with their size"))

    def sizeHint(self) -> QSize:
        """Room for a person."""
        return QSize(430, 520)

    def show_points(self, points_world: Float[np.ndarray, "N 3"], sensor_world: Float[np.ndarray, "3"]) -> None:
        """Draw these instead; they are coloured by their distance to the sensor."""
        kept = np.random.default_rng(0).permutation(len(points_world))[:_MOST]
        points = np.asarray(points_world, dtype=np.float64)[kept]
        self._points = points
        if len(points):
            self._low, self._high = np.percentile(points, [0.1, 99.9], axis=0)
            distance = np.linalg.norm(points - sensor_world, axis=1)
            near, far = np.percentile(distance, [1, 99])
            self._colors = DEPTH.colors(distance, float(near), float(far))
        self.update()

    @property
    def size_m(self) -> tuple[float, float, float]:
        """Width, height and depth of what is drawn."""
        width, height, depth = (self._high - self._low).tolist()
        return width, height, depth

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to turn."""
        self._last = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Turn."""
        if self._last is not None:
            moved = event.position() - self._last
            self._last = event.position()
            self.azimuth_deg = (self.azimuth_deg - 0.5 * moved.x()) % 360
            self.elevation_deg = float(np.clip(self.elevation_deg + 0.5 * moved.y(), -89, 89))
            self.update()

    def mouseReleaseEvent(self, _: QMouseEvent) -> None:
        """Stay so."""
        self._last = None

    def paintEvent(self, _: QPaintEvent) -> None:
        """Box, points, sizes and a metre."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.view_bottom))
        if not len(self._points):
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, tr("No points to show"))
            return
        middle, extent = (self._low + self._high) / 2, np.maximum(self._high - self._low, 1e-6)
        radius = float(np.linalg.norm(extent)) / 2
        room = min(self.width() - 2 * _MARGIN_PX, self.height() - 2 * _MARGIN_PX)
        scale = max(room, 40) / max(2 * radius, 1e-6)
        x, y, nearness = self._project(self._points - middle, scale)
        self._paint_points(painter, x, y, nearness)
        corners = self._low + _CORNERS * extent
        cx, cy = self._project(corners - middle, scale)[:2]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.muted), 1, Qt.PenStyle.DotLine))
        for a, b in _EDGES:
            painter.drawLine(QPointF(cx[a], cy[a]), QPointF(cx[b], cy[b]))
        self._paint_sizes(painter, cx, cy)
        self._paint_metre(painter, scale)

    def _project(
        self, points: Float[np.ndarray, "N 3"], scale: float
    ) -> tuple[Float[np.ndarray, "N"], Float[np.ndarray, "N"], Float[np.ndarray, "N"]]:
        """Parallel projection: x to the right and y down in pixels, and how near a point is."""
        a, e = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        right = np.array([math.cos(a), 0.0, -math.sin(a)])
        outward = np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
        up = np.cross(outward, right)
        return (
            self.width() / 2 + scale * (points @ right),
            self.height() / 2 - scale * (points @ up),
            points @ outward,
        )

    def _paint_points(
        self,
        painter: QPainter,
        x: Float[np.ndarray, "N"],
        y: Float[np.ndarray, "N"],
        nearness: Float[np.ndarray, "N"],
    ) -> None:
        width, height = self.width(), self.height()
        order = np.argsort(nearness)  # the nearest is painted last
        columns, rows = np.rint(x[order]).astype(int), np.rint(y[order]).astype(int)
        inside = (columns >= 0) & (rows >= 0) & (columns < width - 1) & (rows < height - 1)
        columns, rows, colors = columns[inside], rows[inside], self._colors[order][inside]
        pixels: UInt8[np.ndarray, "H W 4"] = np.zeros((height, width, 4), dtype=np.uint8)
        rgba = np.concatenate([colors, np.full((len(colors), 1), 255, np.uint8)], axis=1)
        for down, along in ((0, 0), (0, 1), (1, 0), (1, 1)):
            pixels[rows + down, columns + along] = rgba
        painter.drawImage(0, 0, QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888))

    def _paint_sizes(self, painter: QPainter, x: Float[np.ndarray, "8"], y: Float[np.ndarray, "8"]) -> None:
        """Each size at an edge of the box that lies outside: height at the leftmost, the others at the lowest."""
        painter.setPen(QColor(self._theme.text))
        for axis, name in enumerate((tr("{length:.2f} m wide"), tr("{length:.2f} m tall"), tr("{length:.2f} m deep"))):
            edges = [(a, b) for a, b in _EDGES if _CORNERS[a][axis] != _CORNERS[b][axis]]
            if axis == 1:
                a, b = min(edges, key=lambda edge: x[list(edge)].sum())
            else:
                a, b = max(edges, key=lambda edge: y[list(edge)].sum())
            length = math.hypot(x[a] - x[b], y[a] - y[b])
            if length < 24:
                continue  # seen from its end
            text = name.format(length=self.size_m[axis])
            box = painter.fontMetrics().boundingRect(text)
            mx, my = (x[a] + x[b]) / 2, (y[a] + y[b]) / 2
            place = QPointF(mx - box.width() / 2, my + box.height() + 4)
            if axis == 1:
                place = QPointF(max(mx - box.width() - 8, 4), my)
            elif axis == 2:
                place = QPointF(mx + 8, my + 2 * box.height() + 6)
            painter.drawText(place, text)

    def _paint_metre(self, painter: QPainter, scale: float) -> None:
        length = next((m for m in (1.0, 0.1, 10.0, 0.01, 100.0) if 30 <= m * scale <= 0.6 * self.width()), None)
        if length is None:
            return
        left, base = 14.0, self.height() - 14.0
        painter.setPen(QPen(QColor(self._theme.text), 2))
        painter.drawLine(QPointF(left, base), QPointF(left + length * scale, base))
        painter.drawText(QPointF(left, base - 6), f"{length:g} m")
