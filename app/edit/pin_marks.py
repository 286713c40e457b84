"""Marks of the pinned points in the fit's view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Slot

from app.actors import CloudActor

if TYPE_CHECKING:
    from app.edit.editing import Editing
    from app.session import Session
    from app.viewport import Viewport

__all__ = ["PinMarks"]

_FIT_COLUMN = 1
_SIZE_PX = 15.0
_COLOR = (240, 60, 170)
"""No part has it, and it shows on either theme."""


class PinMarks(QObject):
    """A dot at each pin of the frame under the playhead, in front of the body."""

    def __init__(self, session: Session, editing: Editing, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._session, self._editing, self._viewport = session, editing, viewport
        self._shown: object = None
        self.dots = CloudActor()
        self.dots.visible = False
        look = self.dots.actor.GetProperty()
        look.SetPointSize(_SIZE_PX)
        look.SetRenderPointsAsSpheres(True)
        # Half of a dot would be inside the body that it is pinned to.
        self.dots.mapper.SetResolveCoincidentTopologyToPolygonOffset()
        self.dots.mapper.SetRelativeCoincidentTopologyPointOffsetParameter(-3000.0)
        viewport.renderers[_FIT_COLUMN].AddActor(self.dots.actor)
        editing.changed.connect(self._draw)

    @Slot(object)
    def _draw(self, *_: object) -> None:
        pins = [pin for pin in self._editing.state.pins if pin.frame == self._session.frame]
        if pins == self._shown:
            return
        self._shown = pins
        if pins:
            colors = np.tile(np.array([_COLOR], dtype=np.uint8), (len(pins), 1))
            self.dots.update(np.array([pin.target_m for pin in pins]), None, colors)
        self.dots.visible = bool(pins)
        self._viewport.render()
