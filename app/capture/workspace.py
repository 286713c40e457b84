"""The workspace Capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from app.capture.capturing import Capturing
from app.theme import Theme
from app.workspace import Workspace

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["CaptureWorkspace"]


class CaptureWorkspace(Workspace):
    """Look at the recording before it is fitted."""

    id, title, hint = "capture", "Capture", "Look at the recording before it is fitted"
    columns = (True, False, False)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.capturing = Capturing(window)

    def make_panel(self) -> QWidget:
        """Its controls."""
        from app.capture.marks import Marks

        assert self._window.viewport is not None
        self.capturing.marks = Marks(self._window.viewport, self._window.theme)
        return QWidget()

    def enter(self) -> None:
        """Depth image beside the input view."""
        self.capturing.enter()

    def leave(self) -> None:
        """No more frames are read for it."""
        self.capturing.leave()

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.capturing.image.set_theme(theme)
        if self.capturing.marks is not None:
            self.capturing.marks.set_theme(theme)

    def close(self) -> None:
        """End the thread."""
        self.capturing.close()
