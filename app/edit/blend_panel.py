"""Two bodies, A and B, and what lies between them: one slider for shape, one for pose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from app.edit.codes_panel import SigmaSlider
from app.edit.editor import Blend, Codes, Editor
from app.theme import Theme

__all__ = ["BlendPanel"]

_STEPS = 200


class BlendPanel(QWidget):
    """Chooses A and B and blends them; `edited(dragging)` as in `CodesPanel`."""

    edited = Signal(bool)
    other_fit_requested = Signal(str)
    reset_requested = Signal()

    def __init__(self, editor: Editor, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._editor = editor
        self._codes: dict[str, Codes] = {}
        self._suggested: set[str] = set()
        self._names: dict[str, QLabel] = {}
        self.shape_slider, self.pose_slider = SigmaSlider(), SigmaSlider()
        self._percent: dict[SigmaSlider, QLabel] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        hint = QLabel("Choose two bodies and walk from one to the other.")
        hint.setObjectName("muted")
        hint.setWordWrap(True)
        layout.addWidget(hint)
        for slot in ("A", "B"):
            layout.addWidget(self._slot_card(slot))
        for title, slider in (("Shape", self.shape_slider), ("Pose", self.pose_slider)):
            layout.addLayout(self._slider_row(title, slider))
        self.reset = QPushButton("Back to the fit")
        self.reset.setToolTip("Stop blending and show the body as it was fitted")
        self.reset.clicked.connect(self.reset_requested)
        layout.addWidget(self.reset)
        layout.addStretch(1)
        self.set_theme(theme)
        self.refresh()

    def _slot_card(self, slot: str) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        row = QHBoxLayout(card)
        row.setContentsMargins(10, 7, 7, 7)
        badge = QLabel(slot)
        badge.setObjectName("badge")
        name = QLabel("not chosen")
        self._names[slot] = name
        button = QToolButton()
        button.setText("Set ▾")
        button.setToolTip(f"Choose body {slot}")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        choices = {
            "Body on screen": partial(self._take, slot, "screen"),
            "Fitted body at the playhead": partial(self._take, slot, "fit"),
            "Mean body": partial(self._take, slot, "mean"),
            "Random body": partial(self._take, slot, "random"),
            "From another fit…": partial(self.other_fit_requested.emit, slot),
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

    def _slider_row(self, title: str, slider: SigmaSlider) -> QVBoxLayout:
        slider.setRange(0, _STEPS)
        slider.setAccessibleName(f"{title} between A and B")
        slider.setToolTip(f"{title}: A at the left, B at the right; a double click returns to A")
        slider.valueChanged.connect(self._on_slider)
        slider.sliderReleased.connect(self._on_released)
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

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        for slider in (self.shape_slider, self.pose_slider):
            slider.set_theme(theme)

    def set_codes(self, slot: str, codes: Codes) -> None:
        """Put a body into slot A or B."""
        self._suggested.discard(slot)
        self._codes[slot] = codes
        self._names[slot].setText(codes.title)
        self.refresh()
        if self._editor.blend is not None:
            self._push(dragging=False)

    def forget(self) -> None:
        """Another model or fit: the old codes mean nothing any more."""
        self._codes.clear()
        for name in self._names.values():
            name.setText("not chosen")
        self.clear()

    def suggest(self) -> None:
        """Fill the slots that nobody chose: the fitted body at the playhead, or the mean one, against another.

        Once a slider has moved, what it moves between stays.
        """
        if self._editor.workbench is None or self._editor.blend is not None:
            return
        fitted = self._editor.fitted_codes(self._editor.frame)
        if "A" not in self._codes or (fitted is not None and "A" in self._suggested):
            self.set_codes("A", fitted or self._editor.mean_codes())
            self._suggested.add("A")
        if "B" not in self._codes:
            self.set_codes("B", self._editor.mean_codes() if fitted else self._editor.random_codes())
            self._suggested.add("B")

    def showEvent(self, event: QShowEvent) -> None:
        """The playhead may have moved since the last suggestion."""
        self.suggest()
        super().showEvent(event)

    def clear(self) -> None:
        """Sliders back to A, telling no one."""
        for slider in (self.shape_slider, self.pose_slider):
            slider.blockSignals(True)
            slider.setValue(0)
            slider.blockSignals(False)
            self._percent[slider].setText("0 %")
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used."""
        ready = len(self._codes) == 2
        for widget in (self.shape_slider, self.pose_slider, self.reset):
            widget.setEnabled(ready)

    def _take(self, slot: str, source: str) -> None:
        if self._editor.workbench is None:
            return
        makers: dict[str, Callable[[], Codes | None]] = {
            "screen": self._editor.codes_on_screen,
            "fit": partial(self._editor.fitted_codes, self._editor.frame),
            "mean": self._editor.mean_codes,
            "random": self._editor.random_codes,
        }
        made = makers[source]()
        if made is not None:
            self.set_codes(slot, made)

    @Slot()
    def _on_slider(self) -> None:
        for slider, label in self._percent.items():
            label.setText(f"{100 * slider.value() / _STEPS:.0f} %")
        self._push(dragging=any(slider.isSliderDown() for slider in self._percent))

    @Slot()
    def _on_released(self) -> None:
        self._push(dragging=False)

    def _push(self, *, dragging: bool) -> None:
        if len(self._codes) == 2:
            amounts = (self.shape_slider.value() / _STEPS, self.pose_slider.value() / _STEPS)
            self._editor.set_blend(Blend(self._codes["A"], self._codes["B"], *amounts))
            self.edited.emit(dragging)
