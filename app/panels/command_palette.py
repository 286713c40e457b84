"""Every command by a few letters of its name."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Slot
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.commands import CommandTable
from app.fuzzy import fuzzy_score
from app.translation import tr

__all__ = ["CommandPalette"]

_NAME = Qt.ItemDataRole.UserRole
_WIDTH, _HEIGHT = 560, 380
_MOVES = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


class CommandPalette(QDialog):
    """Type, choose with the arrows, press Enter. Commands that make no sense now are grey and cannot be chosen."""

    def __init__(self, commands: CommandTable, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Dialog | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("palette")
        self.setWindowTitle(tr("Commands"))
        self.resize(_WIDTH, _HEIGHT)
        self._commands = commands
        self._menus = {name: menu for menu, names in commands.groups.items() for name in names}
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Type a few letters of a command"))
        self.search.setAccessibleName(tr("Command to look for"))
        self.search.setToolTip(tr("A few letters of a command's name, in their order"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._fill)
        self.search.returnPressed.connect(self._run)
        self.search.installEventFilter(self)
        self.list = QTreeWidget()
        self.list.setColumnCount(3)
        self.list.setHeaderHidden(True)
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setIconSize(QSize(17, 17))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setAccessibleName(tr("Commands found"))
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            self.list.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.list.itemClicked.connect(self._run)
        self._nothing = QLabel(tr("No command has these letters in that order."))
        self._nothing.setObjectName("muted")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addWidget(self.search)
        layout.addWidget(self.list, 1)
        layout.addWidget(self._nothing)
        commands.refresh()
        self._fill("")
        if parent is not None:
            place = parent.mapToGlobal(parent.rect().topLeft())
            self.move(place.x() + (parent.width() - _WIDTH) // 2, place.y() + 70)

    def titles(self) -> list[str]:
        """What is listed, the best first."""
        rows = (self.list.topLevelItem(row) for row in range(self.list.topLevelItemCount()))
        return [item.text(0) for item in rows if item is not None]

    @Slot(str)
    def _fill(self, typed: str) -> None:
        self.list.clear()
        found = []
        for order, (name, action) in enumerate(self._commands.actions.items()):
            title = self._commands.title(name)
            score = fuzzy_score(typed, title)
            if score is None:  # the menu's name may be part of what was typed
                score = fuzzy_score(typed, f"{self._menus.get(name, '')} {title}")
                score = None if score is None else score - 20
            if score is not None:
                found.append((not action.isEnabled(), -score, order, name))
        for _, _, _, name in sorted(found):
            self.list.addTopLevelItem(self._item(name))
        self._nothing.setVisible(not found)
        first = self.list.topLevelItem(0)
        if first is not None and not first.isDisabled():
            self.list.setCurrentItem(first)

    def _item(self, name: str) -> QTreeWidgetItem:
        action = self._commands.actions[name]
        on = "  (on)" if action.isCheckable() and action.isChecked() else ""
        keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        item = QTreeWidgetItem([f"{self._commands.title(name)}{on}", self._menus.get(name, ""), keys])
        item.setIcon(0, action.icon())
        item.setData(0, _NAME, name)
        item.setToolTip(0, self._commands.command(name).hint)
        item.setDisabled(not action.isEnabled())
        for column in (1, 2):
            item.setForeground(column, self.palette().placeholderText())
        return item

    @Slot()
    def _run(self, *_: object) -> None:
        item = self.list.currentItem()
        if item is not None and not item.isDisabled():
            action = self._commands.actions[item.data(0, _NAME)]
            self.accept()
            action.trigger()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The arrows move in the list while the text has the focus."""
        pressed = event if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress else None
        if watched is self.search and pressed is not None and pressed.key() in _MOVES:
            self.list.keyPressEvent(pressed)
            return True
        return super().eventFilter(watched, event)
