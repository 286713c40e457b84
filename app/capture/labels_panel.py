"""How sure the body parts of the frame on screen are, before any fit."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QToolButton, QVBoxLayout, QWidget

from app.colormap import CONFIDENCE, UNSURE
from app.session import Session
from app.translation import tr

__all__ = ["LabelsPanel"]

_FEW = 0.7
"""Points below this confidence are counted as unsure."""


class LabelsPanel(QWidget):
    """Mean confidence, share of unsure points, and what the colours mean."""

    def __init__(self, session: Session, color: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        heading = QLabel(tr("Body parts before the fit"))
        heading.setObjectName("heading")
        self.facts = QLabel("")
        self.facts.setObjectName("muted")
        self.facts.setWordWrap(True)
        button = QToolButton()
        button.setObjectName("outlined")
        button.setDefaultAction(color)
        color.setIconText(tr("Colour by Confidence"))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        steps = np.linspace(UNSURE, 1.0, 4)
        colors = CONFIDENCE.colors(steps, UNSURE, 1.0).tolist()
        self.legend = QLabel(
            "&nbsp;&nbsp; ".join(
                f"<span style='color:#{r:02x}{g:02x}{b:02x}; font-size:15px'>●</span>&nbsp;"
                f"{'≤&nbsp;' if index == 0 else ''}{100 * step:.0f}&nbsp;%"
                for index, (step, (r, g, b)) in enumerate(zip(steps, colors, strict=True))
            )
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for widget in (heading, self.facts, button, self.legend):
            layout.addWidget(widget)
        session.cloud_changed.connect(self.refresh)
        session.cloud_colors_changed.connect(self.refresh)
        self.refresh()

    @Slot()
    def refresh(self, *_: object) -> None:
        """Read the frame on screen."""
        cloud = self._session.cloud
        known = cloud.confidences if cloud is not None else None
        if known is None or not len(known):
            fitted = self._session.fit is not None
            self.facts.setText(tr("Labels are those of the fit.") if fitted else tr("Not labelled yet."))
        else:
            unsure = 100 * float((known < _FEW).mean())
            self.facts.setText(
                tr(
                    "Mean confidence {mean:.0f} %; {unsure:.0f} % of the points are below {few:.0f} %.",
                    mean=100 * float(known.mean()),
                    unsure=unsure,
                    few=100 * _FEW,
                )
            )
        self.legend.setVisible(self._session.cloud_colors == "confidence" and known is not None)
