"""Starts, pauses and cancels fits, and shows what they make."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

if TYPE_CHECKING:
    from app.fit.fit_panel import FitPanel
    from app.main_window import MainWindow
    from spams_core.data.fit import Fit

__all__ = ["Fitting"]


class Fitting(QObject):
    """Between the fit panel and the jobs."""

    finished = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._panel: FitPanel | None = None
        window.jobs.fit_finished.connect(self._on_finished)
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
        jobs.fit_started.connect(partial(panel.set_running, True))
        jobs.fit_ended.connect(self._on_ended)
        jobs.fit_progressed.connect(panel.show_progress)
        jobs.fit_measured.connect(panel.plot.extend)
        jobs.fit_paused.connect(panel.show_paused)

    def set_settings_kind(self, kind: type[Any]) -> None:
        """Make the form, once the settings class can be imported."""
        if self._panel is not None:
            self._panel.set_settings_kind(kind, {"sequence": Path("none")}, {"out": Path("none")})
            self._on_sequence()

    def possible(self) -> bool:
        """Whether a fit could be started now."""
        form = self._panel.form if self._panel is not None else None
        session, jobs = self._window.session, self._window.jobs
        return form is not None and not form.problem and session.sequence is not None and jobs.fitting is None

    def start(self, settings: Any = None) -> None:
        """Fit with the given settings, or with those of the form.

        Raises:
            InputError: The form holds a value out of range.
        """
        window, panel = self._window, self._panel
        if window.jobs.fitting is not None or panel is None or panel.form is None:
            return
        settings = settings if settings is not None else panel.form.value()
        window.turn_to("fit")
        window.editing.reset()
        window.jobs.start_fit(settings)

    @Slot(bool)
    def pause(self, paused: bool) -> None:
        """Rest, or go on."""
        if self._window.jobs.fitting is not None:
            self._window.jobs.fitting.set_paused(paused)
            self._window.commands.refresh()

    @Slot()
    def cancel(self) -> None:
        """Stop the fit; nothing is written."""
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

    def _on_finished(self, fit: Fit, path: Path) -> None:
        self._window.session.live = None
        self.show(fit, path)
        self._suggest_output()
        self._window.preferences.add_recent(path)
        self._window.notify(f"Fitted {fit.frame_count} frames; saved in {path}")
        self.finished.emit(fit)

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
        self._suggest_output()
        self._on_jobs()

    def _suggest_output(self) -> None:
        sequence = self._window.session.sequence
        if sequence is not None and self._panel is not None and self._panel.form is not None:
            from app.opening import free_output_path

            self._panel.form.set_fixed(sequence=sequence.path)
            self._panel.form.set_value("out", free_output_path(sequence))

    @Slot()
    def _on_jobs(self) -> None:
        if self._panel is not None:
            self._panel.set_enabled(self.possible())

    @Slot()
    def _on_residuals(self, *_: object) -> None:
        fit, live, strip = self._window.session.fit, self._window.session.live, self._window.timeline.strip
        if live is not None:
            strip.set_residuals(live.frame_indices, np.full(len(live.frame_indices), np.nan))
        elif fit is not None:
            strip.set_residuals(fit.frame_indices, fit.residual_m)
        else:
            strip.set_residuals(np.zeros(0, dtype=int), np.zeros(0))
