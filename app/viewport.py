"""Three viewports in one OpenGL widget: input and fit share a camera, the canonical view turns with them."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget
from pyvistaqt import QtInteractor
from vtkmodules.vtkCommonCore import vtkCommand
from vtkmodules.vtkRenderingCore import vtkCamera

from app.cameras import CameraPlace, Cameras
from app.theme import Theme
from app.viewport_format import COLUMN_STRETCH

__all__ = ["Side", "Viewport"]

Side = Literal["sensor", "left", "right", "back", "top"]
_VIEW_ANGLE_DEG = 28.0


class Viewport(QtInteractor):
    """The three renderers, their cameras and nothing of what they show."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._painting = False
        self._linking = False
        self._ready = False
        self.linked = True
        self.frame_time_ms = 0.0
        self.paint_count = 0
        self._turn: Float[np.ndarray, "3 3"] = np.eye(3)
        self._distance_world, self._distance_canonical = 1.0, 1.0
        self._framed_unseen: Float[np.ndarray, "3"] | None = None
        super().__init__(parent, auto_update=False, shape=(1, 3), border=False, multi_samples=4)
        # Files dropped here belong to the window; the interactor would read them in the GUI thread.
        self.setAcceptDrops(False)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.enable_terrain_style(mouse_wheel_zooms=True, shift_pans=True)  # type: ignore[call-arg]
        self.renderers[1].SetActiveCamera(self.renderers[0].GetActiveCamera())
        for camera in (self.world_camera, self.canonical_camera):
            camera.SetViewAngle(_VIEW_ANGLE_DEG)
            camera.SetViewUp(0.0, 1.0, 0.0)
        self._watched = [
            (self.world_camera, self.world_camera.AddObserver(vtkCommand.ModifiedEvent, self._follow_world)),
            (
                self.canonical_camera,
                self.canonical_camera.AddObserver(vtkCommand.ModifiedEvent, self._follow_canonical),
            ),
            (self._Iren, self._Iren.AddObserver(vtkCommand.RenderEvent, self._repaint)),
        ]
        # One draw per frame: VTK's own render on each mouse move would come on top of Qt's paint.
        self._Iren.EnableRenderOff()
        self.set_columns((True, True, True))
        self._ready = True

    @property
    def world_camera(self) -> vtkCamera:
        """The camera that input and fit share, metres."""
        camera: vtkCamera = self.renderers[0].GetActiveCamera()
        return camera

    @property
    def canonical_camera(self) -> vtkCamera:
        """The canonical view's camera, canonical units."""
        camera: vtkCamera = self.renderers[2].GetActiveCamera()
        return camera

    # --- drawing ------------------------------------------------------------------------------------------------

    def render(self) -> None:  # type: ignore[override]
        """Ask for one repaint; several requests before it become one."""
        if getattr(self, "_ready", False) and not getattr(self, "_closed", False):
            QWidget.update(self)

    def _repaint(self, *_: Any) -> None:
        if not self._painting:
            self.render()

    def paintGL(self) -> None:
        """Draw all renderers once."""
        if getattr(self, "_closed", False):
            return
        begin = time.perf_counter()
        self._painting = True
        self._reframe_canonical()
        self._clip()
        self._Iren.EnableRenderOn()
        try:
            super().paintGL()  # type: ignore[no-untyped-call]
        finally:
            self._Iren.EnableRenderOff()
            self._painting = False
        if self.paint_count == 0 and "llvmpipe" in self._RenderWindow.ReportCapabilities():
            # A software rasteriser shares the processor with the fit, and four samples per pixel cost it as much again.
            self._RenderWindow.SetMultiSamples(0)
        self.frame_time_ms = 1e3 * (time.perf_counter() - begin)
        self.paint_count += 1

    def _clip(self) -> None:
        """One camera draws two renderers, so its clipping range must hold what both show."""
        boxes = [np.array(r.ComputeVisiblePropBounds()) for r in self.renderers]
        valid = [box for box in boxes[:2] if box[0] <= box[1]]
        if valid:
            low, high = np.min(valid, axis=0)[::2], np.max(valid, axis=0)[1::2]
            self.renderers[0].ResetCameraClippingRange(np.stack([low, high], 1).ravel().tolist())
        if boxes[2][0] <= boxes[2][1]:
            self.renderers[2].ResetCameraClippingRange()

    def set_theme(self, theme: Theme) -> None:
        """Backgrounds in a theme's colours."""
        for index in range(3):
            self.renderers[index].set_background(theme.view_bottom, top=theme.view_top)
        self.render()

    def set_columns(self, shown: tuple[bool, bool, bool]) -> None:
        """Show some of the three views, side by side over the whole width."""
        total = sum(stretch for stretch, on in zip(COLUMN_STRETCH, shown, strict=True) if on)
        self._shown = shown
        left = 0.0
        for renderer, stretch, on in zip(self.renderers, COLUMN_STRETCH, shown, strict=True):
            renderer.SetDraw(on)
            width = stretch / total if on else 0.0
            renderer.SetViewport(left, 0.0, left + width, 1.0)
            left += width
        self.render()

    # --- cameras ------------------------------------------------------------------------------------------------

    def frame_world(
        self, center: Float[np.ndarray, "3"], extent: Float[np.ndarray, "3"], sensor: Float[np.ndarray, "3"]
    ) -> None:
        """Look at a box (centre and size, metres) from the sensor's side, and at the canonical body from its front."""
        towards = np.asarray(sensor, dtype=float) - center
        towards[1] = 0.0
        towards = towards / np.linalg.norm(towards) if np.linalg.norm(towards) > 1e-6 else np.array([0.0, 0.0, 1.0])
        # Rows take world directions to canonical ones: the sensor stands where the canonical body faces, at +z.
        self._turn = np.stack([np.cross([0.0, 1.0, 0.0], towards), [0.0, 1.0, 0.0], towards])
        across, depth = (float(np.abs(self._turn[row]) @ extent) for row in (0, 2))
        visible = 0 if self._shown[0] else 1
        self._distance_world = self._fitting_distance(visible, across, float(extent[1])) + depth / 3
        self._look(self.world_camera, center, self._lifted(towards), self._distance_world)
        if not self.linked:
            self._look(
                self.canonical_camera, np.zeros(3), self._lifted(np.array([0.0, 0.0, 1.0])), self._distance_canonical
            )
        self.render()

    def cameras(self) -> Cameras:
        """Where both cameras stand."""
        return Cameras(*(_place(camera) for camera in (self.world_camera, self.canonical_camera)))

    def set_cameras(self, cameras: Cameras) -> None:
        """Put both cameras somewhere."""
        self._reframe_canonical()  # what was asked for stays as it is
        self._linking = True
        try:
            for camera, place in ((self.world_camera, cameras.world), (self.canonical_camera, cameras.canonical)):
                camera.SetPosition(*place.position)
                camera.SetFocalPoint(*place.focus)
                camera.SetViewUp(*place.up)
                camera.SetParallelProjection(place.half_height > 0)
                if place.half_height > 0:
                    camera.SetParallelScale(place.half_height)
        finally:
            self._linking = False
        self.render()

    @property
    def parallel(self) -> bool:
        """Whether the projection is parallel: nothing gets smaller with the distance."""
        return bool(self.world_camera.GetParallelProjection())

    @parallel.setter
    def parallel(self, parallel: bool) -> None:
        for camera in (self.world_camera, self.canonical_camera):
            # What the cameras look at keeps its size.
            slope = np.tan(np.radians(_VIEW_ANGLE_DEG / 2))
            self._linking = True
            if parallel and not camera.GetParallelProjection():
                camera.SetParallelScale(float(camera.GetDistance() * slope))
            elif not parallel and camera.GetParallelProjection():
                focus = np.array(camera.GetFocalPoint())
                back = np.array(camera.GetPosition()) - focus
                distance = camera.GetParallelScale() / slope
                camera.SetPosition(*(focus + distance * back / np.linalg.norm(back)))
            camera.SetParallelProjection(parallel)
            self._linking = False
        self.render()

    def pixels_per_metre(self) -> float:
        """Scale of the shared camera's picture at what it looks at, in pixels of the screen."""
        reach = 2 * self.world_camera.GetDistance() * np.tan(np.radians(_VIEW_ANGLE_DEG / 2))
        if self.parallel:
            reach = 2 * self.world_camera.GetParallelScale()
        return float(self.devicePixelRatioF() * self.height() / max(reach, 1e-6))

    def frame_canonical(self, center: Float[np.ndarray, "3"], extent: Float[np.ndarray, "3"]) -> None:
        """Bring a body (middle and size, canonical units) into the canonical view, seen from where it is seen now."""
        self._distance_canonical = self._fitting_distance(2, float(extent[0]), float(extent[1]))
        self._framed_unseen = None if self._shown[2] else np.asarray(extent, dtype=float)
        back = np.array(self.canonical_camera.GetPosition()) - np.array(self.canonical_camera.GetFocalPoint())
        self._linking = True
        self._look(self.canonical_camera, center, back, self._distance_canonical)
        self._linking = False
        self.render()

    def _reframe_canonical(self) -> None:
        """The column's width is known once it is shown: correct the distance, keep direction and zoom."""
        extent = self._framed_unseen
        if extent is None or not self._shown[2]:
            return
        self._framed_unseen = None
        distance = self._fitting_distance(2, float(extent[0]), float(extent[1]))
        ratio, self._distance_canonical = distance / self._distance_canonical, distance
        camera, focus = self.canonical_camera, np.array(self.canonical_camera.GetFocalPoint())
        self._linking = True
        camera.SetPosition(*(focus + ratio * (np.array(camera.GetPosition()) - focus)))
        camera.SetParallelScale(ratio * camera.GetParallelScale())
        self._linking = False

    def view_from(self, side: Side) -> None:
        """Turn the cameras to a side as the sensor sees it, keeping what they look at."""
        x, _, z = self._turn
        directions = {
            "sensor": self._lifted(z),
            "back": self._lifted(-z),
            "left": self._lifted(-x),
            "right": self._lifted(x),
            "top": np.array([0.0, 0.985, 0.0]) + 0.17 * z,
        }
        camera = self.world_camera
        self._look(camera, np.array(camera.GetFocalPoint()), directions[side], camera.GetDistance(), keep_scale=True)
        self.render()

    def move_world(self, step_m: Float[np.ndarray, "3"]) -> None:
        """Carry the shared camera along."""
        camera = self.world_camera
        position, focus = np.array(camera.GetPosition()) + step_m, np.array(camera.GetFocalPoint()) + step_m
        camera.SetPosition(*position)
        camera.SetFocalPoint(*focus)
        self.render()

    @staticmethod
    def _lifted(direction: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
        """Slightly from above: a floor seen edge-on is no floor."""
        lifted: np.ndarray = direction + np.array([0.0, 0.14, 0.0])
        return lifted

    @staticmethod
    def _look(
        camera: vtkCamera,
        center: Float[np.ndarray, "3"],
        direction: Float[np.ndarray, "3"],
        distance: float,
        keep_scale: bool = False,
    ) -> None:
        camera.SetFocalPoint(*center)
        camera.SetPosition(*(center + distance * direction / np.linalg.norm(direction)))
        camera.SetViewUp(0.0, 1.0, 0.0)
        if not keep_scale:
            camera.SetParallelScale(float(distance * np.tan(np.radians(_VIEW_ANGLE_DEG / 2))))

    def _fitting_distance(self, column: int, width: float, height: float) -> float:
        """Distance at which a body fills a column; a hidden one counts as if all were shown."""
        shown = self._shown if self._shown[column] else (True, True, True)
        total = sum(stretch for stretch, on in zip(COLUMN_STRETCH, shown, strict=True) if on)
        aspect = max(0.2, COLUMN_STRETCH[column] / total * self.width() / max(1.0, self.height()))
        return float(1.15 * max(height, width / aspect) / (2 * np.tan(np.radians(_VIEW_ANGLE_DEG / 2))))

    def _follow_world(self, *_: Any) -> None:
        self._carry(
            self.world_camera, self.canonical_camera, self._turn, self._distance_canonical / self._distance_world
        )

    def _follow_canonical(self, *_: Any) -> None:
        scale = self._distance_world / self._distance_canonical
        self._carry(self.canonical_camera, self.world_camera, self._turn.T, scale)

    def _carry(self, leader: vtkCamera, follower: vtkCamera, turn: Float[np.ndarray, "3 3"], scale: float) -> None:
        """Give the follower the leader's direction and zoom; each keeps looking at its own body."""
        if self._linking or not self.linked:
            return
        self._linking = True
        try:
            back = np.array(leader.GetPosition()) - np.array(leader.GetFocalPoint())
            follower.SetPosition(*(np.array(follower.GetFocalPoint()) + scale * turn @ back))
            follower.SetViewUp(*(turn @ np.array(leader.GetViewUp())))
            follower.SetParallelScale(scale * leader.GetParallelScale())
        finally:
            self._linking = False

    # --- events -------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys belong to the window's commands, not to VTK's own."""
        event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """See `keyPressEvent`."""
        event.ignore()

    def dragEnterEvent(self, event: QEvent) -> None:
        """Files belong to the window."""
        event.ignore()

    def dropEvent(self, event: QEvent) -> None:
        """Files belong to the window."""
        event.ignore()

    def close(self) -> None:  # type: ignore[override]
        """Free VTK's side while the OpenGL context still lives; may be called twice."""
        for subject, tag in self._watched:
            subject.RemoveObserver(tag)
        self._watched = []
        super().close()


def _place(camera: vtkCamera) -> CameraPlace:
    half_height = camera.GetParallelScale() if camera.GetParallelProjection() else 0.0
    return CameraPlace(camera.GetPosition(), camera.GetFocalPoint(), camera.GetViewUp(), half_height)
