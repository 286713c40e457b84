"""The menu bar: the workspaces' menus among the window's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMenu

from app.bookmarks import RECALL, STORE
from app.window_commands import MENUS

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["make_menus"]


def make_menus(window: MainWindow) -> dict[str, QMenu]:
    """Fill the window's menu bar; returns the menus by title."""
    commands, actions = window.commands, window.commands.actions
    own = [(workspace.menu_title, workspace.menu()) for workspace in window.workspaces]
    menus = commands.fill_bar(window.menuBar(), (MENUS[0], *own, *MENUS[1:]))
    recent = QMenu("Open Recent", window)
    menus["File"].insertMenu(actions["open.demo"], recent)
    recent.aboutToShow.connect(lambda: window.documents.fill_recent(recent))
    menus["Edit"].insertActions(actions["edit.reset"], [actions["undo"], actions["redo"]])
    commands.groups["Edit"][:0] = ["undo", "redo"]
    views = menus["View"].addMenu("Stored Views")
    menus["View"].insertMenu(actions["turn.capture"], views)
    commands.fill(views, (*RECALL, "-", *STORE))
    commands.groups["Stored Views"] = [*RECALL, *STORE]
    return menus
