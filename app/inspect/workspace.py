"""The workspace Inspect."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.workspace import Workspace

__all__ = ["InspectWorkspace"]


class InspectWorkspace(Workspace):
    """See how good the fit is, and where."""

    id, title, hint = "inspect", "Inspect", "See how good the fit is, and where"

    def make_panel(self) -> QWidget:
        """Its controls."""
        return QWidget()
