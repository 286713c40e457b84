"""Per-part shape and pose sliders along the principal directions of the training codes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Slot
from PySide6.QtGui import QAction, QColor, QIcon, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from app.edit.footer import UNTIL_SAVED
from app.edit.state import KIND_TITLES, EditState, Kind
from app.number_box import WholeBox
from app.panels.scrolling import scrolled
from app.theme import THEMES, Theme
from app.translation import part_titles, tr
from spams_core.resources import part_colors

if TYPE_CHECKING:
    from app.edit.editing import Editing
    from spams_core.tasks.edit import Workbench

__all__ = ["CodesPanel", "SigmaScale", "SigmaSlider"]

_GRIP = 8
_SHOWN_DIRECTIONS = 5
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
        return _GRIP + share * (self.width() - 2 * _GRIP)

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


class SigmaScale(QWidget):
    """The numbers −3 to 3 above a column of sliders."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Standard deviations"))

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """One line of small numbers."""
        return QSize(120, 13)

    def paintEvent(self, event: QPaintEvent) -> None:
        """One number above each whole deviation."""
        painter = QPainter(self)
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        painter.setPen(QColor(self._theme.muted))
        limit = int(_RANGE_SIGMA)
        for sigma in range(-limit, limit + 1):
            x = _GRIP + (sigma + limit) / (2 * limit) * (self.width() - 2 * _GRIP)
            text = f"{sigma:+d}".replace("-", "\u2212") if sigma else "0"
            painter.drawText(QRectF(x - 14, 0, 28, 12), Qt.AlignmentFlag.AlignCenter, text)


