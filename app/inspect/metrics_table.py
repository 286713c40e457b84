"""Every fitted frame's figures as a table that can be sorted; a click goes to the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QLabel, QPushButton, QTableView, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from spams_core.data.diagnosis import FrameDiagnosis

__all__ = ["MetricsTable"]

_UNKNOWN = -1.0
"""Sorts below every figure."""

_MEASURED_ROWS = 20
"""So many rows besides those on screen say how wide a column is."""

_Index = QModelIndex | QPersistentModelIndex


class _Figures(QAbstractTableModel):
    """Millimetres and per cent; the sorting role gives numbers, those that are not known last of all."""

    def __init__(self, parent: QWidget) -> None:
        # Owned by the table: a model that Python collects while a view still asks it brings the program down.
        super().__init__(parent)
        self.titles: list[str] = []
        self.numbers: np.ndarray[Any, Any] = np.zeros((0, 0))
        self._sorted_by = 0, Qt.SortOrder.AscendingOrder

    def show_rows(self, rows: Mapping[int, FrameDiagnosis], parts: Sequence[str]) -> None:
        self.beginResetModel()
        self.titles = ["Frame", "All\nmm", *(f"{part}\nmm" for part in parts), "Kept\n%", "Missing\n%", "Jitter\nmm"]
        self.numbers = np.array(
            [
                [row.frame, 1e3 * row.residual_m, *(1e3 * row.part_residual_m), 1e2 * row.kept_share,
                 1e2 * row.missing_share, 1e3 * row.jitter_m]
                for _, row in sorted(rows.items())
                if len(row.part_residual_m) == len(parts)
            ]
        ).reshape(-1, len(self.titles))  # fmt: skip
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Arrange the rows by a column; marked ones stay marked. A model between would ask for each cell on its own."""
        self.layoutAboutToBeChanged.emit()
        marked = self.persistentIndexList()
        frames = [self.numbers[index.row(), 0] for index in marked]
        self._sorted_by = column, order
        self._arrange()
        rows = {frame: row for row, frame in enumerate(self.numbers[:, 0])} if marked else {}
        moved = [self.index(rows[frame], index.column()) for frame, index in zip(frames, marked, strict=True)]
        self.changePersistentIndexList(marked, moved)
        self.layoutChanged.emit()

    def _arrange(self) -> None:
        column, order = self._sorted_by
        if 0 <= column < self.columnCount():
            keys = np.nan_to_num(self.numbers[:, column], nan=_UNKNOWN)
            falling = order == Qt.SortOrder.DescendingOrder
            self.numbers = self.numbers[np.lexsort((self.numbers[:, 0], -keys if falling else keys))]

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self.numbers)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.titles)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        value = float(self.numbers[index.row(), index.column()])
        if role == Qt.ItemDataRole.UserRole:
            return value if np.isfinite(value) else _UNKNOWN
        if role == Qt.ItemDataRole.DisplayRole:
            return "–" if not np.isfinite(value) else f"{value:.0f}" if index.column() == 0 else f"{value:.1f}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.titles[section]
        return None


class MetricsTable(QWidget):
    """Table, medians, and a way to save it.

    Signals:
        frame_chosen: A row was clicked: its frame.
        save_requested: The user wants a file.
    """

    frame_chosen = Signal(int)
    save_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._waiting: tuple[Mapping[int, FrameDiagnosis], Sequence[str]] | None = None
        self._figures = _Figures(self)
        self.view = QTableView()
        self.view.setModel(self._figures)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(22)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.horizontalHeader().setResizeContentsPrecision(_MEASURED_ROWS)
        self.view.setAccessibleName("Figures of every frame")
        self.view.clicked.connect(self._on_clicked)
        self.medians = QLabel()
        self.medians.setObjectName("muted")
        self.medians.setWordWrap(True)
        heading = QLabel("Figures of every frame")
        heading.setObjectName("heading")
        self.save = QPushButton("Save as CSV…")
        self.save.setToolTip("Write the table to a file")
        self.save.clicked.connect(self.save_requested)
        top = QHBoxLayout()
        top.addWidget(heading, 1)
        top.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.medians)

    def show_rows(self, rows: Mapping[int, FrameDiagnosis], parts: Sequence[str]) -> None:
        """Show what is measured; a table that is hidden is filled when it is shown."""
        self._waiting = rows, parts
        if self.isVisible():
            self._fill()

    def showEvent(self, event: QShowEvent) -> None:
        """Fill in what has come meanwhile."""
        super().showEvent(event)
        self._fill()

    def _fill(self) -> None:
        if self._waiting is None:
            return
        (rows, parts), self._waiting = self._waiting, None
        before, empty = self._figures.titles, len(self._figures.numbers) == 0
        self._figures.show_rows(rows, parts)
        self.save.setEnabled(bool(rows))
        if empty or before != self._figures.titles:
            self.view.resizeColumnsToContents()
        told = []
        for title, column in list(zip(self._figures.titles, self._figures.numbers.T, strict=True))[1:]:
            known = column[np.isfinite(column)]
            if len(known):
                name, unit = title.split("\n")
                told.append(f"{name.lower()} {np.median(known):.1f} {unit}")
        self.medians.setText(f"Median over the frames: {', '.join(told)}." if told else "Nothing is measured yet.")

    def texts(self) -> list[list[str]]:
        """What stands in the cells, in the order shown."""
        model = self._figures
        return [
            [str(model.index(row, column).data()) for column in range(model.columnCount())]
            for row in range(model.rowCount())
        ]

    @Slot(QModelIndex)
    def _on_clicked(self, index: QModelIndex) -> None:
        self.frame_chosen.emit(int(self._figures.index(index.row(), 0).data(Qt.ItemDataRole.UserRole)))
