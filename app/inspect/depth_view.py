"""Sensor depth, depth of the fit, and their signed difference, side by side in the image of the camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from app.colormap import DEPTH, DIFFERENCE
from app.inspect.color_bar import ColorBar
from app.inspect.image_pane import ImagePane
from app.latest import Job, LatestWins
from app.session import Session
from app.theme import Theme
from app.translation import tr

if TYPE_CHECKING:
    from spams_core.data.depth_comparison import DepthComparison
    from spams_core.data.fit import Fit
    from spams_core.data.sequence import DepthSequence

__all__ = ["DepthView"]

_TITLES = (tr("Sensor"), tr("Fit"), tr("Fit minus sensor"))
_MOST_MM = 30.0


@dataclass(frozen=True)
class _Pictures:
    numbers: DepthComparison
    low_m: float
    high_m: float
    pixels: tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]]


class DepthView(QWidget):
    """Follows the session while it is shown; pictures are made in a thread."""

    failed = Signal(object)

    def __init__(self, session: Session, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session = session
        self._thread = LatestWins("depth images", self)
        self.shown: DepthComparison | None = None
        self.panes = [ImagePane(title) for title in _TITLES]
        self.depth_bar, self.difference_bar = ColorBar(), ColorBar()
        self.difference_bar.show_scale(DIFFERENCE, -_MOST_MM, _MOST_MM, "mm")
        self.readout = QLabel()
        self.readout.setObjectName("muted")
        self.readout.setWordWrap(True)
        self.readout.setMinimumHeight(34)
        self.readout.setAlignment(Qt.AlignmentFlag.AlignTop)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        for column, (title, pane) in enumerate(zip(_TITLES, self.panes, strict=True)):
            heading = QLabel(title)
            heading.setObjectName("heading")
            heading.setMinimumWidth(1)  # or a longer title would make a larger picture
            grid.addWidget(heading, 0, column)
            grid.addWidget(pane, 1, column)
            grid.setColumnStretch(column, 1)
            grid.setColumnMinimumWidth(column, 80)
            pane.pointed.connect(self._on_pointed)
        grid.setRowStretch(1, 1)
        grid.addWidget(self.depth_bar, 2, 0, 1, 2)
        grid.addWidget(self.difference_bar, 2, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addLayout(grid, 1)
        layout.addWidget(self.readout)
        self.set_theme(theme)
        for changed in (session.frame_changed, session.fit_changed, session.sequence_changed):
            changed.connect(self._request)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        for pane in self.panes:
            pane.set_theme(theme)
        for bar in (self.depth_bar, self.difference_bar):
            bar.set_theme(theme)

    def close(self) -> bool:
        """End the thread."""
        self._thread.close()
        return super().close()

    def showEvent(self, event: QShowEvent) -> None:
        """Make what is due."""
        self._request()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nothing is due."""
        self._thread.submit()

    @Slot()
    def _request(self, *_: object) -> None:
        if not self.isVisible():
            return
        fit, sequence, frame = self._session.fit, self._session.sequence, self._session.frame
        rows = np.nonzero(fit.frame_indices == frame)[0].tolist() if fit is not None else []
        if fit is None or sequence is None or not len(rows):
            self._thread.submit()
            self._show(None)
            return
        compute = partial(_pictures, fit, rows[0], sequence)
        self._thread.submit(Job(compute, partial(self._receive, fit), self.failed.emit))

    def _receive(self, fit: Fit, pictures: _Pictures) -> None:
        if fit is self._session.fit and pictures.numbers.frame == self._session.frame:
            self._show(pictures)

    def _show(self, pictures: _Pictures | None) -> None:
        self.shown = pictures.numbers if pictures is not None else None
        for k, pane in enumerate(self.panes):
            pane.show_pixels(pictures.pixels[k] if pictures is not None else None)
            pane.set_cross(None)
        if pictures is not None:
            self.depth_bar.show_scale(DEPTH, pictures.low_m, pictures.high_m, "m", bounded=True)
        self._read(-1, -1)

    @Slot(int, int)
    def _on_pointed(self, column: int, row: int) -> None:
        for pane in self.panes:
            pane.set_cross((column, row) if column >= 0 else None)
        self._read(column, row)

    def _read(self, column: int, row: int) -> None:
        shown = self.shown
        if shown is None:
            self.readout.setText(tr("This frame is not fitted: step to a coloured column of the timeline."))
            return
        if column < 0:
            known = 1e3 * shown.difference_m[np.isfinite(shown.difference_m)]
            self.readout.setText(
                tr(
                    "Point at a picture to read it. Median difference {median:+.1f} mm; half of the "
                    "pixels within {spread:.1f} mm.",
                    median=np.median(known),
                    spread=np.median(np.abs(known)),
                )
                if len(known)
                else tr("The fitted surface covers no reading in this frame.")
            )
            return
        sensor, fit, difference = (
            float(values[row, column]) for values in (shown.sensor_m, shown.fit_m, shown.difference_m)
        )
        told = [
            tr("sensor {depth:.3f} m", depth=sensor) if np.isfinite(sensor) else tr("no reading"),
            tr("fit {depth:.3f} m", depth=fit) if np.isfinite(fit) else tr("no surface"),
        ]
        if np.isfinite(difference):
            said = (
                tr("surface {distance:.1f} mm behind the reading", distance=1000.0 * difference)
                if difference > 0
                else tr("surface {distance:.1f} mm in front of the reading", distance=-1000.0 * difference)
            )
            told.append(said)
        self.readout.setText(
            tr("Pixel ({column}, {row}): ", column=shown.left + column, row=shown.top + row) + ", ".join(told)
        )


def _pictures(fit: Fit, row: int, sequence: DepthSequence) -> _Pictures:
    from spams_core.data.depth_comparison import compare_depth

    numbers = compare_depth(fit, row, sequence)
    both = np.concatenate([numbers.sensor_m.ravel(), numbers.fit_m.ravel()])
    both = both[np.isfinite(both)]
    low, high = np.quantile(both, (0.005, 0.995)) if len(both) else (0.0, 1.0)
    depth = [DEPTH.colors(values, float(low), float(high)) for values in (numbers.sensor_m, numbers.fit_m)]
    difference = DIFFERENCE.colors(1e3 * numbers.difference_m, -_MOST_MM, _MOST_MM)
    return _Pictures(numbers, float(low), float(high), (depth[0], depth[1], difference))
