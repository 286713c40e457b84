"""Which frames of the open fit to fit anew."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.number_box import WholeBox
from app.theme import Theme, icon
from app.translation import part_titles, tr

__all__ = ["RefitPanel"]


class RefitPanel(QWidget):
    """A range of frames, and whether the whole body or one part starts anew in them."""

    refit_requested = Signal()
    here_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hint = QLabel(tr("From the frames beside; the shape stays."))
        self._hint.setObjectName("muted")
        self._hint.setWordWrap(True)
        self.first, self.last = WholeBox(), WholeBox()
        for box, name in ((self.first, tr("First frame")), (self.last, tr("Last frame"))):
            box.setAccessibleName(name)
            box.setToolTip(tr("{name} to fit anew", name=name))
            box.setKeyboardTracking(False)
        self.first.valueChanged.connect(lambda value: self.last.setValue(max(value, self.last.value())))
        self.last.valueChanged.connect(lambda value: self.first.setValue(min(value, self.first.value())))
        self.here_button = QPushButton(tr("This frame"))
        self.here_button.setToolTip(tr("Choose the frame on screen"))
        self.here_button.clicked.connect(self.here_requested)
        self.part = QComboBox()
        self.part.setToolTip(tr("What forgets its pose in these frames; the rest starts from what was fitted"))
        self.button = QPushButton(tr("Refit these frames"))
        self.button.setMinimumHeight(32)
        self.button.setToolTip(
            tr(
                "They start from the frames beside them, and the shape stays; "
                "the result is a new fit, and this one stays"
            )
        )
        self.button.clicked.connect(self.refit_requested)
        frames = QHBoxLayout()
        frames.addWidget(self.first, 1)
        frames.addWidget(QLabel(tr("to")))
        frames.addWidget(self.last, 1)
        form = QFormLayout()
        form.addRow(tr("Frames"), frames)
        form.addRow("", self.here_button)
        form.addRow(tr("Start anew"), self.part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._hint)
        layout.addLayout(form)
        layout.addWidget(self.button)
        layout.addStretch(1)
        self.show_fit((), 0)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.button.setIcon(icon("arrow-clockwise", theme))

    def show_fit(self, part_names: tuple[str, ...], last_frame: int) -> None:
        """Offer the frames and the parts of the open fit."""
        for box in (self.first, self.last):
            box.setRange(0, last_frame)
        chosen = self.part.currentData()
        self.part.clear()
        self.part.addItem(tr("Whole body"), ())
        if len(part_names) > 1:
            for name, title in zip(part_names, part_titles(part_names), strict=True):
                self.part.addItem(tr("{part} only", part=title), (name,))
        self.part.setCurrentIndex(max(0, self.part.findData(chosen)))

    def choose(self, first: int, last: int) -> None:
        """Set the range, both frames included."""
        self.last.setValue(last)
        self.first.setValue(first)
        self.last.setValue(last)

    @property
    def frames(self) -> str:
        """The range as `--frames` takes it."""
        return f"{self.first.value()}:{self.last.value() + 1}"

    @property
    def reseed(self) -> tuple[str, ...]:
        """Parts that start anew; none means all."""
        return tuple(self.part.currentData() or ())

    @Slot(bool)
    def set_possible(self, possible: bool) -> None:
        """Whether there is a fit and its recording."""
        for widget in (self.first, self.last, self.here_button, self.part, self.button):
            widget.setEnabled(possible)
