"""The fits of the open recording, to open, name and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.fit.runs import Run, differing_settings
from app.fit.time_left import spoken
from app.translation import tr

__all__ = ["RunsPanel"]

_RUN = Qt.ItemDataRole.UserRole
_COLUMNS = (tr("Name"), "mm", tr("Preset"), tr("Took"), tr("Made"))


class _Row(QTreeWidgetItem):
    """Sorts by what the column means, not by its text."""

    def __lt__(self, other: QTreeWidgetItem) -> bool:
        column = self.treeWidget().sortColumn()
        mine, theirs = _key(self, column), _key(other, column)
        return bool(mine < theirs)


def _key(item: QTreeWidgetItem, column: int) -> Any:
    run: Run = item.data(0, _RUN)
    keys = (item.text(0).lower(), run.residual_mm or 0.0, run.preset, run.seconds or 0.0, run.made)
    return keys[column]


class RunsPanel(QWidget):
    """One row per fit; two marked rows are compared. `renamed` tells a fit's folder and its new name."""

    opened = Signal(object)
    renamed = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: Mapping[Path, str] = {}
        self._open: Path | None = None
        self.list = _tree(_COLUMNS, tr("Fits of this recording"))
        self.list.setSortingEnabled(True)
        self.list.sortByColumn(4, Qt.SortOrder.DescendingOrder)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._show_menu)
        self.list.itemDoubleClicked.connect(lambda item, _: self.opened.emit(item.data(0, _RUN).path))
        self.list.itemSelectionChanged.connect(self._compare)
        self.list.itemChanged.connect(self._on_edited)
        self._note = QLabel()
        self._note.setObjectName("muted")
        self._note.setWordWrap(True)
        self.table = _tree((tr("Setting"), "", ""), tr("Settings that differ"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.list, 1)
        layout.addWidget(self._note)
        layout.addWidget(self.table, 1)
        self.show_runs([], {}, None)

    def show_runs(self, runs: Sequence[Run], names: Mapping[Path, str], opened: Path | None) -> None:
        """Fill the list; marked rows stay marked.

        Args:
            runs: Fits of the open recording.
            names: What the user calls some of them.
            opened: The one that is open.
        """
        marked = {run.path for run in self.marked}
        self._names, self._open = names, opened
        self.list.blockSignals(True)
        self.list.clear()
        for run in runs:
            row = _Row()
            row.setData(0, _RUN, run)
            row.setFlags(row.flags() | Qt.ItemFlag.ItemIsEditable)
            row.setText(0, names.get(run.path, run.path.name))
            row.setText(1, f"{run.residual_mm:.1f}" if run.residual_mm is not None else "–")
            row.setText(2, run.preset)
            row.setText(3, spoken(run.seconds) if run.seconds is not None else "–")
            row.setText(4, run.made.strftime("%d %b %H:%M"))
            for column in range(len(_COLUMNS)):
                row.setToolTip(column, f"{run.path}\n{run.made:%Y-%m-%d %H:%M}")
            font = row.font(0)
            font.setBold(run.path == opened)
            row.setFont(0, font)
            self.list.addTopLevelItem(row)
            row.setSelected(run.path in marked)
        self.list.blockSignals(False)
        self._compare()

    @property
    def marked(self) -> list[Run]:
        """The marked fits, from top to bottom."""
        rows = sorted(self.list.selectedItems(), key=self.list.indexOfTopLevelItem)
        return [row.data(0, _RUN) for row in rows]

    def texts(self, tree: QTreeWidget | None = None) -> list[tuple[str, ...]]:
        """What a list says, row by row; by default that of the fits."""
        shown = tree or self.list
        rows = [shown.topLevelItem(index) for index in range(shown.topLevelItemCount())]
        return [tuple(row.text(column) for column in range(shown.columnCount())) for row in rows if row is not None]

    @Slot()
    def _compare(self) -> None:
        marked = self.marked
        self.table.clear()
        self.table.setVisible(len(marked) == 2)
        if not self.list.topLevelItemCount():
            self._note.setText(tr("Fits of the open recording are listed here."))
        elif len(marked) != 2:
            self._note.setText(tr("Mark two with Ctrl to see which settings differ; F2 renames one."))
        else:
            first, second = marked
            rows = differing_settings(first, second)
            names = [self._names.get(run.path, run.path.name) for run in marked]
            self.table.setHeaderLabels([tr("Setting"), *names])
            for name, *values in rows:
                row = QTreeWidgetItem([name.removeprefix("solve.").replace("_", " "), *map(_shown, values)])
                row.setToolTip(0, name)
                self.table.addTopLevelItem(row)
            self.table.setVisible(bool(rows))
            self._note.setText(tr("Settings that differ:") if rows else tr("Both have the same settings and inputs."))

    @Slot(QPoint)
    def _show_menu(self, place: QPoint) -> None:
        row = self.list.itemAt(place)
        if row is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Open"), partial(self.opened.emit, row.data(0, _RUN).path))
        menu.addAction(tr("Rename"), partial(self.list.editItem, row, 0))
        menu.popup(self.list.viewport().mapToGlobal(place))

    def _on_edited(self, row: QTreeWidgetItem, column: int) -> None:
        if column == 0:
            self.renamed.emit(row.data(0, _RUN).path, row.text(0).strip())


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _tree(columns: Sequence[str], name: str) -> QTreeWidget:
    tree = QTreeWidget()
    tree.setColumnCount(len(columns))
    tree.setHeaderLabels(list(columns))
    tree.setRootIsDecorated(False)
    tree.setUniformRowHeights(True)
    tree.setAccessibleName(name)
    tree.setMinimumHeight(48)  # in a low window the form above leaves little
    header = tree.header()
    header.setStretchLastSection(False)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setMaximumSectionSize(150)
    return tree
