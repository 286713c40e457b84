"""Starts, pauses and cancels fits, and shows what they make."""

from __future__ import annotations

import dataclasses
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from app.fit.interrupted import Interrupted
from app.fit.queue import FitQueue, QueuedRun
from app.fit.run_list import RunList
from app.translation import ntr, tr
from spams_core.data.fit_checkpoint import checkpoint_path
from spams_core.errors import InputError
from spams_core.settings import field_help, parse_frames

if TYPE_CHECKING:
    from app.fit.fit_panel import FitPanel
    from app.main_window import MainWindow
    from spams_core.data.fit import Fit

__all__ = ["Fitting"]

_NOT_CHOSEN = {"resume": False, "checkpoint_every_s": 20.0}
"""Settings of a new fit that the form does not ask for."""


class Fitting(QObject):
    """Between the fit panel and the jobs."""

    finished = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._panel: FitPanel | None = None
        self._recording: Path | None = None
        self.queue = FitQueue(window.jobs, self)
        self.run_list = RunList(window, self.queue)
        self.interrupted = Interrupted(window, self)
        window.jobs.fit_finished.connect(self._on_finished)
        window.jobs.fit_stopped.connect(self._on_stopped)
        window.jobs.changed.connect(self._on_jobs)
        for changed in (window.session.sequence_changed, window.session.fit_changed, window.session.live_changed):
            changed.connect(self._on_residuals)
        window.session.sequence_changed.connect(self._on_sequence)

    def attach(self, panel: FitPanel) -> None:
        """Take the panel, once it exists."""
        self._panel, jobs = panel, self._window.jobs
        panel.fit_requested.connect(self._window.commands.actions["fit.start"].trigger)
        panel.pause_requested.connect(self.pause)
        panel.cancel_requested.connect(self.cancel)
        panel.enqueue_requested.connect(self._window.commands.actions["fit.enqueue"].trigger)
        panel.queue_panel.opened.connect(self.open_run)
        panel.queue_panel.cancel_requested.connect(self.cancel)
        panel.weights.changed.connect(self.set_weight)
        self.run_list.attach(panel.runs_panel)
        self.interrupted.attach(panel.runs_panel)
        panel.refit_panel.refit_requested.connect(self._window.commands.actions["fit.refit"].trigger)
        panel.refit_panel.here_requested.connect(self._choose_here)
        jobs.fit_started.connect(self._on_started)
        jobs.fit_ended.connect(self._on_ended)
        self.queue.progressed.connect(panel.show_progress)
        panel.next_button.toggled.connect(self._renew_output)
        jobs.fit_measured.connect(panel.show_metrics)
        jobs.fit_paused.connect(panel.show_paused)

    def set_settings_kind(self, kind: type[Any]) -> None:
        """Make the form, once the settings class can be imported."""
        if self._panel is not None:
            self._panel.set_settings_kind(
                kind,
                {"sequence": Path("none"), "start_from": None, "reseed": (), "saved": "ignore", **_NOT_CHOSEN},
                {"out": Path("none")},
            )
            assert self._panel.form is not None
            self._panel.form.check = self._require_frames
            self._panel.form.changed.connect(self._on_form)
            self._panel.plot.set_help(field_help(type(import_module("spams_core.tasks.fit").PRESETS["fast"])))
            self._on_sequence()

    def _require_frames(self, settings: Any) -> None:
        sequence = self._window.session.sequence
        if sequence is not None:
            parse_frames(settings.frames, sequence.frame_count)

    @Slot()
    def _on_form(self, *_: object) -> None:
        self._on_jobs()
        self._window.commands.refresh()

    def possible(self) -> bool:
        """Whether a fit could be started now."""
        return self._window.jobs.fitting is None and self.can_enqueue()

    def can_enqueue(self) -> bool:
        """Whether the form describes a fit of the open recording."""
        form = self._panel.form if self._panel is not None else None
        return form is not None and not form.problem and self._window.session.sequence is not None

    def start(self, settings: Any = None) -> None:
        """Fit with the given settings, or with those of the form, now; the fits that wait follow.

        The fit will take the place of the open one, so that unsaved edits are asked for.

        Raises:
            InputError: The form holds a value out of range.
        """
        window, panel = self._window, self._panel
        if window.jobs.fitting is None and panel is not None and panel.form is not None:
            chosen = settings if settings is not None else panel.form.value()
            window.leaving.guard(partial(self._start, chosen))

    def _start(self, settings: Any) -> None:
        window = self._window
        if window.jobs.fitting is not None:  # it began while the user was asked
            return
        self._add(settings, first=True)
        window.turn_to("fit")
        window.editing.reset()
        self.queue.start()

    def enqueue(self, settings: Any = None) -> None:
        """Let a fit with the given settings, or with those of the form, wait for its turn.

        Raises:
            InputError: The form holds a value out of range, or another fit goes to the same folder.
        """
        panel = self._panel
        if panel is None or panel.form is None:
            return
        run = self._add(settings if settings is not None else panel.form.value())
        self._renew_output()
        panel.next_button.setChecked(False)
        panel.tabs.setCurrentWidget(panel.queue_panel)
        panel.queue_panel.select(run)

    def can_refit(self) -> bool:
        """Whether a fit and its recording are open."""
        session = self._window.session
        return self.can_enqueue() and session.fit is not None and session.fit_path is not None

    def refit(self) -> None:
        """Fit the chosen frames of the open fit anew, now or after the fits that run and wait.

        Raises:
            InputError: The form holds a value out of range.
        """
        session, panel = self._window.session, self._panel
        if panel is None or panel.form is None or session.fit is None or session.sequence is None:
            return
        from app.opening import free_output_path

        settings = dataclasses.replace(
            panel.form.value(),
            out=free_output_path(session.sequence, {run.out for run in self.queue.pending}),
            frames=panel.refit_panel.frames,
            reseed=panel.refit_panel.reseed,
            start_from=session.fit_path,
            method=session.fit.manifest.get("method", "spam"),
            model=None,
        )
        self.start_or_enqueue(settings)

    def start_or_enqueue(self, settings: Any) -> None:
        """Fit with these settings, now or after the fits that run and wait.

        Raises:
            InputError: Another fit goes to the same folder.
        """
        if self._window.jobs.fitting is None:
            self.start(settings)
        else:
            self.enqueue(settings)

    @Slot()
    def _choose_here(self) -> None:
        if self._panel is not None:
            self._panel.refit_panel.choose(self._window.session.frame, self._window.session.frame)

    def _add(self, settings: Any, *, first: bool = False) -> QueuedRun:
        sequence = self._window.session.sequence
        count = sequence.frame_count if sequence is not None and sequence.path == settings.sequence else 0
        frames = len(parse_frames(settings.frames, count)) if count else 0
        if not first and Path(settings.out).exists():
            raise InputError(f"{settings.out} exists already. Choose another folder to save to.")
        if not settings.resume and checkpoint_path(settings.out).exists():
            raise InputError(
                f"{settings.out} is kept for a fit that was interrupted. Continue that one, in Runs, or choose another "
                "folder to save to."
            )
        return self.queue.add(settings, frames, first=first)

    @Slot(object)
    def open_run(self, run: QueuedRun) -> None:
        """Open what a run of the queue has made, or follow the one in progress."""
        window = self._window
        if run.state == "done":
            window.open_path(run.out)
        elif run.state == "running":
            sequence = window.session.sequence
            if sequence is not None and sequence.path == run.settings.sequence:
                window.jobs.show_live = True
            else:
                window.notify(tr("This fit is of another recording. Open that one to watch it."))

    @Slot(str, float)
    def set_weight(self, name: str, value: float) -> None:
        """Give the running fit another weight."""
        run = self.queue.current
        if run is not None and run.controls is not None:
            run.controls.set_weight(name, value)

    @Slot(bool)
    def pause(self, paused: bool) -> None:
        """Rest, or go on."""
        if self._window.jobs.fitting is not None:
            self._window.jobs.fitting.set_paused(paused)
            self._window.commands.refresh()

    @Slot()
    def cancel(self) -> None:
        """Stop the fit; the rounds that are done are kept."""
        if self._window.jobs.fitting is not None and self._panel is not None:
            self._panel.show_cancelling()
            self._window.jobs.cancel_fit()

    def show(self, fit: Fit | None, path: Path | None) -> None:
        """Open a fit."""
        session = self._window.session
        if fit is not None:
            session.part_names = fit.part_names
        session.fit_path = path
        session.fit = fit
        if self._panel is not None:
            self._panel.show_fit(fit, str(path) if path is not None else "")
            if fit is not None:
                self._panel.refit_panel.show_fit(fit.part_names, int(fit.frame_indices.max()))
            self._on_jobs()

    def _on_finished(self, fit: Fit, path: Path) -> None:
        window = self._window
        window.session.live = None
        self._suggest_output()
        window.preferences.add_recent(path)
        count = fit.frame_count
        window.notify(
            ntr("Fitted {count} frame; saved in {path}", "Fitted {count} frames; saved in {path}", count, path=path)
        )
        if window.edit_workspace.saving.unsaved:
            window.notify(
                ntr(
                    "Fitted {count} frame. {name} is among the runs; the open fit has edits.",
                    "Fitted {count} frames. {name} is among the runs; the open fit has edits.",
                    count,
                    name=path.name,
                )
            )
        elif window.jobs.show_live:
            self.show(fit, path)
            self.finished.emit(fit)

    @Slot()
    def _on_started(self) -> None:
        run, panel = self.queue.current, self._panel
        if run is None or panel is None:
            return
        tasks = import_module("spams_core.tasks.fit")
        panel.show_weights(tasks.live_weights(run.settings), field_help(type(tasks.PRESETS["fast"])))
        panel.set_running(True)

    @Slot()
    def _on_ended(self) -> None:
        session = self._window.session
        if self._panel is not None:
            self._panel.set_running(False)
            if session.fit is not None:
                self._panel.show_fit(session.fit, str(session.fit_path or ""))

    @Slot()
    def _on_sequence(self, *_: object) -> None:
        if self._panel is not None:
            self._panel.show_recording(self._window.session.sequence)
        self._take_subject()
        self._on_jobs()

    def _take_subject(self) -> None:
        """Fit what Capture shows as the subject; a recording whose subject changes keeps the form's other values."""
        sequence, form = self._window.session.sequence, self._panel.form if self._panel is not None else None
        if sequence is None or form is None:
            return
        from spams_core.data.subject import SubjectSettings

        form.set_fixed(subject=sequence.subject or SubjectSettings(), reading=sequence.reading)
        if sequence.path != self._recording:
            self._recording = sequence.path
            self._suggest_output()

    def _suggest_output(self) -> None:
        sequence = self._window.session.sequence
        if sequence is not None and self._panel is not None and self._panel.form is not None:
            from app.opening import free_output_path

            self._panel.form.set_fixed(sequence=sequence.path)
            taken = {run.out for run in self.queue.pending}
            self._panel.form.set_value("out", free_output_path(sequence, taken))

    @Slot()
    def _renew_output(self, *_: object) -> None:
        """Another name, if the form's is that of a fit to come, or of one that was interrupted."""
        form = self._panel.form if self._panel is not None else None
        if form is None or form.problem:
            return
        out = form.value().out
        if out in {run.out for run in self.queue.pending} or checkpoint_path(out).exists():
            self._suggest_output()

    @Slot(object)
    def _on_stopped(self, out: Path) -> None:
        if checkpoint_path(out).exists():
            self._renew_output()

    @Slot()
    def _on_jobs(self, *_: object) -> None:
        if self._panel is not None:
            self._panel.refit_panel.set_possible(self.can_refit())
            self._panel.set_enabled(self.can_enqueue())

    @Slot()
    def _on_residuals(self, *_: object) -> None:
        fit, live, strip = self._window.session.fit, self._window.session.live, self._window.timeline.strip
        if live is not None:
            strip.set_residuals(live.frame_indices, np.full(len(live.frame_indices), np.nan))
        elif fit is not None:
            strip.set_residuals(fit.frame_indices, fit.residual_m, fit.enlargement)
        else:
            strip.set_residuals(np.zeros(0, dtype=int), np.zeros(0))
