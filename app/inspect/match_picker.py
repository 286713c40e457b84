"""Finds the correspondence line under a click in the fit's view."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QMouseEvent

from app.scene import Scene
from app.viewport import Viewport

__all__ = ["MatchPicker", "nearest_segment"]

_CLICK_PX, _REACH_PX = 4.0, 9.0
_FIT_VIEW = 1


class MatchPicker(QObject):
    """Watches the viewport: a press and release at one place picks, a drag turns the camera.

    Signals:
        picked: Row of the pair in the frame's observation; -1 where there is no line.
    """

    picked = Signal(int)

    def __init__(self, scene: Scene, viewport: Viewport, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._scene, self._viewport = scene, viewport
        self._pressed: QPointF | None = None
        viewport.installEventFilter(self)

    def close(self) -> None:
        """Stop listening, before the viewport goes."""
        self._viewport.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Listen only; every event goes on to the viewport."""
        if isinstance(event, QMouseEvent) and event.button() == Qt.MouseButton.LeftButton:
            if event.type() == QEvent.Type.MouseButtonPress:
                self._pressed = event.position()
            elif event.type() == QEvent.Type.MouseButtonRelease and self._pressed is not None:
                moved = event.position() - self._pressed
                if abs(moved.x()) + abs(moved.y()) < _CLICK_PX and self._scene.matches.visible:
                    self.pick(event.position().x(), event.position().y())
                self._pressed = None
        return False

    def pick(self, x: float, y: float) -> None:
        """Pick at a place of the viewport, pixels from its upper left corner."""
        lines = self._scene.match_rows
        if lines is None:
            return
        rows, starts, ends = lines
        distance, index = nearest_segment(np.array([x, y]), self.to_pixels(starts), self.to_pixels(ends))
        self.picked.emit(int(rows[index]) if distance <= _REACH_PX else -1)

    def to_pixels(self, points_world: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 2"]:
        """Where points are in the fit's view, pixels from the viewport's upper left corner."""
        left, bottom, right, top = self._viewport.renderers[_FIT_VIEW].GetViewport()
        width, height = (right - left) * self._viewport.width(), (top - bottom) * self._viewport.height()
        matrix = self._viewport.world_camera.GetCompositeProjectionTransformMatrix(width / max(height, 1.0), -1.0, 1.0)
        transform = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
        clip = np.concatenate([points_world, np.ones((len(points_world), 1))], axis=1) @ transform.T
        place = clip[:, :2] / clip[:, 3:]
        x = left * self._viewport.width() + (place[:, 0] + 1) / 2 * width
        y = (1 - place[:, 1]) / 2 * height
        return np.stack([x, y], axis=1)


def nearest_segment(
    at: Float[np.ndarray, "2"], starts: Float[np.ndarray, "N 2"], ends: Float[np.ndarray, "N 2"]
) -> tuple[float, int]:
    """Distance to, and index of, the nearest of some segments; infinite without segments."""
    if not len(starts):
        return float("inf"), -1
    way = ends - starts
    share = np.clip(((at - starts) * way).sum(1) / np.maximum((way**2).sum(1), 1e-12), 0.0, 1.0)
    distance = np.linalg.norm(starts + share[:, None] * way - at, axis=1)
    index = int(distance.argmin())
    return float(distance[index]), index
