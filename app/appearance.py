"""The window's theme: chosen, the desktop's, or switched by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QApplication

from app.theme import THEMES, Theme, apply_theme, icon

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["Appearance"]


class Appearance(QObject):
    """Dresses the application, and hands the theme to whoever draws in its colours."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.theme: Theme = THEMES[window.preferences.theme]
        apply_theme(_application(), self.theme)  # before there are widgets to dress anew
        QApplication.styleHints().colorSchemeChanged.connect(self.follow_desktop)

    def use_light(self, light: bool) -> None:
        """Switch and remember the theme."""
        self._window.preferences.theme = "light" if light else "dark"
        self.wear()

    @Slot()
    def follow_desktop(self, *_: object) -> None:
        """Take the desktop's colours where the user chose that."""
        if self._window.preferences.theme_choice == "system":
            self.wear()

    def wear(self) -> None:
        """Put on the theme of the preferences; also for controls that were made since the last time."""
        window = self._window
        self.theme = theme = THEMES[window.preferences.theme]
        apply_theme(_application(), theme)
        window.commands.set_theme(theme)
        window.commands.actions["fit.start"].setIcon(icon("person-simple-run", theme, theme.on_accent))
        window.commands.actions["theme.light"].setIcon(icon("sun" if theme.name == "dark" else "moon", theme))
        window.setWindowIcon(icon("person-simple-walk", theme, theme.accent))
        window.welcome.set_theme(theme)
        window.timeline.set_theme(theme)
        if window.scene is not None:
            window.scene.set_theme(theme)
        for workspace in window.workspaces:
            workspace.set_theme(theme)


def _application() -> QApplication:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    return app
