"""The panel of the workspace Export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from app.export.page import ExportKind, ExportPage
from app.panels.side_tabs import SideTabs
from app.theme import Theme
from app.translation import ntr, tr

if TYPE_CHECKING:
    from spams_core.data.fit import Fit

__all__ = ["ExportPanel"]


class ExportPanel(QWidget):
    """A page per kind of export, once there is a fit to export. `edits_requested` wants the edits where they can be."""

    edits_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self.pages: dict[str, ExportPage] = {}
        self._title = QLabel()
        self._title.setObjectName("heading")
        self._facts = QLabel()
        self._facts.setObjectName("muted")
        self._facts.setWordWrap(True)
        self.edits = QFrame()
        self.edits.setObjectName("card")
        self._edits_text = QLabel()
        self._edits_text.setWordWrap(True)
        self.edits_button = QPushButton()
        self.edits_button.clicked.connect(self.edits_requested)
        card = QVBoxLayout(self.edits)
        card.setContentsMargins(11, 9, 11, 9)
        card.setSpacing(7)
        card.addWidget(self._edits_text)
        card.addWidget(self.edits_button)
        self.edits.hide()
        self.tabs = SideTabs()
        head = QVBoxLayout()
        head.setContentsMargins(14, 12, 14, 2)
        head.setSpacing(9)
        head.addWidget(self._title)
        head.addWidget(self._facts)
        head.addWidget(self.edits)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.tabs, 1)
        self._rest = QWidget()
        layout.addWidget(self._rest, 1)
        self.show_fit(None, None)

    def show_fit(self, fit: Fit | None, path: Path | None) -> None:
        """Name what can be exported."""
        known = fit is not None and path is not None
        self.tabs.setVisible(known)
        self._rest.setVisible(not known)
        if fit is None or path is None:
            self._title.setText(tr("No fit open"))
            self._facts.setText(tr("Open a fit, or fit the body to a recording; then it can be exported from here."))
            return
        self._title.setText(path.name)
        self._facts.setText(
            ntr(
                "{count} fitted frame · {vertices:,} vertices",
                "{count} fitted frames · {vertices:,} vertices",
                fit.frame_count,
                vertices=len(fit.vertex_parts),
            )
        )
        for page in self.pages.values():
            page.set_fit(path)

    def show_edits(self, edited: bool, saved: Path | None) -> None:
        """Say that the files will lack the edits, and offer them.

        Args:
            edited: Whether the open fit is edited.
            saved: The fit in which these edits were saved; None where they were not.
        """
        if saved is None:
            self._edits_text.setText(tr("The fit is written as it was fitted: your edits are not included."))
            self.edits_button.setText(tr("Save Edits as New Fit…"))
            self.edits_button.setToolTip(tr("Write all frames with their edits as a new fit, to export that one"))
        else:
            self._edits_text.setText(tr("Your edits are in the fit {name}. Open it to export them.", name=saved.name))
            self.edits_button.setText(tr("Open the Edited Fit"))
            self.edits_button.setToolTip(str(saved))
        self.edits.setVisible(edited)

    def add_page(self, name: str, title: str, hint: str, kind: ExportKind, fit: Path) -> ExportPage:
        """A page in a tab of its own."""
        page = self.pages[name] = ExportPage(kind, fit, self._theme)
        page.setObjectName("panel")
        page.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.tabs.setTabToolTip(self.tabs.addTab(page, title), hint)
        return page

    @property
    def page(self) -> ExportPage | None:
        """The page in front."""
        page = self.tabs.currentWidget()
        return page if isinstance(page, ExportPage) else None

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        for page in self.pages.values():
            page.set_theme(theme)
