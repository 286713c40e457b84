"""Starts exports from the panel's pages, asks before anything is replaced, and tells the pages how it goes."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from app.export.page import ExportPage
from app.panels.dialogs import ask
from app.translation import tr
from app.worker import TaskWorker

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["Exporting"]


class Exporting(QObject):
    """One export at a time per page."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._workers: dict[ExportPage, TaskWorker] = {}

    def attach(self, page: ExportPage) -> None:
        """Serve a page."""
        page.requested.connect(partial(self._on_requested, page))
        page.cancel_requested.connect(partial(self._on_cancel, page))

    def _on_requested(self, page: ExportPage, settings: Any) -> None:
        try:
            existing = [path for path in page.kind.writes(settings) if path.exists()]
            if not existing:
                self._start(page, settings)
                return
            names, one = tr(" and ").join(map(str, existing)), len(existing) == 1
            ask(
                self._window, tr("Replace it?") if one else tr("Replace them?"),
                tr("{names} exists already. Replace it?", names=names) if one
                else tr("{names} exist already. Replace them?", names=names), tr("Replace"),
                tr("Keep it") if one else tr("Keep them"),
                partial(self._start, page, dataclasses.replace(settings, overwrite=True)),
            )  # fmt: skip
        except Exception as error:  # a slot never raises
            self._window.show_error(error)

    def _start(self, page: ExportPage, settings: Any) -> None:
        if page in self._workers:
            return
        worker = self._workers[page] = self._window.jobs.run_export(page.kind.run(settings))
        worker.progressed.connect(page.show_progress)
        worker.succeeded.connect(page.show_written)
        worker.stopped.connect(partial(self._window.notify, tr("Export cancelled; nothing was written.")))
        worker.ended.connect(partial(self._on_ended, page))
        page.set_running(True)

    def _on_cancel(self, page: ExportPage) -> None:
        if page in self._workers:
            self._workers[page].cancel()

    def _on_ended(self, page: ExportPage) -> None:
        self._workers.pop(page, None)
        page.set_running(False)
