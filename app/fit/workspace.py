"""The workspace Fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from app.commands import Command
from app.theme import Theme
from app.translation import tr
from app.workspace import Workspace

if TYPE_CHECKING:
    from app.fit.fit_panel import FitPanel

__all__ = ["FitWorkspace"]


class FitWorkspace(Workspace):
    """Fits the body to the recording."""

    id, title, hint = "fit", tr("Fit"), tr("Fit the body to the recording")
    menu_title = tr("Fi&t")
    panel: FitPanel | None = None

    def commands(self) -> list[Command]:
        """Start, pause, cancel."""
        jobs, fitting = self._window.jobs, self._window.fitting

        def running() -> bool:
            return jobs.fitting is not None

        return [
            Command(
                "fit.start", tr("Fit the Body"), fitting.start, tr("Fit the body model to the recording"), "F5",
                "person-simple-run", fitting.possible,
            ),
            Command(
                "fit.enqueue", tr("Add a Fit to the Queue"), fitting.enqueue,
                tr("Fit with these settings after the other fits of the queue"), "Shift+F5", "plus",
                fitting.can_enqueue,
            ),
            Command(
                "fit.refit", tr("Refit the Chosen Frames"), fitting.refit,
                tr("Fit some frames of the open fit anew, from the frames beside them"), "", "arrow-clockwise",
                fitting.can_refit,
            ),
            Command(
                "fit.resume", tr("Continue the Interrupted Fit"), fitting.interrupted.resume,
                tr("Go on with the interrupted fit that is marked among the runs, or with the last one"), "", "play",
                fitting.interrupted.possible,
            ),
            Command(
                "fit.pause", tr("Pause the Fit"), fitting.pause, tr("Rest after this iteration, or go on"), "F6",
                "pause",
                running, lambda: jobs.fitting is not None and jobs.fitting.paused,
            ),
            Command(
                "fit.cancel", tr("Cancel the Fit"), fitting.cancel,
                tr("Stop; the rounds that are done are kept, to be continued"), "Ctrl+.", "x-circle", running,
            ),
        ]  # fmt: skip

    def make_panel(self) -> QWidget:
        """Settings, progress, loss curves."""
        from app.fit.fit_panel import FitPanel

        self.panel = FitPanel(self._window.fitting.queue, self._window.theme)
        self._window.fitting.attach(self.panel)
        return self.panel

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        if self.panel is not None:
            self.panel.set_theme(theme)

    def close(self) -> None:
        """End the thread that lists runs."""
        self._window.fitting.run_list.close()
