"""What the window does, as commands to paste into a terminal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication

from app.command_line import command_line
from app.commands import Command
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
            Command("copy.fit", "Copy the Fit as Command Line", self.copy_fit,
                    "The command that fits with the settings of the panel", "", "terminal-window", self._can_fit),
            Command("copy.evaluate", "Copy Evaluation as Command Line", partial(self._copy_of_fit, "evaluate"),
                    "The command that measures the open fit", "", "terminal-window", has_fit),
            Command("copy.export", "Copy Export as Command Line", partial(self._copy_of_fit, "export"),
                    "The command that exports the open fit as PLY", "", "terminal-window", has_fit),
        ]  # fmt: skip

    def _can_fit(self) -> bool:
        panel, session = self._window.fit_workspace.panel, self._window.session
        return panel is not None and panel.form is not None and not panel.form.problem and session.sequence is not None

    def copy_fit(self) -> None:
        """The fit that the panel would start."""
        panel = self._window.fit_workspace.panel
        if panel is not None and panel.form is not None:
            self.copy("fit", panel.form.value())

    def _copy_of_fit(self, task: str) -> None:
        path, kind = self._window.session.fit_path, TASKS[task].settings
        if path is not None:
            path = path.absolute()
            self.copy(task, kind(path, path.with_name(f"{path.name}_ply")) if task == "export" else kind(path))

    def copy(self, task: str, settings: Any) -> None:
        """Put a command on the clipboard and say so."""
        line = command_line(task, settings)
        QGuiApplication.clipboard().setText(line)
        self._window.notify(f"Copied: {line}")
