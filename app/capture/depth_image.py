"""The depth image with its colour bar; the pointer reads values, picks pixels and draws rectangles."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QLinearGradient, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.capture.depth_frame import DepthFrame, Pixel
from app.colormap import DEPTH
from app.theme import THEMES, Theme
from app.translation import tr

__all__ = ["DepthImage", "Tool"]

Tool = Literal["look", "pick", "box"]

_MARGIN_PX = 10
_BAR_PX = 10
_MIN_DRAG_PX = 4


class DepthImage(QWidget):
    """Title, picture, colour bar in metres and a line that reads what is under the pointer.

    Signals:
        hovered: The pixel under the pointer that has a reading, or None.
        picked: Column and row of a clicked pixel, while the tool is "pick".
        boxed: First column and row and last column and row of a drawn rectangle, while the tool is "box".
    """

    hovered = Signal(object)
    picked = Signal(int, int)
    boxed = Signal(int, int, int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._facts, self._readout = QLabel(""), QLabel("")
        heading = QLabel(tr("Depth image"))
        heading.setObjectName("heading")
        head = QWidget()
        head.setObjectName("viewBar")
        head.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        titles = QVBoxLayout(head)
        titles.setContentsMargins(12, 5, 6, 5)
        titles.setSpacing(0)
        titles.addWidget(heading)
        titles.addWidget(self._facts)
        for label in (self._facts, self._readout):
            label.setObjectName("muted")
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._readout.setContentsMargins(12, 2, 8, 6)
        self._readout.setMinimumHeight(40)
        self._readout.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.canvas = _Canvas(self)
        self.bar = _ColorBar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(head)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.bar)
        layout.addWidget(self._readout)
        self.setMinimumWidth(240)
        self._frame: DepthFrame | None = None
        self.set_tool("look")
        self.read_pixel(None)

    @property
    def frame(self) -> DepthFrame | None:
        """What is shown."""
        return self._frame

    @property
    def tool(self) -> Tool:
        """What the pointer does."""
        return self.canvas.tool

    def facts(self) -> str:
        """The line below the title."""
        return self._facts.text()

    def readout(self) -> str:
        """The line that reads the pointer's pixel."""
        return self._readout.text()

    def show_frame(self, frame: DepthFrame | None) -> None:
        """Show a frame, or nothing."""
        self._frame = frame
        self.bar.set_range(frame.range_m if frame is not None else None)
        if frame is None:
            self._facts.setText(tr("no image"))
        else:
            kept, seen = int(frame.kept.sum()), int((frame.depth_m > 0).sum())
            self._facts.setText(tr("{kept:,} of {seen:,} readings kept", kept=kept, seen=seen))
        self._facts.setToolTip(self._facts.text())
        self.canvas.show_frame(frame)

    def set_tool(self, tool: Tool) -> None:
        """Choose what the pointer does."""
        self.canvas.set_tool(tool)
        if self.canvas.pointed is None:
            self.read_pixel(None)

    def read_pixel(self, pixel: Pixel | None, place: tuple[int, int] | None = None) -> None:
        """Put a pixel into words; `place` is where the pointer is if there is no reading."""
        if pixel is not None:
            x, y, z = pixel.point_camera
            first = tr("{depth_m:.3f} m at column {u}, row {v}", depth_m=pixel.depth_m, u=pixel.u, v=pixel.v)
            first += "" if pixel.kept else tr(" · not the subject")
            self._readout.setText(tr("{first}\ncamera x {x:+.3f}, y {y:+.3f}, z {z:.3f} m", first=first, x=x, y=y, z=z))
        elif place is not None:
            self._readout.setText(tr("no reading at column {column}, row {row}", column=place[0], row=place[1]))
        else:
            hints = {
                "look": tr("Point at the image to read a distance."),
                "pick": tr("Click on the person to keep."),
                "box": tr("Drag a rectangle around what to keep."),
            }
            self._readout.setText(hints[self.canvas.tool])

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.canvas.set_theme(theme)
        self.bar.set_theme(theme)


