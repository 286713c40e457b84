"""What the fitted mesh is coloured by, and what the colours mean."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.inspect.color_bar import ColorBar
from app.inspect.mesh_colors import MeshColors
from app.number_box import NumberBox
from app.theme import Theme
from app.translation import tr
from spams_core.data.surface_values import MEASURES

__all__ = ["ColorsCard"]


class ColorsCard(QWidget):
    """A choice, a colour bar with its end, and the median over the mesh."""

    def __init__(self, colors: MeshColors, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colors = colors
        self.choice = QComboBox()
        self.choice.setToolTip(tr("What the colours of the fitted mesh say; its shape stays as it is"))
        self.choice.setAccessibleName(tr("Colour the mesh by"))
        self.choice.addItem(tr("Body part"), "part")
        for name, measure in MEASURES.items():
            self.choice.addItem(tr(measure.title), name)
        self.choice.addItem(tr("Surface normal"), "normal")
        self.choice.currentIndexChanged.connect(self._on_choice)
        self.bar = ColorBar()
        self.bar.set_theme(theme)
        self.top = NumberBox()
        self.top.setRange(0.1, 10_000.0)
        self.top.setDecimals(1)
        self.top.setKeyboardTracking(False)
        self.top.setToolTip(tr("Where the colours end; larger numbers take the last colour. The fit stays as it is"))
        self.top.setAccessibleName(tr("Upper end of the colours"))
        self.top.valueChanged.connect(self._on_top)
        self._top_label = QLabel(tr("Colours end at"))
        self._top_label.setObjectName("muted")
        self.hint = QLabel()
        self.hint.setObjectName("muted")
        self.hint.setWordWrap(True)
        heading = QLabel(tr("Colour the mesh by"))
        heading.setObjectName("heading")
        row = QHBoxLayout()
        row.addWidget(self._top_label)
        row.addStretch(1)
        row.addWidget(self.top)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(7)
        for widget in (heading, self.choice, self.bar):
            layout.addWidget(widget)
        layout.addLayout(row)
        layout.addWidget(self.hint)
        colors.changed.connect(self.refresh)
        self.refresh()

    def set_theme(self, theme: Theme) -> None:
        """Colours of the text."""
        self.bar.set_theme(theme)

    @Slot()
    def _on_choice(self) -> None:
        self._colors.set_by(self.choice.currentData())

    @Slot(float)
    def _on_top(self, top: float) -> None:
        self._colors.set_top(top)

    @Slot()
    def refresh(self) -> None:
        """Show what the colours are now."""
        colors = self._colors
        for index in range(self.choice.count()):
            name = self.choice.itemData(index)
            item = self.choice.model().item(index)  # type: ignore[attr-defined]
            item.setEnabled(name == "part" or colors.possible(name))
            lacking = name == "truth" and not colors.possible(name)
            item.setToolTip(tr("This recording has no ground truth") if lacking else "")
        self.choice.blockSignals(True)
        self.choice.setCurrentIndex(self.choice.findData(colors.by))
        self.choice.blockSignals(False)
        measured = colors.by not in ("part", "normal")
        for widget in (self.bar, self.top, self._top_label):
            widget.setVisible(measured)
        if colors.by in ("part", "normal"):
            self.hint.setText(
                tr("The parts' colours are named below the views.")
                if colors.by == "part"
                else tr("Red, green and blue grow as the surface faces along x, y and z of the world.")
            )
            return
        measure = MEASURES[colors.by]
        self.bar.show_scale(colors.ramp, 0.0, colors.top, measure.unit, measure.missing)
        self.top.blockSignals(True)
        self.top.setSuffix(f" {measure.unit}")
        self.top.setValue(colors.top)
        self.top.blockSignals(False)
        shown = colors.shown()
        known = shown[np.isfinite(shown)] if shown is not None else np.zeros(0)
        figures = (
            tr(" Median {median:.1f} {unit}, 95 % below {quantile:.1f} {unit}.", median=np.median(known),
                unit=measure.unit, quantile=np.quantile(known, 0.95))
            if len(known) and colors.by != "kept"
            else tr(" Mean {mean:.0f} %.", mean=known.mean()) if len(known) else ""
        )  # fmt: skip
        self.hint.setText(f"{tr(measure.hint)}.{figures}")
