"""The recording in figures, and what looks wrong with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout

from app.capture.findings_view import FindingsView
from app.latest import Job, LatestWins
from app.translation import tr
from spams_core.errors import InputError

if TYPE_CHECKING:
    from app.main_window import MainWindow
    from spams_core.data.doctor import Findings
    from spams_core.data.sequence import DepthSequence

__all__ = ["FactsCard"]

_FOLDED = (
    "Format", "Intrinsics", "Depth scale", "People", "Clipping", "Image's edge", "Mirrored", "Timestamps", "Note",
    *(f"Note {number}" for number in range(1, 10)),
)  # fmt: skip
"""Of what is wrong among these a warning tells."""


class FactsCard(QFrame):
    """Measures the open recording in a thread, again when its subject changes."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__()
        self._session = window.session
        self._window = window
        self._thread = LatestWins("capture facts", self)
        self._active = False
        self._shown: DepthSequence | None = None
        self.setObjectName("card")
        heading = QLabel(tr("Recording"))
        heading.setObjectName("heading")
        # The heading takes no room that a warning leaves. The card must not be fixed: its height would be that of
        # values in one line.
        heading.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.view = FindingsView(_FOLDED)
        self.reading = QToolButton()
        self.reading.setDefaultAction(window.commands.actions["capture.reading"])
        top = QHBoxLayout()
        top.addWidget(heading, 1)
        top.addWidget(self.reading)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 9, 10, 9)
        layout.setSpacing(7)
        layout.addLayout(top)
        layout.addLayout(self.view)
        self._session.sequence_changed.connect(self._measure)

    def set_active(self, active: bool) -> None:
        """Measure only while the card can be seen."""
        self._active = active
        self._measure()

    def close_thread(self) -> None:
        """End the thread."""
        self._thread.close()

    @Slot()
    def _measure(self, *_: object) -> None:
        sequence = self._session.sequence
        if not self._active or sequence is self._shown:
            return
        if sequence is None:
            self._shown = None
            self.view.show_findings(None)
            return
        fit = self._session.fit  # of another kind of subject than people, perhaps
        enlarged = 1.0 if fit is None else fit.enlargement
        self._thread.submit(
            Job(partial(_examine, sequence, enlarged), partial(self._show, sequence), partial(self._fail, sequence))
        )

    def _show(self, sequence: DepthSequence, findings: Findings) -> None:
        if sequence is self._session.sequence:
            self._shown = sequence
            self.view.show_findings(findings)

    def _fail(self, sequence: DepthSequence, error: Exception) -> None:
        if not isinstance(error, InputError):
            self._window.show_error(error)
        elif sequence is self._session.sequence:
            self.view.warn([str(error)])


def _examine(sequence: DepthSequence, enlarged: float) -> Findings:
    from spams_core.data.doctor import LOOKED_AT, examine
    from spams_core.progress import run_to_end

    return run_to_end(examine(sequence, LOOKED_AT, enlarged))
