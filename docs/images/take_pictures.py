"""Take the pictures of the documentation: python docs/images/take_pictures.py FIT.

Opens a fit, turns to each workspace in both themes and saves the window beside this file as WORKSPACE-THEME.png.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QSettings, QTimer

from app.launch import create_application
from app.main_window import MainWindow

__all__ = ["main"]

_FRAME = 5
_OPENED_MS = 6000
_DRAWN_MS = 4000


class _Photographer:
    """Turns the window to one workspace after the other."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._scenes = [(workspace.id, light) for light in (False, True) for workspace in window.workspaces]
        self._prepare: dict[str, Callable[[], None]] = {
            "inspect": self._show_matches,
            "edit": window.edit_workspace.show_sliders,
        }

    def begin(self) -> None:
        """Once the fit is on screen."""
        self._window.player.go_to(_FRAME)
        self._next()

    def _next(self) -> None:
        if not self._scenes:
            self._window.close()
            return
        name, light = self._scenes.pop(0)
        self._window.use_light_theme(light)
        self._window.session.show_matches = False
        self._window.session.show_cloud = True
        self._window.turn_to(name)
        self._prepare.get(name, lambda: None)()
        QTimer.singleShot(_DRAWN_MS, lambda: self._save(f"{name}-{'light' if light else 'dark'}.png"))

    def _show_matches(self) -> None:
        self._window.session.show_matches = True
        self._window.session.show_cloud = False

    def _save(self, name: str) -> None:
        self._window.status.clearMessage()
        path = Path(__file__).with_name(name)
        self._window.save_screenshot(path)
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
        self._next()


def main(fit: Path) -> int:
    """Take all pictures; returns the exit status. The user's own settings are left alone."""
    with tempfile.TemporaryDirectory() as settings:
        QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, settings)
        app = create_application()
        window = MainWindow()
        photographer = _Photographer(window)
        window.opened.connect(lambda _: QTimer.singleShot(_OPENED_MS, photographer.begin))
        window.show()
        window.resize(1280, 800)
        window.open_path(fit)
        return app.exec()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
