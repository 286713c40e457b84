"""What the user chooses once."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from app.number_box import WholeBox
from app.preferences import Preferences
from app.translation import tr

__all__ = ["PreferencesDialog"]


class PreferencesDialog(QDialog):
    """Every change acts at once and is kept; `changed` says so."""

    changed = Signal()

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Preferences"))
        self.setMinimumWidth(440)
        self._preferences = preferences
        self._form = QFormLayout()
        self._form.setHorizontalSpacing(18)
        self._form.setVerticalSpacing(9)
        self.theme = self._choice(
            tr("Theme"), tr("Colours of the window; System follows the desktop"),
            ((tr("Dark"), "dark"), (tr("Light"), "light"), (tr("System"), "system")), preferences.theme_choice,
        )  # fmt: skip
        self.unit = self._choice(
            tr("Lengths"), tr("Unit of residuals and other lengths in the window; files are always in metres"),
            ((tr("Millimetres"), "mm"), (tr("Centimetres"), "cm"), (tr("Metres"), "m")), preferences.unit,
        )  # fmt: skip
        self.pace = self._choice(
            tr("Playing"),
                tr("How a recording is played at first: at its own rate, dropping frames, or showing every frame"),
            ((tr("Real time"), "real time"), (tr("Every frame"), "every frame")), preferences.pace,
        )  # fmt: skip
        self.device = self._choice(
            tr("Fit on"),
                tr("Where a fit computes unless its settings say otherwise; Automatic takes a GPU if there is one"),
            ((tr("Automatic"), "auto"), (tr("Processor"), "cpu"), (tr("GPU (CUDA)"), "cuda")), preferences.device,
        )  # fmt: skip
        self.memory = WholeBox()
        self.memory.setRange(64, 16384)
        self.memory.setSingleStep(64)
        self.memory.setSuffix(" MB")
        self.memory.setValue(preferences.memory_mb)
        self.memory.valueChanged.connect(self._keep)
        self._row(tr("Memory for frames"), self.memory, tr("Points of so many frames are kept to be shown at once"))
        hint = QLabel(tr("Kept for this user on this computer."))
        hint.setObjectName("muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 16, 18, 14)
        layout.setSpacing(12)
        layout.addLayout(self._form)
        layout.addWidget(hint)
        layout.addWidget(buttons)

    def _choice(self, title: str, hint: str, choices: Sequence[tuple[str, str]], chosen: str) -> QComboBox:
        box = QComboBox()
        for text, value in choices:
            box.addItem(text, value)
        box.setCurrentIndex(max(0, box.findData(chosen)))
        box.currentIndexChanged.connect(self._keep)
        self._row(title, box, hint)
        return box

    def _row(self, title: str, editor: QWidget, hint: str) -> None:
        label = QLabel(title)
        for widget in (label, editor):
            widget.setToolTip(hint)
        editor.setAccessibleName(title)
        self._form.addRow(label, editor)

    @Slot()
    def _keep(self, *_: object) -> None:
        kept = self._preferences
        kept.theme_choice = self.theme.currentData()
        kept.unit = self.unit.currentData()
        kept.pace = self.pace.currentData()
        kept.device = self.device.currentData()
        kept.memory_mb = self.memory.value()
        self.changed.emit()
