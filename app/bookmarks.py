"""Camera places that the user keeps, in nine slots of the project."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.commands import Command
from app.translation import tr

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["RECALL", "STORE", "Bookmarks"]

_SLOTS = range(1, 10)
RECALL = tuple(f"bookmark.recall.{slot}" for slot in _SLOTS)
STORE = tuple(f"bookmark.store.{slot}" for slot in _SLOTS)


class Bookmarks(QObject):
    """Stores both cameras, and brings them back."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window

    def commands(self) -> list[Command]:
        """Store and recall of each slot."""
        window = self._window

        def known(slot: int) -> bool:
            return window.viewing and slot in window.projects.bookmarks

        def viewing() -> bool:
            return window.viewing

        return [
            *(
                Command(f"bookmark.recall.{slot}", tr("Go to View {slot}", slot=slot), partial(self.recall, slot),
                        tr("Cameras as they were stored in this slot"), str(slot), "", partial(known, slot))
                for slot in _SLOTS
            ),
            *(
                Command(f"bookmark.store.{slot}", tr("Store as View {slot}", slot=slot), partial(self.store, slot),
                        tr("Keep where the cameras stand, in the project"), f"Ctrl+Shift+{slot}", "", viewing)
                for slot in _SLOTS
            ),
        ]  # fmt: skip

    def store(self, slot: int) -> None:
        """Keep where the cameras stand."""
        viewport = self._window.viewport
        if viewport is not None:
            self._window.projects.bookmarks[slot] = viewport.cameras()
            self._window.projects.refresh()
            self._window.notify(tr("Stored as view {slot}; {slot} brings it back", slot=slot))

    def recall(self, slot: int) -> None:
        """Put the cameras where they stood."""
        viewport, kept = self._window.viewport, self._window.projects.bookmarks.get(slot)
        if viewport is not None and kept is not None:
            viewport.set_cameras(kept)
            self._window.commands.refresh()
