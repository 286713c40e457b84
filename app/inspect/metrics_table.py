"""Every fitted frame's figures as a table that can be sorted; a click goes to the frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.translation import part_titles, tr
from spams_core import resources

if TYPE_CHECKING:
    from spams_core.data.diagnosis import FrameDiagnosis

__all__ = ["MetricsTable"]

_UNKNOWN = -1.0
"""Sorts below every figure."""

_MEASURED_ROWS = 20
"""So many rows besides those on screen say how wide a column is."""

_PADDING_PX = 3
"""At either side of a cell."""

_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class _Column:
    """What a column is called in the preferences and in the window, unit and meaning of its figures."""

    key: str
    name: str
    unit: str
    meaning: str

    def header(self, arrow: str) -> str:
        """A word per line, the unit below, with the arrow of the column that is sorted by."""
        return "\n".join([*self.name.split(), f"{self.unit} {arrow}".strip()])


def _columns(parts: Sequence[str]) -> list[_Column]:
    """Of a table of the parts of these names."""
    titles = zip(resources.part_titles(parts), part_titles(parts), strict=True)
    seen = tr("median distance of the observed points to the surface")
    return [
        _Column("Frame", tr("Frame"), "", tr("counted in the recording")),
        _Column("All", tr("All"), "mm", seen),
        *(_Column(key, name, "mm", tr("{seen}, this part alone", seen=seen)) for key, name in titles),
        _Column("Kept", tr("Kept"), "%", tr("pairs of an observed and a model point that were not rejected")),
        _Column("Missing", tr("Missing"), "%", tr("the subject's pixels without a reading")),
        _Column("Jitter", tr("Jitter"), "mm", tr("from the middle between the frames before and after")),
    ]


class _Figures(QAbstractTableModel):
    """Millimetres and per cent; the sorting role gives numbers, those that are not known last of all."""

    def __init__(self, parent: QWidget) -> None:
        # Owned by the table: a model that Python collects while a view still asks it brings the program down.
        super().__init__(parent)
        self.columns: list[_Column] = []
        self.numbers: np.ndarray[Any, Any] = np.zeros((0, 0))
        self._sorted_by = 0, Qt.SortOrder.AscendingOrder

    def show_rows(self, rows: Mapping[int, FrameDiagnosis], parts: Sequence[str]) -> None:
        self.beginResetModel()
        self.columns = _columns(parts)
        self.numbers = np.array(
            [
                [row.frame, 1e3 * row.residual_m, *(1e3 * row.part_residual_m), 1e2 * row.kept_share,
                 1e2 * row.missing_share, 1e3 * row.jitter_m]
                for _, row in sorted(rows.items())
                if len(row.part_residual_m) == len(parts)
            ]
        ).reshape(-1, len(self.columns))  # fmt: skip
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
        return 0 if parent.isValid() else len(self.columns)

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
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column, (sorted_by, order) = self.columns[section], self._sorted_by
        unit = f", {column.unit}" if column.unit else ""
        if role == Qt.ItemDataRole.DisplayRole:
            arrow = "" if section != sorted_by else "▾" if order == Qt.SortOrder.DescendingOrder else "▴"
            return column.header(arrow)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{column.name}{unit}: {column.meaning}"
        return None


class MetricsTable(QWidget):
    """Table, medians, and a way to save it.

    Signals:
        frame_chosen: A row was clicked: its frame.
        save_requested: The user wants a file.
        hidden_changed: The keys of the columns that are not shown, the same in every language.
    """

    frame_chosen = Signal(int)
    save_requested = Signal()
    hidden_changed = Signal(object)

    def __init__(self, hidden: Iterable[str] = (), parent: QWidget | None = None) -> None:
        """`hidden` are the keys of columns that are not shown."""
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._hidden = frozenset(hidden)
        self._waiting: tuple[Mapping[int, FrameDiagnosis], Sequence[str]] | None = None
        self._shown: tuple[Mapping[int, FrameDiagnosis], Sequence[str]] | None = None
        self._figures = _Figures(self)
        self.view = QTableView()
        self.view.setModel(self._figures)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(22)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self.view.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignRight)
        header.setStyleSheet(f"QHeaderView::section {{ padding: 3px {_PADDING_PX}px; }}")
        header.setSortIndicatorShown(False)  # it takes as much room as a number; the unit's line has an arrow instead
        header.setMinimumSectionSize(24)
        self.view.setWordWrap(False)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setAccessibleName(tr("Figures of every frame"))
        self.view.clicked.connect(self._on_clicked)
        self.medians = QLabel()
        self.medians.setObjectName("muted")
        self.medians.setWordWrap(True)
        heading = QLabel(tr("Figures of every frame"))
        heading.setObjectName("heading")
        self.save = QPushButton(tr("Save as CSV…"))
        self.save.setToolTip(tr("Write the table to a file"))
        self.save.clicked.connect(self.save_requested)
        self.choose = QToolButton()
        self.choose.setText(tr("Columns"))
        self.choose.setObjectName("outlined")
        self.choose.setToolTip(tr("Choose which figures are shown; the file has them all"))
        self.choose.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.choose.setMenu(QMenu(self.choose))
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(lambda at: self.choose.menu().popup(header.mapToGlobal(at)))
        top = QHBoxLayout()
        top.addWidget(heading, 1)
        top.addWidget(self.choose)
        top.addWidget(self.save)
        self._column = layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 6, 8)
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
        self._shown, self._waiting = self._waiting, None
        rows, parts = self._shown
        before, empty = self._figures.columns, len(self._figures.numbers) == 0
        self._figures.show_rows(rows, parts)
        self.save.setEnabled(bool(rows))
        if before != self._figures.columns:
            self._offer_columns()
        if empty or before != self._figures.columns:
            self._fit_columns()
        told = []
        for column, numbers in list(zip(self._figures.columns, self._figures.numbers.T, strict=True))[1:]:
            known = numbers[np.isfinite(numbers)]
            if len(known) and column.key not in self._hidden:
                told.append(f"{column.name.lower()} {np.median(known):.1f} {column.unit}")
        self.medians.setText(
            tr("Median over the frames: {figures}.", figures=", ".join(told))
            if told
            else tr("Nothing is measured yet.")
        )

    def _offer_columns(self) -> None:
        """A tick for each column but the first."""
        menu = self.choose.menu()
        menu.clear()
        for column in self._figures.columns[1:]:
            action = menu.addAction(f"{column.name} ({column.unit})")
            action.setToolTip(column.meaning)
            action.setCheckable(True)
            action.setChecked(column.key not in self._hidden)
            action.toggled.connect(partial(self._on_column, column.key))
        menu.addSeparator()
        menu.addAction(tr("All")).triggered.connect(self._on_all)
        menu.setToolTipsVisible(True)

    def _fit_columns(self) -> None:
        """Each as wide as its figures and the longest word of its name."""
        metrics, model = self.view.fontMetrics(), self._figures
        rows = range(min(model.rowCount(), _MEASURED_ROWS))
        for section, column in enumerate(model.columns):
            texts = [*column.header("▾").split("\n"), *(str(model.index(row, section).data()) for row in rows)]
            widest = max(metrics.horizontalAdvance(text) for text in texts)
            self.view.setColumnWidth(section, widest + 2 * _PADDING_PX + 2)
            self.view.setColumnHidden(section, column.key in self._hidden)

    def wanted_width(self) -> int:
        """Room that shows all chosen columns, pixels."""
        margins = self.contentsMargins()
        inside = self._column.contentsMargins()
        edges = margins.left() + margins.right() + inside.left() + inside.right() + 2 * self.view.frameWidth()
        return self.view.horizontalHeader().length() + self.view.verticalScrollBar().sizeHint().width() + edges + 4

    def _on_column(self, key: str, shown: bool) -> None:
        self._hidden = self._hidden - {key} if shown else self._hidden | {key}
        self._take_hidden()

    @Slot()
    def _on_all(self) -> None:
        for action in self.choose.menu().actions():
            if action.isCheckable():
                action.setChecked(True)

    def _take_hidden(self) -> None:
        for section, column in enumerate(self._figures.columns):
            self.view.setColumnHidden(section, column.key in self._hidden)
        if self._shown is not None:
            self.show_rows(*self._shown)  # the medians are those of the columns
        self.hidden_changed.emit(self._hidden)

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
