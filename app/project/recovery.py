"""Keeps a copy of what is not saved, for the next start after a crash."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, QStandardPaths

from app.latest import Job, LatestWins
from app.project.project_file import SUFFIX, Project, project_text, read_project, write_text
from spams_core.errors import InputError

__all__ = ["Abandoned", "Recovery"]


@dataclass(frozen=True)
class Abandoned:
    """What a window that did not close properly has left.

    Attributes:
        file: The copy.
        project: What it holds.
        origin: The project file that the user worked on; None for what was never saved.
        written_s: When, in seconds since 1970.
    """

    file: Path
    project: Project
    origin: Path | None
    written_s: float


class Recovery(QObject):
    """One copy per running window, held by a lock that ends with the process."""

    def __init__(self, folder: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppLocalDataLocation)
        self.folder = folder or Path(place) / "recovery"
        self._file = self.folder / f"{uuid.uuid4().hex}{SUFFIX}"
        self._lock: QLockFile | None = None
        self._thread = LatestWins("autosave", self)
        self._failed = False

    @property
    def file(self) -> Path:
        """Where this window's copy is."""
        return self._file

    def keep(self, project: Project, origin: Path | None) -> None:
        """Write the copy in the background."""
        if self._lock is None:
            with contextlib.suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self._file)
            if not self._lock.tryLock(0):
                self._failed = True
        if not self._failed:
            text = project_text(project, self.folder, origin=str(origin) if origin is not None else None)
            self._thread.submit(Job(partial(write_text, self._file, text), _ignore, self._on_failed))

    def _on_failed(self, _: Exception) -> None:
        """A full disk: a copy that cannot be kept is no reason to interrupt; the next change tries again."""

    def drop(self) -> None:
        """Nothing is unsaved any more."""
        self._thread.submit(Job(partial(_remove, self._file), _ignore, _ignore))

    def abandoned(self) -> list[Abandoned]:
        """Copies whose windows have ended without removing them, the newest first; unreadable ones are left out."""
        found = []
        with contextlib.suppress(OSError):
            for file in self.folder.glob(f"*{SUFFIX}"):
                lock = _lock(file)
                if file == self._file or not lock.tryLock(0):
                    continue
                lock.unlock()
                with contextlib.suppress(InputError, OSError, ValueError):
                    origin = json.loads(file.read_text(encoding="utf-8")).get("origin")
                    project, written = read_project(file), file.stat().st_mtime
                    found.append(Abandoned(file, project, Path(origin) if origin else None, written))
        return sorted(found, key=lambda left: -left.written_s)

    def discard(self, left: Abandoned) -> None:
        """Remove a copy."""
        _remove(left.file)

    def close(self) -> None:
        """The window closes properly: nothing is left to recover."""
        self._thread.close()
        _remove(self._file)
        if self._lock is not None:
            self._lock.unlock()


def _lock(file: Path) -> QLockFile:
    lock = QLockFile(str(file.with_suffix(".lock")))
    lock.setStaleLockTime(0)  # only the end of its process makes it stale, not its age
    return lock


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def _ignore(_: object) -> None:
    pass
