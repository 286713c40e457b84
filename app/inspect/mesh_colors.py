"""Colours the fitted mesh by a measure of it; the numbers come from a thread."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QObject, Signal, Slot

from app.colormap import CONFIDENCE, MAGNITUDE, Ramp
from app.latest import Job, LatestWins
from app.session import BodyPaint, Session

if TYPE_CHECKING:
    from spams_core.data.fit import Fit
    from spams_core.data.sequence import DepthSequence
    from spams_core.data.surface_values import Measure

__all__ = ["ColorBy", "MeshColors"]

ColorBy = Literal["part", "normal", "distance", "kept", "displacement", "truth"]

_AHEAD = 3
_BUDGET_BYTES = 128 << 20


class MeshColors(QObject):
    """Keeps `session.body_paint` at what is chosen, while it is switched on.

    Signals:
        changed: Another choice, another scale, or numbers of another frame.
        failed: What a computation raised.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thread = LatestWins("mesh colours", self)
        self._on = False
        self.by: ColorBy = "part"
        self._tops: dict[str, float] = {}
        self._values: OrderedDict[tuple[str, int], np.ndarray[Any, Any]] = OrderedDict()
        for changed in (session.fit_changed, session.sequence_changed):
            changed.connect(self._on_source)
        session.frame_changed.connect(self._request)
        session.replayed_changed.connect(self._on_replayed)

    def set_on(self, on: bool) -> None:
        """Paint, or leave the mesh in the colours of its parts."""
        self._on = on
        self._request()

    def set_by(self, by: ColorBy) -> None:
        """Colour by something else."""
        if by != self.by:
            self.by = by
            self._request()
            self.changed.emit()

    def possible(self, by: ColorBy) -> bool:
        """Whether what is open has this measure."""
        sequence = self._session.sequence
        truth = sequence is not None and sequence.read_ground_truth is not None
        return self._session.fit is not None and (by != "truth" or truth)

    @property
    def top(self) -> float:
        """Upper end of the colours, in the unit that is shown."""
        from spams_core.data.surface_values import MEASURES

        if self.by in ("part", "normal"):
            return 1.0
        return self._tops.get(self.by) or MEASURES[self.by].top or 100.0

    @property
    def ramp(self) -> Ramp:
        """What numbers look like."""
        return CONFIDENCE if self.by == "kept" else MAGNITUDE

    def set_top(self, top: float) -> None:
        """Stretch the colours; kept for this measure until another fit is opened."""
        if self.by not in ("part", "normal") and top != self.top:
            self._tops[self.by] = top
            self._paint()
            self.changed.emit()

    def shown(self) -> Float[np.ndarray, "V"] | None:
        """The numbers at the frame under the playhead, in the unit that is shown; None before they are known."""
        from spams_core.data.surface_values import MEASURES

        row = self._session.track_row(self._session.frame)
        values = self._values.get((self.by, row)) if row is not None else None
        return None if values is None or self.by in ("part", "normal") else values * MEASURES[self.by].scale

    def close(self) -> None:
        """End the thread."""
        self._thread.close()

    @Slot(object)
    def _on_source(self, _: object) -> None:
        self._values.clear()
        self._tops.clear()
        if not self.possible(self.by):
            self.by = "part"
        self._request()
        self.changed.emit()

    @Slot(object)
    def _on_replayed(self, body: object) -> None:
        if (body is None) == (self._session.body_paint is None):
            self._request()

    @Slot()
    def _request(self, *_: object) -> None:
        session, fit = self._session, self._session.fit
        row = session.track_row(session.frame)
        # A replayed body has no numbers: they are those of the final one.
        hidden = session.live is not None or session.replayed is not None
        if not self._on or fit is None or row is None or hidden or self.by == "part":
            session.body_paint = None
            return
        self._paint()
        wanted = (row + step for step in range(_AHEAD + 1))
        missing = [t for t in wanted if t < fit.frame_count and (self.by, t) not in self._values]
        scaled = self.by != "displacement" or self.by in self._tops
        jobs = [
            Job(
                partial(_values, fit, t, self.by, session.sequence),
                partial(self._receive, fit, self.by, t),
                self.failed.emit,
            )
            for t in missing
        ]
        if not scaled:
            jobs.insert(0, Job(partial(_range, fit), partial(self._receive_range, fit), self.failed.emit))
        self._thread.submit(*jobs)

    def _receive(self, fit: Fit, by: ColorBy, row: int, values: np.ndarray[Any, Any]) -> None:
        if fit is not self._session.fit:
            return
        self._values[by, row] = values
        while sum(kept.nbytes for kept in self._values.values()) > _BUDGET_BYTES and len(self._values) > 1:
            self._values.popitem(last=False)
        if by == self.by and row == self._session.track_row(self._session.frame):
            self._paint()
            self.changed.emit()

    def _receive_range(self, fit: Fit, top: float) -> None:
        if fit is self._session.fit and "displacement" not in self._tops:
            self._tops["displacement"] = top
            self._paint()
            self.changed.emit()

    def _paint(self) -> None:
        session, fit = self._session, self._session.fit
        row = session.track_row(session.frame)
        hidden = session.live is not None or session.replayed is not None
        if not self._on or fit is None or row is None or hidden:
            return
        if self.by == "normal":
            normals = self._values.get((self.by, row))
            colors = None if normals is None else np.rint(127.5 * (normals + 1)).astype(np.uint8)
        else:
            shown = self.shown()
            colors = None if shown is None else self.ramp.colors(shown, 0.0, self.top)
        if colors is not None:
            session.body_paint = BodyPaint(fit, row, colors)
        elif session.body_paint is not None and session.body_paint.fit is not fit:
            session.body_paint = None


def _values(fit: Fit, row: int, by: Measure | Literal["normal"], sequence: DepthSequence | None) -> Any:
    from spams_core.data.surface_values import surface_values

    if by == "normal":
        import torch

        from spams_core.geometry.mesh import vertex_normals

        return vertex_normals(torch.from_numpy(fit.vertices_world[row]), torch.from_numpy(fit.faces).long()).numpy()
    return surface_values(fit, row, by, sequence)


def _range(fit: Fit) -> float:
    """The longest way in the unit that is shown, rounded up to a number that reads well."""
    from spams_core.data.surface_values import MEASURES, displacement_range_m

    longest = max(displacement_range_m(fit) * MEASURES["displacement"].scale, 1.0)
    step = 10 ** np.floor(np.log10(longest)) / 2
    return float(np.ceil(longest / step) * step)
