"""Connects the sliders with the decoder, and remembers what to undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QUndoCommand, QUndoStack

from app.edit.editor import Codes, Editor
from app.session import Session
from spams_core.resources import part_colors, part_titles

if TYPE_CHECKING:
    from app.edit.blend_panel import BlendPanel
    from app.edit.codes_panel import CodesPanel
    from spams_core.tasks.edit import Workbench

__all__ = ["Editing"]

_State = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
_SHOWN_DIRECTIONS = 5


class _SliderChange(QUndoCommand):
    def __init__(self, apply: Callable[[_State], None], before: _State, after: _State) -> None:
        super().__init__("slider")
        self._apply, self._before, self._after = apply, before, after

    def undo(self) -> None:
        self._apply(self._before)

    def redo(self) -> None:
        self._apply(self._after)


class Editing(QObject):
    """What the two editing panels do."""

    def __init__(self, session: Session, editor: Editor, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._editor = session, editor
        self._codes: CodesPanel | None = None
        self._blend: BlendPanel | None = None
        self._settled: _State = (np.zeros((0, 0)), np.zeros((0, 0)))
        self.undo_stack = QUndoStack(self)
        editor.model_loaded.connect(self._on_model)
        session.fit_changed.connect(self._on_fit)

    def attach(self, codes: CodesPanel, blend: BlendPanel) -> None:
        """Take the panels, once they exist."""
        self._codes, self._blend = codes, blend
        codes.edited.connect(self._on_sliders)
        codes.reset_requested.connect(self.reset)
        blend.edited.connect(self._on_blend)
        blend.reset_requested.connect(self.reset)
        if self._editor.workbench is not None:
            self._on_model(self._editor.workbench)

    @Slot(object)
    def _on_model(self, bench: Workbench) -> None:
        if self._codes is None or self._blend is None:
            return
        shapes = min(_SHOWN_DIRECTIONS, bench.shape_directions.shape[1])
        poses = min(_SHOWN_DIRECTIONS, bench.pose_directions.shape[1])
        names = bench.part_names
        self._codes.set_model(part_titles(names), part_colors(names), shapes, poses)
        self._settle()
        self.undo_stack.clear()
        self._blend.forget()
        self._blend.suggest()

    @Slot(object)
    def _on_fit(self, _: object) -> None:
        self.undo_stack.clear()
        if self._codes is not None and self._blend is not None:
            self._codes.clear()
            self._settle()
            self._push()
            self._editor.set_blend(None)
            self._blend.forget()
            self._blend.suggest()

    def take_codes(self, slot: str, codes: Codes) -> None:
        """Put another fit's body into the blend's slot A or B."""
        if self._blend is not None:
            self._blend.set_codes(slot, codes)

    @Slot()
    def reset(self) -> None:
        """Back to the body as it was fitted."""
        if self._codes is None or self._blend is None:
            return
        self._editor.set_blend(None)
        self._blend.clear()
        if not self._codes.is_neutral:
            self._codes.clear()
            self._on_sliders(False)
        else:
            self._editor.request(dragging=False)

    @Slot(bool)
    def _on_sliders(self, dragging: bool) -> None:
        self._push()
        self._editor.request(dragging=dragging)
        codes = self._codes
        assert codes is not None
        now = (codes.shape_sigma, codes.pose_sigma)
        if not dragging and not _same(now, self._settled):
            before, self._settled = self._settled, now
            self.undo_stack.push(_SliderChange(self._apply, before, now))

    def _apply(self, state: _State) -> None:
        codes = self._codes
        if codes is None or _same((codes.shape_sigma, codes.pose_sigma), state):
            return
        codes.restore(*state)
        self._settled = state
        self._push()
        self._editor.request(dragging=False)

    def _push(self) -> None:
        """Offsets for all directions of the model: those without a slider stay zero."""
        bench, codes = self._editor.workbench, self._codes
        if bench is None or codes is None:
            return
        padded = []
        for sigma, directions in (
            (codes.shape_sigma, bench.shape_directions), (codes.pose_sigma, bench.pose_directions),
        ):  # fmt: skip
            full = np.zeros(directions.shape[:2])
            full[:, : sigma.shape[1]] = sigma
            padded.append(full)
        self._editor.set_sliders(*padded)

    def _settle(self) -> None:
        assert self._codes is not None
        self._settled = (self._codes.shape_sigma, self._codes.pose_sigma)

    @Slot(bool)
    def _on_blend(self, dragging: bool) -> None:
        self._editor.request(dragging=dragging)


def _same(a: _State, b: _State) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
