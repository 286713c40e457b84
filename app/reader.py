"""Reads the cloud of the frame under the playhead, ahead of it while playing, and keeps what fits a byte budget."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from PySide6.QtCore import QObject, Signal, Slot

from app.latest import Job, LatestWins
from app.session import FrameCloud, Session

if TYPE_CHECKING:
    from spams_core.data.fit import Fit
    from spams_core.data.sequence import DepthSequence

__all__ = ["CloudReader"]

_AHEAD = 6
_SAME_POINT_M = 0.03

_Labels = tuple[np.ndarray, np.ndarray, "np.ndarray | None"]
"""Labelled points [N, 3] in metres, their parts [N] and, from the segmenter, those parts' probabilities [N]."""


class CloudReader(QObject):
    """Keeps `session.cloud` at the session's frame."""

    failed = Signal(object)
    cached_changed = Signal()

    def __init__(self, session: Session, budget_bytes: int = 256 << 20, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._budget_bytes = budget_bytes
        self._thread = LatestWins("cloud reader", self)
        self._clouds: OrderedDict[int, FrameCloud] = OrderedDict()
        self._bytes = 0
        self._labels: dict[int, _Labels] = {}
        self._generation = 0
        self._direction = 1
        session.frame_changed.connect(self._on_frame)
        session.sequence_changed.connect(self._on_source)
        session.fit_changed.connect(self._on_fit)

    @property
    def cached_frames(self) -> list[int]:
        """Frames that will appear at once."""
        return sorted(self._clouds)

    @property
    def labelled_frames(self) -> list[int]:
        """Frames whose part labels are known."""
        return sorted(self._labels)

    def set_labels(
        self,
        frame: int,
        points_world: Float[np.ndarray, "N 3"],
        labels: Int[np.ndarray, "N"],
        confidences: Float[np.ndarray, "N"] | None = None,
    ) -> None:
        """Part labels of some points of a frame; the other points of that frame take their nearest neighbour's."""
        self._labels[frame] = (points_world, labels, confidences)
        self._forget(frame)
        if frame == self._session.frame:
            self._request()

    def set_budget(self, budget_bytes: int) -> None:
        """Keep as many frames as fit into so many bytes; at least one."""
        self._budget_bytes = budget_bytes
        self._shrink()
        self.cached_changed.emit()

    def _shrink(self) -> None:
        while self._bytes > self._budget_bytes and len(self._clouds) > 1:
            self._forget(next(iter(self._clouds)))

    def close(self) -> None:
        """End the thread."""
        self._thread.close()

    @Slot(object)
    def _on_source(self, _: object) -> None:
        self._labels.clear()
        self._restart()

    @Slot(object)
    def _on_fit(self, fit: Fit | None) -> None:
        if fit is not None:
            for row, frame in enumerate(fit.frame_indices.tolist()):
                seen = fit.observation(row)
                self._labels[frame] = (seen.points_world, seen.labels, None)
        self._restart()

    def _restart(self) -> None:
        self._generation += 1
        self._clouds.clear()
        self._bytes = 0
        self.cached_changed.emit()
        self._request()

    @Slot(int)
    def _on_frame(self, frame: int) -> None:
        shown = self._session.cloud
        self._direction = 1 if shown is None or frame >= shown.frame else -1
        self._request()

    def _request(self) -> None:
        session, frame = self._session, self._session.frame
        known = self._clouds.get(frame)
        if known is not None:
            self._clouds.move_to_end(frame)
            session.cloud = known
        elif session.frame_count == 0:
            session.cloud = None
        ahead = (frame + self._direction * step for step in range(_AHEAD + 1))
        self._thread.submit(
            *(self._job(t) for t in ahead if 0 <= t < session.frame_count and t not in self._clouds),
        )

    def _job(self, frame: int) -> Job:
        session, generation, labels = self._session, self._generation, self._labels.get(frame)
        return Job(
            partial(_read, session.sequence, session.fit, frame, labels),
            partial(self._receive, generation),
            partial(self._fail, generation, frame),
            (generation, frame, id(labels)),
        )

    def _receive(self, generation: int, cloud: FrameCloud | None) -> None:
        if generation != self._generation or cloud is None:
            return
        if cloud.labels is None and cloud.frame in self._labels:
            return  # read before its labels arrived; `set_labels` has asked again
        self._forget(cloud.frame)
        self._clouds[cloud.frame] = cloud
        self._bytes += _bytes(cloud)
        self._shrink()
        self.cached_changed.emit()
        if cloud.frame == self._session.frame:
            self._session.cloud = cloud

    def _fail(self, generation: int, frame: int, error: Exception) -> None:
        if generation == self._generation and frame == self._session.frame:
            self._session.cloud = None
            self.failed.emit(error)

    def _forget(self, frame: int) -> None:
        cloud = self._clouds.pop(frame, None)
        if cloud is not None:
            self._bytes -= _bytes(cloud)


def _bytes(cloud: FrameCloud) -> int:
    return sum(
        a.nbytes for a in (cloud.points_world, cloud.normals_world, cloud.labels, cloud.confidences) if a is not None
    )


def _read(
    sequence: DepthSequence | None,
    fit: Fit | None,
    frame: int,
    known: _Labels | None,
) -> FrameCloud | None:
    """The frame's cloud from the recording, or what the fit kept of it; None where there is nothing."""
    from spams_core.data.recording import read_subject
    from spams_core.geometry.nearest import nearest_within

    if sequence is None:
        rows = np.nonzero(fit.frame_indices == frame)[0] if fit is not None else np.zeros(0, dtype=int)
        if fit is None or len(rows) == 0:
            return None
        seen = fit.observation(int(rows[0]))
        return FrameCloud(frame, seen.points_world, None, seen.labels)
    subject = read_subject(sequence, frame)
    labels = confidences = None
    if known is not None and len(known[0]):
        if len(known[0]) == len(subject.points_world):
            labels, confidences = np.asarray(known[1]), known[2]
        else:
            nearest = nearest_within(subject.points_world, known[0], _SAME_POINT_M, subject.pixels)
            labels = np.where(nearest >= 0, np.asarray(known[1])[nearest], -1)
            if known[2] is not None:
                confidences = np.where(nearest >= 0, known[2][nearest], 0.0)
    return FrameCloud(frame, subject.points_world, subject.normals_world, labels, confidences)
