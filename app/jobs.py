"""The long tasks that the window runs: fitting, labelling, exporting. One in the foreground, labelling behind it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.reader import CloudReader
from app.session import LiveFit, Session
from app.translation import tr
from app.worker import TaskWorker
from spams_core.progress import Progress, Task
from spams_core.tasks import TASKS

if TYPE_CHECKING:
    from spams_core.data.fit import Fit
    from spams_core.data.sequence import DepthSequence

__all__ = ["Jobs", "run_task"]

logger = logging.getLogger(__name__)

_LET_GO_MS = 300


class Jobs(QObject):
    """Starts workers, keeps them alive until they have ended, and puts what they make into the session."""

    changed = Signal()
    fit_started = Signal()
    fit_progressed = Signal(object)
    fit_measured = Signal(object)
    fit_paused = Signal(bool)
    fit_ended = Signal()
    fit_failed = Signal(object)
    fit_finished = Signal(object, object)
    fit_stopped = Signal(object)
    exported = Signal(object)
    failed = Signal(object)
    notice = Signal(str)

    def __init__(self, session: Session, reader: CloudReader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._reader = session, reader
        self._workers: list[TaskWorker] = []
        self.fitting: TaskWorker | None = None
        self.labelling: TaskWorker | None = None
        self.show_live = True
        """Whether the running fit's mesh is what the window shows."""

    @property
    def running(self) -> list[TaskWorker]:
        """All workers whose thread has not ended."""
        return list(self._workers)

    @property
    def foreground(self) -> list[TaskWorker]:
        """Workers whose result the user waits for."""
        return [worker for worker in self._workers if worker is not self.labelling and not worker.cancelled]

    def start_fit(self, settings: Any, controls: Any = None) -> None:
        """Run a fit with live mesh and live figures; controls may change its weights meanwhile."""
        assert self.fitting is None
        sequence = self._session.sequence
        self.show_live = sequence is not None and sequence.path == settings.sequence
        worker = self.fitting = self._launch(
            "fit", run_task("fit", settings, *([controls] if controls is not None else []))
        )
        worker.progressed.connect(partial(self._if_fitting, worker, self.fit_progressed.emit))
        worker.measured.connect(partial(self._if_fitting, worker, self.fit_measured.emit))
        worker.previewed.connect(partial(self._if_fitting, worker, self._on_live))
        worker.paused_changed.connect(self.fit_paused)
        worker.succeeded.connect(partial(self._on_fitted, worker, settings.out))
        worker.failed.connect(partial(self._on_fit_failed, worker))
        worker.stopped.connect(partial(self.fit_stopped.emit, settings.out))
        worker.ended.connect(partial(self._leave_fit, worker))
        self.fit_started.emit()
        worker.start()

    def cancel_fit(self) -> None:
        """Stop the fit; its rounds are kept to be continued, and `fit_stopped` tells when that is done.

        The generator closes at its next report. A step of a long recording takes longer than a user should wait, so
        the window lets go of it after a moment and the step ends by itself.
        """
        if self.fitting is not None:
            self.fitting.cancel()
            QTimer.singleShot(_LET_GO_MS, partial(self._leave_fit, self.fitting))

    def start_labelling(self, sequence: DepthSequence, first: int) -> None:
        """Label the recording's points in the background, the visible frame first."""
        self.stop_labelling()
        worker = self.labelling = self._launch("labels", _label(sequence, first), every_preview=True)
        worker.previewed.connect(partial(self._on_labels, worker))
        worker.succeeded.connect(partial(self._on_labelled, worker))
        worker.failed.connect(self._on_labelling_failed)
        worker.ended.connect(partial(self._on_labelling_ended, worker))
        worker.start()

    def stop_labelling(self) -> None:
        """End the labelling; what is labelled stays."""
        if self.labelling is not None:
            self.labelling.cancel()

    def run_export(self, task: Task[Path]) -> TaskWorker:
        """Run anything that writes a path; the worker tells how it gets on."""
        worker = self._launch("export", task)
        worker.progressed.connect(self._on_export_progress)
        worker.succeeded.connect(self.exported)
        worker.failed.connect(self.failed)
        worker.start()
        return worker

    def cancel_all(self) -> None:
        """Ask every worker to stop and wait until they have."""
        for worker in self.running:
            worker.cancel()
        for worker in self.running:
            worker.wait()

    def _launch(self, name: str, task: Task[Any], *, every_preview: bool = False) -> TaskWorker:
        worker = TaskWorker(task, name, every_preview=every_preview, parent=self)
        self._workers.append(worker)
        worker.ended.connect(partial(self._release, worker))
        self.changed.emit()
        return worker

    def _release(self, worker: TaskWorker) -> None:
        self._workers.remove(worker)
        worker.deleteLater()
        self.changed.emit()

    # --- fit ----------------------------------------------------------------------------------------------------

    def _if_fitting(self, worker: TaskWorker, receive: Callable[[Any], None], value: Any) -> None:
        """Hand on what the running fit says; a fit that was let go of is not heard any more."""
        if worker is self.fitting:
            receive(value)

    def _on_live(self, preview: Mapping[str, np.ndarray[Any, Any]]) -> None:
        if not self.show_live:
            return
        self._session.live = LiveFit(
            preview["frame_indices"], preview["vertices_world"], preview["faces"], preview["vertex_parts"]
        )

    def _on_fitted(self, worker: TaskWorker, path: Path, fit: Fit) -> None:
        if worker is self.fitting:
            self.fit_finished.emit(fit, path)
        else:
            self.notice.emit(tr("The fit was done before it could be cancelled; it is in {path}", path=path))

    def _on_fit_failed(self, worker: TaskWorker, error: Exception) -> None:
        if worker is self.fitting:
            self.fit_failed.emit(error)
        self.failed.emit(error)

    def _leave_fit(self, worker: TaskWorker) -> None:
        if worker is not self.fitting:
            return
        self.fitting = None
        self._session.live = None
        if worker.cancelled and worker.running:
            self.notice.emit(tr("Fit cancelled."))
        self.fit_ended.emit()
        self.changed.emit()

    # --- labels -------------------------------------------------------------------------------------------------

    def _on_labels(self, worker: TaskWorker, preview: Mapping[str, np.ndarray[Any, Any]]) -> None:
        if worker is self.labelling and "points_world" in preview:
            self._reader.set_labels(
                int(preview["frame"][0]), preview["points_world"], preview["labels"], preview.get("confidences")
            )

    def _on_labelled(self, worker: TaskWorker, segmentation: Any) -> None:
        if worker is self.labelling and segmentation is not None and not self._session.part_names:
            self._session.part_names = segmentation.part_names

    @Slot(object)
    def _on_labelling_failed(self, error: Exception) -> None:
        # Nobody asked for the labels: colours by depth remain, and the status line says why.
        logger.warning("labelling failed: %s", error)
        self.notice.emit(tr("Parts are not labelled: {error}", error=error))

    def _on_labelling_ended(self, worker: TaskWorker) -> None:
        if worker is self.labelling:
            self.labelling = None

    @Slot(object)
    def _on_export_progress(self, report: Progress) -> None:
        self.notice.emit(tr("Exporting: {message}", message=report.message))


def run_task(name: str, settings: Any, *others: Any) -> Task[Any]:
    """A task by name; its module, and with it the numerics, is imported at the first step, in the worker's thread."""
    return (yield from TASKS[name].function(settings, *others))


def _label(sequence: DepthSequence, first: int) -> Generator[Progress, None, Any]:
    own = {} if sequence.subject is None else {"subject": sequence.subject}
    settings = TASKS["segment"].settings(sequence=sequence.path, reading=sequence.reading, saved="ignore", **own)
    yield from TASKS["segment"].function(dataclasses.replace(settings, frames=str(first)))
    return (yield from TASKS["segment"].function(settings))
