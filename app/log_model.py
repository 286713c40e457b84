"""What the program logs, as a list for the window: bounded, filled from any thread."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal, Slot

__all__ = ["LogEntry", "LogModel"]

LEVEL, ENTRY = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1
_MOST = 2000
_COLLECT_MS = 100


@dataclass(frozen=True)
class LogEntry:
    """One line of the log, and its traceback if it has one."""

    level: int
    text: str
    details: str = ""


class _Bridge(QObject):
    arrived = Signal()


class _Handler(logging.Handler):
    """Puts entries into a bounded queue; a signal wakes the GUI thread once per batch."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.waiting: deque[LogEntry] = deque(maxlen=_MOST)
        self.bridge: _Bridge | None = _Bridge()
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            when = time.strftime("%H:%M:%S", time.localtime(record.created))
            details = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
            text = f"{when}  {record.name.removeprefix('spams_core.')}: {record.getMessage()}"
            self.waiting.append(LogEntry(record.levelno, text, details))
            if self.bridge is not None and not self._told:
                self._told = True
                self.bridge.arrived.emit()
        except Exception:  # a line that cannot be formatted must not end what was being logged
            self.handleError(record)

    def take(self) -> list[LogEntry]:
        self._told = False
        taken = []
        while self.waiting:
            taken.append(self.waiting.popleft())
        return taken


class LogModel(QAbstractListModel):
    """The newest entries of the program's own loggers, the oldest first."""

    def __init__(self, parent: QObject | None = None, most: int = _MOST) -> None:
        super().__init__(parent)
        self._entries: list[LogEntry] = []
        self._most = most
        self._handler = _Handler()
        assert self._handler.bridge is not None
        self._handler.bridge.arrived.connect(self._on_arrived, Qt.ConnectionType.QueuedConnection)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COLLECT_MS)
        self._timer.timeout.connect(self.collect)
        self._loggers = [logging.getLogger(name) for name in ("app", "spams_core", "py.warnings")]
        self._levels = [known.level for known in self._loggers]
        for known in self._loggers:
            known.addHandler(self._handler)
            if known.getEffectiveLevel() > logging.INFO:
                known.setLevel(logging.INFO)

    @property
    def entries(self) -> list[LogEntry]:
        """All of them."""
        return list(self._entries)

    @Slot()
    def _on_arrived(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def collect(self) -> None:
        """Take over what has arrived; what exceeds the bound falls out at the front."""
        taken = self._handler.take()[-self._most :]
        excess = len(self._entries) + len(taken) - self._most
        none = QModelIndex()
        if excess > 0 and self._entries:
            self.beginRemoveRows(none, 0, min(excess, len(self._entries)) - 1)
            del self._entries[:excess]
            self.endRemoveRows()
        if taken:
            self.beginInsertRows(none, len(self._entries), len(self._entries) + len(taken) - 1)
            self._entries.extend(taken)
            self.endInsertRows()

    def clear(self) -> None:
        """Forget everything."""
        self.beginResetModel()
        self._entries.clear()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """Entries."""
        return 0 if parent is not None and parent.isValid() else len(self._entries)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, details as tooltip, level, entry."""
        if not index.isValid() or index.row() >= len(self._entries):
            return None
        entry = self._entries[index.row()]
        known = {
            Qt.ItemDataRole.DisplayRole: entry.text, Qt.ItemDataRole.ToolTipRole: entry.details or entry.text,
            LEVEL: entry.level, ENTRY: entry,
        }  # fmt: skip
        return known.get(role)

    def close(self) -> None:
        """Listen no longer."""
        for known, level in zip(self._loggers, self._levels, strict=True):
            known.removeHandler(self._handler)
            known.setLevel(level)
        self._handler.bridge = None
        self._timer.stop()
