"""Settings of a fit, its progress, its loss curve and what came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from app.fit.loss_plot import LossPlot
from app.settings_form import SettingsForm
from app.theme import Theme, icon
from spams_core.progress import Progress

if TYPE_CHECKING:
    from spams_core.data.fit import Fit
    from spams_core.data.sequence import DepthSequence

__all__ = ["FitPanel", "TimeLeft"]


class TimeLeft:
    """Estimates what remains of a run from its pace so far, pauses left out."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._elapsed, self._since = 0.0, now()
        self._running = True
        self._anchor: tuple[int, int, float] | None = None

    def set_paused(self, paused: bool) -> None:
        """Stop or start the watch."""
        if paused == self._running:
            self._elapsed = self.elapsed
            self._since, self._running = self._now(), not paused

    @property
    def elapsed(self) -> float:
        """Seconds spent working."""
        return self._elapsed + (self._now() - self._since if self._running else 0.0)

    def estimate(self, step: int, total: int) -> float | None:
        """Seconds left; None before there is a pace. Another total is another stage, whose pace is measured anew."""
        if self._anchor is None or self._anchor[1] != total or step < self._anchor[0]:
            self._anchor = (step, total, self.elapsed)
        done, spent = step - self._anchor[0], self.elapsed - self._anchor[2]
        return spent / done * (total - step) if done > 0 and spent > 0.5 else None


