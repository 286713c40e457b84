"""What the capture doctor found: its words as a table, its warnings below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout

if TYPE_CHECKING:
    from spams_core.data.doctor import Findings

__all__ = ["FindingsView"]


class FindingsView(QVBoxLayout):
    """One row per finding, in the doctor's own words, so that window and command line say the same.

    It is a layout, not a widget: within one more widget, labels would not get the height of all their lines.
    """

    def __init__(self) -> None:
        super().__init__()
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
        self.addLayout(self._grid)
        self.addWidget(self.problem)

    def show_findings(self, findings: Findings | None) -> None:
        """Fill the table; without findings it is empty."""
        words = {} if findings is None else findings.words()
        for row, (title, text) in enumerate(words.items()):
            self._place(title, row)
            self.values[title].setText(text)
        for title, value in self.values.items():
            for label in (self._names[title], value):
                label.setVisible(title in words)
            if title not in words:
                value.clear()
        self.warn([] if findings is None else list(findings.warnings().values()))

    def warn(self, warnings: list[str]) -> None:
        """Show only these warnings."""
        self.problem.setText("\n\n".join(warnings))
        self.problem.setVisible(bool(warnings))

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
