"""What Capture draws into the input view: the point under the pointer, the subject's box."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float
from PySide6.QtGui import QColor

from app.actors import CloudActor, LinesActor
from app.theme import Theme
from app.viewport import Viewport

__all__ = ["Marks"]

_INPUT = 0
_REACH_M, _REACH_PX = 0.12, 60.0


class Marks:
    """A marked point and a box, for one viewport."""

    def __init__(self, viewport: Viewport, theme: Theme) -> None:
        self._viewport = viewport
        self._theme = theme
        self.point = CloudActor()
        self.cross = LinesActor(width=2.0)
        self.point.actor.GetProperty().SetPointSize(11.0)
        self.point.actor.GetProperty().SetRenderPointsAsSpheres(True)
        self.box = LinesActor(width=1.5, opacity=0.8)
        for part in (self.point, self.cross, self.box):
            part.actor.PickableOff()
            viewport.renderers[_INPUT].AddActor(part.actor)

    def set_theme(self, theme: Theme) -> None:
        """Colours, from the next drawing on."""
        self._theme = theme

    def mark(self, point_world: Float[np.ndarray, "3"] | None) -> None:
        """Mark a point with a ball and a cross whose arms stand out of the surface; None marks nothing."""
        if point_world is None:
            self.point.visible = self.cross.visible = False
        else:
            color = _rgb(self._theme.accent)
            self.point.update(point_world[None], None, color[None])
            arms = min(_REACH_M, _REACH_PX / self._viewport.pixels_per_metre()) * np.eye(3)
            self.cross.update(point_world - arms, point_world + arms, np.tile(color, (3, 1)))
            self.point.visible = self.cross.visible = True
        self._viewport.render()

    def show_box(self, corners_world: tuple[tuple[float, float, float], tuple[float, float, float]] | None) -> None:
        """Draw the edges of a box between its lowest and highest corner, metres; None hides it."""
        if corners_world is None:
            self.box.visible = False
        else:
            ends = np.array(corners_world)
            corners = np.array(list(itertools.product(*ends.T)))
            # Two corners share an edge if they differ in one coordinate: in one bit of their number.
            edges = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]
            starts, stops = (corners[[edge[k] for edge in edges]] for k in range(2))
            self.box.update(starts, stops, np.tile(_rgb(self._theme.accent), (len(edges), 1)))
            self.box.visible = True
        self._viewport.render()


def _rgb(color: str) -> np.ndarray:
    named = QColor(color)
    return np.array([named.red(), named.green(), named.blue()], dtype=np.uint8)