class FitPanel(QWidget):
    """Everything about fitting the open recording."""

    fit_requested = Signal()
    pause_requested = Signal(bool)
    cancel_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._time: TimeLeft | None = None
        self.form: SettingsForm | None = None
        self._title = QLabel("No recording open")
        self._title.setObjectName("heading")
        self._facts = QLabel("Open one to fit a body to it.")
        self._facts.setObjectName("muted")
        self._facts.setWordWrap(True)
        self._form_place = QVBoxLayout()
        self._loading = QLabel("Loading the numerics…")
        self._loading.setObjectName("muted")
        self._form_place.addWidget(self._loading)

        self.fit_button = QPushButton("Fit the body")
        self.fit_button.setObjectName("primary")
        self.fit_button.setMinimumHeight(32)
        self.fit_button.setToolTip("Fit the body model to the recording (F5)")
        self.fit_button.clicked.connect(self.fit_requested)
        self.pause_button = QPushButton("Pause")
        self.pause_button.setCheckable(True)
        self.pause_button.setToolTip("Rest after this iteration; nothing is lost")
        self.pause_button.clicked.connect(self.pause_requested)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; nothing is written (Ctrl+.)")
        self.cancel_button.clicked.connect(self.cancel_requested)
        self._message = QLabel()
        self._message.setTextFormat(Qt.TextFormat.PlainText)
        self._left = QLabel()
        self._left.setObjectName("muted")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self.plot = LossPlot()
        self._plot_hint = QLabel("The loss curve appears here while a fit runs.")
        self._plot_hint.setObjectName("muted")
        self._plot_hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._plot_hint.setWordWrap(True)
        self._result = QLabel()
        self._result.setWordWrap(True)
        self._result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._result_card = QFrame()
        self._result_card.setObjectName("card")
        card = QVBoxLayout(self._result_card)
        card.setContentsMargins(11, 9, 11, 9)
        card.addWidget(self._result)
        self._result_card.hide()
        self._arrange()
        self.set_theme(theme)
        self.set_running(False)

    def _arrange(self) -> None:
        self._running = QWidget()
        running = QVBoxLayout(self._running)
        running.setContentsMargins(0, 0, 0, 0)
        running.setSpacing(6)
        running.addWidget(self._message)
        running.addWidget(self._bar)
        running.addWidget(self._left)
        buttons = QHBoxLayout()
        buttons.addWidget(self.pause_button)
        buttons.addWidget(self.cancel_button)
        running.addLayout(buttons)
        self._plot_stack = QStackedLayout()
        self._plot_stack.addWidget(self._plot_hint)
        self._plot_stack.addWidget(self.plot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(9)
        layout.addWidget(self._title)
        layout.addWidget(self._facts)
        layout.addLayout(self._form_place)
        layout.addWidget(self.fit_button)
        layout.addWidget(self._running)
        layout.addWidget(self._result_card)
        layout.addLayout(self._plot_stack, 1)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self.fit_button.setIcon(icon("person-simple-run", theme, theme.on_accent))
        self.pause_button.setIcon(icon("pause", theme))
        self.cancel_button.setIcon(icon("x", theme))
        self.plot.set_theme(theme)

    def set_settings_kind(self, kind: type[Any], fixed: dict[str, Any], initial: dict[str, Any]) -> None:
        """Make the form, once the settings class can be imported."""
        self._loading.hide()
        self.form = SettingsForm(kind, fixed, initial, ("preset", "frames", "method", "device", "model", "out", "seed"))
        self.form.changed.connect(self._on_form)
        self._form_place.addWidget(self.form)

    def show_recording(self, sequence: DepthSequence | None) -> None:
        """Name what is open."""
        if self.form is not None:
            self.form.setVisible(sequence is not None)
        if sequence is None:
            self._title.setText("No recording open")
            self._facts.setText("Open one to fit a body to it.")
            return
        camera = sequence.camera
        truth = " · ground truth" if sequence.read_ground_truth else ""
        self._title.setText(sequence.name)
        self._facts.setText(
            f"{sequence.frame_count} frames · {camera.width} × {camera.height} · {sequence.fps:g} fps{truth}"
        )

    def show_fit(self, fit: Fit | None, place: str) -> None:
        """Show a finished fit's figures and curve."""
        self._result_card.setVisible(fit is not None)
        if fit is None:
            return
        seconds = fit.manifest.get("seconds_per_frame")
        spent = f" · {seconds:.1f}&nbsp;s&nbsp;each" if isinstance(seconds, (int, float)) else ""
        residual = 1e3 * float(np.nanmedian(fit.residual_m))
        self._result.setText(
            f"<b>{residual:.1f} mm</b> median residual · {fit.frame_count}&nbsp;frames{spent}"
            f"<br><span style='color:{self._theme.muted}'>{place}</span>"
        )
        if fit.loss_history.size:
            self.plot.show_history(fit.loss_names, fit.loss_history)
            self._plot_stack.setCurrentWidget(self.plot)

    def set_enabled(self, possible: bool) -> None:
        """Whether a fit can be started now."""
        self.fit_button.setEnabled(possible and self.form is not None and not self.form.problem)

    def set_running(self, running: bool) -> None:
        """Swap the button for progress, or back."""
        self.fit_button.setVisible(not running)
        self._running.setVisible(running)
        if self.form is not None:
            self.form.setEnabled(not running)
        if running:
            self._time = TimeLeft()
            self.plot.clear()
            self._plot_stack.setCurrentWidget(self.plot)
            self._result_card.hide()
            self._bar.setRange(0, 0)
            self._message.setText("Starting…")
            self._left.setText("")
            self.pause_button.setChecked(False)
            self.cancel_button.setEnabled(True)

    def show_progress(self, report: Progress) -> None:
        """Message, bar and time left."""
        self._bar.setRange(0, max(1, report.total))
        self._bar.setValue(report.step)
        self._message.setText(report.message)
        left = self._time.estimate(report.step, report.total) if self._time is not None else None
        self._left.setText(
            f"{report.step} / {report.total}" + (f"  ·  {_spoken(left)} left" if left is not None else "")
        )

    def show_cancelling(self) -> None:
        """Say that the click was seen."""
        self._message.setText("Cancelling…")
        self.cancel_button.setEnabled(False)

    @Slot(bool)
    def show_paused(self, paused: bool) -> None:
        """Label of the pause button, and a watch that rests."""
        self.pause_button.setText("Resume" if paused else "Pause")
        self.pause_button.setIcon(icon("play" if paused else "pause", self._theme))
        self.pause_button.setChecked(paused)
        if self._time is not None:
            self._time.set_paused(paused)

    @Slot(bool)
    def _on_form(self, valid: bool) -> None:
        self.fit_button.setEnabled(valid)


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
