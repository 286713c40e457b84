"""Names for those who hear the window instead of seeing it."""

from __future__ import annotations

import re

from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QComboBox, QLineEdit, QSpinBox, QWidget

__all__ = ["name_controls"]


def name_controls(root: QWidget) -> None:
    """A control that has neither a name nor a text is called by the first sentence of its tooltip."""
    for kind in (QAbstractButton, QAbstractSlider, QLineEdit, QComboBox, QSpinBox):
        for widget in root.findChildren(kind):
            text = widget.text() if isinstance(widget, QAbstractButton) else ""
            if not widget.accessibleName() and not text and widget.toolTip():
                plain = re.sub(r"<[^>]*>", "", widget.toolTip())
                widget.setAccessibleName(re.split(r"[.;\n]", plain)[0].strip())
