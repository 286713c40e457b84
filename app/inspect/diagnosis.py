"""Measures every fitted frame of the open fit, in a thread, while the workspace is in front."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.latest import Job, LatestWins
from app.session import Session

if TYPE_CHECKING:
    from spams_core.data.diagnosis import FrameDiagnosis
    from spams_core.data.fit import Fit
    from spams_core.data.sequence import DepthSequence

__all__ = ["Diagnosis"]

_TELL_MS = 120


class Diagnosis(QObject):
    """`rows` grow until every fitted frame is measured; `changed` says so some times per second."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thread = LatestWins("diagnosis", self)
        self._on = False
        self._of: tuple[Fit | None, DepthSequence | None] = (None, None)
        self.rows: dict[int, FrameDiagnosis] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TELL_MS)
        self._timer.timeout.connect(self.changed)
        session.fit_changed.connect(self._on_source)
        session.sequence_changed.connect(self._on_source)

    @property
    def complete(self) -> bool:
        """Whether every fitted frame is measured."""
        fit = self._session.fit
        return fit is not None and len(self.rows) == fit.frame_count

    def set_on(self, on: bool) -> None:
        """Measure what is not measured yet, or stop after the present frame."""
        self._on = on
        self._request()

    def close(self) -> None:
        """End the thread."""
        self._thread.close()

    @Slot(object)
    def _on_source(self, _: object) -> None:
        self.rows = {}
        self.changed.emit()
        self._request()

    def _request(self) -> None:
        fit, sequence = self._session.fit, self._session.sequence
        if fit is None or not self._on:
            self._thread.submit()
            return
        self._thread.submit(
            *(
                Job(partial(_measure, fit, row, sequence), partial(self._receive, fit, row), partial(self._fail, fit))
                for row in range(fit.frame_count)
                if row not in self.rows
            )
        )

    def _receive(self, fit: Fit, row: int, measured: FrameDiagnosis) -> None:
        if fit is self._session.fit:
            self.rows[row] = measured
            if not self._timer.isActive():
                self._timer.start()

    def _fail(self, fit: Fit, error: Exception) -> None:
        if fit is self._session.fit:
            self.failed.emit(error)


def _measure(fit: Fit, row: int, sequence: DepthSequence | None) -> FrameDiagnosis:
    from spams_core.data.diagnosis import diagnose_frame

    return diagnose_frame(fit, row, sequence)
