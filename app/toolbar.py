"""The toolbar: commands that are wanted often."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QSizePolicy, QToolBar, QToolButton, QWidget

from app.commands import CommandTable
from app.translation import tr

__all__ = ["make_toolbar"]

_COMMANDS = (
    "open.recording", "open.fit", "-", "fit.start", "fit.pause", "fit.cancel", "-", "view.reset", "view.left",
    "view.right", "view.follow", "-", "export.fit", "screenshot", ">", "theme.light", "show.panel",
)  # fmt: skip
_TEXTS = {"open.recording": tr("Open"), "open.fit": tr("Open fit"), "fit.start": tr("Fit"), "export.fit": tr("Export")}


def make_toolbar(commands: CommandTable) -> QToolBar:
    """Symbols, some with a short text; what follows ">" stands at the right."""
    toolbar = QToolBar(tr("Tools"))
    toolbar.setMovable(False)
    toolbar.setIconSize(QSize(20, 20))
    toolbar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
    for name in _COMMANDS:
        if name == "-":
            toolbar.addSeparator()
        elif name == ">":
            spring = QWidget()
            spring.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
            toolbar.addWidget(spring)
        else:
            toolbar.addAction(commands.actions[name])
    for name, text in _TEXTS.items():
        button = toolbar.widgetForAction(commands.actions[name])
        assert isinstance(button, QToolButton)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        commands.actions[name].setIconText(text)
        if name == "fit.start":
            button.setObjectName("primary")
    return toolbar
