"""The workspace Edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QTabWidget, QWidget

from app.commands import Command
from app.theme import Theme
from app.workspace import Workspace

if TYPE_CHECKING:
    from app.edit.blend_panel import BlendPanel
    from app.edit.codes_panel import CodesPanel

__all__ = ["EditWorkspace"]


class EditWorkspace(Workspace):
    """Shape and pose by hand."""

    id, title, hint = "edit", "Edit", "Change shape and pose part by part, walk between two bodies"
    tabs: QTabWidget
    codes_panel: CodesPanel | None = None
    blend_panel: BlendPanel | None = None

    def commands(self) -> list[Command]:
        """Back to the fit, and the model alone."""
        window = self._window
        return [
            Command(
                "edit.reset", "Reset Shape and Pose", window.editing.reset, "Show the body as it was fitted", "Ctrl+R",
                "arrow-counter-clockwise", lambda: window.session.edited is not None,
            ),
            Command(
                "model.explore", "Explore the Body Model", window.documents.explore,
                "Play with shape and pose without a recording", "", "sliders-horizontal",
                lambda: window.jobs.fitting is None,
            ),
        ]  # fmt: skip

    def make_panel(self) -> QWidget:
        """Sliders, and the blend of two bodies."""
        from app.edit.blend_panel import BlendPanel
        from app.edit.codes_panel import CodesPanel

        window = self._window
        self.codes_panel = CodesPanel(window.editing, window.theme)
        self.blend_panel = BlendPanel(window.editing, window.editor, window.theme)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for panel, title, hint in (
            (self.codes_panel, "Shape && pose", "Change shape and pose part by part"),
            (self.blend_panel, "Blend", "Walk between two bodies"),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(panel, title), hint)
        if window.editor.workbench is not None:
            window.editing.model_changed.emit(window.editor.workbench)
        self.blend_panel.other_fit_requested.connect(window.asking.ask_other_fit)
        return self.tabs

    def show_sliders(self) -> None:
        """Turn to the sliders."""
        self._window.turn_to(self.id)
        if self.codes_panel is not None:
            self.tabs.setCurrentWidget(self.codes_panel)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        for panel in (self.codes_panel, self.blend_panel):
            if panel is not None:
                panel.set_theme(theme)
