"""Runs one task's generator in a thread; progress, pause and cancel act at each report."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Qt, QThread, QTimer, Signal, Slot

from spams_core.progress import Progress, Stopped, Task, until_stopped

__all__ = ["TaskWorker"]

logger = logging.getLogger(__name__)

_DRAIN_MS = 50


class _Loop(QThread):
    """Iterates the generator. What the GUI may touch is guarded by the lock."""

    def __init__(self, task: Task[Any], name: str, every_preview: bool) -> None:
        super().__init__()
        self.setObjectName(name)
        self._task = task
        self._every_preview = every_preview
        self._changed = threading.Condition()
        self._paused = False
        self._cancelled = False
        self._newest: Progress | None = None
        self._previews: list[Mapping[str, np.ndarray[Any, Any]]] = []
        self._metrics: list[tuple[int, Mapping[str, float]]] = []
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def paused(self) -> bool:
        return self._paused

    def run(self) -> None:
        try:
            self._iterate()
        except BaseException as error:  # whatever a task raises belongs in the dialog, not in the thread
            self.error = error

    def _iterate(self) -> None:
        while True:
            with self._changed:
                while self._paused and not self._cancelled:
                    self._changed.wait()
                if self._cancelled:
                    break
            try:
                with until_stopped(lambda: self._cancelled):
                    report = next(self._task)
            except Stopped:
                return
            except StopIteration as stop:
                self.result = stop.value
                return
            with self._changed:
                self._newest = report
                if report.preview:
                    self._previews = [*(self._previews if self._every_preview else ()), report.preview]
                if report.metrics:
                    self._metrics.append((report.step, report.metrics))
        self._task.close()

    def set_paused(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def drain(
        self,
    ) -> tuple[Progress | None, list[Mapping[str, np.ndarray[Any, Any]]], list[tuple[int, Mapping[str, float]]]]:
        """Take the newest report, the previews and the figures since the last call."""
        with self._changed:
            taken = self._newest, self._previews, self._metrics
            self._newest, self._previews, self._metrics = None, [], []
        return taken


class TaskWorker(QObject):
    """One run of one task. Its owner keeps a reference until `ended`.

    Reports wait in a mailbox with one slot: the window always draws the newest and none pile up. With `every_preview`
    all previews arrive, for tasks whose previews show one frame each. `cancel` closes the generator at its next
    report. After the signals `succeeded`, `failed` or `stopped` comes `ended`, always.
    """

    progressed = Signal(object)
    previewed = Signal(object)
    measured = Signal(object)
    paused_changed = Signal(bool)
    succeeded = Signal(object)
    failed = Signal(object)
    stopped = Signal()
    ended = Signal()

    def __init__(
        self, task: Task[Any], name: str, *, every_preview: bool = False, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.name = name
        self._loop = _Loop(task, name, every_preview)
        self._loop.finished.connect(self._finish, Qt.ConnectionType.QueuedConnection)
        self._timer = QTimer(self)
        self._timer.setInterval(_DRAIN_MS)
        self._timer.timeout.connect(self._drain)
        self._over = False

    def start(self) -> None:
        """Begin; may be called once."""
        logger.info("%s: started", self.name)
        self._timer.start()
        self._loop.start(QThread.Priority.LowPriority)

    @property
    def running(self) -> bool:
        """Whether the end has not been announced yet."""
        return not self._over

    @property
    def paused(self) -> bool:
        """Whether it rests between two steps, or will after this one."""
        return self._loop.paused

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop."""
        return self._loop.cancelled

    def set_paused(self, paused: bool) -> None:
        """Rest before the next step, or go on."""
        self._loop.set_paused(paused)
        self.paused_changed.emit(paused)

    def cancel(self) -> None:
        """Close the generator at its next report; nothing half-made remains."""
        self._loop.cancel()

    def wait(self) -> None:
        """Block until the thread has ended and announce the end; for the closing window."""
        self._loop.wait()
        self._finish()

    @Slot()
    def _drain(self) -> None:
        report, previews, metrics = self._loop.drain()
        if metrics:
            self.measured.emit(metrics)
        for preview in previews:
            self.previewed.emit(preview)
        if report is not None:
            self.progressed.emit(report)

    @Slot()
    def _finish(self) -> None:
        if self._over:
            return
        self._over = True
        self._timer.stop()
        self._loop.wait()
        self._drain()
        if self._loop.error is not None:
            logger.info("%s: failed", self.name)
            self.failed.emit(self._loop.error)
        elif self._loop.cancelled and self._loop.result is None:
            logger.info("%s: cancelled", self.name)
            self.stopped.emit()
        else:
            logger.info("%s: done", self.name)
            self.succeeded.emit(self._loop.result)
        self.ended.emit()
