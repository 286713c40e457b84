"""The loss curve of the running or the open fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph
from jaxtyping import Float
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.theme import THEMES, Theme

__all__ = ["LossPlot"]

_SMALLEST = 1e-12


class LossPlot(QWidget):
    """One curve per loss term over the iterations, logarithmic."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self._steps: dict[str, list[float]] = {}
        self._values: dict[str, list[float]] = {}
        self._curves: dict[str, pyqtgraph.PlotDataItem] = {}
        self._plot = pyqtgraph.PlotWidget()
        self._plot.setMenuEnabled(False)
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.hideButtons()
        self._plot.setLogMode(y=True)
        self._plot.setLabel("bottom", "iteration")
        self._plot.setFrameShape(self._plot.Shape.NoFrame)
        self._legend = QLabel()
        self._legend.setObjectName("muted")
        self._legend.setWordWrap(True)
        self._plot.setToolTip("Terms of the energy over the iterations, on a logarithmic scale")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._legend)
        layout.addWidget(self._plot, 1)
        self.setMinimumHeight(150)
        self.set_theme(self._theme)

    @property
    def names(self) -> list[str]:
        """Terms that have a curve."""
        return list(self._curves)

    def points(self, name: str) -> tuple[list[float], list[float]]:
        """Iterations and values of a term."""
        return self._steps[name], self._values[name]

    def clear(self) -> None:
        """Begin anew."""
        for curve in self._curves.values():
            self._plot.removeItem(curve)
        self._steps, self._values, self._curves = {}, {}, {}
        self._name_curves()

    def extend(self, metrics: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Append the figures of some steps; a step that is not beyond the last one starts no second curve."""
        for step, terms in metrics:
            for name, value in terms.items():
                if np.isfinite(value):
                    self._steps.setdefault(name, []).append(float(step))
                    self._values.setdefault(name, []).append(max(float(value), _SMALLEST))
        self._draw()

    def show_history(self, names: Sequence[str], history: Float[np.ndarray, "I K"]) -> None:
        """Show the curves that a finished fit has kept."""
        self.clear()
        for column, name in enumerate(names):
            values = np.asarray(history)[:, column]
            kept = np.isfinite(values) & (values > 0)
            if kept.any():
                self._steps[name] = np.nonzero(kept)[0].astype(float).tolist()
                self._values[name] = values[kept].tolist()
        self._draw()

    def _draw(self) -> None:
        for name, values in self._values.items():
            if name not in self._curves:
                self._curves[name] = self._plot.plot(antialias=True)
                self._color(len(self._curves) - 1, self._curves[name])
                self._name_curves()
            self._curves[name].setData(self._steps[name], values)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self._plot.setBackground(theme.panel)
        for side in ("left", "bottom"):
            axis = self._plot.getAxis(side)
            axis.setPen(theme.border_strong)
            axis.setTextPen(theme.muted)
        self._plot.showGrid(x=False, y=True, alpha=0.25)
        for index, curve in enumerate(self._curves.values()):
            self._color(index, curve)
        self._name_curves()

    def _name_curves(self) -> None:
        """A legend beside the curves hides none of them."""
        colors = self._theme.curves
        self._legend.setText(
            "&nbsp; ".join(
                f"<span style='color:{colors[index % len(colors)]}'>━</span>&nbsp;{name.replace(' ', '&nbsp;')}"
                for index, name in enumerate(self._curves)
            )
        )

    def _color(self, index: int, curve: pyqtgraph.PlotDataItem) -> None:
        color = self._theme.curves[index % len(self._theme.curves)]
        curve.setPen(pyqtgraph.mkPen(color, width=2 if index == 0 else 1, style=Qt.PenStyle.SolidLine))
