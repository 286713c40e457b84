"""Correspondences: which are shown, how long they are, and what is known of the one that was clicked."""

from __future__ import annotations

import numpy as np
import pyqtgraph
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from app.colormap import MAGNITUDE
from app.inspect.color_bar import ColorBar
from app.match_lines import FAR_MM
from app.session import Session
from app.theme import Theme
from app.translation import part_titles, tr
from spams_core.data.fit import FrameObservation, MatchReason
from spams_core.resources import part_colors

__all__ = ["REASONS", "MatchesCard"]

REASONS: dict[MatchReason, tuple[str, str]] = {
    MatchReason.KEPT: (tr("Kept"), tr("Coloured by their length")),
    MatchReason.DISTANCE: (tr("Rejected: too far"), tr("The nearest model point of the part is 10 cm away or more")),
    MatchReason.NORMAL: (tr("Rejected: normals differ"), tr("Observation and model face different ways")),
    MatchReason.VISIBILITY: (tr("Rejected: far side"), tr("The camera cannot see the matched side of the model")),
    MatchReason.PART: (
        tr("Rejected: no such part"),
        tr("The model has no point of the observed part; there is no line"),
    ),
}
"""Title and meaning, in the order of the panel."""

_BINS_MM = np.arange(0.0, 51.0, 2.0)


class MatchesCard(QWidget):
    """Filter, histogram and the clicked pair.

    Signals:
        shown_changed: The set of reasons to draw; empty = none.
    """

    shown_changed = Signal(object)

    def __init__(self, session: Session, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        heading = QLabel(tr("Correspondences"))
        heading.setObjectName("heading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(heading)
        self.boxes: dict[MatchReason, QCheckBox] = {}
        for reason, (title, hint) in REASONS.items():
            box = self.boxes[reason] = QCheckBox(title)
            box.setToolTip(hint)
            box.toggled.connect(self._on_box)
            layout.addWidget(box)
        self.boxes[MatchReason.PART].setEnabled(False)
        self._bins_mm = _BINS_MM
        self.bar = ColorBar()
        self.bar.show_scale(MAGNITUDE, 0.0, FAR_MM, "mm")
        self.picked = QLabel()
        self.picked.setWordWrap(True)
        self.picked.setObjectName("muted")
        self.plot = pyqtgraph.PlotWidget()
        self.plot.setMenuEnabled(False)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.setFixedHeight(200)
        self.plot.setLabel("bottom", tr("length of the kept pairs, mm"))
        self.plot.setLabel("left", tr("share, %"))
        self.plot.setToolTip(tr("How long the kept pairs of each part are, in the colours of the parts"))
        self.plot.setFrameShape(self.plot.Shape.NoFrame)
        for widget in (self.bar, self.picked, self.plot):
            layout.addWidget(widget)
        self.curves: dict[int, pyqtgraph.PlotDataItem] = {}
        self.set_theme(theme)
        session.show_matches_changed.connect(self.refresh)
        session.match_reasons_changed.connect(self.refresh)
        session.frame_changed.connect(self.refresh)
        session.fit_changed.connect(self.refresh)
        session.picked_match_changed.connect(self.refresh)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.bar.set_theme(theme)
        self.plot.setBackground(theme.panel)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.border_strong)
            axis.setTextPen(theme.muted)

    @Slot()
    def _on_box(self) -> None:
        self.shown_changed.emit(frozenset(reason for reason, box in self.boxes.items() if box.isChecked()))

    def showEvent(self, event: object) -> None:
        """What happened while it was hidden is caught up with."""
        self.refresh()

    @Slot()
    def refresh(self, *_: object) -> None:
        """Show this frame's pairs."""
        if not self.isVisible():
            return
        session = self._session
        seen = _observation(session)
        enlarged = 1.0 if session.fit is None else session.fit.enlargement
        self._bins_mm = _BINS_MM / enlarged
        self.bar.show_scale(MAGNITUDE, 0.0, round(FAR_MM / enlarged, 1), "mm")
        for widget in (self.bar, self.picked, self.plot):
            widget.setVisible(session.fit is not None)
        for reason, box in self.boxes.items():
            box.blockSignals(True)
            box.setChecked(session.show_matches and reason in session.match_reasons)
            box.blockSignals(False)
            title = REASONS[reason][0]
            if seen is None:
                box.setText(title)
            elif seen.reasons is not None:
                box.setText(f"{title} ({int((seen.reasons == reason).sum()):,})")
            else:
                kept = int((seen.match_weights > 0).sum())
                count = kept if reason == MatchReason.KEPT else len(seen.match_weights) - kept
                first = reason in (MatchReason.KEPT, MatchReason.DISTANCE)
                whole = title if reason == MatchReason.KEPT else tr("Rejected")
                box.setText(f"{whole} ({count:,})" if first else title)
            told = seen is None or seen.reasons is not None or reason in (MatchReason.KEPT, MatchReason.DISTANCE)
            box.setVisible(told)
        self._show_picked(seen)
        self._draw(seen)

    def _show_picked(self, seen: FrameObservation | None) -> None:
        session, row = self._session, self._session.picked_match
        if seen is None:
            self.picked.setText(tr("This frame is not fitted."))
        elif not session.show_matches:
            self.picked.setText(tr("Switch some on to see them in the fit's view."))
        elif row is None or row >= len(seen.match_weights):
            self.picked.setText(tr("Click a line in the fit's view to read it."))
        else:
            a, b = seen.points_world[row], seen.matched_world[row]
            label, titles = int(seen.labels[row]), part_titles(session.part_names)
            part = titles[label] if 0 <= label < len(titles) else tr("no part")
            kept = seen.match_weights[row] > 0
            why = tr("kept") if kept else tr("rejected; this fit does not say why")
            if not kept and seen.reasons is not None:
                why = REASONS[MatchReason(int(seen.reasons[row]))][0].lower()
            length_mm, weight = 1e3 * float(np.linalg.norm(b - a)), float(seen.match_weights[row])
            self.picked.setText(
                tr(
                    "<b>{length_mm:.1f} mm</b>, {part}, weight {weight:.2g}, {why}<br>observed "
                    "{observed}<br>model {model}",
                    length_mm=length_mm,
                    part=part,
                    weight=weight,
                    why=why,
                    observed=_place(a),
                    model=_place(b),
                )
            )

    def _draw(self, seen: FrameObservation | None) -> None:
        for curve in self.curves.values():
            self.plot.removeItem(curve)
        self.curves = {}
        if seen is None:
            return
        kept = seen.match_weights > 0
        length_mm = 1e3 * np.linalg.norm(seen.matched_world - seen.points_world, axis=1)
        colors = part_colors(self._session.part_names)
        for part in range(len(colors)):
            own = np.minimum(length_mm[kept & (seen.labels == part)], self._bins_mm[-1] - 1e-3)
            if len(own):
                share = 100 * np.histogram(own, self._bins_mm)[0] / len(own)
                pen = pyqtgraph.mkPen(tuple(colors[part].tolist()), width=2)
                self.curves[part] = self.plot.plot(self._bins_mm, share, stepMode="center", pen=pen)


def _observation(session: Session) -> FrameObservation | None:
    fit, row = session.fit, session.track_row(session.frame)
    if fit is None or session.live is not None or row is None or fit.frame_indices[row] != session.frame:
        return None
    return fit.observation(row)


def _place(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in point.tolist()) + ") m"
