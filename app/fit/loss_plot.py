"""The loss curve of the running or the open fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pyqtgraph
from jaxtyping import Float
from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.theme import THEMES, Theme
from app.translation import tr

__all__ = ["LossPlot", "term_title"]

_REDRAW_MS = 250
_SMALLEST = 1e-4
"""Terms that start at zero would stretch the scale over many decades of nothing."""


def term_title(name: str) -> str:
    """How the window writes a loss term or its weight."""
    title = name.removesuffix("_weight").replace("_", " ")
    return tr("ICP" if title == "icp" else title.capitalize())


class LossPlot(QWidget):
    """One curve per loss term over the iterations, logarithmic."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self._help: Mapping[str, str] = {}
        self._steps: dict[str, list[float]] = {}
        self._values: dict[str, list[float]] = {}
        self._curves: dict[str, pyqtgraph.PlotDataItem] = {}
        # Without its menu from the start: one that is made and thrown away again has crashed the process.
        self._plot = pyqtgraph.PlotWidget(enableMenu=False)
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.hideButtons()
        self._plot.setLogMode(y=True)
        self._plot.setLabel("bottom", tr("iteration"))
        self._plot.setLabel("left", tr("loss"))
        self._plot.setFrameShape(self._plot.Shape.NoFrame)
        self._legend = QLabel()
        self._legend.setObjectName("muted")
        self._legend.setWordWrap(True)
        self._plot.setToolTip(tr("Terms of the energy over the iterations, on a logarithmic scale"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._legend)
        layout.addWidget(self._plot, 1)
        self.setMinimumHeight(100)
        # Drawing a few thousand points at every report would cost the running fit more than they tell.
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REDRAW_MS)
        self._timer.timeout.connect(self._draw)
        self.set_theme(self._theme)

    def set_help(self, texts: Mapping[str, str]) -> None:
        """What the terms mean, by the settings that weigh them."""
        self._help = texts
        self._name_curves()

    @property
    def names(self) -> list[str]:
        """Terms that have figures."""
        return list(self._values)

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
        if not self._timer.isActive():
            self._timer.start()

    def show_history(self, names: Sequence[str], history: Float[np.ndarray, "I K"]) -> None:
        """Show the curves that a finished fit has kept."""
        self.clear()
        for column, name in enumerate(names):
            values = np.asarray(history)[:, column]
            kept = np.isfinite(values) & (values > 0)
            if kept.any():
                self._steps[name] = np.nonzero(kept)[0].astype(float).tolist()
                self._values[name] = np.maximum(values[kept], _SMALLEST).tolist()
        self._draw()

    @Slot()
    def _draw(self) -> None:
        for name, values in self._values.items():
            if name not in self._curves:
                self._curves[name] = self._plot.plot(antialias=True)
                self._pen(name)
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
        for name in self._curves:
            self._pen(name)
        self._name_curves()

    def _name_curves(self) -> None:
        """A legend beside the curves hides none of them."""
        self._legend.setText(
            "&nbsp; ".join(
                f"<span style='color:{self._color(name)}'>━</span>&nbsp;{term_title(name).replace(' ', '&nbsp;')}"
                for name in sorted(self._curves, key=lambda name: name != "total")
            )
        )
        told = [
            f"<p><b>{term_title(setting)}</b>: {escape(tr(text))}</p>"
            for setting, text in self._help.items()
            if setting.endswith("_weight") and any(setting.endswith(f"{name}_weight") for name in self._curves)
        ]
        self._legend.setToolTip("".join(told))

    def _color(self, name: str) -> str:
        """The first colour is the total's; the others follow in order of appearance."""
        first, *others = self._theme.curves
        terms = [known for known in self._curves if known != "total"]
        return first if name == "total" else others[terms.index(name) % len(others)]

    def _pen(self, name: str) -> None:
        self._curves[name].setPen(pyqtgraph.mkPen(self._color(name), width=2 if name == "total" else 1))
