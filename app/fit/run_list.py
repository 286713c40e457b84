"""Keeps the list of the open recording's fits up to date, read in a thread."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from app.fit.runs import Run, find_runs
from app.latest import Job, LatestWins
from app.translation import tr

if TYPE_CHECKING:
    from app.fit.queue import FitQueue
    from app.fit.runs_panel import RunsPanel
    from app.main_window import MainWindow

__all__ = ["RunList"]


class RunList(QObject):
    """Between the folders on disk, the names in the preferences, and the panel."""

    shown = Signal(object)

    def __init__(self, window: MainWindow, queue: FitQueue) -> None:
        super().__init__(window)
        self._window, self._queue = window, queue
        self._panel: RunsPanel | None = None
        self._runs: list[Run] = []
        self._thread = LatestWins("runs", self)
        window.session.sequence_changed.connect(self.refresh)
        window.session.fit_path_changed.connect(self.refresh)
        queue.changed.connect(self._on_queue)
        self._known: tuple[int, set[Path]] = (0, set())

    def attach(self, panel: RunsPanel) -> None:
        """Take the panel, once it exists."""
        self._panel = panel
        panel.opened.connect(self._window.open_path)
        panel.renamed.connect(self.rename)

    @Slot()
    def refresh(self, *_: object) -> None:
        """Look for the fits beside the recording, among recent folders, and where fits were written lately."""
        sequence = self._window.session.sequence
        if sequence is None or sequence.path is None:
            self._show([])
            return
        recording = sequence.path
        opened = self._window.session.fit_path
        recent = [*([opened] if opened is not None else []), *self._window.preferences.recent]
        beside = [recording.parent, Path.home() / "SPAM Studio", *recent, *(path.parent for path in recent)]
        written = [run.out.parent for run in self._queue.runs]
        self._thread.submit(Job(partial(find_runs, recording, [*beside, *written]), self._show, self._on_failed))

    @Slot(object, str)
    def rename(self, path: Path, name: str) -> None:
        """Call a fit something; its folder stays as it is."""
        self._window.preferences.name_run(path, name)
        self._show(self._runs)

    @Slot()
    def _on_queue(self) -> None:
        done = sum(run.state == "done" for run in self._queue.runs)
        known = done, {run.out for run in self._queue.pending}
        if known != self._known:
            self._known = known
            self.refresh()

    def _show(self, runs: list[Run]) -> None:
        coming = {run.out.absolute() for run in self._queue.pending}
        self._runs = runs = [run for run in runs if run.interrupted is None or run.path.absolute() not in coming]
        if self._panel is not None:
            self._panel.show_runs(runs, self._window.preferences.run_names, self._window.session.fit_path)
        self.shown.emit(runs)

    def _on_failed(self, error: Exception) -> None:
        self._window.notify(tr("The fits of this recording could not be listed: {error}", error=error))

    def close(self) -> None:
        """End the thread."""
        self._thread.close()
