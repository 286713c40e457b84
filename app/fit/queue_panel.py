"""The list of queued fits."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, Qt, Signal, Slot
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.fit.queue import FitQueue, QueuedRun, RunState
from app.fit.time_left import spoken
from app.theme import Theme, icon
from app.translation import ntr, tr

__all__ = ["QueuePanel"]

_RUN = Qt.ItemDataRole.UserRole


class QueuePanel(QWidget):
    """Fits that wait, run and are over; `opened` tells which one was clicked twice."""

    opened = Signal(object)
    cancel_requested = Signal()

    def __init__(self, queue: FitQueue, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._queue, self._theme = queue, theme
        self.list = QTreeWidget()
        self.list.setColumnCount(2)
        self.list.setHeaderLabels([tr("Save to"), tr("State")])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setAccessibleName(tr("Queue of fits"))
        self.list.setMinimumHeight(48)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = self.list.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.list.itemDoubleClicked.connect(lambda item, _: self.opened.emit(item.data(0, _RUN)))
        self.list.itemSelectionChanged.connect(self._on_selection)
        self._note = QLabel()
        self._note.setObjectName("muted")
        self._note.setWordWrap(True)
        self._note.setTextFormat(Qt.TextFormat.PlainText)
        self.start_button = QPushButton(tr("Start"))
        self.start_button.setToolTip(tr("Run the waiting fits one after another"))
        self.start_button.clicked.connect(queue.start)
        self.up_button, self.down_button, self.remove_button = QToolButton(), QToolButton(), QToolButton()
        for button, hint, act in (
            (self.up_button, tr("Earlier"), lambda: self._move(-1)),
            (self.down_button, tr("Later"), lambda: self._move(1)),
            (self.remove_button, tr("Take out of the queue; a running fit is cancelled"), self._remove),
        ):
            button.setToolTip(hint)
            button.setAccessibleName(hint)
            button.clicked.connect(act)
        row = QHBoxLayout()
        row.addWidget(self.start_button, 1)
        for button in (self.up_button, self.down_button, self.remove_button):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.list, 1)
        layout.addWidget(self._note)
        layout.addLayout(row)
        queue.changed.connect(self.refresh)
        queue.progressed.connect(self._on_progress)
        self.set_theme(theme)
        self.refresh()

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        for button, name in (
            (self.up_button, "caret-up"), (self.down_button, "caret-down"), (self.remove_button, "x"),
            (self.start_button, "play"),
        ):  # fmt: skip
            button.setIcon(icon(name, theme))
        self.refresh()

    @property
    def selected(self) -> QueuedRun | None:
        """The marked run."""
        items = self.list.selectedItems()
        return items[0].data(0, _RUN) if items else None

    def select(self, run: QueuedRun) -> None:
        """Mark a run."""
        for row in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(row)
            if item is not None and item.data(0, _RUN) is run:
                flags = QItemSelectionModel.SelectionFlag
                self.list.setCurrentItem(item, 0, flags.ClearAndSelect | flags.Rows)

    def texts(self) -> list[tuple[str, str]]:
        """What the list says, row by row."""
        items = [self.list.topLevelItem(row) for row in range(self.list.topLevelItemCount())]
        return [(item.text(0), item.text(1)) for item in items if item is not None]

    @Slot()
    def refresh(self) -> None:
        """Fill the list anew; the marked run stays marked."""
        marked = self.selected
        self.list.blockSignals(True)
        self.list.clear()
        for run in self._queue.runs:
            item = QTreeWidgetItem([run.out.name, ""])
            item.setData(0, _RUN, run)
            tip = f"{run.settings.sequence}\n→ {run.out}\n{run.settings.preset}, " + ntr(
                "{count} frame", "{count} frames", run.frame_count
            )
            item.setToolTip(0, tip + (f"\n{run.reason}" if run.reason else ""))
            self.list.addTopLevelItem(item)
            self._show_state(item, run)
        if marked is not None:
            self.select(marked)
        self.list.blockSignals(False)
        self._on_selection()

    def _show_state(self, item: QTreeWidgetItem, run: QueuedRun) -> None:
        states: dict[RunState, str] = {
            "waiting": tr("waiting"), "done": tr("done"), "cancelled": tr("cancelled"), "failed": tr("failed"),
        }  # fmt: skip
        text = states.get(run.state, "")
        if run.state == "running":
            share = 100 * run.report.step / max(1, run.report.total) if run.report is not None else 0
            paused = run.time is not None and run.time.paused
            text = tr("paused {share:.0f} %", share=share) if paused else tr("running {share:.0f} %", share=share)
        elif run.state == "done" and run.seconds is not None:
            text = tr("done, {time}", time=spoken(run.seconds))
        colors = {"failed": self._theme.danger, "done": self._theme.good, "running": self._theme.accent}
        item.setText(1, text)
        item.setForeground(1, QColor(colors.get(run.state, self._theme.muted)))

    @Slot(object)
    def _on_progress(self, run: QueuedRun) -> None:
        for row in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(row)
            if item is not None and item.data(0, _RUN) is run:
                self._show_state(item, run)

    @Slot()
    def _on_selection(self) -> None:
        run, queue = self.selected, self._queue
        waiting = run is not None and run.state == "waiting"
        self.up_button.setEnabled(waiting and run is not queue.waiting[0])
        self.down_button.setEnabled(waiting and run is not queue.waiting[-1])
        self.remove_button.setEnabled(run is not None)
        self.start_button.setEnabled(bool(queue.waiting) and queue.current is None)
        if run is not None and run.reason:
            self._note.setText(run.reason)
        elif not queue.runs:
            self._note.setText(tr("“Add to the queue” above puts a fit with these settings here."))
        else:
            self._note.setText("")
        self._note.setVisible(bool(self._note.text()))

    def _move(self, by: int) -> None:
        if self.selected is not None:
            self._queue.move(self.selected, by)

    def _remove(self) -> None:
        run = self.selected
        if run is None:
            return
        if run.state == "running":
            self.cancel_requested.emit()
        else:
            self._queue.remove(run)
