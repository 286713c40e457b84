"""Drags points of the body in the fit's view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QMouseEvent

from app.edit.editing import Editing
from app.edit.editor import Editor
from app.edit.state import EditState
from app.latest import Job, LatestWins
from app.session import Session
from spams_core.frames import posed_from_world

if TYPE_CHECKING:
    from app.viewport import Viewport

__all__ = ["Puller"]

_NEAR_PX = 12.0
# Of the vertices near the pointer the front ones count: a body is thicker than this.
_FRONT_M = 0.04
_FIT_COLUMN = 1


@dataclass(frozen=True)
class _Grip:
    """A point that is being pulled."""

    point: Float[np.ndarray, "3"]
    part: int
    world: Float[np.ndarray, "3"]
    depth: float
    frame: int
    start: EditState
    shape: Float[np.ndarray, "Q Ds"]
    pose: Float[np.ndarray, "Q Dp"]


class Puller(QObject):
    """While it is on, a press on the body takes hold of the nearest point, and the point follows the pointer.

    The target moves in the plane through the point that faces the camera. A press beside the body turns the camera.
    """

    def __init__(
        self, session: Session, editing: Editing, editor: Editor, viewport: Viewport, reach: Callable[[], int]
    ) -> None:
        super().__init__(viewport)
        self.on = False
        self._session, self._editing, self._editor = session, editing, editor
        self._viewport, self._reach = viewport, reach
        self._thread = LatestWins("surface pull", self)
        self._grip: _Grip | None = None
        viewport.installEventFilter(self)

    @property
    def idle(self) -> bool:
        """Whether nothing is being solved."""
        return self._thread.idle

    def set_on(self, on: bool) -> None:
        """Pull, or turn the camera as always."""
        self.on = on
        self._grip = None
        if on:
            self._viewport.setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self._viewport.unsetCursor()

    def close(self) -> None:
        """End the thread."""
        self._thread.close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the mouse away from the camera while a point is held."""
        if not self.on or not isinstance(event, QMouseEvent):
            return False
        if event.type() == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            self._grip = self._take(event)
            return self._grip is not None
        if self._grip is None:
            return False
        if event.type() == QEvent.Type.MouseMove:
            self._pull(event, dragging=True)
        elif event.type() == QEvent.Type.MouseButtonRelease:
            self._pull(event, dragging=False)
            self._grip = None
        return True

    # --- places ---------------------------------------------------------------------------------------------------

    def _matrix(self) -> Float[np.ndarray, "4 4"]:
        """From the world to the fit's view, each axis −1 to 1."""
        renderer = self._viewport.renderers[_FIT_COLUMN]
        camera = renderer.GetActiveCamera()
        matrix = camera.GetCompositeProjectionTransformMatrix(renderer.GetTiledAspectRatio(), -1.0, 1.0)
        return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])

    def _box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the fit's view, in the widget's pixels."""
        left, bottom, right, top = self._viewport.renderers[_FIT_COLUMN].GetViewport()
        width, height = self._viewport.width(), self._viewport.height()
        return left * width, (1 - top) * height, (right - left) * width, (top - bottom) * height

    def pixels(self, points_world: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        """Where points are drawn, x and y in the widget's pixels, and their depth in the view, −1 to 1."""
        left, top, width, height = self._box()
        homogeneous = np.concatenate([points_world, np.ones((len(points_world), 1))], 1) @ self._matrix().T
        seen = homogeneous[:, :3] / homogeneous[:, 3:]
        return np.stack([left + (seen[:, 0] + 1) / 2 * width, top + (1 - seen[:, 1]) / 2 * height, seen[:, 2]], axis=1)

    def _world(self, x: float, y: float, depth: float) -> Float[np.ndarray, "3"]:
        left, top, width, height = self._box()
        seen = np.array([2 * (x - left) / width - 1, 1 - 2 * (y - top) / height, depth, 1.0])
        point = np.linalg.solve(self._matrix(), seen)
        world: np.ndarray = point[:3] / point[3]
        return world

    def _take(self, event: QMouseEvent) -> _Grip | None:
        """The front vertex nearest to the pointer."""
        session, body = self._session, self._session.body_on_screen()
        left, top, width, height = self._box()
        x, y = event.position().x(), event.position().y()
        inside = left <= x <= left + width and top <= y <= top + height
        shown = session.edited.canonical if session.edited is not None else None
        if shown is None and session.fit is not None and session.live is None:
            shown = session.fit.canonical_mesh()
        if not inside or body is None or shown is None or self._editor.workbench is None:
            return None
        pixels = self.pixels(body.vertices)
        away = np.hypot(pixels[:, 0] - x, pixels[:, 1] - y)
        near = np.nonzero(away < _NEAR_PX)[0]
        if len(near) == 0 or shown.vertex_parts is None:
            return None
        eye = np.array(self._viewport.world_camera.GetPosition())
        distance = np.linalg.norm(body.vertices[near] - eye, axis=1)
        front = near[distance < distance.min() + _FRONT_M]
        index = int(front[away[front].argmin()])
        shape, pose = self._editor.codes_at(session.frame)
        return _Grip(
            np.asarray(shown.vertices[index], dtype=np.float32), int(shown.vertex_parts[index]), body.vertices[index],
            float(pixels[index, 2]), session.frame, self._editing.held(self._reach()), shape, pose,
        )  # fmt: skip

    def _pull(self, event: QMouseEvent, *, dragging: bool) -> None:
        grip, bench = self._grip, self._editor.workbench
        if grip is None or bench is None or grip.frame != self._session.frame:
            return
        target = self._world(event.position().x(), event.position().y(), grip.depth)
        rotation, translation = self._editor.place()
        sigma = grip.start.pose_edit(grip.frame).sigma[grip.part]
        posed = posed_from_world(target, rotation, translation)
        solve = partial(_solve, bench, grip.point, grip.shape, grip.pose, grip.part, sigma, posed)
        self._thread.submit(Job(solve, partial(self._receive, grip, dragging), self._editor.failed.emit))

    def _receive(self, grip: _Grip, dragging: bool, sigma: Any) -> None:
        if self._editor.workbench is not None and grip.frame == self._session.frame:
            self._editing.pull(grip.start, grip.frame, grip.part, sigma, dragging=dragging)


def _solve(*arguments: Any) -> Any:
    from spams_core.tasks.pull import pull

    return pull(*arguments)
