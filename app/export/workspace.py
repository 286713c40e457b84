"""The workspace Export."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from app.theme import Theme
from app.translation import tr
from app.workspace import Workspace

if TYPE_CHECKING:
    from app.export.export_panel import ExportPanel

__all__ = ["ExportWorkspace"]


class ExportWorkspace(Workspace):
    """Take meshes, animations and pictures along."""

    id, title, hint = "export", tr("Export"), tr("Take meshes, animations and pictures along")
    menu_title = tr("E&xport")
    panel: ExportPanel | None = None

    def menu(self) -> tuple[str, ...]:
        """What the window's own commands have to do with exports."""
        return ("export.fit", "export.body", "screenshot")

    def make_panel(self) -> QWidget:
        """Its controls; the pages come with the first fit, and with it the numerics."""
        from app.export.export_panel import ExportPanel
        from app.export.exporting import Exporting

        self.panel = ExportPanel(self._window.theme)
        self._exporting = Exporting(self._window)
        self._window.session.fit_changed.connect(self._on_fit)  # the path is known by then
        self.panel.edits_requested.connect(self._on_edits_requested)
        self._window.editing.changed.connect(self._on_edits)
        self._window.edit_workspace.saving.saved.connect(self._on_edits)
        self._on_fit()
        return self.panel

    @Slot()
    def _on_fit(self, *_: object) -> None:
        panel, session = self.panel, self._window.session
        if panel is None:
            return
        fit, path = session.fit, session.fit_path
        try:
            if fit is not None and path is not None:
                from app.export.kinds import mesh_kind, picture_kind

                for name, title, hint, make in (
                    ("meshes", tr("Meshes && data"), tr("Meshes, animations and arrays for other programs"), mesh_kind),
                    ("pictures", tr("Pictures && video"), tr("Stills, turntables and videos"), picture_kind),
                ):
                    if name in panel.pages:
                        panel.pages[name].kind = make(fit)
                    else:
                        self._exporting.attach(panel.add_page(name, title, hint, make(fit), path))
            panel.show_fit(fit, path)
        except Exception as error:  # a slot never raises
            self._window.show_error(error)

    @Slot()
    def _on_edits(self, *_: object) -> None:
        window = self._window
        if self.panel is not None:
            edited = window.session.fit is not None and window.editing.state.changes_anything
            self.panel.show_edits(edited, window.edit_workspace.saving.saved_in if edited else None)

    @Slot()
    def _on_edits_requested(self) -> None:
        saving = self._window.edit_workspace.saving
        try:
            if saving.saved_in is not None:
                self._window.open_path(saving.saved_in)
            else:
                saving.ask_fit()
        except Exception as error:  # a slot never raises
            self._window.show_error(error)

    def chosen(self) -> tuple[str, Any] | None:
        """What the page in front would write: the command that does it and its settings; None while it is faulty."""
        page = self.panel.page if self.panel is not None else None
        if page is None or page.form.problem:
            return None
        settings = page.form.value()
        whole = dataclasses.replace(settings, fit=settings.fit.absolute(), out=settings.out.expanduser().absolute())
        return page.kind.command, whole

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        if self.panel is not None:
            self.panel.set_theme(theme)
