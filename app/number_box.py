"""Boxes for numbers."""

from __future__ import annotations

from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox, QWidget

__all__ = ["NumberBox", "WholeBox"]

_PADDING = 6
"""Left of the digits: Qt places the text at the very edge of a spin box that has a border by style sheet, whatever its
padding. Without its arrows (`NoButtons`) it leaves the text a pixel's width, so they stay."""


class NumberBox(QDoubleSpinBox):
    """A number with decimals. A comma counts as a point: the number pad of a German keyboard has no other key."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lineEdit().setTextMargins(_PADDING, 0, 0, 0)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """What may be typed, with a point."""
        return super().validate(text.replace(",", "."), position)


class WholeBox(QSpinBox):
    """A whole number."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lineEdit().setTextMargins(_PADDING, 0, 0, 0)
