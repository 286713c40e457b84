"""Per-part shape and pose sliders along the principal directions of the training codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from app.theme import THEMES, Theme

__all__ = ["CodesPanel", "SigmaSlider"]

_RANGE_SIGMA = 3.0
_STEPS_PER_SIGMA = 100


class SigmaSlider(QSlider):
    """A slider from −3 to 3 standard deviations, filled from its centre; a double click returns there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._theme = THEMES["dark"]
        limit = int(_RANGE_SIGMA * _STEPS_PER_SIGMA)
        self.setRange(-limit, limit)
        self.setSingleStep(_STEPS_PER_SIGMA // 10)
        self.setPageStep(_STEPS_PER_SIGMA // 2)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    @property
    def sigma(self) -> float:
        """Its value in standard deviations."""
        return self.value() / _STEPS_PER_SIGMA

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """As high as the handle."""
        return QSize(120, 22)

    def _x(self, value: float) -> float:
        share = (value - self.minimum()) / (self.maximum() - self.minimum())
        return 8 + share * (self.width() - 16)

    def _grab(self, event: QMouseEvent) -> None:
        share = (event.position().x() - 8) / max(1, self.width() - 16)
        value = round(self.minimum() + float(np.clip(share, 0.0, 1.0)) * (self.maximum() - self.minimum()))
        self.setValue(0 if self.minimum() < 0 and abs(value) < _STEPS_PER_SIGMA // 14 else value)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The handle comes to the pointer."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self._grab(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag."""
        if self.isSliderDown():
            self._grab(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self.setSliderDown(False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to the middle."""
        self.setValue(0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Groove, ticks at whole deviations, fill, handle."""
        theme, painter, middle = self._theme, QPainter(self), self.height() / 2
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.border_strong))
        painter.drawRoundedRect(QRectF(8, middle - 1.5, self.width() - 16, 3), 1.5, 1.5)
        painter.setPen(QPen(QColor(theme.border_strong), 1))
        tick = _STEPS_PER_SIGMA if self.minimum() < 0 else (self.maximum() - self.minimum()) // 4
        for value in range(self.minimum(), self.maximum() + 1, tick):
            reach = 6 if value in (0, self.minimum(), self.maximum()) else 4
            painter.drawLine(QPointF(self._x(value), middle - reach), QPointF(self._x(value), middle + reach))
        origin, here = self._x(max(0, self.minimum())), self._x(self.value())
        color = QColor(theme.accent if self.isEnabled() else theme.faint)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawRoundedRect(QRectF(min(origin, here), middle - 1.5, abs(here - origin), 3), 1.5, 1.5)
        painter.setPen(QPen(color, 2))
        painter.setBrush(QColor(theme.raised if not self.isSliderDown() else theme.accent))
        painter.drawEllipse(QPointF(here, middle), 6, 6)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.accent), 1, Qt.PenStyle.DotLine))
            painter.drawEllipse(QPointF(here, middle), 9, 9)


