"""The second fit: which, how it is shown, how good it is, and what it was made with."""

from __future__ import annotations

from html import escape

import numpy as np
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.inspect.comparison import Comparison
from app.session import Session
from app.translation import tr
from spams_core.data.fit import Fit

__all__ = ["CompareCard"]


class CompareCard(QWidget):
    """Open, show, close, and the differences.

    Signals:
        open_requested: The user wants to choose a fit.
    """

    open_requested = Signal()

    def __init__(self, session: Session, comparison: Comparison, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._comparison = session, comparison
        heading = QLabel(tr("Compare with another fit"))
        heading.setObjectName("heading")
        self.open = QPushButton(tr("Open another fit…"))
        self.open.setToolTip(tr("Choose a second fit of the same recording"))
        self.open.clicked.connect(self.open_requested)
        self.close_button = QPushButton(tr("Close it"))
        self.close_button.setToolTip(tr("Show the first fit alone"))
        self.close_button.clicked.connect(comparison.clear)
        self.way = QComboBox()
        self.way.addItem(tr("As a ghost over the first"), "ghost")
        self.way.addItem(tr("Beside the first, for the input"), "beside")
        self.way.addItem(tr("Wipe: either side of a line"), "wipe")
        self.way.setToolTip(tr("Where the second fit is shown; camera and timeline are the same"))
        self.way.setAccessibleName(tr("How to show the second fit"))
        self.way.currentIndexChanged.connect(lambda: comparison.set_show_as(self.way.currentData()))
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setObjectName("muted")
        buttons = QHBoxLayout()
        buttons.addWidget(self.open)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(7)
        layout.addWidget(heading)
        layout.addLayout(buttons)
        layout.addWidget(self.way)
        layout.addWidget(self.text)
        comparison.changed.connect(self.refresh)
        session.frame_changed.connect(self.refresh)
        session.fit_changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self, *_: object) -> None:
        """Show what is compared."""
        session, comparison = self._session, self._comparison
        first, other, path = session.fit, comparison.other, comparison.path
        self.open.setEnabled(first is not None)
        for widget in (self.close_button, self.way, self.text):
            widget.setVisible(other is not None)
        if first is None or other is None or path is None:
            return
        rows = [
            (tr("residual, this frame"), _residual(first, session.frame), _residual(other, session.frame)),
            (tr("residual, all frames"), _residual(first, None), _residual(other, None)),
            *((name.replace("_", " "), one, two) for name, one, two in comparison.differences),
        ]
        cells = "".join(
            f"<tr><td>{escape(name)}&nbsp;&nbsp;</td><td>{escape(_short(one))}&nbsp;&nbsp;</td>"
            f"<td>{escape(_short(two))}</td></tr>"
            for name, one, two in rows
        )
        same = "" if comparison.differences else "<br>" + tr("Both were made with the same settings.")
        name = tr("first")
        titles = f"<tr><td></td><td><b>{name}</b></td><td><b>{escape(_short(path.name))}</b></td></tr>"
        self.text.setText(f"<table>{titles}{cells}</table>{same}")


def _residual(fit: Fit, frame: int | None) -> str:
    """Of a frame, or of all."""
    chosen = fit.residual_m if frame is None else fit.residual_m[fit.frame_indices == frame]
    known = chosen[np.isfinite(chosen)]
    return f"{1e3 * float(np.median(known)):.1f} mm" if len(known) else "–"


def _short(text: str) -> str:
    """The end of a long path says more than its beginning."""
    return text if len(text) <= 18 else "…" + text[-17:]
