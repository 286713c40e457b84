"""Drags and pins points of the body in the fit's view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QMouseEvent

from app.edit.editing import Editing
from app.edit.editor import Editor
from app.edit.state import EditState, Pin
from app.latest import Job, LatestWins
from app.session import Session
from app.translation import tr
from spams_core.frames import enlargement, posed_from_world
from spams_core.tasks.pull import pull, seam_points

if TYPE_CHECKING:
    from app.viewport import Viewport
    from spams_core.geometry.mesh import Mesh
    from spams_core.tasks.edit import Workbench

__all__ = ["Puller"]

_NEAR_PX = 12.0
# Vertices of a preview are so much farther apart.
_COARSER = 2
# Of the vertices near the pointer the front ones count: a body is thicker than this.
_FRONT_M = 0.04
_FIT_COLUMN = 1
# A press that moves less than this is a click.
_CLICK_PX = 4.0


@dataclass(frozen=True)
class _Grip:
    """A point that is being pulled.

    Attributes:
        point: Canonical frame, canonical units.
        world: Where it was; world frame, metres.
        depth: Its depth in the view, −1 to 1.
        pressed: Where the pointer took hold of it, in the widget's pixels.
        pin: The pin that was taken hold of; None for another point of the body.
        start: The state in which the pull began.
        staying: Points of parts that stay; canonical frame.
        rotation, translation: The root's, in this frame.
    """

    point: Float[np.ndarray, "3"]
    part: int
    world: Float[np.ndarray, "3"]
    depth: float
    pressed: tuple[float, float]
    pin: Pin | None
    frame: int
    start: EditState
    shape: Float[np.ndarray, "Q Ds"]
    pose: Float[np.ndarray, "Q Dp"]
    staying: Float[np.ndarray, "S 3"]
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]

    @property
    def others(self) -> list[Pin]:
        """The other pins of this frame."""
        return [pin for pin in self.start.pins if pin.frame == self.frame and pin != self.pin]

    @property
    def moving(self) -> list[int]:
        """The parts that may move: those of the point and of the pins, without those that stay."""
        return sorted({self.part, *(pin.part for pin in self.others)} - set(self.start.held))


class Puller(QObject):
    """While it is on, a press on the body takes hold of the nearest point, and the point follows the pointer.

    The target moves in the plane through the point that faces the camera. A click pins the point, or lets go of the
    pin that is there. A press beside the body turns the camera. A pull is solved in a thread; what the mouse does
    between its end and its solution waits for that, since the next pull begins where this one ends.

    Signals:
        refused: Why the point under the pointer cannot be pulled.
    """

    refused = Signal(str)

    def __init__(
        self, session: Session, editing: Editing, editor: Editor, viewport: Viewport, reach: Callable[[], int]
    ) -> None:
        super().__init__(viewport)
        self.on = False
        self._session, self._editing, self._editor = session, editing, editor
        self._viewport, self._reach = viewport, reach
        self._thread = LatestWins("surface pull", self)
        self._grip: _Grip | None = None
        self._dragged = False
        self._pointer = (0.0, 0.0)
        self._ending = False
        self._waiting: list[tuple[QEvent.Type, float, float]] = []
        viewport.installEventFilter(self)

    @property
    def idle(self) -> bool:
        """Whether nothing is being solved."""
        return self._thread.idle and not self._ending

    def set_on(self, on: bool) -> None:
        """Pull, or turn the camera as always. A pull in progress ends where the pointer is."""
        self.on = on
        if self._grip is not None and self._dragged:
            self._pull(*self._pointer, dragging=False)
        self._grip = None
        self._waiting.clear()
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
        kind, x, y = event.type(), event.position().x(), event.position().y()
        if kind == QEvent.Type.MouseButtonPress and event.button() != Qt.MouseButton.LeftButton:
            return self._grip is not None
        if self._ending:
            if self._waiting and self._waiting[-1][0] == kind == QEvent.Type.MouseMove:
                self._waiting.pop()  # only where the pointer is now counts
            self._waiting.append((kind, x, y))
            return True
        return self._handle(kind, x, y)

    def _handle(self, kind: QEvent.Type, x: float, y: float) -> bool:
        self._pointer = (x, y)
        if kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick):
            self._grip, self._dragged = self._take(x, y), False
            return self._grip is not None
        grip = self._grip
        if grip is None:
            return False
        self._dragged = self._dragged or np.hypot(x - grip.pressed[0], y - grip.pressed[1]) >= _CLICK_PX
        if kind == QEvent.Type.MouseMove and self._dragged:
            self._pull(x, y, dragging=True)
        elif kind == QEvent.Type.MouseButtonRelease:
            if self._dragged:
                self._pull(x, y, dragging=False)
            else:
                self._click(grip)
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

    def _take(self, x: float, y: float) -> _Grip | None:
        """The pin under the pointer, or else the front vertex nearest to it."""
        body, shown = self._session.body_on_screen(), self._shown()
        left, top, width, height = self._box()
        inside = left <= x <= left + width and top <= y <= top + height
        if not inside or body is None or shown is None or shown.vertex_parts is None or self._editor.workbench is None:
            return None
        frame = self._session.frame
        pin = self._pin_at(x, y, frame)
        if pin is not None:
            world, part = np.array(pin.target_m), pin.part
            point, depth = np.array(pin.point, dtype=np.float32), float(self.pixels(world[None])[0, 2])
        else:
            pixels = self.pixels(body.vertices)
            away = np.hypot(pixels[:, 0] - x, pixels[:, 1] - y)
            coarse = self._session.edited is not None and self._session.edited.preview
            near = np.nonzero(away < _NEAR_PX * (_COARSER if coarse else 1))[0]
            if len(near) == 0:
                return None
            eye = np.array(self._viewport.world_camera.GetPosition())
            distance = np.linalg.norm(body.vertices[near] - eye, axis=1)
            thickness_m = _FRONT_M / enlargement(self._editor.workbench.canonical_per_metre)
            front = near[distance < distance.min() + thickness_m]
            index = int(front[away[front].argmin()])
            world, part, depth = body.vertices[index], int(shown.vertex_parts[index]), float(pixels[index, 2])
            point = np.asarray(shown.vertices[index], dtype=np.float32)
        shape, pose = self._editor.codes_at(frame)
        start = self._editing.held(self._reach())
        grip = _Grip(
            point, part, world, depth, (x, y), pin, frame, start, shape, pose, np.zeros((0, 3)), *self._editor.place()
        )
        staying = seam_points(shown.vertices, shown.vertex_parts, start.held, grip.moving)
        return replace(grip, staying=staying)

    def _shown(self) -> Mesh | None:
        """The canonical mesh of the body on screen."""
        session = self._session
        if session.edited is not None:
            return session.edited.canonical
        return session.fit.canonical_mesh() if session.fit is not None and session.live is None else None

    def _pin_at(self, x: float, y: float, frame: int) -> Pin | None:
        pins = [pin for pin in self._editing.state.pins if pin.frame == frame]
        if not pins:
            return None
        pixels = self.pixels(np.array([pin.target_m for pin in pins]))
        away = np.hypot(pixels[:, 0] - x, pixels[:, 1] - y)
        return pins[int(away.argmin())] if away.min() < _NEAR_PX else None

    def _click(self, grip: _Grip) -> None:
        """Pin the point, or let go of the pin."""
        if grip.pin is not None:
            self._editing.remove_pins([grip.pin])
        else:
            self._editing.add_pin(Pin(grip.frame, grip.part, _floats(grip.point), _floats(grip.world)))

    def _pull(self, x: float, y: float, *, dragging: bool) -> None:
        grip, bench = self._grip, self._editor.workbench
        if grip is None or bench is None:
            return
        if grip.part in grip.start.held:
            if not dragging:
                self.refused.emit(tr("This part stays where it is. Untick it under Pins to pull it."))
            return
        target = self._world(x, y, grip.depth)
        start = grip.start
        if grip.pin is not None:
            moved = replace(grip.pin, target_m=_floats(target))
            start = replace(start, pins=tuple(moved if pin == grip.pin else pin for pin in start.pins))
        points = np.stack([grip.point, *(np.array(pin.point) for pin in grip.others)])
        targets = np.stack([target, *(np.array(pin.target_m) for pin in grip.others)])
        posed = posed_from_world(targets, grip.rotation, grip.translation, bench.canonical_per_metre)
        sigma = start.pose_edit(grip.frame).sigma
        solve = partial(pull, bench, points, posed, grip.shape, grip.pose, grip.moving, sigma, grip.staying)
        receive = partial(self._receive, bench, start, grip.frame, dragging)
        self._ending = not dragging
        self._thread.submit(Job(solve, receive, partial(self._on_failed, dragging)))

    def _receive(self, bench: Workbench, start: EditState, frame: int, dragging: bool, sigma: Any) -> None:
        # Another fit or model may have come since: then these edits mean nothing any more.
        if self._editor.workbench is bench and sigma.shape == self._editing.state.pose.sigma.shape:
            self._editing.pull(start, frame, sigma, dragging=dragging)
        if not dragging:
            self._go_on()

    def _on_failed(self, dragging: bool, error: Exception) -> None:
        self._editor.failed.emit(error)
        if not dragging:
            self._go_on()

    def _go_on(self) -> None:
        """Do what the mouse did while the last pull was solved, until the next one ends."""
        self._ending = False
        while self._waiting and not self._ending:
            self._handle(*self._waiting.pop(0))


def _floats(point: Any) -> tuple[float, float, float]:
    x, y, z = np.asarray(point, dtype=float).tolist()
    return x, y, z
