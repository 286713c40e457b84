"""The menu bar: the workspaces' menus among the window's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMenu

from app.bookmarks import RECALL, STORE
from app.translation import tr
from app.window_commands import MENUS

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["make_menus"]


def make_menus(window: MainWindow) -> dict[str, QMenu]:
    """Fill the window's menu bar; returns the menus by id."""
    commands, actions = window.commands, window.commands.actions
    own = [(workspace.id, workspace.menu_title, workspace.menu()) for workspace in window.workspaces]
    menus = commands.fill_bar(window.menuBar(), (MENUS[0], *own, *MENUS[1:]))
    recent = QMenu(tr("Open Recent"), window)
    menus["file"].insertMenu(actions["open.demo"], recent)
    recent.aboutToShow.connect(lambda: window.documents.fill_recent(recent))
    menus["edit"].insertActions(actions["edit.reset"], [actions["undo"], actions["redo"]])
    commands.groups[menus["edit"].title().replace("&", "")][:0] = ["undo", "redo"]
    views = menus["view"].addMenu(tr("Stored Views"))
    menus["view"].insertMenu(actions["turn.capture"], views)
    commands.fill(views, (*RECALL, "-", *STORE))
    commands.groups[views.title()] = [*RECALL, *STORE]
    return menus
