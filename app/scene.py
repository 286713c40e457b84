"""Turns the session's values into actors and repaints when one of them changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from PySide6.QtCore import QObject, QTimer, Signal, Slot
from PySide6.QtGui import QColor

from app.actors import CloudActor, LinesActor, MeshActor, floor_cell_m, floor_lines
from app.colormap import CONFIDENCE, DEPTH, UNSURE
from app.match_lines import FAR_MM, match_lines
from app.opening import Survey
from app.session import EditedBody, FrameCloud, Session
from app.theme import Theme
from app.viewport import Viewport
from spams_core.data.fit import Fit
from spams_core.geometry.mesh import Mesh
from spams_core.resources import part_colors

__all__ = ["Scene"]

_INPUT, _FIT, _CANONICAL = 0, 1, 2
_GHOST_COLOR = np.array([255, 176, 60], dtype=np.uint8)
_GHOST_OPACITY = 0.45
_POINTS_OVER_COLORS = 0.2
"""Opacity of the points where the mesh's colours say something."""
_UNLABELLED = np.array([150, 156, 168], dtype=np.uint8)


class Scene(QObject):
    """The actors of the three viewports."""

    titles_changed = Signal()

    def __init__(self, session: Session, viewport: Viewport, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._viewport, self._theme = session, viewport, theme
        viewport.set_theme(theme)
        self._survey: Survey | None = None
        self._followed: Float[np.ndarray, "3"] | None = None
        self._point_size = 3.0
        self._canonical_of: EditedBody | Fit | Mesh | None = None
        self._palette: UInt8[np.ndarray, "Q 3"] = np.zeros((0, 3), dtype=np.uint8)
        self.input_cloud = CloudActor()
        self.fit_cloud = CloudActor()
        self.body = MeshActor()
        self.matches = LinesActor(width=3.5)
        self.picked = LinesActor(width=9.0)
        self.match_rows: tuple[Int[np.ndarray, "N"], Float[np.ndarray, "N 3"], Float[np.ndarray, "N 3"]] | None = None
        self.ghost, self.second, self.beyond = MeshActor(), MeshActor(), MeshActor()
        self.ghost.actor.GetProperty().SetOpacity(_GHOST_OPACITY)
        self.canonical = MeshActor()
        self.floors = [LinesActor(width=1.0, opacity=0.55) for _ in range(3)]
        for index, actors in (
            (_INPUT, (self.floors[0], self.input_cloud, self.second)),
            (_FIT, (self.floors[1], self.body, self.fit_cloud, self.matches, self.picked, self.ghost, self.beyond)),
            (_CANONICAL, (self.floors[2], self.canonical)),
        ):
            for part in actors:
                viewport.renderers[index].AddActor(part.actor)
        session.cloud_changed.connect(self._on_cloud)
        session.cloud_colors_changed.connect(self._on_colors)
        session.part_names_changed.connect(self._on_parts)
        for changed in (session.frame_changed, session.live_changed, session.fit_changed, session.edited_changed):
            changed.connect(self._on_body)
        session.replayed_changed.connect(self._on_body)
        session.mean_body_changed.connect(self._on_body)
        session.body_paint_changed.connect(self._on_body)
        session.compared_changed.connect(self._on_body)
        session.show_cloud_changed.connect(self._on_layers)
        session.show_mesh_changed.connect(self._on_layers)
        for changed in (session.show_matches_changed, session.match_reasons_changed, session.picked_match_changed):
            changed.connect(self._on_body)
        session.follow_changed.connect(self._on_cloud)
        session.linked_changed.connect(self._on_linked)

    # --- the stage ----------------------------------------------------------------------------------------------

    def set_survey(self, survey: Survey) -> None:
        """Put floor and cameras where the subject is."""
        self._survey, self._followed = survey, None
        self._draw_floors()
        self._stage()
        # Once more when the viewports have got their size: until now they may have been hidden.
        QTimer.singleShot(0, self._stage)
        if self._session.cloud is not None:
            self._on_cloud(self._session.cloud)

    @Slot()
    def _stage(self) -> None:
        """Cameras to their places, and points as large as the sensor's pixels are there: clouds without gaps."""
        self.reset_cameras()
        sequence, survey = self._session.sequence, self._survey
        if sequence is not None and survey is not None:
            pixel_m = sum(survey.depth_range_m) / 2 / sequence.camera.fx
            self._point_size = float(np.clip(1.3 * pixel_m * self._viewport.pixels_per_metre(), 2.0, 12.0))
            self._on_layers()

    def stage_model(self) -> None:
        """A stage for the model's body alone, in the middle of the world."""
        self.set_survey(Survey(np.zeros(3), np.array([1.3, 1.75, 0.4]), -0.9, np.array([0.0, 0.0, 3.0]), (2.0, 4.0)))

    def reset_cameras(self) -> None:
        """Look from the sensor's side at the whole recording, and at the canonical body's front."""
        if self._survey is not None:
            self._viewport.frame_world(self._survey.center, self._survey.extent, self._survey.sensor)
        self._frame_canonical()

    def _frame_canonical(self) -> None:
        if self.canonical.data.n_points:
            points = self.canonical.data.points
            self._viewport.frame_canonical((points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0))

    def set_theme(self, theme: Theme) -> None:
        """Background and floor in a theme's colours."""
        self._viewport.set_theme(theme)
        self._theme = theme
        self._draw_floors()

    def _draw_floors(self) -> None:
        color = _rgb(self._theme.grid).astype(np.uint8)
        if self._survey is not None:
            center = np.array([self._survey.center[0], self._survey.floor_m, self._survey.center[2]])
            cell_m = floor_cell_m(self._survey.extent)
            cells = int(np.clip(np.ceil(max(self._survey.extent[[0, 2]]) / cell_m) + 5, 8, 24))
            for floor in self.floors[:2]:
                starts, ends = floor_lines(center, cell_m, cells)
                floor.update(starts, ends, np.tile(color, (len(starts), 1)))
                floor.visible = True
        if self.canonical.data.n_points:
            low = float(self.canonical.data.points[:, 1].min())
            starts, ends = floor_lines(np.array([0.0, low, 0.0]), 0.4, 6)
            self.floors[2].update(starts, ends, np.tile(color, (len(starts), 1)))
            self.floors[2].visible = True
        self._viewport.render()

    # --- points -------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_cloud(self, _: object) -> None:
        cloud = self._session.cloud
        if cloud is None:
            self.input_cloud.visible = self.fit_cloud.visible = False
        else:
            self.input_cloud.update(cloud.points_world, cloud.normals_world, self._cloud_colors(cloud))
            self.fit_cloud.update(cloud.points_world, cloud.normals_world, self._cloud_tint(cloud))
            self.input_cloud.visible = True
            self._follow(cloud)
        self._on_layers()
        self.titles_changed.emit()

    @Slot(str)
    def _on_colors(self, _: str) -> None:
        cloud = self._session.cloud
        if cloud is not None:
            self.input_cloud.recolor(self._cloud_colors(cloud))
            self._viewport.render()
        self.titles_changed.emit()

    @Slot(object)
    def _on_parts(self, names: tuple[str, ...]) -> None:
        self._palette = part_colors(names)
        self._canonical_of = None
        self._on_cloud(None)
        self._on_body()

    def _cloud_colors(self, cloud: FrameCloud) -> UInt8[np.ndarray, "N 3"]:
        if self._session.cloud_colors == "confidence" and cloud.confidences is not None:
            return CONFIDENCE.colors(cloud.confidences, UNSURE, 1.0)
        if self._session.cloud_colors == "part" and cloud.labels is not None and len(self._palette):
            return self._part_colors(cloud.labels)
        return self._depth_colors(cloud.points_world)

    def _cloud_tint(self, cloud: FrameCloud) -> UInt8[np.ndarray, "N 3"]:
        """Paler than the mesh of the same part, so that points stand out upon it."""
        if cloud.labels is None or not len(self._palette):
            return np.full((len(cloud.points_world), 3), 205, dtype=np.uint8)
        return self._part_colors(cloud.labels, pale=True)

    def _part_colors(self, labels: Int[np.ndarray, "N"], *, pale: bool = False) -> UInt8[np.ndarray, "N 3"]:
        table = np.concatenate([self._palette, _UNLABELLED[None]])
        if pale:
            table = (0.35 * table + 0.65 * 245).astype(np.uint8)
        # Seen as unsigned, what is unknown (-1) is larger than every label: one comparison instead of three.
        known = np.minimum(labels.astype(np.uint32), len(self._palette))
        colors: UInt8[np.ndarray, "N 3"] = np.take(table, known, axis=0)
        return colors

    def _depth_colors(self, points_world: Float[np.ndarray, "N 3"]) -> UInt8[np.ndarray, "N 3"]:
        if self._survey is None:
            return np.tile(_UNLABELLED, (len(points_world), 1))
        sensor, center = self._survey.sensor, self._survey.center
        axis = (center - sensor) / max(float(np.linalg.norm(center - sensor)), 1e-6)
        near, far = self._survey.depth_range_m
        return DEPTH.colors((points_world - sensor) @ axis, near, far)

    def _follow(self, cloud: FrameCloud) -> None:
        """Carry the camera with the middle of the subject."""
        if not self._session.follow:
            self._followed = None
            return
        middle = np.median(cloud.points_world, axis=0)
        if self._followed is not None:
            self._viewport.move_world((middle - self._followed) * np.array([1.0, 0.0, 1.0]))
        self._followed = middle

    # --- surfaces -----------------------------------------------------------------------------------------------

    @Slot()
    def _on_body(self, *_: Any) -> None:
        session = self._session
        track, row = session.track, session.track_row(session.frame)
        colors_known = len(self._palette) > 0
        body = session.replayed or session.edited
        if body is not None and colors_known:
            self._draw(self.body, body.vertices_world, body.canonical)
        elif track is not None and row is not None and colors_known:
            paint = session.body_paint
            painted = paint.colors if paint is not None and paint.fit is track else None
            colors = self._part_colors(track.vertex_parts) if painted is None else painted
            self.body.update(track.vertices_world[row], track.faces, colors)
        else:
            self.body.clear()
        self._draw_canonical()
        self._draw_compared()
        self._draw_matches(row)
        self._on_layers()
        self.titles_changed.emit()

    def _draw(self, actor: MeshActor, vertices: Float[np.ndarray, "V 3"], mesh: Mesh) -> None:
        parts = mesh.vertex_parts if mesh.vertex_parts is not None else np.zeros(len(vertices), dtype=np.int64)
        actor.update(vertices, mesh.faces, self._part_colors(parts))

    def _draw_compared(self) -> None:
        """The second fit, in the frames that it has."""
        compared = self._session.compared
        frames = compared.fit.frame_indices if compared is not None else np.zeros(0, dtype=int)
        rows = np.nonzero(frames == self._session.frame)[0].tolist()
        for actor, way in ((self.ghost, "ghost"), (self.second, "beside"), (self.beyond, "wipe")):
            if compared is None or compared.show_as != way or not len(rows) or not len(self._palette):
                actor.clear()
                continue
            fit, vertices = compared.fit, compared.fit.vertices_world[rows[0]]
            plain = np.broadcast_to(_GHOST_COLOR, (len(vertices), 3))
            actor.update(vertices, fit.faces, plain if way == "ghost" else self._part_colors(fit.vertex_parts))
            actor.visible = True

    def _draw_canonical(self) -> None:
        session = self._session
        source: EditedBody | Fit | Mesh | None = session.replayed or session.edited
        source = source or (session.fit if session.live is None else None) or session.mean_body
        if source is None or not len(self._palette):
            self.canonical.clear()
            self._canonical_of = None
            return
        if source is self._canonical_of:
            return
        # Sliders change a body bit by bit and the eye should see what changes; another body is framed anew.
        stranger = self._canonical_of is None or not isinstance(source, EditedBody)
        self._canonical_of = source
        mesh = source.canonical if isinstance(source, EditedBody) else source
        mesh = mesh if isinstance(mesh, Mesh) else mesh.canonical_mesh()
        self._draw(self.canonical, mesh.vertices, mesh)
        self.canonical.visible = True
        if stranger:
            self._frame_canonical()
            self._draw_floors()

    def _draw_matches(self, row: int | None) -> None:
        """Lines from observed points to the vertices that they were paired with, and the one that was clicked."""
        session, fit = self._session, self._session.fit
        wanted = session.show_matches and session.live is None and (session.replayed or session.edited) is None
        self.match_rows = None
        if not wanted or fit is None or row is None or fit.frame_indices[row] != session.frame:
            self.matches.visible = self.picked.visible = False
            return
        seen = fit.observation(row)
        lines = match_lines(seen, session.match_reasons, FAR_MM / fit.enlargement)
        self.matches.update(lines.starts, lines.ends, lines.colors)
        self.matches.visible = True
        self.match_rows = lines.rows, seen.points_world[lines.rows], seen.matched_world[lines.rows]
        clicked = session.picked_match
        shown = bool((lines.rows == clicked).any())
        if clicked is not None and shown:
            accent = _rgb(self._theme.accent).astype(np.uint8)[None]
            self.picked.update(seen.points_world[[clicked]], seen.matched_world[[clicked]], accent)
        self.picked.visible = clicked is not None and shown

    @Slot()
    def _on_layers(self, *_: Any) -> None:
        session = self._session
        self.body.visible = session.show_mesh
        replaced = session.compared is not None and session.compared.show_as == "beside"
        self.input_cloud.visible = session.cloud is not None and not replaced
        self.fit_cloud.visible = session.show_cloud and session.cloud is not None
        # Lines inside the surface are seen only through it, and between smaller points.
        track, row = session.track, session.track_row(session.frame)
        # A frame that was not fitted shows its nearest neighbour's body, as a ghost: it does not belong here.
        borrowed = (
            session.edited is None
            and track is not None
            and row is not None
            and int(track.frame_indices[row]) != session.frame
        )
        self.body.actor.GetProperty().SetOpacity(0.35 if self.matches.visible or borrowed else 1.0)
        painted = session.body_paint is not None and self.body.visible
        bare = self.matches.visible or painted
        size = 1.0 if bare else 0.45 * self._point_size if self.body.visible else self._point_size
        self.fit_cloud.actor.GetProperty().SetPointSize(size)
        self.fit_cloud.actor.GetProperty().SetOpacity(_POINTS_OVER_COLORS if painted else 1.0)
        self.input_cloud.actor.GetProperty().SetPointSize(self._point_size)
        self._viewport.render()

    @Slot(bool)
    def _on_linked(self, linked: bool) -> None:
        self._viewport.linked = linked
        if linked:
            self._viewport.world_camera.Modified()
        self._viewport.render()


def _rgb(color: str) -> Float[np.ndarray, "3"]:
    named = QColor(color)
    return np.array([named.red(), named.green(), named.blue()], dtype=float)
