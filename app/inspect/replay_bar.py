"""The second scrubber: the rounds of a fit along its loss curve."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QAction,
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from app.arrow_keys import keeps_key
from app.inspect.replay import Replay, step_losses
from app.theme import THEMES, Theme
from app.translation import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LossTrack", "ReplayBar"]

_EDGE = 7
_CAPTION = 13
_HEIGHT = 46
_KEYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -(10**6), Qt.Key.Key_End: 10**6}


class LossTrack(QWidget):
    """The loss of every step on a logarithmic scale, the stages behind it; press or drag to choose a round.

    Signals:
        chosen: A round, and whether the pointer is still down.
    """

    chosen = Signal(int, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self._steps: Int[np.ndarray, "S"] = np.zeros(0, dtype=int)
        self._losses: Float[np.ndarray, "I"] = np.zeros(0)
        self._stages: Sequence[str] = ()
        self._texts: Sequence[str] = ()
        self.round: int | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Rounds of the fit"))

    def sizeHint(self) -> QSize:
        """A line of captions and a low curve."""
        return QSize(300, _HEIGHT)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self.update()

    def set_rounds(
        self,
        steps: Int[np.ndarray, "S"],
        losses: Float[np.ndarray, "I"],
        stages: Sequence[str],
        texts: Sequence[str],
    ) -> None:
        """The steps after which a round ended, the loss of all steps, and each round's stage and description."""
        self._steps, self._losses, self._stages, self._texts = np.asarray(steps), np.asarray(losses), stages, texts
        self.update()

    def set_round(self, number: int | None) -> None:
        """Move the cursor without telling anyone; None stands at the end, where the final body is."""
        self.round = number
        if self._texts:
            self.setAccessibleDescription(self._texts[len(self._texts) - 1 if number is None else number])
        self.update()

    # --- places ---------------------------------------------------------------------------------------------------

    def _x(self, step: float) -> float:
        total = max(1, int(self._steps[-1])) if len(self._steps) else 1
        return _EDGE + (self.width() - 2 * _EDGE) * step / total

    def x_of(self, number: int) -> float:
        """Where a round's cursor stands, pixels."""
        return self._x(float(self._steps[number]))

    def round_at(self, x: float) -> int:
        """The round whose cursor stands nearest."""
        places = np.array([self.x_of(k) for k in range(len(self._steps))])
        return int(np.abs(places - x).argmin())

    def _curve(self) -> list[QPointF]:
        """The loss after each step."""
        values = np.log10(np.maximum(self._losses, 1e-6))
        known = np.isfinite(values)
        if not known.any():
            return []
        low, high = float(values[known].min()), float(values[known].max())
        top, height = _CAPTION + 4.0, self.height() - _CAPTION - 9.0
        share = (values - low) / max(high - low, 1e-6)
        return [
            QPointF(self._x(step + 1), top + height * (1 - share[step]))
            for step in range(min(len(values), int(self._steps[-1])))
            if known[step]
        ]

    # --- events ---------------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Arrows belong to the rounds while the curve has the focus, not to the frames."""
        return keeps_key(event, _KEYS) or super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """One round per arrow."""
        step = _KEYS.get(Qt.Key(event.key()))
        if step is None or not len(self._steps):
            super().keyPressEvent(event)
            return
        self._move(step)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """One round per notch."""
        if len(self._steps) and event.angleDelta().y():
            self._move(-1 if event.angleDelta().y() > 0 else 1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump."""
        self._scrub(event, dragging=True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Scrub while pressed; otherwise say what is under the pointer."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._scrub(event, dragging=True)
        elif self._texts:
            self.setToolTip(
                tr("{round}\nPress or drag to see its body.", round=self._texts[self.round_at(event.position().x())])
            )

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The round that was let go of is drawn finely."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._scrub(event, dragging=False)

    def _scrub(self, event: QMouseEvent, *, dragging: bool) -> None:
        if len(self._steps) and (not dragging or event.buttons() & Qt.MouseButton.LeftButton):
            self.chosen.emit(self.round_at(event.position().x()), dragging)

    def _move(self, step: int) -> None:
        last = len(self._steps) - 1
        self.chosen.emit(int(np.clip((last if self.round is None else self.round) + step, 0, last)), False)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Stages, curve, rounds, cursor."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme, count = self._theme, len(self._steps)
        if not count:
            return
        low = QRectF(0, _CAPTION, self.width(), self.height() - _CAPTION)
        painter.setPen(QPen(QColor(theme.accent), 1) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.window))
        painter.drawRoundedRect(low.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        self._paint_stages(painter)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.muted), 1.3))
        curve = self._curve()
        painter.drawPolyline(QPolygonF(curve))
        painter.setPen(QPen(QColor(theme.border_strong), 1))
        for number in range(count):
            x = self.x_of(number)
            painter.drawLine(QPointF(x, self.height() - 5), QPointF(x, self.height() - 2))
        number = count - 1 if self.round is None else self.round
        x, step = self.x_of(number), int(self._steps[number])
        color = QColor(theme.muted if self.round is None else theme.accent)
        painter.setPen(QPen(color, 2))
        painter.drawLine(QPointF(x, _CAPTION), QPointF(x, self.height() - 1))
        if 0 < step <= len(curve):
            painter.setBrush(color)
            painter.setPen(QPen(QColor(theme.window), 1.5))
            painter.drawEllipse(curve[step - 1], 4.5, 4.5)

    def _paint_stages(self, painter: QPainter) -> None:
        """Captions, and a line where the next stage begins."""
        painter.setPen(QColor(self._theme.muted))
        metrics, begin = painter.fontMetrics(), _EDGE * 1.0
        numbers = range(1, len(self._stages))
        for stage, group in groupby(numbers, key=lambda number: self._stages[number]):
            end = self.x_of(list(group)[-1])
            room = end - begin - 6
            caption = metrics.elidedText(stage, Qt.TextElideMode.ElideRight, int(room))
            if len(caption) > 4 or caption == stage:
                painter.setPen(QColor(self._theme.muted))
                painter.drawText(QPointF(begin, metrics.ascent() - 1), caption)
            if end < self._x(float(self._steps[-1])) - 1:
                painter.setPen(QPen(QColor(self._theme.border_strong), 1, Qt.PenStyle.DotLine))
                painter.drawLine(QPointF(end, 2), QPointF(end, self.height() - 2))
            begin = end + 4


class ReplayBar(QWidget):
    """Play, the loss track, what is shown, and the way back; or one line that says why there is nothing to replay."""

    def __init__(self, replay: Replay, play: QAction, leave: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._replay = replay
        self.play = QToolButton()
        self.play.setDefaultAction(play)
        self.play.setIconSize(QSize(16, 16))
        self.play.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        title = QLabel(tr("Replay"))
        title.setObjectName("muted")
        title.setToolTip(tr("How the fit came about: the body of this frame after each round"))
        self.track = LossTrack()
        self.track.chosen.connect(self._on_chosen)
        self.label = QLabel()
        self.label.setMinimumWidth(216)
        self.leave = QToolButton()
        self.leave.setDefaultAction(leave)
        self.leave.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.leave.setObjectName("outlined")
        self.leave.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.reason = QLabel()
        self.reason.setObjectName("muted")
        self.reason.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 8, 0)
        row.setSpacing(6)
        title.setFixedWidth(48)
        row.addWidget(title)
        row.addWidget(self.play)
        row.addWidget(self.track, 1)
        row.addWidget(self.label)
        row.addWidget(self.leave)
        row.addWidget(self.reason, 1)
        replay.changed.connect(self.refresh)
        replay.source_changed.connect(self.show_source)
        self.show_source()

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.track.set_theme(theme)

    @Slot()
    def show_source(self) -> None:
        """Take the rounds of the open fit, or say why there are none."""
        replay, history, possible = self._replay, self._replay.history, self._replay.possible
        for widget in (self.play, self.track, self.label, self.leave):
            widget.setVisible(possible)
        self.reason.setVisible(not possible)
        self.reason.setText(replay.lacking)
        self.reason.setToolTip(replay.lacking)
        fit = replay.fit
        if possible and history is not None and fit is not None:
            numbers = range(history.count)
            self.track.set_rounds(
                history.steps,
                step_losses(fit),
                [tr(history.stage(k)) for k in numbers],
                [replay.text(k) for k in numbers],
            )
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Where it stands."""
        replay = self._replay
        if not replay.possible:
            return
        number = replay.round
        self.track.set_round(number)
        text = replay.text(replay.last if number is None else number)
        waits = number is not None and replay.waits(number)
        # The second line is always there, so that the views above keep their size.
        note = tr("the final body is shown") if number is None else tr("this frame has not moved yet") if waits else ""
        self.label.setText(f"{text}\n{note}")
        self.label.setToolTip(
            tr(
                "Keyframes are fitted first, then the frames between them, then all frames together (joint).\n"
                "The loss is the sum of the weighted terms over the frames of that round; stages differ in these "
                "frames."
            )
        )

    @Slot(int, bool)
    def _on_chosen(self, number: int, dragging: bool) -> None:
        self._replay.play(False)
        self._replay.go_to(number, dragging=dragging)
