"""The workspace Export."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.workspace import Workspace

__all__ = ["ExportWorkspace"]


class ExportWorkspace(Workspace):
    """Take meshes, animations and pictures along."""

    id, title, hint = "export", "Export", "Take meshes, animations and pictures along"

    def make_panel(self) -> QWidget:
        """Its controls."""
        return QWidget()
