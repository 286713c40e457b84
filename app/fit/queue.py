"""Fits that wait for each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.fit.time_left import TimeLeft
from app.jobs import Jobs
from app.translation import ntr
from spams_core.errors import InputError
from spams_core.progress import Progress

__all__ = ["FitQueue", "QueuedRun", "RunState"]

RunState = Literal["waiting", "running", "done", "cancelled", "failed"]


@dataclass(eq=False)
class QueuedRun:
    """One fit of the queue.

    Attributes:
        settings: Frozen `FitSettings`: recording, options, output.
        frame_count: Frames it fits, to tell how long it may take.
        state: What became of it.
        report: The last report while it runs.
        reason: Why it failed.
        seconds: What it took, pauses left out.
        controls: Takes other weights while it runs.
    """

    settings: Any
    frame_count: int
    state: RunState = "waiting"
    report: Progress | None = None
    reason: str = ""
    seconds: float | None = None
    controls: Any = None
    time: TimeLeft | None = None

    @property
    def out(self) -> Path:
        """Where it is written."""
        return Path(self.settings.out)

    @property
    def left_s(self) -> float | None:
        """Seconds left while it runs and its pace is known."""
        if self.time is None or self.report is None:
            return None
        return self.time.estimate(self.report.step, self.report.total)


class FitQueue(QObject):
    """Runs fits one after another; one that is cancelled or fails does not keep the next from starting.

    Fits that are added while none runs wait for `start`; from then on all that wait follow.
    """

    changed = Signal()
    progressed = Signal(object)

    def __init__(self, jobs: Jobs, parent: QObject | None = None, now: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(parent)
        self._jobs, self._now = jobs, now
        self.runs: list[QueuedRun] = []
        self._going = False
        self._soon = QTimer(self)  # a child: it ends with the queue
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._next)
        jobs.fit_progressed.connect(self._on_progress)
        jobs.fit_paused.connect(self._on_paused)
        jobs.fit_finished.connect(self._on_finished)
        jobs.fit_failed.connect(self._on_failed)
        jobs.fit_ended.connect(self._on_ended)

    @property
    def current(self) -> QueuedRun | None:
        """The run in progress."""
        return next((run for run in self.runs if run.state == "running"), None)

    @property
    def waiting(self) -> list[QueuedRun]:
        """Those to come, in their order."""
        return [run for run in self.runs if run.state == "waiting"]

    def add(self, settings: Any, frame_count: int, *, first: bool = False) -> QueuedRun:
        """Append a fit, or put it before all that wait.

        Raises:
            InputError: Another fit of the queue is going to be written to the same folder.
        """
        if any(run.out.absolute() == Path(settings.out).absolute() for run in self.pending):
            raise InputError(
                f"{settings.out} is where another fit of the queue goes. Choose another folder to save to."
            )
        run = QueuedRun(settings, frame_count)
        self.runs.insert(self.runs.index(self.waiting[0]) if first and self.waiting else len(self.runs), run)
        self.changed.emit()
        return run

    @property
    def pending(self) -> list[QueuedRun]:
        """Those that run or wait."""
        return [run for run in self.runs if run.state in ("running", "waiting")]

    @Slot()
    def start(self) -> None:
        """Run all that wait, one after another."""
        self._going = True
        self._next()

    def close(self) -> None:
        """Start nothing more."""
        self._going = False
        self.runs = [run for run in self.runs if run.state != "waiting"]

    def told(self) -> str:
        """What would be lost, for the question before the window closes."""
        count = len(self.waiting)
        return ntr("{count} fit waits in the queue. ", "{count} fits wait in the queue. ", count) if count else ""

    def remove(self, run: QueuedRun) -> None:
        """Take out a run that waits or is over; the one in progress is cancelled instead."""
        if run in self.runs and run.state != "running":
            self.runs.remove(run)
            self.changed.emit()

    def move(self, run: QueuedRun, by: int) -> None:
        """Let a waiting run start so many places later, or earlier."""
        waiting = self.waiting
        if run not in waiting:
            return
        place = waiting.index(run)
        other = waiting[min(max(place + by, 0), len(waiting) - 1)]
        if other is not run:
            self.runs.remove(run)
            self.runs.insert(self.runs.index(other) + (1 if by > 0 else 0), run)
            self.changed.emit()

    def left_s(self) -> float | None:
        """Seconds until the last one is done; None while no pace is known for one of them."""
        total = 0.0
        for run in self.pending:
            left = run.left_s if run.state == "running" else self._expected_s(run)
            if left is None:
                return None
            total += left
        return total

    def _expected_s(self, run: QueuedRun) -> float | None:
        """By the pace of the runs with the same preset before it."""
        paces = []
        for known in self.runs:
            if known.settings.preset == run.settings.preset and known.settings.solve == run.settings.solve:
                if known.state == "done" and known.seconds is not None:
                    paces.append(known.seconds / max(1, known.frame_count))
                elif known.time is not None and (left := known.left_s) is not None:
                    paces.append((known.time.elapsed + left) / max(1, known.frame_count))
        return paces[-1] * run.frame_count if paces else None

    @Slot()
    def _next(self) -> None:
        if self._jobs.fitting is not None:
            return
        if not self._going or not self.waiting:
            self._going = False
            self.changed.emit()
            return
        from spams_core.tasks.fit import Controls

        run = self.waiting[0]
        run.state, run.controls, run.time = "running", Controls(), TimeLeft(self._now)
        self.changed.emit()
        self._jobs.start_fit(run.settings, run.controls)

    @Slot(object)
    def _on_progress(self, report: Progress) -> None:
        run = self.current
        if run is not None:
            run.report = report
            self.progressed.emit(run)

    @Slot(bool)
    def _on_paused(self, paused: bool) -> None:
        if self.current is not None and self.current.time is not None:
            self.current.time.set_paused(paused)
            self.changed.emit()

    @Slot(object, object)
    def _on_finished(self, *_: object) -> None:
        self._close("done")

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        run = self.current
        if run is not None:
            run.reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            self._close("failed")

    def _close(self, state: RunState) -> None:
        run = self.current
        if run is not None:
            run.seconds = run.time.elapsed if run.time is not None else None
            run.state, run.time, run.controls, run.report = state, None, None, None
            self.changed.emit()

    @Slot()
    def _on_ended(self) -> None:
        self._close("cancelled")  # unless it has been closed already
        self._soon.start()
