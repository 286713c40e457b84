"""What stands below all tabs of the workspace: keyframes, a warning about unusual codes, and saving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, QTimer, Slot
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from app.edit.state import KIND_NAMES
from app.number_box import WholeBox
from app.translation import ntr, part_titles, tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.edit.editing import Editing
    from app.edit.editor import Editor

__all__ = ["UNTIL_SAVED", "Footer", "unusual_text"]

UNTIL_SAVED = tr("the fit stays as it is, and a new one is made by Save as New Fit")
"""What no slider of this workspace does."""

_WARNING_MS = 60
_MARGIN = 14


class Footer(QWidget):
    """Buttons of commands, and `warning`."""

    def __init__(
        self, editing: Editing, editor: Editor, keys: Sequence[QAction], drag: QAction, save: QAction,
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._editing, self._editor = editing, editor
        self.note = QLabel(tr("Edits change the body on screen; {until}.", until=UNTIL_SAVED))
        self.note.setObjectName("muted")
        self.note.setWordWrap(True)
        self.warning = QLabel()
        self.warning.setObjectName("problem")
        self.warning.setWordWrap(True)
        self.warning.setToolTip(
            tr(
                "The distance of a part's codes from the mean of the training bodies, in their principal directions "
                "and their standard deviations (Mahalanobis), is larger than that of 99 % of the training bodies. "
                "The model has not seen such a part; its surface may be wrong."
            )
        )
        self.warning.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_MARGIN, 6, _MARGIN, 10)
        layout.setSpacing(6)
        layout.addWidget(self.warning)
        row = QHBoxLayout()
        row.setSpacing(2)
        label = QLabel(tr("Pose keyframe"))
        label.setObjectName("muted")
        row.addWidget(label, 1)
        for action in keys:
            button = QToolButton()
            button.setDefaultAction(action)
            button.setIconSize(QSize(16, 16))
            row.addWidget(button)
        layout.addLayout(row)
        row = QHBoxLayout()
        button = QToolButton()
        button.setDefaultAction(drag)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        row.addWidget(button, 1)
        self.reach = WholeBox()
        self.reach.setRange(0, 999)
        self.reach.setMinimumHeight(26)
        self.reach.setPrefix("± ")
        self.reach.valueChanged.connect(self._on_reach)
        self.reach.setSpecialValueText(tr("all frames"))
        self.reach.setToolTip(
            tr(
                "How far a pull reaches in time: keyframes that many frames away hold what was there. "
                "Without it a pull counts in all frames, or at the keyframe where there are some."
            )
        )
        self.reach.setAccessibleName(tr("Reach of a pull in frames"))
        row.addWidget(self.reach)
        self._on_reach(0)
        layout.addLayout(row)
        button = QToolButton()
        button.setDefaultAction(save)
        button.setObjectName("primary")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        button.setSizePolicy(self.sizePolicy())
        layout.addWidget(button)
        layout.addWidget(self.note)
        # Playing and dragging change the codes many times a second; the sentence may lag a little.
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WARNING_MS)
        self._timer.timeout.connect(self._warn)
        editing.changed.connect(self._later)

    @Slot(int)
    def _on_reach(self, count: int) -> None:
        self.reach.setSuffix(ntr(" frame", " frames", count))

    @Slot()
    def _later(self, *_: object) -> None:
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _warn(self) -> None:
        text = unusual_text(self._editing, self._editor)
        self.warning.setText(text)
        self.warning.setVisible(bool(text))
        self._make_room()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Sentences may need another line."""
        super().resizeEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        """All lines of the sentences, which the panel above would take otherwise."""
        for label in (self.note, self.warning):
            label.setMinimumHeight(max(label.heightForWidth(self.width() - 2 * _MARGIN), 0))


def unusual_text(editing: Editing, editor: Editor) -> str:
    """Which parts of an edited body are farther from the training bodies than 99 % of them are; empty for none."""
    maps, bench = editor.maps, editor.workbench
    if maps is None or bench is None or not editing.state.changes_anything:
        return ""
    titles = part_titles(bench.part_names)
    said = []
    for kind, plane, codes in zip(KIND_NAMES, maps, editor.codes_at(editor.frame), strict=True):
        far = [titles[q].lower() for q in plane.unusual(codes)]
        if far:
            said.append(tr("{kind} of {parts}", kind=KIND_NAMES[kind], parts=", ".join(far)))
    return tr("Unlike 99 % of the training bodies: {why}.", why="; ".join(said)) if said else ""
