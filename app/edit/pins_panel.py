"""Pinned points, and parts that stay where they are while others are pulled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.edit.state import EditState, Pin
from app.translation import part_titles, tr

if TYPE_CHECKING:
    from app.edit.editing import Editing
    from spams_core.tasks.edit import Workbench

__all__ = ["PinsPanel"]

_PIN = Qt.ItemDataRole.UserRole


class PinsPanel(QWidget):
    """A list of the pins and a box per part; `go_to` asks for a pin's frame."""

    go_to = Signal(int)

    def __init__(self, editing: Editing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._editing = editing
        self._titles: list[str] = []
        self._shown: tuple[Pin, ...] | None = None
        hint = QLabel(
            tr(
                "While the surface is pulled, click a point of the body to pin it: other pulls leave it where it is. "
                "Drag a pin to move it, click it to let it go."
            )
        )
        hint.setObjectName("muted")
        hint.setWordWrap(True)
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Pinned points"))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.itemActivated.connect(self._on_activated)
        self.list.itemSelectionChanged.connect(self._on_selection)
        delete = QAction(tr("Remove"), self.list)
        delete.setShortcut(Qt.Key.Key_Delete)
        delete.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        delete.triggered.connect(self._remove)
        self.list.addAction(delete)
        self.remove = QPushButton(tr("Remove"))
        self.remove.setToolTip(tr("Let the marked points go (Delete); the body stays as it is"))
        self.remove.clicked.connect(self._remove)
        self.clear = QPushButton(tr("Clear"))
        self.clear.setToolTip(tr("Let all points go, in every frame"))
        self.clear.clicked.connect(editing.clear_pins)
        heading = QLabel(tr("Parts that stay"))
        heading.setObjectName("heading")
        self._grid = QGridLayout()
        self._grid.setVerticalSpacing(4)
        self.parts: list[QCheckBox] = []
        buttons = QHBoxLayout()
        buttons.addWidget(self.remove)
        buttons.addWidget(self.clear)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(9)
        layout.addWidget(hint)
        layout.addWidget(self.list, 1)
        layout.addLayout(buttons)
        layout.addWidget(heading)
        layout.addLayout(self._grid)
        editing.changed.connect(self.show_state)
        editing.model_changed.connect(self.set_model)
        self.show_state(editing.state)

    @Slot(object)
    def set_model(self, bench: Workbench) -> None:
        """A box for each part of a model."""
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        self._titles, self.parts, self._shown = part_titles(bench.part_names), [], None
        for q, title in enumerate(self._titles):
            box = QCheckBox(title)
            box.setToolTip(tr("The {lower} stays where it is while other parts are pulled", lower=title.lower()))
            box.toggled.connect(partial(self._editing.hold_part, q))
            self._grid.addWidget(box, q // 2, q % 2)
            self.parts.append(box)
        self.show_state(self._editing.state)

    @Slot(object)
    def show_state(self, state: EditState) -> None:
        """Show what is pinned, telling no one."""
        for q, box in enumerate(self.parts):
            box.blockSignals(True)
            box.setChecked(q in state.held)
            box.blockSignals(False)
        if state.pins == self._shown:
            return
        self._shown = state.pins
        marked = [item.data(_PIN) for item in self.list.selectedItems()]
        self.list.clear()
        for pin in state.pins:
            title = self._titles[pin.part] if pin.part < len(self._titles) else tr("Part {number}", number=pin.part + 1)
            item = QListWidgetItem(tr("{part}, frame {frame}", part=title, frame=pin.frame))
            item.setData(_PIN, pin)
            self.list.addItem(item)
            item.setSelected(any(pin is other for other in marked))
        self.clear.setEnabled(bool(state.pins))
        self._on_selection()

    def texts(self) -> list[str]:
        """What the list says."""
        return [self.list.item(row).text() for row in range(self.list.count())]

    def _on_activated(self, item: QListWidgetItem) -> None:
        self.go_to.emit(item.data(_PIN).frame)

    @Slot()
    def _on_selection(self) -> None:
        self.remove.setEnabled(bool(self.list.selectedItems()))

    @Slot()
    def _remove(self, *_: Any) -> None:
        pins: list[Pin] = [item.data(_PIN) for item in self.list.selectedItems()]
        self._editing.remove_pins(pins)
