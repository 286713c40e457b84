"""Two fits in one view, the first to the left of a line and the second to the right of it; the line can be dragged."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRect, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QLabel, QWidget
from vtkmodules.vtkCommonCore import vtkCommand
from vtkmodules.vtkCommonDataModel import vtkPlane

from app.arrow_keys import keeps_key
from app.scene import Scene
from app.theme import THEMES, Theme
from app.translation import tr
from app.viewport import Viewport

__all__ = ["Wipe"]

_FIT_VIEW = 1
_GRIP_PX, _KNOB_PX = 28, 11
_LEAST = 0.02
_KEY_STEP = 0.02
_KEYS = {Qt.Key.Key_Left: -_KEY_STEP, Qt.Key.Key_Right: _KEY_STEP, Qt.Key.Key_Home: -1.0, Qt.Key.Key_End: 1.0}
_MOST_LETTERS = 18


class Wipe(QWidget):
    """The line over the fit's view, and the planes through it and the eye that cut both bodies.

    Signals:
        moved: Where the line stands, as a share of the view's width.
    """

    moved = Signal(float)

    def __init__(self, scene: Scene, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._scene, self._viewport = scene, viewport
        self._theme = THEMES["dark"]
        self.on = False
        self.share = 0.5
        self._left, self._right = vtkPlane(), vtkPlane()
        self._begin: int | None = None
        self.captions = QLabel(viewport), QLabel(viewport)
        for label in self.captions:
            label.setObjectName("badge")
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            label.hide()
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Line between the two fits"))
        self.setToolTip(tr("Drag to see more of the one or of the other fit; with the focus, the arrows move it too"))
        self.hide()
        # Just before the view is drawn its camera stands where it will be seen from.
        self._tag = self._renderer.AddObserver(vtkCommand.StartEvent, self._on_draw)

    @property
    def _renderer(self) -> Any:
        return self._viewport.renderers[_FIT_VIEW]

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self.update()

    def set_on(self, on: bool, first: str = "", second: str = "") -> None:
        """Cut the bodies and show the line between their captions, or show the first fit whole."""
        for label, text in zip(self.captions, (first, second), strict=True):
            label.setText(text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…")
            label.adjustSize()
        if on != self.on:
            self.on = on
            for actor, plane in ((self._scene.body, self._left), (self._scene.beyond, self._right)):
                actor.mapper.RemoveAllClippingPlanes()
                if on:
                    actor.mapper.AddClippingPlane(plane)
        self._place()
        self._viewport.render()

    def set_share(self, share: float) -> None:
        """Move the line."""
        share = float(np.clip(share, _LEAST, 1 - _LEAST))
        if share != self.share:
            self.share = share
            self._place()
            self._viewport.render()
            self.moved.emit(share)

    def close(self) -> bool:
        """Stop listening, before the viewport goes."""
        if self._tag is not None:
            self._renderer.RemoveObserver(self._tag)
            self._tag = None
        return super().close()

    # --- places ---------------------------------------------------------------------------------------------------

    def _view(self) -> QRect:
        """The fit's view in pixels of the viewport."""
        left, _, right, _ = self._renderer.GetViewport()
        width = self._viewport.width()
        return QRect(round(left * width), 0, round((right - left) * width), self._viewport.height())

    def _grip(self) -> QRect:
        view = self._view()
        return QRect(view.left() + round(self.share * view.width()) - _GRIP_PX // 2, 0, _GRIP_PX, view.height())

    @Slot()
    def _place(self) -> None:
        """Put line and captions where they belong now."""
        view, grip = self._view(), self._grip()
        shown = self.on and view.width() > 0
        self.setVisible(shown)
        self.setGeometry(grip)
        middle = grip.center().x()
        for label, left in zip(self.captions, (True, False), strict=True):
            x = middle - 8 - label.width() if left else middle + 9
            label.move(x, 10)
            inside = view.left() <= x and x + label.width() <= view.right()
            label.setVisible(shown and inside and bool(label.text()))

    def _on_draw(self, *_: object) -> None:
        """Lay the planes through the line, as the camera sees it."""
        if not self.on:
            return
        view = self._view()
        if view.width() <= 0:
            return
        camera, aspect = self._viewport.world_camera, view.width() / max(view.height(), 1)
        matrix = camera.GetCompositeProjectionTransformMatrix(aspect, -1.0, 1.0)
        rows = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in (0, 3)])
        # x / w of a point on the line is that of the line, so x − s·w is zero there and positive to its right.
        plane = rows[0] - (2 * self.share - 1) * rows[1]
        length = np.linalg.norm(plane[:3])
        normal, offset = plane[:3] / length, plane[3] / length
        for half, sign in ((self._left, -1.0), (self._right, 1.0)):
            half.SetOrigin(*(-offset * normal))
            half.SetNormal(*(sign * normal))
        if self.geometry() != self._grip() or not self.isVisible():
            QTimer.singleShot(0, self, self._place)  # the view has another size; no widget moves during a paint

    # --- events ---------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of the line."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._begin = round(event.position().x()) - self.width() // 2

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag it."""
        view = self._view()
        if self._begin is not None and view.width():
            x = self.mapToParent(event.position().toPoint()).x() - self._begin
            self.set_share((x - view.left()) / view.width())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go of it."""
        self._begin = None

    def event(self, event: QEvent) -> bool:
        """Arrows belong to the line while it has the focus, not to the frames."""
        return keeps_key(event, _KEYS) or super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move it."""
        step = _KEYS.get(Qt.Key(event.key()))
        if step is None:
            event.ignore()
        else:
            self.set_share(self.share + step)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A line and a knob with two arrows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme, middle = self._theme, QPointF(self.width() / 2, self.height() / 2)
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.drawLine(QPointF(middle.x(), 0), QPointF(middle.x(), self.height()))
        painter.setBrush(QColor(theme.accent))
        painter.setPen(QPen(QColor(theme.on_accent), 2.0 if self.hasFocus() else 1.0))
        painter.drawEllipse(middle, _KNOB_PX, _KNOB_PX)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.on_accent))
        for side in (-1, 1):
            tip, foot = middle.x() + 7 * side, middle.x() + 3 * side
            painter.drawPolygon(
                QPolygonF([QPointF(tip, middle.y()), QPointF(foot, middle.y() - 4), QPointF(foot, middle.y() + 4)])
            )
