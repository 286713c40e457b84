"""A second fit of the open recording, to see beside or over the first."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from app.latest import Job, LatestWins
from app.session import CompareAs, Compared, Session

if TYPE_CHECKING:
    from spams_core.data.fit import Fit

__all__ = ["Comparison"]


class Comparison(QObject):
    """Reads the second fit in a thread, and shows it while the workspace is in front.

    Signals:
        changed: Another second fit, none, or another way to show it.
        failed: Why it could not be opened.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thread = LatestWins("second fit", self)
        self._on = False
        self._first: Fit | None = None
        self.other: Fit | None = None
        self.path: Path | None = None
        self.differences: list[tuple[str, str, str]] = []
        self.show_as: CompareAs = "ghost"
        session.fit_changed.connect(self._on_fit)

    def open_path(self, path: Path) -> None:
        """Read a fit; `changed` or `failed` follows."""
        fit = self._session.fit
        if fit is not None:
            self._thread.submit(Job(partial(_read, fit, path), partial(self._receive, fit, path), self.failed.emit))

    def clear(self) -> None:
        """Show the first fit alone."""
        self.other, self.path, self.differences = None, None, []
        self._show()
        self.changed.emit()

    def set_show_as(self, show_as: CompareAs) -> None:
        """Over the first, beside it, or beyond a line."""
        self.show_as = show_as
        self._show()
        self.changed.emit()

    def set_on(self, on: bool) -> None:
        """Show it, or keep it for later."""
        self._on = on
        self._show()

    def close(self) -> None:
        """End the thread."""
        self._thread.close()

    @Slot(object)
    def _on_fit(self, fit: Fit | None) -> None:
        if fit is not self._first:
            self.clear()

    def _receive(self, fit: Fit, path: Path, found: tuple[Fit, list[tuple[str, str, str]]]) -> None:
        if fit is self._session.fit:
            self._first, self.path = fit, path
            self.other, self.differences = found
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        self._session.compared = Compared(self.other, self.show_as) if self._on and self.other is not None else None


def _read(fit: Fit, path: Path) -> tuple[Fit, list[tuple[str, str, str]]]:
    from spams_core.data.fit import read_fit
    from spams_core.data.fit_differences import fit_differences, require_same_recording

    other = read_fit(path)
    require_same_recording(fit, other)
    return other, fit_differences(fit, other)
