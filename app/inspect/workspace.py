"""The workspace Inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.inspect.mesh_colors import MeshColors
from app.theme import Theme
from app.workspace import Workspace
from spams_core.errors import InputError

if TYPE_CHECKING:
    from app.inspect.colors_card import ColorsCard
    from app.main_window import MainWindow

__all__ = ["InspectWorkspace"]


class InspectWorkspace(Workspace):
    """See how good the fit is, and where."""

    id, title, hint = "inspect", "Inspect", "See how good the fit is, and where"
    colors_card: ColorsCard | None = None

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.colors = MeshColors(window.session, self)
        self.colors.failed.connect(self._on_failed)

    def make_panel(self) -> QWidget:
        """Its controls."""
        from app.inspect.colors_card import ColorsCard

        self.colors_card = ColorsCard(self.colors, self._window.theme)
        inside = QWidget()
        inside.setObjectName("panel")
        column = QVBoxLayout(inside)
        column.setContentsMargins(14, 12, 14, 12)
        column.setSpacing(14)
        column.addWidget(self.colors_card)
        column.addStretch(1)
        area = QScrollArea()
        area.setObjectName("panel")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(inside)
        return area

    def enter(self) -> None:
        """Colours that say something belong here."""
        self.colors.set_on(True)

    def leave(self) -> None:
        """Elsewhere the mesh wears the colours of its parts."""
        self.colors.set_on(False)

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        """Nobody asked for it right now: a faulty file needs no dialog, a defect does."""
        if isinstance(error, InputError):
            self._window.notify(str(error))
        else:
            self._window.show_error(error)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        if self.colors_card is not None:
            self.colors_card.set_theme(theme)

    def close(self) -> None:
        """End its threads."""
        self.colors.close()
