"""What the window's five workspaces have in common: Capture, Fit, Inspect, Edit, Export."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from app.commands import Command
from app.theme import Theme

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["Workspace"]


class Workspace(QObject):
    """One way of working with the window: a tab of the side panel, a menu, and a choice of views.

    A subclass names itself, offers commands, and makes its panel when the heavy libraries are there.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    menu_title: ClassVar[str]
    """Title of its menu, with the letter that opens it."""
    hint: ClassVar[str]
    columns: ClassVar[tuple[bool, bool, bool]] = (True, True, True)
    """Which of input, fit and canonical view it shows."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window

    def commands(self) -> list[Command]:
        """Its commands; the table takes them before any panel exists."""
        return []

    def menu(self) -> tuple[str, ...]:
        """Names of the commands in its menu; "-" is a separator."""
        return tuple(command.id for command in self.commands())

    def make_panel(self) -> QWidget:
        """What stands in its tab; called once, when VTK and pyqtgraph can be imported."""
        raise NotImplementedError

    def enter(self) -> None:
        """The user turned to it: show what belongs to it, such as `window.set_aside`."""

    def leave(self) -> None:
        """The user turns to another one."""

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours; also called before there is a panel."""

    def close(self) -> None:
        """The window goes: end threads, free VTK's side."""
