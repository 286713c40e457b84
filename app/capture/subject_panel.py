"""The controls that say what of the recording is the subject."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.capture.depth_frame import DepthFrame
from app.capture.range_slider import RangeSlider
from app.capture.subject import SubjectEditing
from app.number_box import NumberBox
from app.theme import Theme
from app.translation import tr

__all__ = ["SubjectPanel"]

_KEEP = (
    ("all", tr("Everything that is left")),
    ("largest", tr("The largest surface")),
    ("moving", tr("What moves most")),
    ("picked", tr("The picked person")),
)
_FILES = (tr("Reset"), tr("Save…"), tr("Load…"))
_REACH_M = 20.0


class SubjectPanel(QWidget):
    """Shows the settings that are in force; edits go to a `SubjectEditing`."""

    def __init__(
        self, editing: SubjectEditing, tools: Sequence[QAction], files: Sequence[QAction], parent: QWidget | None = None
    ) -> None:
        """`tools` work on the depth image; `files` reset, save and load."""
        super().__init__(parent)
        self._editing = editing
        heading = QLabel(tr("Subject"))
        heading.setObjectName("heading")
        self.counts = QLabel("")
        self.counts.setObjectName("muted")
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        for label in (self.counts, self.problem):
            label.setWordWrap(True)
        self.problem.hide()
        self.keep = QComboBox()
        for value, title in _KEEP:
            self.keep.addItem(title, value)
        self.keep.setToolTip(tr("Which connected surface is the subject, after range, floor, background and box"))
        self.keep.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.keep.activated.connect(self._on_keep)
        self.range = RangeSlider()
        self.range.setToolTip(tr("Nearest and farthest distance that is kept"))
        self.near, self.far = (
            _metres(tr("{name} distance that is kept", name=name)) for name in (tr("Nearest"), tr("Farthest"))
        )
        self.range.moved.connect(self._on_range)
        for field in (self.near, self.far):
            field.valueChanged.connect(self._on_range_typed)
        self.floor = QCheckBox(tr("Remove the floor"))
        self.floor.setToolTip(tr("Find the floor and take away what is less than 3 cm above it"))
        self.background = QCheckBox(tr("Remove what stands still"))
        self.background.setToolTip(tr("Take away what is there in most frames; for a person who moves about"))
        self.boxed = QCheckBox(tr("Only inside a box"))
        self.boxed.setToolTip(tr("Keep what lies inside a box in the world, drawn in the input view"))
        self.floor.toggled.connect(lambda on: editing.change(remove_floor=on))
        self.background.toggled.connect(lambda on: editing.change(remove_background=on))
        self.boxed.toggled.connect(self._on_boxed)
        self.corners = [
            [_metres(tr("{end} {axis} of the box, world", end=end, axis=axis)) for end in (tr("Lowest"), tr("Highest"))]
            for axis in "xyz"
        ]
        box = QGridLayout()
        box.setHorizontalSpacing(6)
        for row, (axis, pair) in enumerate(zip("xyz", self.corners, strict=True)):
            box.addWidget(QLabel(axis), row, 0)
            for column, field in enumerate(pair):
                field.setRange(-_REACH_M, _REACH_M)
                field.valueChanged.connect(self._on_corner)
                box.addWidget(field, row, column + 1)
        for column in (1, 2):
            box.setColumnStretch(column, 1)
        self._box = QWidget()
        self._box.setLayout(box)
        box.setContentsMargins(18, 0, 0, 0)
        distances = QHBoxLayout()
        for field in (self.near, self.far):
            distances.addWidget(field)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(heading)
        layout.addWidget(self.counts)
        layout.addLayout(_row([_button(action) for action in tools]))
        layout.addWidget(self.problem)
        layout.addWidget(self.keep)
        layout.addWidget(QLabel(tr("Distance from the camera")))
        layout.addWidget(self.range)
        layout.addLayout(distances)
        for widget in (self.floor, self.background, self.boxed, self._box):
            layout.addWidget(widget)
        layout.addLayout(_row([_button(action, short) for action, short in zip(files, _FILES, strict=True)]))
        editing.changed.connect(self.refresh)
        editing.refused.connect(self._on_refused)
        self._tools = list(tools)
        self.refresh()

    def show_frame(self, frame: DepthFrame) -> None:
        """Count what a frame keeps, and let the range reach over what it shows."""
        seen, kept = int((frame.depth_m > 0).sum()), int(frame.kept.sum())
        share = f" ({100 * kept / seen:.0f} %)" if seen else ""
        self.counts.setText(tr("{kept:,} of {seen:,} readings in this frame{share}", kept=kept, seen=seen, share=share))
        near, far = frame.range_m
        limits = (max(0.0, round(near - 0.15, 1)), round(far + 0.15, 1))
        if limits != self.range.limits:
            self.range.set_limits(*limits)
            self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show what is in force."""
        settings = self._editing.settings
        self.setEnabled(settings is not None)
        if settings is None:
            self.counts.setText(tr("Open a recording first."))
            return
        first, last = self.range.limits
        fields = (self.keep, self.near, self.far, self.floor, self.background, self.boxed)
        blocked = [QSignalBlocker(field) for field in (*fields, *(one for pair in self.corners for one in pair))]
        self.keep.setCurrentIndex(self.keep.findData(settings.keep))
        near, far = settings.near_m, settings.far_m if settings.far_m is not None else last
        self.range.set_ends(max(near, first), far)
        for field, value in ((self.near, max(near, first)), (self.far, far)):
            _show(field, value)
        self.floor.setChecked(settings.remove_floor)
        self.background.setChecked(settings.remove_background)
        low, high = settings.box_low_m, settings.box_high_m
        self.boxed.setChecked(low is not None)
        self._box.setVisible(low is not None)
        if low is not None and high is not None:
            for pair, values in zip(self.corners, zip(low, high, strict=True), strict=True):
                for field, value in zip(pair, values, strict=True):
                    _show(field, value)
        for blocker in blocked:
            blocker.unblock()

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.range.set_theme(theme)

    @Slot(str)
    def _on_refused(self, reason: str) -> None:
        self.problem.setText(reason)
        self.problem.setVisible(bool(reason))

    @Slot(int)
    def _on_keep(self, _: int) -> None:
        settings, keep = self._editing.settings, self.keep.currentData()
        if settings is None:
            return
        if keep == "picked" and settings.pick is None:
            self.refresh()  # nobody is picked yet: take the tool that does it
            if not self._tools[0].isChecked():
                self._tools[0].trigger()
        else:
            self._editing.change(keep=keep, reframe=True)

    @Slot(float, float)
    def _on_range(self, low: float, high: float) -> None:
        self._change_range(round(low, 2), round(high, 2))

    @Slot()
    def _on_range_typed(self, *_: object) -> None:
        self._change_range(self.near.value(), self.far.value())

    def _change_range(self, low: float, high: float) -> None:
        first, last = self.range.limits
        near, far = (0.0 if low <= first else low), (None if high >= last else high)
        for field, value in ((self.near, low), (self.far, high)):
            with QSignalBlocker(field):
                _show(field, value)
        self._editing.change(near_m=near, far_m=far)

    @Slot(bool)
    def _on_boxed(self, on: bool) -> None:
        if on:
            self._editing.box_all()
        else:
            self._editing.change(box_low_m=None, box_high_m=None)

    @Slot()
    def _on_corner(self, *_: object) -> None:
        low, high = (tuple(pair[k].value() for pair in self.corners) for k in range(2))
        self._editing.change(box_low_m=low, box_high_m=high)


def _metres(tip: str) -> QDoubleSpinBox:
    field = NumberBox()
    field.setRange(0.0, _REACH_M)
    field.setMinimumWidth(70)
    field.setDecimals(2)
    field.setSingleStep(0.05)
    field.setSuffix(" m")
    field.setKeyboardTracking(False)
    field.setToolTip(tr("{tip}, in metres", tip=tip))
    return field


def _show(field: QDoubleSpinBox, value: float) -> None:
    """Write a number, unless the user is writing it."""
    if abs(field.value() - value) > 0.005:
        field.setValue(value)


def _button(action: QAction, short: str = "") -> QToolButton:
    button = QToolButton()
    button.setObjectName("outlined")
    button.setDefaultAction(action)
    if short:
        action.setIconText(short)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button


def _row(widgets: Sequence[QWidget]) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(6)
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch(1)
    return row
