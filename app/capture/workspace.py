"""The workspace Capture."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.workspace import Workspace

__all__ = ["CaptureWorkspace"]


class CaptureWorkspace(Workspace):
    """Look at the recording before it is fitted."""

    id, title, hint = "capture", "Capture", "Look at the recording before it is fitted"

    def make_panel(self) -> QWidget:
        """Its controls."""
        return QWidget()
