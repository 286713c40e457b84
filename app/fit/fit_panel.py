"""Settings of a fit, its progress, its loss curve and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.fit.loss_plot import LossPlot
from app.fit.queue import FitQueue, QueuedRun
from app.fit.queue_panel import QueuePanel
from app.fit.refit_panel import RefitPanel
from app.fit.runs_panel import RunsPanel
from app.fit.time_left import spoken
from app.fit.weights import WeightsEditor
from app.panels.scrolling import scrolled
from app.panels.side_tabs import SideTabs
from app.settings_form import SettingsForm
from app.theme import Theme, icon
from app.translation import ntr, tr

if TYPE_CHECKING:
    from spams_core.data.fit import Fit
    from spams_core.data.sequence import DepthSequence

__all__ = ["FitPanel"]

_NO_CURVE = tr("The loss curve appears here while a fit runs.")


class _Tabs(SideTabs):
    """Takes the room that is left; the plot's and the lists' natural height would have the panel scroll needlessly."""

    def hasHeightForWidth(self) -> bool:
        """Its minimum counts, whatever the width."""
        return False


class FitPanel(QWidget):
    """Everything about fitting the open recording."""

    fit_requested = Signal()
    enqueue_requested = Signal()
    pause_requested = Signal(bool)
    cancel_requested = Signal()

    def __init__(self, queue: FitQueue, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme, self._queue = theme, queue
        self._is_running = self._possible = False
        self.form: SettingsForm | None = None
        self._title = QLabel(tr("No recording open"))
        self._title.setObjectName("heading")
        self._facts = QLabel(tr("Open one to fit a body to it."))
        self._facts.setObjectName("muted")
        self._facts.setWordWrap(True)
        self._form_place = QVBoxLayout()
        self._loading = QLabel(tr("Loading the numerics…"))
        self._loading.setObjectName("muted")
        self._form_place.addWidget(self._loading)

        self.fit_button = QPushButton(tr("Fit the body"))
        self.fit_button.setObjectName("primary")
        self.fit_button.setMinimumHeight(32)
        self.fit_button.setToolTip(tr("Fit the body model to the recording (F5)"))
        self.fit_button.clicked.connect(self.fit_requested)
        self.enqueue_button = QPushButton(tr("Add to the queue"))
        self.enqueue_button.setMinimumHeight(32)
        self.enqueue_button.setToolTip(tr("Fit with these settings after the other fits of the queue (Shift+F5)"))
        self.enqueue_button.clicked.connect(self.enqueue_requested)
        self.next_button = QToolButton()
        self.next_button.setText(tr("Settings of the next fit"))
        self.next_button.setToolTip(tr("Prepare another fit while this one runs"))
        self.next_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.next_button.setCheckable(True)
        self.next_button.toggled.connect(self._show_form)
        self.pause_button = QPushButton(tr("Pause"))
        self.pause_button.setCheckable(True)
        self.pause_button.setToolTip(tr("Rest after this iteration; nothing is lost"))
        self.pause_button.clicked.connect(self.pause_requested)
        self.cancel_button = QPushButton(tr("Cancel"))
        self.cancel_button.setToolTip(tr("Stop; the rounds that are done are kept, to be continued (Ctrl+.)"))
        self.cancel_button.clicked.connect(self.cancel_requested)
        self._message = QLabel()
        self._message.setTextFormat(Qt.TextFormat.PlainText)
        self._left = QLabel()
        self._left.setObjectName("muted")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self.plot = LossPlot()
        self.weights = WeightsEditor()
        self.queue_panel = QueuePanel(queue, theme)
        self.runs_panel = RunsPanel()
        self.refit_panel = RefitPanel(theme)
        self._plot_hint = QLabel(_NO_CURVE)
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
        plot_place = QWidget()
        self._plot_stack = QStackedLayout(plot_place)
        self._plot_stack.addWidget(self._plot_hint)
        self._plot_stack.addWidget(self.plot)
        progress = QWidget()
        column = QVBoxLayout(progress)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(6)
        column.addWidget(plot_place, 1)
        column.addWidget(self.weights)
        self.tabs = _Tabs()
        self.tabs.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.tabs.addTab(progress, tr("Loss"))
        self.tabs.addTab(self.queue_panel, tr("Queue"))
        self.tabs.addTab(self.runs_panel, tr("Runs"))
        self.tabs.addTab(self.refit_panel, tr("Refit"))
        self.tabs.setTabToolTip(0, tr("Loss terms over the iterations, and their weights while a fit runs"))
        self.tabs.setTabToolTip(1, tr("Fits that run one after another"))
        self.tabs.setTabToolTip(2, tr("All fits of this recording, to open, rename and compare"))
        self.tabs.setTabToolTip(3, tr("Fit some frames of the open fit anew"))
        self._queue.changed.connect(self._count_queue)
        start = QHBoxLayout()
        start.addWidget(self.fit_button, 1)
        start.addWidget(self.enqueue_button, 1)
        self._form_area = QWidget()
        self._form_area.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        form = QVBoxLayout(self._form_area)
        form.setContentsMargins(0, 0, 0, 0)
        form.addLayout(self._form_place)
        form.addLayout(start)
        inside = QWidget()
        scroll = scrolled(inside)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(9)
        layout.addWidget(self._title)
        layout.addWidget(self._facts)
        layout.addWidget(self.next_button)
        layout.addWidget(self._form_area)
        layout.addWidget(self._running)
        layout.addWidget(self._result_card)
        layout.addWidget(self.tabs, 1)
        layout.addStretch(0)  # takes the room of the tabs while they are hidden

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._result.setText(self._result.text().replace(self._theme.muted, theme.muted))
        self._theme = theme
        self.fit_button.setIcon(icon("person-simple-run", theme, theme.on_accent))
        self.pause_button.setIcon(icon("pause", theme))
        self.cancel_button.setIcon(icon("x", theme))
        self.enqueue_button.setIcon(icon("plus", theme))
        self.next_button.setIcon(icon("caret-down" if self.next_button.isChecked() else "caret-right", theme))
        self.plot.set_theme(theme)
        self.queue_panel.set_theme(theme)
        self.refit_panel.set_theme(theme)

    def set_settings_kind(self, kind: type[Any], fixed: dict[str, Any], initial: dict[str, Any]) -> None:
        """Make the form, once the settings class can be imported."""
        self._loading.hide()
        order = ("preset", "frames", "method", "out", "model", "labels", "device", "seed", "history")
        self.form = SettingsForm(kind, fixed, initial, order, folded=order[4:])
        self.form.changed.connect(self._on_form)
        self._form_place.addWidget(self.form)

    def show_recording(self, sequence: DepthSequence | None) -> None:
        """Name what is open."""
        if self.form is not None:
            self.form.setVisible(sequence is not None)
        if sequence is None:
            self._title.setText(tr("No recording open"))
            self._facts.setText(tr("Open one to fit a body to it."))
            return
        camera = sequence.camera
        truth = tr(" · ground truth") if sequence.read_ground_truth else ""
        self._title.setText(sequence.name)
        self._facts.setText(
            ntr(
                "{count} frame · {width} × {height} · {fps:g} fps{truth}",
                "{count} frames · {width} × {height} · {fps:g} fps{truth}",
                sequence.frame_count,
                width=camera.width,
                height=camera.height,
                fps=sequence.fps,
                truth=truth,
            )
        )

    def show_fit(self, fit: Fit | None, place: str) -> None:
        """Show a finished fit's figures and curve."""
        self._result_card.setVisible(fit is not None and not self._is_running)
        if self._is_running:
            return
        self.plot.clear()
        self._plot_hint.setText(_NO_CURVE)
        self._plot_stack.setCurrentWidget(self._plot_hint)
        if fit is None:
            return
        seconds = fit.manifest.get("seconds_per_frame")
        spent = tr(" · {seconds:.1f}&nbsp;s&nbsp;each", seconds=seconds) if isinstance(seconds, (int, float)) else ""
        residual = 1e3 * float(np.nanmedian(fit.residual_m))
        self._result.setText(
            ntr(
                "<b>{residual:.1f} mm</b> median · {count}&nbsp;frame{spent}",
                "<b>{residual:.1f} mm</b> median · {count}&nbsp;frames{spent}",
                fit.frame_count,
                residual=residual,
                spent=spent,
            )
            + f"<br><span style='color:{self._theme.muted}'>{place}</span>"
        )
        if fit.loss_history.size:
            self.plot.show_history(fit.loss_names, fit.loss_history)
            self._plot_stack.setCurrentWidget(self.plot)

    def set_enabled(self, possible: bool) -> None:
        """Whether a fit can be started, or added to the queue."""
        self._possible = possible
        valid = possible and self.form is not None and not self.form.problem
        self.fit_button.setEnabled(valid)
        self.enqueue_button.setEnabled(valid)

    def set_running(self, running: bool) -> None:
        """Swap the button for progress, or back."""
        self._is_running = running
        self.fit_button.setVisible(not running)
        self._running.setVisible(running)
        self.next_button.setVisible(running)
        self.next_button.setChecked(False)
        self._show_form(not running)
        self.weights.setVisible(running)
        if running:
            self.plot.clear()
            self._plot_hint.setText(tr("The loss curve begins with the first step."))
            self._plot_stack.setCurrentWidget(self._plot_hint)
            self._result_card.hide()
            self._bar.setRange(0, 0)
            self._message.setText(tr("Starting…"))
            self._left.setText("")
            self.show_paused(False)
            self.cancel_button.setEnabled(True)

    @Slot(object)
    def show_metrics(self, metrics: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Loss terms of some steps of the running fit."""
        self.plot.extend(metrics)
        if self.plot.names:
            self._plot_stack.setCurrentWidget(self.plot)

    def show_weights(self, weights: Mapping[str, float], help_texts: Mapping[str, str]) -> None:
        """The weights with which a run starts."""
        self.weights.show_weights(weights, help_texts)

    @Slot(bool)
    def _show_form(self, shown: bool) -> None:
        self._form_area.setVisible(shown)
        self.tabs.setVisible(not (self._is_running and shown))  # a low window has no room for both
        self.next_button.setIcon(icon("caret-down" if shown else "caret-right", self._theme))

    @Slot()
    def _count_queue(self) -> None:
        waiting = len(self._queue.waiting)
        self.tabs.setTabText(
            self.tabs.indexOf(self.queue_panel), tr("Queue ({waiting})", waiting=waiting) if waiting else tr("Queue")
        )

    def show_progress(self, run: QueuedRun) -> None:
        """Message, bar and time left, of this run and of all that follow."""
        report = run.report
        if report is None:
            return
        counted = report.total > 1  # a single step says nothing of how far it is
        self._bar.setRange(0, report.total if counted else 0)
        self._bar.setValue(report.step)
        self._message.setText(report.message)
        left, waiting = run.left_s, len(self._queue.waiting)
        told = [f"{report.step} / {report.total}"] if counted else []
        if left is not None and counted:
            told.append(tr("{time} left", time=spoken(left)))
        if waiting:
            together = self._queue.left_s()
            told.append(
                tr("{count} waiting", count=waiting)
                + (tr(", {time} for all", time=spoken(together)) if together is not None else "")
            )
        self._left.setText("  ·  ".join(told))

    def show_cancelling(self) -> None:
        """Say that the click was seen."""
        self._message.setText(tr("Cancelling…"))
        self.cancel_button.setEnabled(False)

    @Slot(bool)
    def show_paused(self, paused: bool) -> None:
        """Label of the pause button, and a watch that rests."""
        self.pause_button.setText(tr("Resume") if paused else tr("Pause"))
        self.pause_button.setIcon(icon("play" if paused else "pause", self._theme))
        self.pause_button.setChecked(paused)

    @Slot(bool)
    def _on_form(self, valid: bool) -> None:
        self.set_enabled(self._possible)
