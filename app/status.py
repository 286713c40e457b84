"""The status line: device, frame, points, residual, the time of the last drawn frame and the memory in use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import psutil
from PySide6.QtCore import QRect, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QStatusBar, QWidget

from app.session import Session
from app.translation import tr
from app.units import length_text

__all__ = ["StatusLine"]

_FRAME_TIME_EVERY_MS = 250
_MEMORY_EVERY = 4
_EDGE = 6


class StatusLine(QStatusBar):
    """Facts at the right, messages at the left; one that is too long ends in an ellipsis, and its tooltip has it all.

    Signals:
        message_clicked: The user wants to read more.
    """

    message_clicked = Signal()

    def __init__(self, session: Session, frame_time_ms: Callable[[], float], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._frame_time_ms = session, frame_time_ms
        self.setSizeGripEnabled(False)
        self.facts: dict[str, QLabel] = {}
        for name, hint in (
            ("device", tr("Where tensors are computed")),
            ("frame", tr("Frame under the playhead")),
            ("points", tr("Observed points of the subject in this frame")),
            ("residual", tr("Median distance of the observed points to the fitted surface in this frame")),
            ("drawing", tr("Time to draw the last picture")),
            ("memory", tr("Memory that this program occupies")),
        ):
            label = self.facts[name] = QLabel()
            label.setToolTip(hint)
            self.addPermanentWidget(label)
        for changed in (session.frame_changed, session.cloud_changed, session.fit_changed, session.device_changed):
            changed.connect(self.refresh)
        session.sequence_changed.connect(self.refresh)
        session.live_changed.connect(self.refresh)
        session.unit_changed.connect(self.refresh)
        self._told = self._cut = ""
        self._expiry = QTimer(self)
        self._expiry.setSingleShot(True)
        self._expiry.timeout.connect(self._on_expired)
        self.messageChanged.connect(self._on_message)
        self._ticks = 0
        self._process = psutil.Process()
        self._timer = QTimer(self)
        self._timer.setInterval(_FRAME_TIME_EVERY_MS)
        self._timer.timeout.connect(self._on_timer)
        self._timer.start()
        self.refresh()

    # --- messages -------------------------------------------------------------------------------------------------

    def message_area(self) -> QRect:
        """Room for a message, left of the facts."""
        shown = [label.x() for label in self.facts.values() if label.isVisible()]
        return QRect(_EDGE, 0, max(0, min([self.width(), *shown]) - 3 * _EDGE), self.height())

    def tell(self, text: str, milliseconds: int) -> None:
        """Show a message for some time, on one line, whatever a library's message holds."""
        self._told = " ".join(text.split())
        self._expiry.start(milliseconds)
        self._show_told()

    def message_on_screen(self) -> str:
        """What can be read of the message."""
        return self.currentMessage()

    def _show_told(self) -> None:
        room = self.message_area().width()
        self._cut = self.fontMetrics().elidedText(self._told, Qt.TextElideMode.ElideRight, room)
        self.showMessage(self._cut)

    @Slot()
    def _on_expired(self) -> None:
        if self.currentMessage() == self._cut:
            self.clearMessage()

    @Slot(str)
    def _on_message(self, text: str) -> None:
        full = self._told if text == self._cut else text
        self.setToolTip(tr("{full}\nClick to see it in the log.", full=full) if text else "")
        self.setCursor(Qt.CursorShape.PointingHandCursor if text else Qt.CursorShape.ArrowCursor)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A message has other room."""
        super().resizeEvent(event)
        if self._cut and self.currentMessage() == self._cut:
            self._show_told()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click upon the message."""
        place = event.position().toPoint()
        left = event.button() == Qt.MouseButton.LeftButton
        if left and self.currentMessage() and self.message_area().contains(place):
            self.message_clicked.emit()

    # --- facts ----------------------------------------------------------------------------------------------------

    @Slot()
    def refresh(self, *_: object) -> None:
        """Write the facts anew."""
        session, count = self._session, self._session.frame_count
        self.facts["device"].setText(session.device)
        self.facts["frame"].setText(tr("frame {frame} / {last}", frame=session.frame, last=count - 1) if count else "")
        shown = session.cloud is not None and session.cloud.frame == session.frame
        points = len(session.cloud.points_world) if session.cloud is not None and shown else 0
        self.facts["points"].setText(tr("{count:,} points", count=points) if points else "")
        residual = self.residual_mm()
        self.facts["residual"].setText(
            tr("{length} residual", length=length_text(1e-3 * residual, session.unit)) if residual is not None else ""
        )
        for label in self.facts.values():
            label.setVisible(bool(label.text()))

    def residual_mm(self) -> float | None:
        """The open fit's residual in this frame."""
        fit = self._session.fit
        if fit is None or self._session.live is not None:
            return None
        rows = np.nonzero(np.asarray(fit.frame_indices) == self._session.frame)[0]
        value = 1e3 * float(fit.residual_m[rows[0]]) if len(rows) else float("nan")
        return value if np.isfinite(value) else None

    @Slot()
    def _on_timer(self) -> None:
        milliseconds = self._frame_time_ms()
        self.facts["drawing"].setText(f"{milliseconds:.0f} ms" if milliseconds else "")
        self.facts["drawing"].setVisible(bool(milliseconds))
        if self._ticks % _MEMORY_EVERY == 0:
            self.facts["memory"].setText(f"{self._process.memory_info().rss / 2**20:,.0f} MB")
            self.facts["memory"].show()
        self._ticks += 1
