"""Titles and switches above the three viewports, and the parts' colours below them."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import UInt8
from numpy import ndarray
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.translation import tr
from app.viewport_format import COLUMN_STRETCH

__all__ = ["Legend", "ViewBar"]

TITLES = (tr("Input"), tr("Fit"), tr("Canonical shape"))


class ViewBar(QWidget):
    """One column per viewport: title, what is seen, and its switches."""

    def __init__(self, actions: Sequence[Sequence[QAction]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("viewBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._facts: list[QLabel] = []
        self._titles: list[QLabel] = []
        self._columns: list[QWidget] = []
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for index, (title, switches) in enumerate(zip(TITLES, actions, strict=True)):
            column = QWidget()
            column.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            inside = QHBoxLayout(column)
            inside.setContentsMargins(0 if index else 12, 5, 6, 5)
            inside.setSpacing(1)
            if index:
                rule = QFrame()
                rule.setObjectName("columnRule")
                inside.addWidget(rule)
                inside.addSpacing(11)
            texts = QVBoxLayout()
            texts.setSpacing(0)
            heading, facts = QLabel(title), QLabel("")
            heading.setObjectName("heading")
            facts.setObjectName("muted")
            for label in (heading, facts):
                label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
                texts.addWidget(label)
            inside.addLayout(texts, 1)
            for action in switches:
                button = QToolButton()
                button.setDefaultAction(action)
                button.setIconSize(QSize(17, 17))
                button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
                inside.addWidget(button)
            row.addWidget(column, COLUMN_STRETCH[index])
            self._facts.append(facts)
            self._titles.append(heading)
            self._columns.append(column)

    def set_facts(self, texts: Sequence[str]) -> None:
        """One line per viewport."""
        for label, text in zip(self._facts, texts, strict=True):
            label.setText(text)
            label.setToolTip(text)

    def set_title(self, column: int, title: str | None = None) -> None:
        """Name a column for what stands in it now; None = as it was."""
        self._titles[column].setText(TITLES[column] if title is None else title)

    def titles(self) -> list[str]:
        """The three titles."""
        return [label.text() for label in self._titles]

    def facts(self) -> list[str]:
        """The three lines."""
        return [label.text() for label in self._facts]

    def set_columns(self, shown: Sequence[bool]) -> None:
        """Hide the columns whose viewport is hidden."""
        for column, on in zip(self._columns, shown, strict=True):
            column.setVisible(on)


class Legend(QWidget):
    """The parts' names and colours."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._text = QLabel()
        self._text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._text.setWordWrap(True)  # or long names would make the window wider
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 3, 8, 4)
        row.addWidget(self._text)
        self._needed = True
        self.hide()

    def set_needed(self, needed: bool) -> None:
        """Whether anything on screen wears the parts' colours."""
        self._needed = needed
        self.setVisible(needed and bool(self._text.text()))

    def set_parts(self, titles: Sequence[str], colors: UInt8[ndarray, "Q 3"]) -> None:
        """Show these parts."""
        dots = (
            f"<span style='color:#{r:02x}{g:02x}{b:02x}; font-size:15px'>●</span>&nbsp;{title.replace(' ', '&nbsp;')}"
            for title, (r, g, b) in zip(titles, colors.tolist(), strict=True)
        )
        self._text.setText("&nbsp;&nbsp;&nbsp; ".join(dots))
        self.set_needed(self._needed)
