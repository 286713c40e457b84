"""One table of commands; menus, toolbar and timeline buttons are views of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
        self.groups: dict[str, list[str]] = {}
        self._closed = False
        for command in self._commands.values():
            action = QAction(command.title, self)
            action.setStatusTip(command.hint)
            self.actions[command.id] = action
            self.bind(command.id, command.shortcut)
            if command.checked_when is not None:
                action.setCheckable(True)
            action.triggered.connect(lambda checked, command=command: self._run(command, checked))

    def command(self, name: str) -> Command:
        """What stands in the table under a name."""
        return self._commands[name]

    def title(self, name: str) -> str:
        """A command's title in running text: without its mnemonic and its dots."""
        return self._commands[name].title.replace("&&", "\0").replace("&", "").replace("\0", "&").rstrip("…")

    def keys(self, name: str) -> str:
        """A command's present shortcut, as QKeySequence writes it; empty without one."""
        return self.actions[name].shortcut().toString()

    def bind(self, name: str, keys: str) -> None:
        """Give a command another shortcut, or with an empty text none; menus and tooltips follow."""
        action, command = self.actions[name], self._commands[name]
        action.setShortcut(QKeySequence(keys))
        shown = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{command.hint or self.title(name)}{f' ({shown})' if shown else ''}")

    def bind_all(self, changes: Mapping[str, str]) -> None:
        """The commands' own shortcuts, but for these; names that no command has are passed over."""
        for name, command in self._commands.items():
            self.bind(name, changes.get(name, command.shortcut))

    def changed_keys(self) -> dict[str, str]:
        """Shortcuts that differ from the commands' own."""
        own = {name: QKeySequence(command.shortcut).toString() for name, command in self._commands.items()}
        return {name: self.keys(name) for name in self._commands if self.keys(name) != own[name]}

    def holder(self, keys: str, besides: str = "") -> str | None:
        """Which other command has a shortcut, or one that it begins with."""
        wanted, none = QKeySequence(keys), QKeySequence.SequenceMatch.NoMatch
        for name, action in self.actions.items():
            bound = action.shortcut()
            if name == besides or bound.isEmpty() or wanted.isEmpty():
                continue
            if wanted.matches(bound) != none or bound.matches(wanted) != none:
                return name
        return None

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
        if self._closed:
            return
        command, action = self._commands[name], self.actions[name]
        action.setEnabled(command.enabled_when is None or command.enabled_when())
        if command.checked_when is not None:
            action.setChecked(command.checked_when())

    def close(self) -> None:
        """What the commands ask for their state goes: ask no more."""
        self._closed = True

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

    def fill_bar(self, bar: QMenuBar, menus: Iterable[tuple[str, str, Sequence[str]]]) -> dict[str, QMenu]:
        """Make a menu bar of (id, title, commands); returns the menus by id."""
        made = {}
        for id_, title, names in menus:
            menu = bar.addMenu(title)
            menu.setToolTipsVisible(True)
            self.fill(menu, names)
            made[id_] = menu
            self.groups[title.replace("&", "")] = [name for name in names if name != "-"]
        return made
