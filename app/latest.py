"""A thread for short computations of which only the newest matters: reading a frame, decoding a slider's body."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Qt, QThread, Signal, Slot

from spams_core.progress import until_stopped

__all__ = ["Job", "LatestWins"]


@dataclass(frozen=True)
class Job:
    """A computation and what to do with its outcome.

    Attributes:
        compute: Runs in the thread; touches neither Qt nor VTK.
        deliver: Gets the result in the GUI thread.
        fail: Gets what `compute` raised, in the GUI thread.
        key: Jobs of the same key, unless that is None, do the same: one that is running is not begun again.
    """

    compute: Callable[[], Any]
    deliver: Callable[[Any], None]
    fail: Callable[[Exception], None]
    key: Hashable = None


class _Loop(QThread):
    delivered = Signal(object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._closed = False

    def submit(self, jobs: Sequence[Job]) -> None:
        with self._changed:
            running = None if self._running is None else self._running.key
            self._waiting = [job for job in jobs if job.key is None or job.key != running]
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting = []
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        with self._changed:
            return not self._waiting and self._running is None

    def run(self) -> None:
        while True:
            with self._changed:
                self._running = None
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                self._running = job = self._waiting.pop(0)
            try:
                with until_stopped(lambda: self._closed):
                    outcome = (job.deliver, job.compute())
            except Exception as error:  # handed on to the job's owner
                outcome = (job.fail, error)
            self.delivered.emit(outcome)


class LatestWins(QObject):
    """One mailbox slot: submitting replaces whatever has not been started yet."""

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._loop = _Loop(name)
        self._loop.delivered.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def submit(self, *jobs: Job) -> None:
        """Replace the waiting jobs by these; the first is wanted now, the rest in order when nothing newer comes."""
        self._loop.submit(jobs)
        if not self._loop.isRunning() and not self._closed:
            self._loop.start()

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return self._loop.idle

    def close(self) -> None:
        """Drop what waits, let the running job end, at its next `check_stop` where it has one, and end the thread."""
        self._closed = True
        self._loop.stop()
        self._loop.wait()

    @Slot(object)
    def _deliver(self, outcome: tuple[Callable[[Any], None], Any]) -> None:
        receive, value = outcome
        if not self._closed:
            receive(value)
