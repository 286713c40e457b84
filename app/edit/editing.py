"""Every edit is a step from one state to the next, on the undo stack."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QUndoCommand, QUndoStack

from app.edit.editor import Codes, Editor
from app.edit.state import KIND_NAMES, EditState, Kind, Pin, PoseEdit, same_state
from app.edit.stored import StateSizes, state_from_data, state_to_data
from app.session import Session
from app.translation import tr
from spams_core.errors import InputError

if TYPE_CHECKING:
    from spams_core.data.fit import Fit
    from spams_core.tasks.edit import Workbench

__all__ = ["Editing"]

_RANDOM_LIMIT_SIGMA = 2.5


class _Step(QUndoCommand):
    def __init__(self, text: str, apply: Callable[[EditState], None], before: EditState, after: EditState) -> None:
        super().__init__(text)
        self._apply, self._before, self._after = apply, before, after

    def undo(self) -> None:
        self._apply(self._before)

    def redo(self) -> None:
        self._apply(self._after)


class Editing(QObject):
    """What the panels of the workspace do. They show `state` whenever `changed` is emitted.

    An edit with `dragging` shows at once and is no step yet; the same edit without it, at the end, is one.
    """

    changed = Signal(object)
    model_changed = Signal(object)

    def __init__(self, session: Session, editor: Editor, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._editor = session, editor
        self.symmetric = False
        """Whether what is done to a limb is done to the opposite one, mirrored."""
        self.suggested: dict[str, Codes] = {}
        """Bodies for the slots A and B that nobody chose."""
        self.undo_stack = QUndoStack(self)
        self._settled = self.state = EditState.neutral()
        self._data: tuple[EditState, Fit | None, Mapping[str, Any] | None] = (self.state, None, None)
        editor.model_loaded.connect(self._on_model)
        session.fit_changed.connect(self._on_fit)
        session.frame_changed.connect(self._on_frame)

    # --- what is known --------------------------------------------------------------------------------------------

    def body(self, slot: str) -> Codes | None:
        """The body in slot A or B: chosen, or suggested."""
        chosen = self.state.a if slot == "A" else self.state.b
        return chosen or self.suggested.get(slot)

    def opposite(self, part: int) -> int | None:
        """The part on the other side."""
        return self._editor.opposite_part(part)

    def suggest(self) -> None:
        """Bodies for A and B: the fit, or the mean body, against another."""
        if self._editor.workbench is None:
            return
        fitted = self._editor.fit_codes()
        self.suggested = {
            "A": fitted or self._editor.mean_codes(),
            "B": self._editor.mean_codes() if fitted is not None else self._editor.random_codes(0),
        }
        self.changed.emit(self.state)

    @Slot(object)
    def _on_model(self, bench: Workbench) -> None:
        self._forget()
        self.model_changed.emit(bench)
        self.suggest()

    @Slot(object)
    def _on_fit(self, _: object) -> None:
        self._forget()
        self.changed.emit(self.state)
        self.suggest()

    @Slot(int)
    def _on_frame(self, _: int) -> None:
        """Between keyframes each frame has its own edit."""
        self.changed.emit(self.state)

    def _forget(self) -> None:
        """Another model or fit: the old edits mean nothing any more."""
        bench = self._editor.workbench
        sizes = [self.state.shape_sigma.shape, self.state.pose.sigma.shape]
        if bench is not None:
            sizes = [directions.shape[:2] for directions in (bench.shape_directions, bench.pose_directions)]
        self.undo_stack.clear()
        self.suggested = {}
        self._settled = self.state = EditState.neutral(*sizes)
        self._editor.set_state(self.state)
        self._editor.request(dragging=False)

    # --- edits ----------------------------------------------------------------------------------------------------

    def to_data(self) -> Mapping[str, Any] | None:
        """The last step's state, for a project; None where nothing is changed. The same state gives the same object."""
        fit = self._session.fit
        if self._data[0] is not self._settled or self._data[1] is not fit:
            self._data = (self._settled, fit, state_to_data(self._settled, self._editor.fit_codes()))
        return self._data[2]

    def restore(self, data: Mapping[str, Any]) -> None:
        """Show what a project keeps; there is nothing to undo then.

        Raises:
            InputError: The model is not loaded, or the data are damaged or belong to another one.
        """
        bench = self._editor.workbench
        if bench is None:
            raise InputError("The edits of this project need the body model, which could not be loaded.")
        sizes = StateSizes(
            bench.shape_directions.shape[:2], bench.pose_directions.shape[:2], bench.mean_shape.shape,
            bench.mean_pose.shape,
        )  # fmt: skip
        state = state_from_data(data, sizes, self._editor.fit_codes())
        self.undo_stack.clear()
        self._settled = state
        self._show(state, dragging=False)

    def _change(self, state: EditState, text: str, *, dragging: bool = False) -> None:
        """Show a state and, unless it is still being dragged, remember the way to it.

        While a model is being loaded nothing can be edited.
        """
        if self._editor.workbench is None:
            self.changed.emit(self.state)
        elif dragging:
            self._show(state, dragging=True)
        elif not same_state(state, self._settled):
            before, self._settled = self._settled, state
            self._show(state, dragging=False)
            self.undo_stack.push(_Step(text, self._apply, before, state))
        else:
            self._show(state, dragging=False)

    def _apply(self, state: EditState) -> None:
        if state is not self.state:
            self._settled = state
            self._show(state, dragging=False)

    def _show(self, state: EditState, *, dragging: bool) -> None:
        self.state = state
        self._editor.set_state(state)
        self._editor.request(dragging=dragging)
        self.changed.emit(state)

    @Slot()
    def reset(self) -> None:
        """Back to the body as it was fitted; the bodies A and B stay where they are."""
        plain = EditState.neutral(self.state.shape_sigma.shape, self.state.pose.sigma.shape)
        kept = {
            name: getattr(self.state, name) for name in ("a", "b", "shape_parts", "pose_parts", "spherical", "held")
        }
        self._change(dataclasses.replace(plain, **kept), "reset")

    def move_slider(self, kind: Kind, part: int, direction: int, sigma: float, *, dragging: bool = False) -> None:
        """Set one deviation of a part; with `symmetric` the opposite part moves by the mirrored difference."""
        old = self.sigma(kind)
        new = old.copy()
        new[part, direction] = sigma
        other = self._editor.opposite_part(part) if self.symmetric else None
        if other is not None:
            new[other] = old[other] + self._editor.mirror(kind)[part] @ (new[part] - old[part])
        self._change(self._with_sigma(kind, new), tr("{kind} slider", kind=KIND_NAMES[kind]), dragging=dragging)

    def reset_part(self, part: int) -> None:
        """All deviations of a part to 0, and with `symmetric` those of the opposite one."""
        parts = [q for q in (part, self._editor.opposite_part(part) if self.symmetric else None) if q is not None]
        shape, pose = self.sigma("shape").copy(), self.sigma("pose").copy()
        shape[parts] = pose[parts] = 0.0
        self._change(self._with_sigma("pose", pose, self._with_sigma("shape", shape)), tr("reset part"))

    def randomise(self, kinds: Sequence[Kind], part: int | None, seed: int) -> None:
        """Draw deviations from a normal distribution, cut at 2.5; the same seed gives the same body.

        Args:
            part: The part to change, or None for all.
        """
        random, state = np.random.default_rng(seed), self.state
        for kind in kinds:
            sigma = self.sigma(kind).copy()
            drawn = np.clip(random.normal(size=sigma.shape), -_RANDOM_LIMIT_SIGMA, _RANDOM_LIMIT_SIGMA)
            for q in range(len(sigma)) if part is None else [part]:
                sigma[q] = drawn[q]
                other = self._editor.opposite_part(q) if self.symmetric else None
                if other is not None:
                    sigma[other] = self._editor.mirror(kind)[q] @ sigma[q]
            state = self._with_sigma(kind, sigma, state)
        self._change(state, "randomise")

    def shift_on_map(self, kind: Kind, shift: tuple[float, float], *, dragging: bool = False) -> None:
        """Set the shift of shape or pose along the two axes of the map, in standard deviations."""
        if kind == "shape":
            state = dataclasses.replace(self.state, shape_shift=shift)
        else:
            edit = dataclasses.replace(self.state.pose_edit(self._session.frame), shift=shift)
            state = self.state.with_pose_edit(self._session.frame, edit)
        self._change(state, tr("{kind} on the map", kind=KIND_NAMES[kind]), dragging=dragging)

    def take(self, slot: str, codes: Codes) -> None:
        """Put a body into slot A or B."""
        body: dict[str, Any] = {slot.lower(): codes}
        self._change(dataclasses.replace(self.state, **body), tr("body {slot}", slot=slot))

    def set_blend(self, *, dragging: bool = False, **fields: Any) -> None:
        """Change how A and B are blended, by the names of `EditState`, and show the blend."""
        a, b = self.body("A"), self.body("B")
        if a is not None and b is not None:
            state = dataclasses.replace(self.state, a=a, b=b, blending=True, **fields)
            self._change(state, tr("blend"), dragging=dragging)

    def choose_part(self, kind: Kind, part: int, goes: bool) -> None:
        """Whether a part goes to B or stays at A. A blend that still stands at A goes to B, so that one sees it."""
        count = len(self.state.shape_sigma)
        chosen = list(getattr(self.state, f"{kind}_parts") or (True,) * count)
        chosen[part] = goes
        amount = getattr(self.state, f"{kind}_amount") or 1.0
        fields: dict[str, Any] = {f"{kind}_parts": tuple(chosen), f"{kind}_amount": amount}
        self.set_blend(**fields)

    @Slot()
    def pin(self) -> None:
        """Make the frame under the playhead a keyframe of the pose edit."""
        frame = self._session.frame
        self._change(self.state.with_key(frame, self.state.pose_edit(frame)), tr("keyframe"))

    @Slot()
    def unpin(self) -> None:
        """Take the keyframe under the playhead away."""
        self._change(self.state.without_key(self._session.frame), tr("remove keyframe"))

    def held(self, reach: int) -> EditState:
        """The state with which a pull begins: keyframes `reach` frames before and after hold what is there now.

        Args:
            reach: 0 adds none.
        """
        frame, state = self._session.frame, self.state
        if reach > 0:
            ends = [frame - reach, frame + reach]
            edits = [self.state.pose_edit(at) for at in (*ends, frame)]
            for at, edit in zip((*ends, frame), edits, strict=True):
                if 0 <= at < max(1, self._session.frame_count):
                    state = state.with_key(at, edit)
        return state

    def pull(self, start: EditState, frame: int, sigma: np.ndarray[Any, Any], *, dragging: bool) -> None:
        """Set the pose deviations at a frame, on top of the state in which a pull began."""
        edit = start.pose_edit(frame)
        self._change(start.with_pose_edit(frame, PoseEdit(sigma, edit.shift)), tr("pull"), dragging=dragging)

    def add_pin(self, pin: Pin) -> None:
        """Keep a point where it is."""
        self._change(dataclasses.replace(self.state, pins=(*self.state.pins, pin)), tr("pin a point"))

    def remove_pins(self, pins: Collection[Pin]) -> None:
        """Let points go; the body stays as it is."""
        rest = tuple(other for other in self.state.pins if other not in pins)
        self._change(dataclasses.replace(self.state, pins=rest), tr("remove pin"))

    @Slot()
    def clear_pins(self) -> None:
        """Let all points go, in every frame."""
        self._change(dataclasses.replace(self.state, pins=()), tr("clear pins"))

    def hold_part(self, part: int, held: bool) -> None:
        """Whether a part stays where it is while others are pulled."""
        parts = set(self.state.held) | {part} if held else set(self.state.held) - {part}
        self._change(
            dataclasses.replace(self.state, held=tuple(sorted(parts))), tr("hold part") if held else tr("free part")
        )

    @property
    def key_frames(self) -> list[int]:
        """Frames with a keyframe."""
        return [key.frame for key in self.state.keys]

    def sigma(self, kind: Kind) -> np.ndarray[Any, Any]:
        """Deviations [Q, K] at the playhead."""
        return self.state.shape_sigma if kind == "shape" else self.state.pose_edit(self._session.frame).sigma

    def _with_sigma(self, kind: Kind, sigma: np.ndarray[Any, Any], state: EditState | None = None) -> EditState:
        state = state or self.state
        if kind == "shape":
            return dataclasses.replace(state, shape_sigma=sigma)
        frame = self._session.frame
        return state.with_pose_edit(frame, PoseEdit(sigma, state.pose_edit(frame).shift))
