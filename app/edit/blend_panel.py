"""Two bodies, A and B, and what lies between them: how far, on which way, and with which parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction, QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.edit.codes_panel import SigmaSlider
from app.edit.editor import Codes, Editor
from app.edit.footer import UNTIL_SAVED
from app.edit.state import KIND_NAMES, KIND_TITLES, EditState, Kind
from app.panels.scrolling import scrolled
from app.theme import Theme
from app.translation import part_titles, tr

if TYPE_CHECKING:
    from app.edit.editing import Editing
    from spams_core.tasks.edit import Workbench

__all__ = ["BlendPanel"]

_STEPS = 200


class BlendPanel(QWidget):
    """Chooses A and B and blends them."""

    other_fit_requested = Signal(str)
    bake_requested = Signal()

    def __init__(self, editing: Editing, editor: Editor, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._editing, self._editor = editing, editor
        self._draws = 0
        self._names: dict[str, QLabel] = {}
        self.shape_slider, self.pose_slider = SigmaSlider(), SigmaSlider()
        self._percent: dict[SigmaSlider, QLabel] = {}
        self.checks: dict[Kind, list[QCheckBox]] = {"shape": [], "pose": []}
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        hint = QLabel(
            tr("Choose two bodies and walk from one to the other. The whole of another fit brings its motion.")
        )
        hint.setObjectName("muted")
        hint.setWordWrap(True)
        layout.addWidget(hint)
        for slot in ("A", "B"):
            layout.addWidget(self._slot_card(slot))
        kinds: tuple[tuple[Kind, SigmaSlider], ...] = (("shape", self.shape_slider), ("pose", self.pose_slider))
        for kind, slider in kinds:
            layout.addLayout(self._slider_row(kind, slider))
        way = QHBoxLayout()
        label = QLabel(tr("Way"))
        label.setObjectName("muted")
        self.way = QComboBox()
        self.way.addItems([tr("Straight"), tr("Around the mean body")])
        self.way.setToolTip(
            tr(
                "Straight passes close to the mean body when A and B differ much.\n"
                "Around the mean body keeps what is between as unusual as A and B are."
            )
        )
        self.way.currentIndexChanged.connect(self._on_way)
        way.addWidget(label)
        way.addWidget(self.way, 1)
        layout.addLayout(way)
        self._grid = QGridLayout()
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(0, 1)
        layout.addLayout(self._grid)
        self.reset = QPushButton(tr("Back to the fit"))
        self.reset.setToolTip(tr("Stop blending and show the body as it was fitted"))
        self.reset.clicked.connect(editing.reset)
        self.bake = QPushButton(tr("Save as animation…"))
        self.bake.setToolTip(tr("Write the walk from A to where the sliders stand, as a fit or as meshes"))
        self.bake.clicked.connect(self.bake_requested)
        buttons = QHBoxLayout()
        buttons.addWidget(self.reset)
        buttons.addWidget(self.bake)
        layout.addLayout(buttons)
        layout.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(content))
        self.set_theme(theme)
        self.show_state(editing.state)
        editing.changed.connect(self.show_state)
        editing.model_changed.connect(self.set_model)

    def _slot_card(self, slot: str) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        row = QHBoxLayout(card)
        row.setContentsMargins(10, 7, 7, 7)
        badge = QLabel(slot)
        badge.setObjectName("badge")
        name = QLabel(tr("not chosen"))
        self._names[slot] = name
        button = QToolButton()
        button.setText(tr("Set ▾"))
        button.setToolTip(tr("Choose body {slot}", slot=slot))
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        choices = {
            tr("Body on screen"): partial(self._take, slot, "screen"),
            tr("Fitted body at the playhead"): partial(self._take, slot, "frame"),
            tr("This fit, all frames"): partial(self._take, slot, "fit"),
            tr("Mean body"): partial(self._take, slot, "mean"),
            tr("Random body"): partial(self._take, slot, "random"),
            tr("From another fit…"): partial(self.other_fit_requested.emit, slot),
        }
        for title, choose in choices.items():
            # Not menu.addAction(title, choose): the action that it looks up in C++ was seen to be another object.
            action = QAction(title, menu)
            action.triggered.connect(lambda _checked=False, chosen=choose: chosen())
            menu.addAction(action)
        menu.insertSeparator(menu.actions()[-1])
        button.setMenu(menu)
        row.addWidget(badge)
        row.addWidget(name, 1)
        row.addWidget(button)
        return card

    def _slider_row(self, kind: Kind, slider: SigmaSlider) -> QVBoxLayout:
        title = KIND_TITLES[kind]
        slider.setRange(0, _STEPS)
        slider.setAccessibleName(tr("{name} between A and B", name=title))
        slider.setToolTip(
            tr(
                "{name}: A at the left, B at the right; a double click returns to A. This changes "
                "the body on screen; {until}.",
                name=title,
                until=UNTIL_SAVED,
            )
        )
        slider.valueChanged.connect(partial(self._on_slider, kind, slider))
        slider.sliderReleased.connect(partial(self._on_slider, kind, slider))
        heading, percent = QLabel(title), QLabel("0 %")
        heading.setObjectName("heading")
        percent.setObjectName("muted")
        self._percent[slider] = percent
        top = QHBoxLayout()
        top.addWidget(heading, 1)
        top.addWidget(percent)
        ends = QHBoxLayout()
        for text, grow in (("A", 0), ("", 1), ("B", 0)):
            if grow:
                ends.addWidget(slider, 1)
            else:
                end = QLabel(text)
                end.setObjectName("muted")
                ends.addWidget(end)
        column = QVBoxLayout()
        column.setSpacing(3)
        column.addLayout(top)
        column.addLayout(ends)
        return column

    @Slot(object)
    def set_model(self, bench: Workbench) -> None:
        """One row of check boxes per part."""
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        self.checks = {"shape": [], "pose": []}
        for column, text in enumerate((tr("Parts that go to B"), tr("Shape"), tr("Pose"))):
            heading = QLabel(text)
            heading.setObjectName("heading" if column == 0 else "muted")
            self._grid.addWidget(heading, 0, column)
        kinds: tuple[Kind, ...] = ("shape", "pose")
        for row, title in enumerate(part_titles(bench.part_names)):
            self._grid.addWidget(QLabel(title), row + 1, 0)
            for column, kind in enumerate(kinds):
                box = QCheckBox()
                box.setChecked(True)
                box.setAccessibleName(tr("{name}: {kind} goes to B", name=title, kind=KIND_NAMES[kind]))
                box.setToolTip(
                    tr(
                        "Whether the {lower}'s {kind} goes to B or stays at A",
                        lower=title.lower(),
                        kind=KIND_NAMES[kind],
                    )
                )
                box.toggled.connect(partial(self._editing.choose_part, kind, row))
                self._grid.addWidget(box, row + 1, column + 1, Qt.AlignmentFlag.AlignHCenter)
                self.checks[kind].append(box)
        self.show_state(self._editing.state)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        for slider in (self.shape_slider, self.pose_slider):
            slider.set_theme(theme)

    def showEvent(self, event: QShowEvent) -> None:
        """What is suggested may have changed since."""
        self.show_state(self._editing.state)
        super().showEvent(event)

    @Slot(object)
    def show_state(self, state: EditState) -> None:
        """Show what is chosen, telling no one."""
        bodies = {slot: self._editing.body(slot) for slot in self._names}
        for slot, body in bodies.items():
            self._names[slot].setText(body.title if body is not None else tr("not chosen"))
        for slider, amount in ((self.shape_slider, state.shape_amount), (self.pose_slider, state.pose_amount)):
            slider.blockSignals(True)
            slider.setValue(round(amount * _STEPS))
            slider.blockSignals(False)
            self._percent[slider].setText(f"{100 * amount:.0f} %")
        self.way.blockSignals(True)
        self.way.setCurrentIndex(int(state.spherical))
        self.way.blockSignals(False)
        for boxes, chosen in ((self.checks["shape"], state.shape_parts), (self.checks["pose"], state.pose_parts)):
            for box, goes in zip(boxes, chosen or (True,) * len(boxes), strict=False):
                box.blockSignals(True)
                box.setChecked(goes)
                box.blockSignals(False)
        ready = all(body is not None for body in bodies.values())
        for widget in (self.shape_slider, self.pose_slider, self.way, *self.checks["shape"], *self.checks["pose"]):
            widget.setEnabled(ready)
        for button in (self.reset, self.bake):
            button.setEnabled(state.blending)

    def _take(self, slot: str, source: str) -> None:
        if self._editor.workbench is None:
            return
        makers: dict[str, Callable[[], Codes | None]] = {
            "screen": self._editor.codes_on_screen,
            "frame": partial(self._editor.fitted_codes, self._editor.frame),
            "fit": self._editor.fit_codes,
            "mean": self._editor.mean_codes,
            "random": self._random,
        }
        made = makers[source]()
        if made is not None:
            self._editing.take(slot, made)

    def _random(self) -> Codes:
        self._draws += 1
        return self._editor.random_codes(self._draws)

    def _on_slider(self, kind: Kind, slider: SigmaSlider, *_: Any) -> None:
        self._editing.set_blend(dragging=slider.isSliderDown(), **{f"{kind}_amount": slider.value() / _STEPS})

    @Slot(int)
    def _on_way(self, index: int) -> None:
        self._editing.set_blend(spherical=index == 1)
