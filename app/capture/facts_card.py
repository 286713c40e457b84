"""The recording in figures, and what looks wrong with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QSizePolicy, QVBoxLayout

from app.latest import Job, LatestWins
from spams_core.errors import InputError

if TYPE_CHECKING:
    from app.main_window import MainWindow
    from spams_core.data.capture_facts import CaptureFacts
    from spams_core.data.sequence import DepthSequence

__all__ = ["FactsCard"]

_TITLES = ("Images", "Duration", "No reading", "Distance", "Subject", "Floor", "Camera")
_HELP = {"Subject": "Height, width and depth", "Distance": "Of the subject from the camera"}


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
        heading = QLabel("Recording")
        heading.setObjectName("heading")
        # The heading takes no room that a warning leaves. The card must not be fixed: its height would be that of
        # values in one line.
        heading.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.values = {title: QLabel("–") for title in _TITLES}
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        self.problem.hide()
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(3)
        for row, (title, value) in enumerate(self.values.items()):
            name = QLabel(title)
            name.setObjectName("muted")
            value.setWordWrap(True)
            value.setToolTip(_HELP.get(title, ""))
            name.setToolTip(_HELP.get(title, ""))
            grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1)
        grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 9, 10, 9)
        layout.setSpacing(7)
        layout.addWidget(heading)
        layout.addLayout(grid)
        layout.addWidget(self.problem)
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
            for value in self.values.values():
                value.setText("–")
            self._warn([])
            return
        self._thread.submit(
            Job(partial(_facts, sequence), partial(self._show, sequence), partial(self._fail, sequence))
        )

    def _show(self, sequence: DepthSequence, facts: CaptureFacts) -> None:
        if sequence is not self._session.sequence:
            return
        self._shown = sequence
        for title, text in _words(facts).items():
            self.values[title].setText(text)
        self._warn(facts.warnings())

    def _fail(self, sequence: DepthSequence, error: Exception) -> None:
        if not isinstance(error, InputError):
            self._window.show_error(error)
        elif sequence is self._session.sequence:
            self._warn([str(error)])

    def _warn(self, warnings: list[str]) -> None:
        self.problem.setText("\n\n".join(warnings))
        self.problem.setVisible(bool(warnings))


def _facts(sequence: DepthSequence) -> CaptureFacts:
    from spams_core.data.capture_facts import capture_facts

    return capture_facts(sequence)


def _words(facts: CaptureFacts) -> dict[str, str]:
    """Every figure as the card writes it."""
    near, far = facts.depth_range_m or (0.0, 0.0)
    width, height, depth = facts.size_m or (0.0, 0.0, 0.0)
    gaps = "" if facts.gap_share is None else f"; {100 * facts.gap_share:.0f} % within the subject"
    tilted = abs(facts.tilt_deg) >= 0.5
    way = f"{abs(facts.tilt_deg):.0f}° {'down' if facts.tilt_deg > 0 else 'up'}wards" if tilted else "level"
    above = "" if facts.camera_height_m is None else f", {facts.camera_height_m:.2f} m above the floor"
    return {
        "Images": f"{facts.width} × {facts.height} pixels",
        "Duration": f"{facts.frame_count} frames, {facts.fps:g} fps, {facts.frame_count / facts.fps:.1f} s",
        "No reading": f"{100 * facts.missing_share:.0f} % of the image{gaps}",
        "Distance": f"{near:.2f} to {far:.2f} m" if facts.depth_range_m else "no subject",
        "Subject": f"{height:.2f} × {width:.2f} × {depth:.2f} m" if facts.size_m else "none seen",
        "Floor": "found" if facts.floor_found else "none seen",
        "Camera": f"looks {way}{above}",
    }
