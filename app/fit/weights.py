"""The weights of the loss terms, to change while a fit runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QSlider, QWidget

from app.fit.loss_plot import term_title
from app.number_box import NumberBox
from app.translation import tr

__all__ = ["WeightsEditor"]

_STEPS_PER_DOUBLING = 10
_DOUBLINGS = 4
"""A slider reaches from a sixteenth of the first weight to sixteen times as much; the box beside it takes any."""


_WHEN = tr("<p>Takes effect at the next step; the fit records it.</p>")


class _WeightBox(NumberBox):
    """Holds three significant digits, and shows no more zeros than they need."""

    def textFromValue(self, value: float) -> str:
        """As few digits as say the value."""
        text, point = super().textFromValue(float(f"{value:.3g}")), self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text

    def valueFromText(self, text: str) -> float:
        """What is typed, as it is then shown."""
        return float(f"{super().valueFromText(text):.3g}")


class WeightsEditor(QWidget):
    """A slider and a box per weight; `changed` tells its name and its value."""

    changed = Signal(str, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._first: dict[str, float] = {}
        self.sliders: dict[str, QSlider] = {}
        self.boxes: dict[str, QDoubleSpinBox] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)

    def show_weights(self, weights: Mapping[str, float], help_texts: Mapping[str, str]) -> None:
        """Start from the weights of a run, without telling anyone."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self._first, self.sliders, self.boxes = dict(weights), {}, {}
        for row, (name, value) in enumerate(weights.items()):
            title = term_title(name)
            label, slider, box = QLabel(title), QSlider(Qt.Orientation.Horizontal), _WeightBox()
            slider.setRange(-_DOUBLINGS * _STEPS_PER_DOUBLING, _DOUBLINGS * _STEPS_PER_DOUBLING)
            slider.setEnabled(value > 0)  # nothing times zero is more
            slider.setAccessibleName(tr("Weight of {term}", term=title))
            box.setDecimals(6)
            box.setRange(0.0, 1e6)
            box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
            box.setKeyboardTracking(False)
            box.setFixedWidth(88)
            box.setValue(value)
            box.setAccessibleName(tr("Weight of {term}", term=title))
            for widget in (label, slider, box):
                widget.setToolTip(f"<p>{escape(help_texts.get(name, ''))}</p>{_WHEN}")
            slider.valueChanged.connect(lambda place, name=name: self._on_slider(name, place))
            box.valueChanged.connect(lambda changed, name=name: self._on_box(name, changed))
            self.sliders[name], self.boxes[name] = slider, box
            for column, widget in enumerate((label, slider, box)):
                self._grid.addWidget(widget, row, column)

    def values(self) -> dict[str, float]:
        """The weights as they stand."""
        return {name: box.value() for name, box in self.boxes.items()}

    def _on_slider(self, name: str, place: int) -> None:
        self._set_box(name, float(f"{self._first[name] * 2.0 ** (place / _STEPS_PER_DOUBLING):.3g}"))
        self.changed.emit(name, self.boxes[name].value())

    def _on_box(self, name: str, value: float) -> None:
        first, slider = self._first[name], self.sliders[name]
        if first > 0:
            doublings = math.log2(value / first) if value > 0 else -_DOUBLINGS
            with QSignalBlocker(slider):
                slider.setValue(round(doublings * _STEPS_PER_DOUBLING))
        self.changed.emit(name, value)

    def _set_box(self, name: str, value: float) -> None:
        with QSignalBlocker(self.boxes[name]):
            self.boxes[name].setValue(value)
