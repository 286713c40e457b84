"""Asks what to export and where to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from app.settings_form import PathEdit, SettingsForm

__all__ = ["ExportDialog"]


class ExportDialog(QDialog):
    """A form of the export's settings; `accepted_settings` carries them."""

    accepted_settings = Signal(object)

    def __init__(self, kind: type[Any], fit_path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export the fit")
        self.setMinimumWidth(520)
        self._fit_path = fit_path
        self.form = SettingsForm(kind, {"fit": fit_path}, {"out": self._suggestion("ply")})
        self._suggested = str(self._suggestion("ply"))
        self._format = self.form.editor("format")
        assert isinstance(self._format, QComboBox)
        self._format.currentIndexChanged.connect(self._on_format)
        hint = QLabel("Metres, +y up. Every file says how it was made.")
        hint.setObjectName("muted")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.export_button = self.buttons.addButton("Export", QDialogButtonBox.ButtonRole.AcceptRole)
        self.export_button.setObjectName("primary")
        self.export_button.setEnabled(not self.form.problem)
        self.buttons.accepted.connect(self._on_accept)
        self.buttons.rejected.connect(self.reject)
        self.form.changed.connect(self.export_button.setEnabled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 16, 18, 14)
        layout.setSpacing(12)
        layout.addWidget(hint)
        layout.addWidget(self.form)
        layout.addWidget(self.buttons)

    def _suggestion(self, kind: str) -> Path:
        """A new name beside the fit: a folder for a sequence of meshes, a file otherwise."""
        stem, number = self._fit_path.name, 1
        while True:
            mark = "" if number == 1 else f"_{number}"
            name = f"{stem}{mark}.{kind}" if kind in ("glb", "npz") else f"{stem}_{kind}{mark}"
            if not (self._fit_path.parent / name).exists():
                return self._fit_path.parent / name
            number += 1

    @Slot()
    def _on_format(self) -> None:
        out = self.form.editor("out")
        assert isinstance(out, PathEdit)
        assert isinstance(self._format, QComboBox)
        if out.edit.text() == self._suggested:  # the user's own name stays
            self._suggested = str(self._suggestion(str(self._format.currentData())))
            out.edit.setText(self._suggested)

    @Slot()
    def _on_accept(self) -> None:
        settings = self.form.value()
        self.accept()
        self.accepted_settings.emit(settings)
