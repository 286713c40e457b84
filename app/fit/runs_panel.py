"""The fits of the open recording, to open, name and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
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
    """One row per fit; two marked rows are compared. `renamed` tells a fit's folder and its new name.

    An interrupted fit can be continued; that and what else can be done with it is told by its `Run`.
    """

    opened = Signal(object)
    renamed = Signal(object, str)
    continued = Signal(object)
    copied = Signal(object)
    removed = Signal(object)

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
        self.list.itemDoubleClicked.connect(lambda item, _: self._open_run(item.data(0, _RUN)))
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
        self.continue_button = QPushButton(tr("Continue"))
        self.continue_button.setToolTip(tr("Go on with the fit where it was interrupted"))
        self.continue_button.clicked.connect(lambda: self.continued.emit(self.interrupted))
        layout.addWidget(self.continue_button)
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
            name = names.get(run.path, run.path.name)
            if run.interrupted is None:
                row.setFlags(row.flags() | Qt.ItemFlag.ItemIsEditable)
                row.setText(0, name)
            else:
                done, count = run.interrupted.rounds_done, run.interrupted.rounds
                row.setText(0, tr("{name} – interrupted at round {done} of {count}", name=name, done=done, count=count))
                row.setSizeHint(0, QSize(0, 0))  # it may go on over the other columns
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
            row.setFirstColumnSpanned(run.interrupted is not None)
            row.setSelected(run.path in marked)
        self.list.blockSignals(False)
        self._compare()

    @property
    def marked(self) -> list[Run]:
        """The marked fits, from top to bottom."""
        rows = sorted(self.list.selectedItems(), key=self.list.indexOfTopLevelItem)
        return [row.data(0, _RUN) for row in rows]

    @property
    def interrupted(self) -> Run | None:
        """The one interrupted fit among the marked ones, or in the list while none is marked."""
        rows = [self.list.topLevelItem(index) for index in range(self.list.topLevelItemCount())]
        runs = self.marked or [row.data(0, _RUN) for row in rows if row is not None]
        found: list[Run] = [run for run in runs if run.interrupted is not None]
        return found[0] if len(found) == 1 and len(self.marked) < 2 else None

    def _open_run(self, run: Run) -> None:
        if run.interrupted is None:
            self.opened.emit(run.path)
        else:
            self.continued.emit(run)

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
        self.continue_button.setVisible(self.interrupted is not None)
        if not self.list.topLevelItemCount():
            self._note.setText(tr("Fits of the open recording are listed here."))
        elif self.interrupted is not None and self.interrupted.interrupted is not None:
            run, how = self.interrupted, self.interrupted.interrupted
            self._note.setText(
                tr(
                    "{name} was interrupted at round {done} of {count}, after {time}.",
                    name=self._names.get(run.path, run.path.name), done=how.rounds_done, count=how.rounds,
                    time=spoken(run.seconds or 0.0),
                )
            )  # fmt: skip
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
        run: Run = row.data(0, _RUN)
        if run.interrupted is None:
            menu.addAction(tr("Open"), partial(self.opened.emit, run.path))
            menu.addAction(tr("Rename"), partial(self.list.editItem, row, 0))
        else:
            menu.addAction(tr("Continue"), partial(self.continued.emit, run))
            menu.addAction(tr("Copy as Command Line"), partial(self.copied.emit, run))
            menu.addAction(tr("Remove…"), partial(self.removed.emit, run))
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
