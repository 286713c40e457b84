"""What the window does, as commands to paste into a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication

from app.command_line import command_line
from app.commands import Command
from app.translation import tr
from spams_core.tasks import TASKS

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["Copying"]


class Copying(QObject):
    """Puts commands on the clipboard."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window

    def commands(self) -> list[Command]:
        """One per task."""
        session, window = self._window.session, self._window

        def has_fit() -> bool:
            return session.fit_path is not None and window.is_ready

        return [
            Command("copy.fit", tr("Copy the Fit as Command Line"), self.copy_fit,
                    tr("The command that fits with the settings of the panel"), "", "terminal-window", self._can_fit),
            Command("copy.evaluate", tr("Copy Evaluation as Command Line"), self.copy_evaluate,
                    tr("The command that measures the open fit"), "", "terminal-window", has_fit),
            Command("copy.export", tr("Copy Export as Command Line"), self.copy_export,
                    tr("The command that writes what the panel Export is set to"), "", "terminal-window",
                    lambda: has_fit() and window.export_workspace.chosen() is not None),
        ]  # fmt: skip

    def _can_fit(self) -> bool:
        panel, session = self._window.fit_workspace.panel, self._window.session
        return panel is not None and panel.form is not None and not panel.form.problem and session.sequence is not None

    def copy_fit(self) -> None:
        """The fit that the panel would start."""
        panel = self._window.fit_workspace.panel
        if panel is not None and panel.form is not None:
            self.copy("fit", panel.form.value())

    def copy_evaluate(self) -> None:
        """The evaluation of the open fit."""
        path = self._window.session.fit_path
        if path is not None:
            self.copy("evaluate", TASKS["evaluate"].settings(path.absolute()))

    def copy_export(self) -> None:
        """What the page of the panel Export that is in front would write."""
        chosen = self._window.export_workspace.chosen()
        if chosen is not None:
            self._put(command_line(*chosen))

    def copy(self, task: str, settings: Any) -> None:
        """Put a command on the clipboard and say so."""
        self._put(command_line(f"spams {task}", settings))

    def _put(self, line: str) -> None:
        QGuiApplication.clipboard().setText(line)
        self._window.notify(tr("Copied: {line}", line=line))