class CodesPanel(QWidget):
    """One part at a time: its first few shape directions and pose directions."""

    def __init__(self, editing: Editing, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._editing = editing
        self._theme = theme
        self._part = 0
        self.parts: list[QPushButton] = []
        self.shape_sliders: list[SigmaSlider] = []
        self.pose_sliders: list[SigmaSlider] = []
        self._values: dict[SigmaSlider, QLabel] = {}
        self._scales: list[SigmaScale] = []
        self._hint = QLabel(tr("The sliders appear when the body model is loaded."))
        self._hint.setObjectName("muted")
        self._hint.setWordWrap(True)
        self._chips = QGridLayout()
        self._chips.setSpacing(5)
        self._rows = QGridLayout()
        self._rows.setHorizontalSpacing(8)
        self._rows.setVerticalSpacing(3)
        self._rows.setColumnStretch(1, 1)
        self._make_tools()
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(7)
        layout.addWidget(self._hint)
        layout.addLayout(self._chips)
        layout.addWidget(self.symmetric)
        layout.addLayout(self._rows)
        for row in ((self.reset_part, self.reset_all), (self.random, self._seed_label, self.seed)):
            line = QHBoxLayout()
            for widget in row:
                line.addWidget(widget, 0 if widget is self._seed_label else 1)
            layout.addLayout(line)
        layout.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(content))
        self._show_tools(False)
        editing.changed.connect(self.show_state)
        editing.model_changed.connect(self.set_model)

    def _make_tools(self) -> None:
        self.symmetric = QCheckBox(tr("Left and right alike"))
        self.symmetric.setToolTip(
            tr(
                "What is done to an arm or a leg is done to the opposite one, mirrored. "
                "The difference is mirrored, so limbs that differ go on differing."
            )
        )
        self.symmetric.toggled.connect(self._on_symmetric)
        self.reset_part = QPushButton(tr("Reset part"))
        self.reset_part.setToolTip(tr("Return this part's sliders to the middle"))
        self.reset_part.clicked.connect(lambda: self._editing.reset_part(self._part))
        self.reset_all = QPushButton(tr("Reset all"))
        self.reset_all.setToolTip(tr("Return to the body as it was fitted"))
        self.reset_all.clicked.connect(self._editing.reset)
        self.random = QPushButton(tr("Randomise"))
        self.random.setToolTip(tr("Draw deviations at random; the same seed gives the same body"))
        self.random_menu = QMenu(self.random)
        choices: tuple[tuple[str, tuple[Kind, ...], bool], ...] = (
            (tr("This part's shape"), ("shape",), False), (tr("This part's pose"), ("pose",), False),
            (tr("Shape of all parts"), ("shape",), True), (tr("Shape and pose of all parts"), ("shape", "pose"), True),
        )  # fmt: skip
        for title, kinds, everywhere in choices:
            action = QAction(title, self.random_menu)
            action.triggered.connect(partial(self._on_random, kinds, everywhere))
            self.random_menu.addAction(action)
        self.random.setMenu(self.random_menu)
        self._seed_label = QLabel(tr("Seed"))
        self._seed_label.setObjectName("muted")
        self.seed = WholeBox()
        self.seed.setRange(0, 999_999)
        self.seed.setMinimumHeight(26)
        self.seed.setToolTip(tr("Counts up with each draw; undo and an earlier number repeat a body"))
        self.seed.setAccessibleName(tr("Seed"))

    def _show_tools(self, shown: bool) -> None:
        for widget in (self.symmetric, self.reset_part, self.reset_all, self.random, self._seed_label, self.seed):
            widget.setVisible(shown)

    @Slot(object)
    def set_model(self, bench: Workbench) -> None:
        """Make the sliders for a model: chips for its parts, rows for its directions."""
        names = bench.part_names
        _empty(self._chips)
        _empty(self._rows)
        self.parts, self.shape_sliders, self.pose_sliders, self._values, self._scales = [], [], [], {}, []
        self._hint.setText(tr("In standard deviations of the training bodies."))
        for index, (title, color) in enumerate(zip(part_titles(names), part_colors(names), strict=True)):
            chip = QPushButton(_dot(color), title)
            chip.setObjectName("chip")
            chip.setCheckable(True)
            chip.setAutoExclusive(True)
            chip.setToolTip(tr("Edit the {lower}", lower=title.lower()))
            chip.clicked.connect(partial(self._select, index))
            self._chips.addWidget(chip, index // 2, index % 2)
            self.parts.append(chip)
        row = 0
        kinds: tuple[tuple[Kind, list[SigmaSlider], int], ...] = (
            ("shape", self.shape_sliders, bench.shape_directions.shape[1]),
            ("pose", self.pose_sliders, bench.pose_directions.shape[1]),
        )
        for kind, sliders, count in kinds:
            heading, scale = QLabel(KIND_TITLES[kind]), SigmaScale()
            heading.setObjectName("heading")
            heading.setContentsMargins(0, 4, 0, 2)
            scale.set_theme(self._theme)
            self._scales.append(scale)
            self._rows.addWidget(heading, row, 0)
            self._rows.addWidget(scale, row, 1, Qt.AlignmentFlag.AlignBottom)
            row += 1
            for k in range(min(_SHOWN_DIRECTIONS, count)):
                self._add_row(row, kind, k, sliders)
                row += 1
        self._show_tools(True)
        self.symmetric.setVisible(any(other is not None for other in map(self._editing.opposite, range(len(names)))))
        if self.parts:
            self._select(0)

    def _add_row(self, row: int, kind: Kind, k: int, sliders: list[SigmaSlider]) -> None:
        slider, value = SigmaSlider(), QLabel("0.0 σ")
        slider.set_theme(self._theme)
        slider.setAccessibleName(f"{KIND_TITLES[kind]} {k + 1}")
        slider.setToolTip(
            tr(
                "{kind} direction {number} of this part, strongest first. Marks are standard "
                "deviations of the training bodies; a double click returns to the middle. This "
                "changes the body on screen; {until}.",
                kind=KIND_TITLES[kind],
                number=k + 1,
                until=UNTIL_SAVED,
            )
        )
        slider.valueChanged.connect(partial(self._on_value, kind, k, slider))
        slider.sliderReleased.connect(partial(self._on_value, kind, k, slider))
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

    @property
    def shape_sigma(self) -> Float[np.ndarray, "Q K"]:
        """The shape's deviations."""
        return self._editing.sigma("shape")

    @property
    def pose_sigma(self) -> Float[np.ndarray, "Q K"]:
        """The pose's deviations at the playhead."""
        return self._editing.sigma("pose")

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        for slider in self._values:
            slider.set_theme(theme)
        for scale in self._scales:
            scale.set_theme(theme)

    @Slot(object)
    def show_state(self, _: EditState) -> None:
        """Put the sliders where the deviations of the chosen part are, telling no one."""
        if not self.parts:
            return
        for sliders, sigma in ((self.shape_sliders, self.shape_sigma), (self.pose_sliders, self.pose_sigma)):
            for k, slider in enumerate(sliders):
                if sigma.shape[0] != len(self.parts):
                    return  # another model is about to be shown
                slider.blockSignals(True)
                slider.setValue(round(float(sigma[self._part, k]) * _STEPS_PER_SIGMA))
                slider.blockSignals(False)
                self._values[slider].setText(_signed(float(sigma[self._part, k])))

    def _select(self, part: int, *_: Any) -> None:
        self._part = part
        self.parts[part].setChecked(True)
        self.show_state(self._editing.state)

    def _on_value(self, kind: Kind, k: int, slider: SigmaSlider, *_: Any) -> None:
        self._editing.move_slider(kind, self._part, k, slider.sigma, dragging=slider.isSliderDown())

    @Slot(bool)
    def _on_symmetric(self, on: bool) -> None:
        self._editing.symmetric = on

    def _on_random(self, kinds: tuple[Kind, ...], everywhere: bool, *_: Any) -> None:
        self._editing.randomise(kinds, None if everywhere else self._part, self.seed.value())
        self.seed.setValue(self.seed.value() + 1)


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
