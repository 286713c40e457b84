"""Shortcuts as the user wants them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.commands import CommandTable
from app.translation import tr

__all__ = ["ShortcutEditor"]

_NAME = Qt.ItemDataRole.UserRole


class ShortcutEditor(QDialog):
    """A table of commands and keys. A change acts at once; `changed` says so.

    A shortcut belongs to one command: giving it to another takes it from the first, and the button says from which.
    """

    changed = Signal()

    def __init__(self, commands: CommandTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Keyboard Shortcuts"))
        self.resize(640, 560)
        self._commands = commands
        self._menus = {name: menu for menu, names in commands.groups.items() for name in names}
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Filter by command, menu or key"))
        self.search.setAccessibleName(tr("Filter"))
        self.search.setToolTip(tr("Show the commands whose name, menu or shortcut has this text in it"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.table = QTreeWidget()
        self.table.setHeaderLabels([tr("Command"), tr("Menu"), tr("Shortcut")])
        self.table.setRootIsDecorated(False)
        self.table.setUniformRowHeights(True)
        self.table.setAlternatingRowColors(True)
        self.table.setAccessibleName(tr("Commands and their shortcuts"))
        self.table.header().setStretchLastSection(False)
        self.table.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            self.table.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        for name in commands.actions:
            item = QTreeWidgetItem([commands.title(name), self._menus.get(name, ""), ""])
            item.setData(0, _NAME, name)
            self.table.addTopLevelItem(item)
        self.table.currentItemChanged.connect(self._on_chosen)
        self.keys = QKeySequenceEdit()
        self.keys.setMaximumSequenceLength(1)
        self.keys.setClearButtonEnabled(True)
        self.keys.setAccessibleName(tr("New shortcut"))
        self.keys.setToolTip(tr("Click here and press the keys"))
        self.keys.keySequenceChanged.connect(self._on_keys)
        field = self.keys.findChild(QLineEdit)
        if field is not None:
            field.setAccessibleName(tr("New shortcut"))
            field.setPlaceholderText(tr("Press the keys"))
        self.assign = QPushButton(tr("Assign"))
        self.assign.setObjectName("primary")
        self.assign.setToolTip(tr("Give the chosen command this shortcut; without one it has none"))
        self.assign.clicked.connect(self._on_assign)
        self.reset = QPushButton(tr("Reset"))
        self.reset.setToolTip(tr("Give the chosen command its own shortcut back"))
        self.reset.clicked.connect(self._on_reset)
        self.reset_all = QPushButton(tr("Reset All"))
        self.reset_all.setToolTip(tr("Give all commands their own shortcuts back"))
        self.reset_all.clicked.connect(self._on_reset_all)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setMinimumHeight(20)
        self.message.setObjectName("muted")
        row = QHBoxLayout()
        row.addWidget(self.keys, 1)
        row.addWidget(self.assign)
        row.addWidget(self.reset)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.addButton(self.reset_all, QDialogButtonBox.ButtonRole.ResetRole)
        buttons.rejected.connect(self.reject)
        for button in (self.assign, self.reset, self.reset_all):
            button.setAutoDefault(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(9)
        layout.addWidget(self.search)
        layout.addWidget(self.table, 1)
        layout.addLayout(row)
        layout.addWidget(self.message)
        layout.addWidget(buttons)
        self._show()
        self.table.setCurrentItem(self._items()[0])

    def choose(self, name: str) -> None:
        """Turn to a command's row."""
        for item in self._items():
            if item.data(0, _NAME) == name:
                self.table.setCurrentItem(item)

    def _items(self) -> list[QTreeWidgetItem]:
        rows = (self.table.topLevelItem(row) for row in range(self.table.topLevelItemCount()))
        return [item for item in rows if item is not None]

    def _chosen(self) -> str:
        item = self.table.currentItem()
        return str(item.data(0, _NAME)) if item is not None else ""

    def _show(self) -> None:
        """Write the keys anew; a bold row differs from the program's own."""
        changed = self._commands.changed_keys()
        for item in self._items():
            name = item.data(0, _NAME)
            keys = self._commands.actions[name].shortcut()
            item.setText(2, keys.toString(QKeySequence.SequenceFormat.NativeText))
            font = item.font(2)
            font.setBold(name in changed)
            item.setFont(2, font)
        self.reset_all.setEnabled(bool(changed))
        self.reset.setEnabled(self._chosen() in changed)

    @Slot(str)
    def _filter(self, text: str) -> None:
        wanted = text.lower().strip()
        for item in self._items():
            item.setHidden(not any(wanted in item.text(column).lower() for column in range(3)))

    @Slot()
    def _on_chosen(self, *_: object) -> None:
        name = self._chosen()
        if name:
            self.keys.setKeySequence(self._commands.actions[name].shortcut())
            self.reset.setEnabled(name in self._commands.changed_keys())
            self.message.setText(self._commands.command(name).hint)

    @Slot()
    def _on_keys(self, *_: object) -> None:
        name, keys = self._chosen(), self.keys.keySequence().toString()
        holder = self._commands.holder(keys, besides=name) if name else None
        self.assign.setEnabled(bool(name) and keys != self._commands.keys(name))
        self.assign.setText(tr("Assign") if holder is None else tr("Take Over"))
        if holder is not None:
            self.message.setText(
                tr(
                    "{keys} belongs to “{command}”, which would lose it.",
                    keys=keys,
                    command=self._commands.title(holder),
                )
            )
        elif name:
            self.message.setText(self._commands.command(name).hint)

    @Slot()
    def _on_assign(self) -> None:
        name, keys = self._chosen(), self.keys.keySequence().toString()
        if name:
            self._take(name, keys)

    @Slot()
    def _on_reset(self) -> None:
        name = self._chosen()
        if name:
            self._take(name, self._commands.command(name).shortcut)

    def _take(self, name: str, keys: str) -> None:
        while (holder := self._commands.holder(keys, besides=name)) is not None:
            self._commands.bind(holder, "")
        self._commands.bind(name, keys)
        self._tell()

    @Slot()
    def _on_reset_all(self) -> None:
        self._commands.bind_all({})
        self._tell()

    def _tell(self) -> None:
        self._show()
        self._on_chosen()
        self._on_keys()
        self.changed.emit()