class CodesPanel(QWidget):
    """One part at a time: its first few shape directions and pose directions.

    `edited(dragging)` is emitted while a slider moves and once more when it is let go.
    """

    edited = Signal(bool)
    reset_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._part = 0
        self.shape_sigma: Float[np.ndarray, "Q K"] = np.zeros((0, 0))
        self.pose_sigma: Float[np.ndarray, "Q K"] = np.zeros((0, 0))
        self.parts: list[QPushButton] = []
        self.shape_sliders: list[SigmaSlider] = []
        self.pose_sliders: list[SigmaSlider] = []
        self._values: dict[SigmaSlider, QLabel] = {}
        self._hint = QLabel("The sliders appear when the body model is loaded.")
        self._hint.setObjectName("muted")
        self._hint.setWordWrap(True)
        self._chips = QGridLayout()
        self._chips.setSpacing(5)
        self._rows = QGridLayout()
        self._rows.setHorizontalSpacing(8)
        self._rows.setVerticalSpacing(3)
        self._rows.setColumnStretch(1, 1)
        self.reset_part = QPushButton("Reset part")
        self.reset_part.setToolTip("Return this part's sliders to the middle")
        self.reset_part.clicked.connect(self._on_reset_part)
        self.reset_all = QPushButton("Reset all")
        self.reset_all.setToolTip("Return to the body as it was fitted")
        self.reset_all.clicked.connect(self.reset_requested)
        content = QWidget()
        content.setObjectName("panel")
        layout = QVBoxLayout(content)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        layout.addWidget(self._hint)
        layout.addLayout(self._chips)
        layout.addLayout(self._rows)
        buttons = QHBoxLayout()
        buttons.addWidget(self.reset_part)
        buttons.addWidget(self.reset_all)
        layout.addLayout(buttons)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setObjectName("panel")
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        for button in (self.reset_part, self.reset_all):
            button.hide()

    @property
    def is_neutral(self) -> bool:
        """Whether all sliders of all parts stand in the middle."""
        return not (self.shape_sigma.any() or self.pose_sigma.any())

    def set_model(
        self, titles: Sequence[str], colors: UInt8[np.ndarray, "Q 3"], shape_count: int, pose_count: int
    ) -> None:
        """Make the sliders for a model: chips for its parts, rows for its directions."""
        _empty(self._chips)
        _empty(self._rows)
        self.parts, self.shape_sliders, self.pose_sliders, self._values = [], [], [], {}
        self.shape_sigma = np.zeros((len(titles), shape_count))
        self.pose_sigma = np.zeros((len(titles), pose_count))
        self._hint.setText("Standard deviations of the training codes, added to the body on screen.")
        for index, (title, color) in enumerate(zip(titles, colors, strict=True)):
            chip = QPushButton(_dot(color), title)
            chip.setObjectName("chip")
            chip.setCheckable(True)
            chip.setAutoExclusive(True)
            chip.setToolTip(f"Edit the {title.lower()}")
            chip.clicked.connect(partial(self._select, index))
            self._chips.addWidget(chip, index // 2, index % 2)
            self.parts.append(chip)
        row = 0
        for name, sliders, count in (
            ("Shape", self.shape_sliders, shape_count),
            ("Pose", self.pose_sliders, pose_count),
        ):
            heading = QLabel(name)
            heading.setObjectName("heading")
            heading.setContentsMargins(0, 8, 0, 2)
            self._rows.addWidget(heading, row, 0, 1, 3)
            row += 1
            for k in range(count):
                self._add_row(row, name, k, sliders)
                row += 1
        for button in (self.reset_part, self.reset_all):
            button.show()
        if self.parts:
            self._select(0)

    def _add_row(self, row: int, name: str, k: int, sliders: list[SigmaSlider]) -> None:
        slider, value = SigmaSlider(), QLabel("0.0 σ")
        slider.set_theme(self._theme)
        slider.setAccessibleName(f"{name} {k + 1}")
        slider.setToolTip(
            f"{name} direction {k + 1} of this part, strongest first. Marks are standard deviations of the training "
            "bodies; a double click returns to the middle."
        )
        slider.valueChanged.connect(partial(self._on_value, slider))
        slider.sliderReleased.connect(self._on_released)
        number = QLabel(str(k + 1))
        for label in (number, value):
            label.setObjectName("muted")
        value.setMinimumWidth(44)
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._rows.addWidget(number, row, 0)
        self._rows.addWidget(slider, row, 1)
        self._rows.addWidget(value, row, 2)
        self._values[slider] = value
        sliders.append(slider)

    def clear(self) -> None:
        """All sliders to the middle, telling no one."""
        self.restore(np.zeros_like(self.shape_sigma), np.zeros_like(self.pose_sigma))

    def restore(self, shape_sigma: Float[np.ndarray, "Q K"], pose_sigma: Float[np.ndarray, "Q K"]) -> None:
        """Put the sliders somewhere, telling no one."""
        self.shape_sigma, self.pose_sigma = shape_sigma, pose_sigma
        self._show_part()

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        for slider in self._values:
            slider.set_theme(theme)

    def _select(self, part: int, *_: Any) -> None:
        self._part = part
        self.parts[part].setChecked(True)
        self._show_part()

    def _show_part(self) -> None:
        if not self.parts:
            return
        for sliders, sigma in ((self.shape_sliders, self.shape_sigma), (self.pose_sliders, self.pose_sigma)):
            for k, slider in enumerate(sliders):
                slider.blockSignals(True)
                slider.setValue(round(float(sigma[self._part, k]) * _STEPS_PER_SIGMA))
                slider.blockSignals(False)
                self._values[slider].setText(_signed(slider.sigma))

    def _on_value(self, slider: SigmaSlider, _: int) -> None:
        self._values[slider].setText(_signed(slider.sigma))
        self.shape_sigma, self.pose_sigma = self.shape_sigma.copy(), self.pose_sigma.copy()
        if slider in self.shape_sliders:
            self.shape_sigma[self._part, self.shape_sliders.index(slider)] = slider.sigma
        else:
            self.pose_sigma[self._part, self.pose_sliders.index(slider)] = slider.sigma
        self.edited.emit(slider.isSliderDown())

    @Slot()
    def _on_released(self) -> None:
        self.edited.emit(False)

    @Slot()
    def _on_reset_part(self) -> None:
        self.shape_sigma, self.pose_sigma = self.shape_sigma.copy(), self.pose_sigma.copy()
        self.shape_sigma[self._part] = 0.0
        self.pose_sigma[self._part] = 0.0
        self._show_part()
        self.edited.emit(False)


def _signed(sigma: float) -> str:
    return f"{sigma:+.1f} σ" if abs(sigma) >= 0.05 else "0.0 σ"


def _dot(color: UInt8[np.ndarray, "3"]) -> QIcon:
    picture = QPixmap(24, 24)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(*(int(c) for c in color)))
    painter.drawEllipse(3, 3, 18, 18)
    painter.end()
    return QIcon(picture)


def _empty(layout: QGridLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.deleteLater()
