"""Continues fits that were interrupted: by Cancel, a crash or a power cut."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Slot

from app.fit.runs import Run
from app.panels.dialogs import ask
from app.translation import ntr, tr
from spams_core.data.fit_checkpoint import checkpoint_path, remove_checkpoint
from spams_core.errors import InputError
from spams_core.settings import settings_from_dict
from spams_core.tasks import TASKS

if TYPE_CHECKING:
    from app.fit.fitting import Fitting
    from app.fit.runs_panel import RunsPanel
    from app.main_window import MainWindow

__all__ = ["Interrupted"]


class Interrupted(QObject):
    """Between the list of runs and the queue.

    Attributes:
        runs: Interrupted fits of the open recording, the newest first.
    """

    def __init__(self, window: MainWindow, fitting: Fitting) -> None:
        super().__init__(window)
        self._window, self._fitting = window, fitting
        self._panel: RunsPanel | None = None
        self._told: Path | None = None
        self._chosen: Run | None = None
        self.runs: list[Run] = []
        fitting.run_list.shown.connect(self._on_runs)
        window.jobs.fit_stopped.connect(self._on_stopped)

    def attach(self, panel: RunsPanel) -> None:
        """Take the list, once it exists."""
        self._panel = panel
        panel.continued.connect(self._resume_shown)
        panel.copied.connect(self._copy)
        panel.removed.connect(self._ask_removal)

    def possible(self) -> bool:
        """Whether a fit could be continued."""
        return bool(self.runs) and self._window.is_ready and self._window.session.sequence is not None

    def resume(self) -> None:
        """Go on with the marked fit, or with the newest; now, or after the fits that run and wait.

        Raises:
            InputError: It was begun by a version with other settings.
        """
        marked = self._panel.interrupted if self._panel is not None else None
        run = self._chosen or marked or (self.runs[0] if self.runs else None)
        if run is not None:
            self._fitting.start_or_enqueue(self._settings(run))

    def _settings(self, run: Run) -> Any:
        """Those that go on with a fit."""
        sequence, how = self._window.session.sequence, run.interrupted
        assert sequence is not None
        assert how is not None
        given = settings_from_dict(TASKS["fit"].settings, how.settings)
        return dataclasses.replace(given, sequence=sequence.path, out=run.path, resume=True)

    @Slot(object)
    def _resume_shown(self, run: Run | None) -> None:
        self._chosen = run
        self._window.commands.actions["fit.resume"].trigger()
        self._chosen = None

    @Slot(object)
    def _copy(self, run: Run) -> None:
        try:
            self._window.copying.copy("fit", self._settings(run))
        except InputError as error:
            self._window.notify_problem(error)

    @Slot(object)
    def _ask_removal(self, run: Run) -> None:
        ask(
            self._window, tr("Remove an interrupted fit"),
            tr("What was fitted of {name} so far will be lost. Remove it?", name=run.path.name), tr("Remove"),
            tr("Keep"), partial(self._remove, run),
        )  # fmt: skip

    def _remove(self, run: Run) -> None:
        assert run.interrupted is not None
        try:
            remove_checkpoint(run.interrupted.part)
        except OSError as error:
            self._window.notify(tr("{folder} cannot be removed: {error}", folder=run.interrupted.part, error=error))
        self._fitting.run_list.refresh()

    @Slot(object)
    def _on_runs(self, runs: list[Run]) -> None:
        self.runs = [run for run in runs if run.interrupted is not None]
        sequence = self._window.session.sequence
        recording = sequence.path if sequence is not None else None
        if self.runs and recording != self._told:
            count = len(self.runs)
            self._window.notify(
                ntr(
                    "A fit of this recording was interrupted. The tab Runs continues it.",
                    "{count} fits of this recording were interrupted. The tab Runs continues them.", count,
                )
            )  # fmt: skip
        self._told = recording
        self._window.commands.refresh()

    @Slot(object)
    def _on_stopped(self, out: Path) -> None:
        if checkpoint_path(out).exists():
            self._window.notify(tr("Fit cancelled. The tab Runs continues it."))
        else:
            self._window.notify(tr("Fit cancelled; nothing was written."))
        self._fitting.run_list.refresh()
