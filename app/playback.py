"""Which frame is due: a clock decides, not a counter."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

__all__ = ["Pace", "PlaybackClock"]

Pace = Literal["real time", "every frame"]
_TICK_MS = 8


class PlaybackClock(QObject):
    """Plays a range of frames.

    In `real time` the clock names the frame, and frames that could not be drawn in time are dropped and counted. At
    pace `every frame` none is skipped: the next one is due when the last one is drawn and its time is over.
    """

    frame_due = Signal(int)
    playing_changed = Signal(bool)

    def __init__(
        self, drawn: Callable[[], bool], now: Callable[[], float] = time.perf_counter, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._drawn, self._now = drawn, now
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self.tick)
        self.pace: Pace = "real time"
        self.loop = True
        self.dropped = 0
        self._fps, self._speed = 30.0, 1.0
        self._count = 0
        self._frame = 0
        self._anchor_frame, self._anchor_time = 0, 0.0

    @property
    def playing(self) -> bool:
        """Whether time runs."""
        return self._timer.isActive()

    @property
    def speed(self) -> float:
        """Recorded seconds per second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._speed = speed
        self._anchor()

    def set_range(self, count: int, fps: float) -> None:
        """Play `count` frames at `fps`."""
        self._count, self._fps = count, fps
        if count < 2:
            self.pause()

    def seek(self, frame: int) -> None:
        """Go on from another frame."""
        if frame != self._frame:
            self._frame = frame
            self._anchor()

    def play(self) -> None:
        """Run; from the start when it stands at the end."""
        if self._count < 2 or self.playing:
            return
        self.dropped = 0
        if self._frame >= self._count - 1:
            self._frame = 0
            self.frame_due.emit(0)
        self._anchor()
        self._timer.start()
        self.playing_changed.emit(True)

    def pause(self) -> None:
        """Stop where it is."""
        if self.playing:
            self._timer.stop()
            self.playing_changed.emit(False)

    def _anchor(self) -> None:
        self._anchor_frame, self._anchor_time = self._frame, self._now()

    @Slot()
    def tick(self) -> None:
        """Emit the frame that is due, if it is another one."""
        elapsed = (self._now() - self._anchor_time) * self._fps * self._speed
        if self.pace == "every frame":
            if elapsed < 1 or not self._drawn():
                return
            due = self._frame + 1
        else:
            due = self._anchor_frame + int(elapsed)
            if due == self._frame:
                return
            # The last one is still being drawn: wait, time goes on by itself.
            if not self._drawn():
                return
            last = due if self.loop else min(due, self._count - 1)
            self.dropped += max(0, last - self._frame - 1)
        if due >= self._count:
            if not self.loop:
                self._go(self._count - 1)
                self.pause()
                return
            due = due % self._count
            self._go(due)
            self._anchor()
            return
        self._go(due)
        if self.pace == "every frame":
            self._anchor()

    def _go(self, frame: int) -> None:
        if frame != self._frame:
            self._frame = frame
            self.frame_due.emit(frame)
