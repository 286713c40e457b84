"""The log, in a window of its own beside the main one."""

from __future__ import annotations

import logging

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt, Slot
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtWidgets import QComboBox, QDialog, QHBoxLayout, QListView, QPushButton, QVBoxLayout, QWidget

from app.log_model import ENTRY, LEVEL, LogModel
from app.theme import THEMES, Theme
from app.translation import tr

__all__ = ["LogPanel"]

_LEVELS = (
    (tr("Everything"), logging.INFO),
    (tr("Warnings and errors"), logging.WARNING),
    (tr("Errors"), logging.ERROR),
)


class _FromLevel(QSortFilterProxyModel):
    """Entries from a level upwards, coloured by level."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lowest = logging.INFO
        self.theme = THEMES["dark"]

    def filterAcceptsRow(self, row: int, parent: QModelIndex | QPersistentModelIndex) -> bool:
        source = self.sourceModel()
        return bool(source.data(source.index(row, 0, parent), LEVEL) >= self.lowest)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role == Qt.ItemDataRole.ForegroundRole:
            level = super().data(index, LEVEL) or 0
            colors = ((logging.ERROR, self.theme.danger), (logging.WARNING, self.theme.warning))
            return QColor(next((color for least, color in colors if level >= least), self.theme.text))
        return super().data(index, role)


class LogPanel(QDialog):
    """What the program logs: a level to filter by, the text to copy."""

    def __init__(self, model: LogModel, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Log"))
        self.resize(760, 380)
        self._model = model
        self.shown = _FromLevel(self)
        self.shown.theme = theme
        self.shown.setSourceModel(model)
        self.level = QComboBox()
        for title, level in _LEVELS:
            self.level.addItem(title, level)
        self.level.setAccessibleName(tr("Level"))
        self.level.setToolTip(tr("Show entries from this level upwards"))
        self.level.currentIndexChanged.connect(self._on_level)
        self.list = QListView()
        self.list.setModel(self.shown)
        self.list.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.list.setUniformItemSizes(True)
        self.list.setAccessibleName(tr("Log"))
        self.copy = QPushButton(tr("Copy"))
        self.copy.setToolTip(tr("Copy the chosen entries, or all that are shown, with their tracebacks"))
        self.copy.clicked.connect(self._on_copy)
        self.clear = QPushButton(tr("Clear"))
        self.clear.setToolTip(tr("Forget all entries"))
        self.clear.clicked.connect(model.clear)
        for button in (self.copy, self.clear):
            button.setAutoDefault(False)
        row = QHBoxLayout()
        row.addWidget(self.level)
        row.addStretch(1)
        row.addWidget(self.copy)
        row.addWidget(self.clear)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.addLayout(row)
        layout.addWidget(self.list, 1)
        model.rowsInserted.connect(self._on_rows)
        self.list.scrollToBottom()

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.shown.theme = theme
        self.list.viewport().update()

    @Slot()
    def _on_level(self, *_: object) -> None:
        self.shown.lowest = int(self.level.currentData())
        self.shown.invalidate()

    @Slot()
    def _on_rows(self, *_: object) -> None:
        bar = self.list.verticalScrollBar()
        if bar.value() >= bar.maximum() - 2:  # whoever has scrolled up is reading
            self.list.scrollToBottom()

    def text(self) -> str:
        """The chosen entries, or all that are shown."""
        chosen = sorted(self.list.selectedIndexes(), key=lambda index: index.row())
        rows = chosen or [self.shown.index(row, 0) for row in range(self.shown.rowCount())]
        entries = [index.data(ENTRY) for index in rows]
        return "\n".join(f"{logging.getLevelName(e.level)} {e.text}\n{e.details}".rstrip() for e in entries)

    @Slot()
    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text())
