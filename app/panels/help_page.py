"""What can be done here and with which keys: a page made from the command table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QTextBrowser, QVBoxLayout, QWidget

from app.commands import CommandTable
from app.theme import Theme
from app.translation import tr

__all__ = ["HelpPage"]


class HelpPage(QDialog):
    """Workspaces, then every command by menu, with its key and what it does; a filter above."""

    def __init__(
        self,
        commands: CommandTable,
        workspaces: Sequence[tuple[str, str]],
        theme: Theme,
        parent: QWidget | None = None,
    ) -> None:
        """Workspaces are titles and hints, in their order."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("SPAM Studio Help"))
        self.resize(680, 620)
        self._commands, self._workspaces, self._theme = commands, workspaces, theme
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Filter"))
        self.search.setAccessibleName(tr("Filter"))
        self.search.setToolTip(tr("Show the commands whose name, key or explanation has this text in it"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._write)
        self.page = QTextBrowser()
        self.page.setAccessibleName(tr("Help"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.addWidget(self.search)
        layout.addWidget(self.page, 1)
        layout.addWidget(buttons)
        self._write("")
        self.page.setFocus()

    @Slot(str)
    def _write(self, wanted: str) -> None:
        wanted = wanted.lower().strip()
        muted = f"color:{self._theme.muted}"
        parts = []
        if not wanted:
            rows = "".join(
                f"<tr><td style='padding:2px 18px 2px 0'><b>{escape(title)}</b></td><td style='{muted}'>{escape(hint)}"
                "</td></tr>"
                for title, hint in self._workspaces
            )
            how = tr(
                "A recording goes through five workspaces, the tabs at the right. Every command is in a menu, and "
                "found by a few letters with {keys}.",
                keys=escape(self._keys("palette")),
            )
            parts.append(f"<p>{how}</p><table>{rows}</table>")
        for menu, names in self._commands.groups.items():
            rows = "".join(self._row(name, muted) for name in names if self._wanted(name, menu, wanted))
            if rows:
                parts.append(f"<h3>{escape(menu)}</h3><table width='100%'>{rows}</table>")
        nothing = tr("Nothing has that text in it.")
        self.page.setHtml("".join(parts) or f"<p style='{muted}'>{nothing}</p>")

    def _keys(self, name: str) -> str:
        return self._commands.actions[name].shortcut().toString(QKeySequence.SequenceFormat.NativeText)

    def _wanted(self, name: str, menu: str, wanted: str) -> bool:
        hint = self._commands.command(name).hint
        return wanted in f"{menu} {self._commands.title(name)} {hint} {self._keys(name)}".lower()

    def _row(self, name: str, muted: str) -> str:
        hint = escape(self._commands.command(name).hint)
        return (
            f"<tr><td width='34%' style='padding:2px 14px 2px 0'>{escape(self._commands.title(name))}</td>"
            f"<td width='18%' style='padding:2px 14px 2px 0'><b>{escape(self._keys(name))}</b></td>"
            f"<td style='padding:2px 0; {muted}'>{hint}</td></tr>"
        )
