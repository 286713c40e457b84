"""The training bodies as points on a plane; drag the body on screen among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.edit.footer import UNTIL_SAVED
from app.edit.state import EditState, Kind
from app.theme import THEMES, Theme
from app.translation import tr

if TYPE_CHECKING:
    from app.edit.editing import Editing
    from app.edit.editor import Editor

__all__ = ["CodePlane", "MapPanel"]

_SHOWN_POINTS = 2000
_MARGIN = 24
Point = tuple[float, float]


@dataclass
class _Places:
    """What is on the plane, in standard deviations."""

    training: Float[np.ndarray, "I 2"] = field(default_factory=lambda: np.zeros((0, 2)))
    fitted: Float[np.ndarray, "T 2"] = field(default_factory=lambda: np.zeros((0, 2)))
    bodies: dict[str, Point] = field(default_factory=dict)
    current: Point | None = None


class CodePlane(QWidget):
    """Training bodies, fitted frames, A and B, and the body on screen, which follows the pointer.

    Signals:
        dragged: Where the body on screen should be, and whether the pointer is still pressed.
    """

    dragged = Signal(float, float, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self._places = _Places()
        self._reach = 4.0
        self._cloud: QPixmap | None = None
        self._pressed = False
        self.setMinimumSize(220, 220)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName(tr("Map of the training bodies"))
        self.setToolTip(
            tr(
                "Each dot is a training body. Press or drag to move the body on screen there; {until}.",
                until=UNTIL_SAVED,
            )
        )

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme, self._cloud = theme, None
        self.update()

    def sizeHint(self) -> QSize:
        """A square as wide as the panel."""
        return QSize(288, 288)

    def hasHeightForWidth(self) -> bool:
        """It is a square."""
        return True

    def heightForWidth(self, width: int) -> int:
        """It is a square."""
        return width

    def set_training(self, points: Float[np.ndarray, "I 2"]) -> None:
        """Other training bodies; at most 2,000 are drawn, evenly picked."""
        step = max(1, -(-len(points) // _SHOWN_POINTS))
        self._places.training, self._cloud = points[::step], None
        far = np.abs(points).max() if len(points) else 3.0
        self._reach = float(np.clip(1.1 * far, 3.0, 8.0))
        self.update()

    def set_bodies(self, fitted: Float[np.ndarray, "T 2"], bodies: dict[str, Point], current: Point | None) -> None:
        """Other fitted frames, bodies A and B, and body on screen."""
        self._places.fitted, self._places.bodies, self._places.current = fitted, bodies, current
        self.update()

    @property
    def current(self) -> Point | None:
        """Where the body on screen is drawn."""
        return self._places.current

    def pixel(self, point: Point) -> QPointF:
        """Where a point is drawn; what lies outside is drawn at the edge."""
        share = np.clip(np.asarray(point) / self._reach, -1.0, 1.0)
        half = np.array([self.width(), self.height()]) / 2
        x, y = half + share * [1, -1] * (half - _MARGIN)
        return QPointF(float(x), float(y))

    def point(self, x: float, y: float) -> Point:
        """The point under a pixel, at most at the edge."""
        half = np.array([self.width(), self.height()]) / 2
        share = np.clip((np.array([x, y]) - half) / (half - _MARGIN) * [1, -1], -1.0, 1.0)
        a, b = share * self._reach
        return float(a), float(b)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The body comes to the pointer."""
        if event.button() == Qt.MouseButton.LeftButton and self._places.current is not None:
            self._pressed = True
            self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """And follows it."""
        if self._pressed:
            self._drag(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Until it is let go."""
        if self._pressed:
            self._pressed = False
            self._drag(event)

    def _drag(self, event: QMouseEvent) -> None:
        self.dragged.emit(*self.point(event.position().x(), event.position().y()), self._pressed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The training bodies are drawn anew."""
        self._cloud = None
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The training bodies from a picture, the rest above it."""
        if self._cloud is None:
            self._cloud = self._draw_cloud()
        painter, theme = QPainter(self), self._theme
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawPixmap(0, 0, self._cloud)
        if len(self._places.fitted):
            painter.setPen(QPen(QColor(theme.good), 1.5))
            line = [self.pixel((float(x), float(y))) for x, y in self._places.fitted]
            painter.drawPolyline(QPolygonF(line))
            painter.setBrush(QColor(theme.good))
            for place in line:
                painter.drawEllipse(place, 1.8, 1.8)
        for name, point in self._places.bodies.items():
            place = self.pixel(point)
            painter.setPen(QPen(QColor(theme.text), 1.2))
            painter.setBrush(QColor(theme.raised))
            painter.drawEllipse(place, 8, 8)
            painter.drawText(QRectF(place.x() - 8, place.y() - 8, 16, 16), Qt.AlignmentFlag.AlignCenter, name)
        if self._places.current is not None:
            painter.setPen(QPen(QColor(theme.panel), 1.5))
            painter.setBrush(QColor(theme.accent))
            painter.drawEllipse(self.pixel(self._places.current), 6.5, 6.5)

    def _draw_cloud(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        theme = self._theme
        picture.fill(QColor(theme.window))
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        for sigma in range(-int(self._reach), int(self._reach) + 1):
            painter.setPen(QPen(QColor(theme.border_strong if sigma == 0 else theme.border), 1))
            here = self.pixel((float(sigma), float(sigma)))
            painter.drawLine(QPointF(here.x(), _MARGIN / 2), QPointF(here.x(), self.height() - _MARGIN / 2 - 4))
            painter.drawLine(QPointF(_MARGIN / 2 + 4, here.y()), QPointF(self.width() - _MARGIN / 2, here.y()))
            painter.setPen(QColor(theme.muted))
            text = f"{sigma:+d}".replace("-", "\u2212") if sigma else "0"
            painter.drawText(QRectF(here.x() - 12, self.height() - 14, 24, 12), Qt.AlignmentFlag.AlignCenter, text)
            painter.drawText(QRectF(0, here.y() - 6, 18, 12), Qt.AlignmentFlag.AlignCenter, text)
        painter.setPen(Qt.PenStyle.NoPen)
        color = QColor(theme.muted)
        color.setAlpha(130)
        painter.setBrush(color)
        size = 1.4 if len(self._places.training) > 500 else 2.2
        for x, y in self._places.training:
            painter.drawEllipse(self.pixel((float(x), float(y))), size, size)
        painter.end()
        return picture


class MapPanel(QWidget):
    """Which map, the map, and what is on it."""

    def __init__(self, editing: Editing, editor: Editor, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._editing, self._editor = editing, editor
        self.plane = CodePlane()
        self.plane.set_theme(theme)
        self.kind = QComboBox()
        self.kind.addItem(tr("Shape"), "shape")
        self.kind.addItem(tr("Pose"), "pose")
        self.kind.setToolTip(tr("Which codes the map shows"))
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.back = QPushButton(tr("Back"))
        self.back.setToolTip(tr("Undo what the map moved; sliders and blend stay"))
        self.back.clicked.connect(self._on_back)
        self._about = QLabel()
        self._about.setObjectName("muted")
        self._about.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.kind, 1)
        row.addWidget(self.back)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        layout.addLayout(row)
        layout.addWidget(self.plane)
        layout.addWidget(self._about)
        layout.addStretch(1)
        self.plane.dragged.connect(self._on_dragged)
        editing.changed.connect(self.show_state)
        editing.model_changed.connect(self.set_model)
        self._on_kind()

    @property
    def _shown(self) -> Kind:
        kind: Kind = self.kind.currentData()
        return kind

    @Slot(object)
    def set_model(self, _: object) -> None:
        """The training bodies of another model."""
        self._on_kind()

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.plane.set_theme(theme)

    def showEvent(self, event: QShowEvent) -> None:
        """What is hidden is not kept up to date."""
        super().showEvent(event)
        self.show_state(self._editing.state)

    @Slot()
    def _on_kind(self, *_: object) -> None:
        maps = self._editor.maps
        points = maps[self._index].points if maps is not None else np.zeros((0, 2))
        self.plane.set_training(points)
        if not len(points):
            self._about.setText(tr("The map appears when the body model is loaded."))
        else:
            count = len(points)
            shown = (
                tr("{count:,} training bodies", count=count)
                if self._shown == "shape"
                else tr("{count:,} training poses", count=count)
            )
            self._about.setText(
                tr(
                    "Grey: {shown}, along the two directions in which they differ most, in standard deviations. "
                    "Green: the fit. Blue: the body on screen; drag it.",
                    shown=shown,
                )
            )
        self.show_state(self._editing.state)

    @property
    def _index(self) -> int:
        return 0 if self._shown == "shape" else 1

    def _shift(self) -> Point:
        state = self._editing.state
        return state.shape_shift if self._shown == "shape" else state.pose_edit(self._editor.frame).shift

    @Slot(object)
    def show_state(self, _: EditState) -> None:
        """Move what is on the map."""
        maps, frame = self._editor.maps, self._editor.frame
        self.back.setEnabled(any(self._shift()))
        if not self.isVisible() or maps is None:
            return
        plane, shape = maps[self._index], self._shown == "shape"

        def place(codes: Any) -> Point:
            x, y = plane.place(codes)
            return float(x), float(y)

        fit = self._editor.fit_codes()
        fitted = np.zeros((0, 2))
        if fit is not None and fit.motion is not None:
            fitted = plane.place(fit.shape[None] if shape else fit.motion)
        bodies = {}
        for slot in ("A", "B") if self._editing.state.blending else ():
            body = self._editing.body(slot)
            if body is not None:
                bodies[slot] = place(body.shape if shape else body.pose_at(frame))
        current = self._editor.codes_at(frame)
        self.plane.set_bodies(fitted, bodies, place(current[self._index]))

    @Slot(float, float, bool)
    def _on_dragged(self, x: float, y: float, dragging: bool) -> None:
        current = self.plane.current
        if current is not None:
            old = self._shift()
            shift = (old[0] + x - current[0], old[1] + y - current[1])
            self._editing.shift_on_map(self._shown, shift, dragging=dragging)

    @Slot()
    def _on_back(self) -> None:
        self._editing.shift_on_map(self._shown, (0.0, 0.0))
