"""Shows the body of the frame as it was after each round of the open fit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.edit.decoding import FULL_RESOLUTION, PREVIEW_RESOLUTION, BodyRequest, decode_body, same_codes
from app.latest import Job, LatestWins
from app.session import EditedBody, ReplayedBody, Session
from app.translation import tr

if TYPE_CHECKING:
    from app.edit.editor import Editor
    from spams_core.data.fit import Fit
    from spams_core.data.fit_history import FitHistory
    from spams_core.geometry.mesh import Mesh

__all__ = ["Replay", "step_losses"]

_ROUND_MS = 220
_CACHED_MESHES = 130
"""Two surfaces for each of at most sixty rounds."""


class Replay(QObject):
    """Keeps `session.replayed` at the round that is chosen; none is chosen until the user asks for one.

    Signals:
        changed: Another round, or whether it plays.
        source_changed: Another fit or model, so other rounds.
        failed: What decoding raised.
    """

    changed = Signal()
    source_changed = Signal()
    failed = Signal(object)

    def __init__(self, session: Session, editor: Editor, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._editor = session, editor
        self._thread = LatestWins("replay", self)
        self._meshes: dict[tuple[bytes, int], Mesh] = {}
        self._on = False
        self.round: int | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_ROUND_MS)
        self._timer.timeout.connect(self._tick)
        session.fit_changed.connect(self._on_source)
        session.live_changed.connect(self._on_live)
        session.frame_changed.connect(self._on_frame)
        editor.model_loaded.connect(self._on_source)

    # --- what there is --------------------------------------------------------------------------------------------

    @property
    def fit(self) -> Fit | None:
        """The open fit."""
        return self._session.fit

    @property
    def history(self) -> FitHistory | None:
        """The rounds of the open fit."""
        return self._session.fit.history if self._session.fit is not None else None

    @property
    def lacking(self) -> str:
        """Why there is nothing to replay; empty where there is."""
        fit, bench = self._session.fit, self._editor.workbench
        if fit is None:
            return tr("Open a fit to see how it came about.")
        if fit.history is None:
            return tr(
                "This fit keeps no rounds: it was edited, made by an earlier version, or fitted without its history."
            )
        if self._session.live is not None:
            return tr("A fit is running; its own rounds can be replayed when it is done.")
        if bench is None:
            return tr("The model is being loaded…")
        if not same_codes(bench, fit):
            return tr("The model that this fit was made with is not here, so its earlier bodies cannot be shown.")
        return ""

    @property
    def possible(self) -> bool:
        """Whether there is something to replay."""
        return not self.lacking

    @property
    def last(self) -> int:
        """Number of the last round; the start is number 0."""
        return self.history.count - 1 if self.history is not None else 0

    def text(self, number: int) -> str:
        """Round, stage and loss."""
        fit, history = self._session.fit, self.history
        if fit is None or history is None:
            return ""
        step = int(history.steps[number])
        losses = step_losses(fit)
        loss = tr(" · loss {loss:.3g}", loss=losses[step - 1]) if 0 < step <= len(losses) else ""
        return tr(
            "Round {number} of {last} · {stage}{loss}",
            number=number,
            last=self.last,
            stage=tr(history.stage(number)),
            loss=loss,
        )

    def waits(self, number: int) -> bool:
        """Whether the frame under the playhead has not moved from its start by that round, but will."""
        row, history = self._session.track_row(self._session.frame), self.history
        if row is None or history is None:
            return False
        here, end = history.index(number, row), history.index(self.last, row)
        return number > 0 and here == history.index(0, row) and here != end

    # --- choosing a round -----------------------------------------------------------------------------------------

    def set_on(self, on: bool) -> None:
        """Whether its workspace is in front; elsewhere the final body is shown."""
        self._on = on
        if not on:
            self.leave()

    def go_to(self, number: int, *, dragging: bool = False) -> None:
        """Show a round: coarsely while dragging, finely otherwise."""
        if self._on and self.possible:
            self.round = int(np.clip(number, 0, self.last))
            self._request(dragging=dragging)
            self.changed.emit()

    def leave(self) -> None:
        """Back to the body as it is now."""
        self._timer.stop()
        if self.round is None:
            return
        self.round = None
        self._thread.submit()
        self._session.replayed = None
        self.changed.emit()

    @property
    def playing(self) -> bool:
        """Whether the rounds follow each other by themselves."""
        return self._timer.isActive()

    def play(self, on: bool) -> None:
        """Go through the rounds, from the start when it stands at the end; or stop."""
        if on and self._on and self.possible:
            if self.round is None or self.round == self.last:
                self.round = 0
            self._timer.start()
            self._request(dragging=True)
        elif self.playing:
            self._timer.stop()
            self._request(dragging=False)
        self.changed.emit()

    def close(self) -> None:
        """End the thread."""
        self._timer.stop()
        self._thread.close()

    @Slot()
    def _tick(self) -> None:
        shown, number = self._session.replayed, self.round
        if number is None or shown is None or shown.round != number or shown.frame != self._session.frame:
            return  # the last one is still being decoded
        if number == self.last:
            self.play(False)
        else:
            self.go_to(number + 1, dragging=True)

    @Slot(object)
    def _on_live(self, _: object) -> None:
        if not self.possible:
            self.leave()
        self.source_changed.emit()

    @Slot(object)
    def _on_source(self, _: object) -> None:
        self.leave()
        self._meshes = {}
        self.source_changed.emit()

    @Slot(int)
    def _on_frame(self, _: int) -> None:
        if self.round is not None:
            self._request(dragging=True)
            self.changed.emit()

    # --- decoding -------------------------------------------------------------------------------------------------

    def _request(self, *, dragging: bool) -> None:
        fit, history, number, bench = self._session.fit, self.history, self.round, self._editor.workbench
        row = self._session.track_row(self._session.frame)
        if fit is None or history is None or number is None or row is None or bench is None:
            return
        index, end = history.index(number, row), history.index(history.count - 1, row)
        # Where the fit ended its own codes are known exactly, and with its shape its own mesh.
        if index is None or index == end:
            pose, turn, shift = fit.pose_codes[row], fit.root_rotation[row], fit.root_translation_m[row]
        else:
            pose = history.pose_codes[index].astype(np.float32)
            turn, shift = history.root_rotation[index], history.root_translation_m[index]
        fitted = fit if np.array_equal(history.shape_codes[number], history.shape_codes[-1]) else None
        shape = fit.shape_codes if fitted is not None else history.shape_codes[number].astype(np.float32)
        wanted = [PREVIEW_RESOLUTION]
        if not dragging:
            known = fitted is not None or (shape.tobytes(), FULL_RESOLUTION) in self._meshes
            wanted = [FULL_RESOLUTION] if known else [PREVIEW_RESOLUTION, FULL_RESOLUTION]
        jobs = []
        for resolution in wanted:
            mean = self._session.mean_body
            request = BodyRequest(self._session.frame, shape, pose, turn, shift, fitted, resolution, mean)
            deliver = partial(self._receive, fit, number)
            jobs.append(Job(partial(decode_body, bench, self._meshes, request), deliver, self._fail))
        self._thread.submit(*jobs)

    def _receive(self, fit: Fit, number: int, body: EditedBody) -> None:
        while len(self._meshes) > _CACHED_MESHES:
            self._meshes.pop(next(iter(self._meshes)))
        if fit is self._session.fit and self.round is not None:
            self._session.replayed = ReplayedBody(
                body.frame, body.canonical, body.vertices_world, body.preview, number, self.last
            )

    def _fail(self, error: Exception) -> None:
        self.leave()
        self.failed.emit(error)


def step_losses(fit: Fit) -> Float[np.ndarray, "I"]:
    """The sum of all weighted terms after each step of a fit."""
    if "total" in fit.loss_names:
        return fit.loss_history[:, fit.loss_names.index("total")]
    total: np.ndarray = np.nansum(fit.loss_history, axis=1)
    return total