class _Canvas(QWidget):
    """The picture, as large as fits."""

    def __init__(self, owner: DepthImage) -> None:
        super().__init__(owner)
        self._owner = owner
        self._image: QImage | None = None
        self._theme = THEMES["dark"]
        self._drag: QPoint | None = None
        self._drag_to: QPoint | None = None
        self.tool: Tool = "look"
        self.pointed: tuple[int, int] | None = None
        self.setMouseTracking(True)
        self.setMinimumHeight(160)

    def sizeHint(self) -> QSize:
        return QSize(420, 420)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def set_tool(self, tool: Tool) -> None:
        self.tool = tool
        self._drag = self._drag_to = None
        self.setCursor(Qt.CursorShape.ArrowCursor if tool == "look" else Qt.CursorShape.CrossCursor)
        self.update()

    def show_frame(self, frame: DepthFrame | None) -> None:
        if frame is None:
            self._image, self.pointed = None, None
        else:
            height, width = frame.depth_m.shape
            data = np.ascontiguousarray(frame.rgba).tobytes()
            self._image = QImage(data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()
        self._point(self.pointed)
        self.update()

    def picture_rect(self) -> QRectF:
        """Where the picture is drawn."""
        if self._image is None:
            return QRectF()
        room = QRectF(self.rect()).adjusted(_MARGIN_PX, _MARGIN_PX, -_MARGIN_PX, -_MARGIN_PX)
        scale = min(room.width() / self._image.width(), room.height() / self._image.height())
        size = QPointF(self._image.width() * scale, self._image.height() * scale)
        corner = room.center() - size / 2
        return QRectF(corner.x(), corner.y(), size.x(), size.y())

    def pixel_at(self, place: QPointF, *, clip: bool = False) -> tuple[int, int] | None:
        """Column and row under a place of the widget; None beside the picture, unless the nearest one will do."""
        shown = self.picture_rect()
        if self._image is None or shown.isEmpty():
            return None
        u = int((place.x() - shown.x()) / shown.width() * self._image.width() // 1)
        v = int((place.y() - shown.y()) / shown.height() * self._image.height() // 1)
        if clip:
            return min(max(u, 0), self._image.width() - 1), min(max(v, 0), self._image.height() - 1)
        inside = 0 <= u < self._image.width() and 0 <= v < self._image.height()
        return (u, v) if inside else None

    def place_of(self, u: int, v: int) -> QPoint:
        """The widget's place at the middle of a pixel."""
        shown = self.picture_rect()
        assert self._image is not None
        x = shown.x() + (u + 0.5) * shown.width() / self._image.width()
        y = shown.y() + (v + 0.5) * shown.height() / self._image.height()
        return QPointF(x, y).toPoint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.panel))
        if self._image is None:
            return
        shown = self.picture_rect()
        painter.fillRect(shown, QColor(self._theme.window))
        painter.drawImage(shown, self._image)
        painter.setPen(QColor(self._theme.border_strong))
        painter.drawRect(shown)
        accent = QColor(self._theme.accent)
        if self.pointed is not None:
            center = self.place_of(*self.pointed)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for color, width in ((QColor(self._theme.window), 4), (accent, 2)):
                painter.setPen(QPen(color, width))
                painter.drawEllipse(center, 6, 6)
        if self._drag is not None and self._drag_to is not None:
            painter.setPen(QPen(accent, 1.5, Qt.PenStyle.DashLine))
            painter.drawRect(QRect(self._drag, self._drag_to).normalized())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag is not None:
            self._drag_to = event.position().toPoint()
        self._point(self.pixel_at(event.position()))
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.tool == "box" and self._image is not None:
            self._drag = self._drag_to = event.position().toPoint()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        start, self._drag, self._drag_to = self._drag, None, None
        end = event.position()
        if start is not None and (end.toPoint() - start).manhattanLength() >= _MIN_DRAG_PX:
            first, last = self.pixel_at(QPointF(start), clip=True), self.pixel_at(end, clip=True)
            if first is not None and last is not None:
                (u0, u1), (v0, v1) = (sorted(pair) for pair in zip(first, last, strict=True))
                self._owner.boxed.emit(u0, v0, u1, v1)
        elif self.tool == "pick":
            here = self.pixel_at(end)
            if here is not None:
                self._owner.picked.emit(*here)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._point(None)
        self.update()

    def _point(self, place: tuple[int, int] | None) -> None:
        self.pointed = place
        frame = self._owner.frame
        pixel = frame.pixel(*place) if frame is not None and place is not None else None
        self._owner.read_pixel(pixel, place)
        self._owner.hovered.emit(pixel)


class _ColorBar(QWidget):
    """The ramp and the metres at its ends and between them."""

    def __init__(self) -> None:
        super().__init__()
        self._theme = THEMES["dark"]
        self._range_m: tuple[float, float] | None = None
        self.setFixedHeight(34)
        self.setToolTip(tr("Distance along the camera's axis, in metres"))

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def set_range(self, range_m: tuple[float, float] | None) -> None:
        if range_m != self._range_m:
            self._range_m = range_m
            self.update()

    def ticks(self) -> list[str]:
        """The numbers that are written below the ramp."""
        if self._range_m is None:
            return []
        near, far = self._range_m
        digits = 1 if far - near > 2 else 2
        return [f"{near + share * (far - near):.{digits}f} m" for share in (0.0, 0.25, 0.5, 0.75, 1.0)]

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.panel))
        if self._range_m is None:
            return
        bar = QRectF(_MARGIN_PX, 2, self.width() - 2 * _MARGIN_PX, _BAR_PX)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for place, color in zip(np.linspace(0, 1, len(DEPTH.stops)), DEPTH.stops, strict=True):
            gradient.setColorAt(float(place), QColor(*color))
        painter.fillRect(bar, gradient)
        painter.setPen(QColor(self._theme.muted))
        ticks = self.ticks()
        width = bar.width() / (len(ticks) - 1)
        flags = Qt.AlignmentFlag
        for index, text in enumerate(ticks):
            align = (
                flags.AlignLeft if index == 0 else flags.AlignRight if index + 1 == len(ticks) else flags.AlignHCenter
            )
            left = {flags.AlignLeft: bar.left(), flags.AlignRight: bar.right() - width}.get(
                align, bar.left() + (index - 0.5) * width
            )
            painter.drawText(QRectF(left, bar.bottom() + 2, width, 18), align | flags.AlignVCenter, text)
