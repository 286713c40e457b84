"""What the capture doctor found: its words as a table, its warnings below."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QGridLayout, QLabel, QToolButton, QVBoxLayout

from app.translation import tr

if TYPE_CHECKING:
    from spams_core.data.doctor import Findings

__all__ = ["FindingsView"]

_OPTION = re.compile(r" \(--[^)]*\)")


class FindingsView(QVBoxLayout):
    """One row per finding, in the doctor's own words, so that window and command line say the same.

    What the command line adds in brackets for itself, the name of an option, is left out. It is a layout, not a widget:
    within one more widget, labels would not get the height of all their lines.
    """

    def __init__(self, folded: Collection[str] = ()) -> None:
        """Rows of these titles are shown when `more` is pressed."""
        super().__init__()
        self._folded = folded
        self._told: set[str] = set()
        self.values: dict[str, QLabel] = {}
        self._names: dict[str, QLabel] = {}
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        self.problem.hide()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        self.setSpacing(7)
        self.more = QToolButton()
        self.more.setCheckable(True)
        self.more.setText(tr("More"))
        self.more.setToolTip(tr("Show all that was found"))
        self.more.toggled.connect(self._show_rows)
        self.more.hide()
        self.addLayout(self._grid)
        self.addWidget(self.more)
        self.addWidget(self.problem)

    def show_findings(self, findings: Findings | None) -> None:
        """Fill the table; without findings it is empty."""
        words = {} if findings is None else findings.words()
        for row, (title, text) in enumerate(words.items()):
            self._place(title, row)
            self.values[title].setText(text)
        self._told = set(words)
        self._show_rows()
        self.warn([] if findings is None else list(findings.warnings().values()))

    def labels(self) -> list[QLabel]:
        """Titles and texts of all rows, and the warnings: what the doctor says."""
        return [*self._names.values(), *self.values.values(), self.problem]

    def warn(self, warnings: list[str]) -> None:
        """Show only these warnings."""
        self.problem.setText("\n\n".join(_OPTION.sub("", warning) for warning in warnings))
        self.problem.setVisible(bool(warnings))

    @Slot()
    def _show_rows(self, *_: object) -> None:
        unfolded = self.more.isChecked()
        self.more.setText(tr("Less") if unfolded else tr("More"))
        self.more.setVisible(bool(self._told & set(self._folded)))
        for title, value in self.values.items():
            for label in (self._names[title], value):
                label.setVisible(title in self._told and (unfolded or title not in self._folded))
            if title not in self._told:
                value.clear()

    def _place(self, title: str, row: int) -> None:
        if title not in self.values:
            name, value = QLabel(title), QLabel()
            name.setObjectName("muted")
            value.setWordWrap(True)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._names[title], self.values[title] = name, value
        for column, label in enumerate((self._names[title], self.values[title])):
            self._grid.removeWidget(label)
            self._grid.addWidget(label, row, column, Qt.AlignmentFlag.AlignTop if column == 0 else Qt.AlignmentFlag(0))
