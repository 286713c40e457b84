"""One table of commands; menus, toolbar and timeline buttons are views of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from app.theme import Theme, icon

__all__ = ["Command", "CommandTable"]


@dataclass(frozen=True)
class Command:
    """Something the user can do.

    Attributes:
        id: Name in menus, toolbar and tests.
        title: Text of the menu entry.
        run: What happens; a checkable command gets the new state.
        hint: Tooltip, one sentence.
        shortcut: Key, as QKeySequence reads it.
        icon: Phosphor symbol.
        enabled_when: Whether it makes sense now; None = always.
        checked_when: State of a checkable command; None = not checkable.
    """

    id: str
    title: str
    run: Callable[..., None]
    hint: str = ""
    shortcut: str = ""
    icon: str = ""
    enabled_when: Callable[[], bool] | None = None
    checked_when: Callable[[], bool] | None = None


class CommandTable(QObject):
    """The actions of all commands. Nothing that a command raises escapes: it is emitted as `failed`."""

    failed = Signal(object)

    def __init__(self, commands: Iterable[Command], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._commands = {command.id: command for command in commands}
        self.actions: dict[str, QAction] = {}
        for command in self._commands.values():
            action = QAction(command.title, self)
            keys = f" ({command.shortcut})" if command.shortcut else ""
            action.setToolTip(f"{command.hint or command.title.rstrip('…')}{keys}")
            action.setStatusTip(command.hint)
            if command.shortcut:
                action.setShortcut(QKeySequence(command.shortcut))
            if command.checked_when is not None:
                action.setCheckable(True)
            action.triggered.connect(lambda checked, command=command: self._run(command, checked))
            self.actions[command.id] = action

    def _run(self, command: Command, checked: bool) -> None:
        try:
            command.run(checked) if command.checked_when is not None else command.run()
        except Exception as error:  # a slot never raises; the window shows it
            self.failed.emit(error)
        self.refresh()

    @Slot()
    def refresh(self, *_: Any) -> None:
        """Bring enabled and checked states up to date."""
        for name in self._commands:
            self.refresh_one(name)

    def refresh_one(self, name: str) -> None:
        """Bring one command's enabled and checked state up to date."""
        command, action = self._commands[name], self.actions[name]
        action.setEnabled(command.enabled_when is None or command.enabled_when())
        if command.checked_when is not None:
            action.setChecked(command.checked_when())

    def set_theme(self, theme: Theme) -> None:
        """Draw the symbols in a theme's colours."""
        for name, command in self._commands.items():
            if command.icon:
                self.actions[name].setIcon(icon(command.icon, theme))

    def fill(self, menu: QMenu, names: Sequence[str]) -> None:
        """Append commands to a menu; "-" is a separator."""
        for name in names:
            if name == "-":
                menu.addSeparator()
            else:
                menu.addAction(self.actions[name])

    def fill_bar(self, bar: QMenuBar, menus: Iterable[tuple[str, Sequence[str]]]) -> dict[str, QMenu]:
        """Make a menu bar; returns the menus by title."""
        made = {}
        for title, names in menus:
            menu = bar.addMenu(title)
            menu.setToolTipsVisible(True)
            self.fill(menu, names)
            made[title.replace("&", "")] = menu
        return made
