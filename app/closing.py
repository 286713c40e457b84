"""Closing the window: what is asked before, and what ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.panels.dialogs import ask
from app.translation import tr

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["Closing"]


class Closing(QObject):
    """Asks while something runs and about what is unsaved, then ends all threads and frees VTK.

    Attributes:
        done: Everything has ended; the window may go.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._agreed = False
        self.done = False

    def may_close(self) -> bool:
        """End everything and return True; or ask, and close the window again where the user agrees."""
        window = self._window
        if self.done:
            return True
        if self._agreed:
            self._end()
            return True
        working, queued = window.jobs.foreground, window.fitting.queue.told()
        if working or queued:
            names = tr(" and ").join(sorted({worker.name for worker in working}))
            running = tr("The {names} is not finished. ", names=names) if working else ""
            ask(
                window, tr("Work is running"), running + queued
                + (tr("Stop it and close the window?") if working else tr("Stop here and close the window?")),
                tr("Stop and close"), tr("Keep working"), self._leave,
            )  # fmt: skip
            return False
        if window.leaving.unsaved:
            self._leave()
            return False
        self._end()
        return True

    def _leave(self) -> None:
        self._window.leaving.guard(self._close, project=True)

    def _close(self) -> None:
        # Hidden only by being closed: otherwise Qt does not take it for the last window, and the program goes on.
        self._agreed = True
        self._window.close()

    def _end(self) -> None:
        window = self._window
        self.done = True
        # The stack empties itself when it is deleted, and would tell the commands of it.
        window.editing.undo_stack.indexChanged.disconnect(window.commands.refresh)
        window.keep_layout()
        window.player.clock.pause()
        window.hide()
        window.fitting.queue.close()
        window.jobs.cancel_all()
        for workspace in window.workspaces:
            workspace.close()
        window.projects.close()
        window.log.close()
        window.commands.close()
        for thread in (window.reader, window.editor, window.documents, window.preload):
            thread.close()
        if window.viewport is not None:
            window.viewport.close()
