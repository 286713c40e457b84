"""Take the pictures of the documentation: python docs/images/take_pictures.py FIT.

Opens a fit, turns the correspondences on and saves the window in both themes beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QTimer

from app.launch import create_application
from app.main_window import MainWindow

__all__ = ["main"]

_FRAME = 5
_DRAWN_MS = 4000


def main(fit: Path) -> int:
    """Take both pictures; returns the exit status."""
    app = create_application()
    window = MainWindow()
    remembered = window.preferences.theme

    def save(name: str) -> None:
        path = Path(__file__).with_name(name)
        window.save_screenshot(path)
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(path, optimize=True)

    def dark() -> None:
        window.use_light_theme(False)
        window.edit_workspace.show_sliders()
        window.player.go_to(_FRAME)
        window.session.show_matches = True
        window.session.show_cloud = False
        QTimer.singleShot(_DRAWN_MS, light)

    def light() -> None:
        window.status.clearMessage()
        save("window.png")
        window.use_light_theme(True)
        QTimer.singleShot(_DRAWN_MS, end)

    def end() -> None:
        save("window-light.png")
        window.preferences.theme = remembered
        window.close()

    window.opened.connect(lambda _: QTimer.singleShot(_DRAWN_MS, dark))
    window.show()
    window.resize(1280, 800)
    window.open_path(fit)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
