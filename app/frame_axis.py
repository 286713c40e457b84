"""What every strip of the timeline has in common: one column per frame, and scrubbing by press and drag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import THEMES, Theme
from app.translation import tr

__all__ = ["FrameAxis", "Scale"]

_MARGIN = 14


@dataclass(frozen=True)
class Scale:
    """What some colours of a strip mean.

    Attributes:
        title: Of what they tell.
        colors: #rrggbb, from the low to the high end; a single one means that it is so.
        low, high: The ends, the last one with its unit.
    """

    title: str
    colors: tuple[str, ...]
    low: str = ""
    high: str = ""

    def text(self) -> str:
        """Without colours."""
        return (
            tr("{title}: {low} to {high}", title=self.title, low=self.low, high=self.high) if self.high else self.title
        )


class FrameAxis(QWidget):
    """One column per frame; press or drag to scrub.

    Signals:
        scrubbed: The frame under the pointer.
        scales_changed: `scales` tells something else.
    """

    scrubbed = Signal(int)
    scales_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = THEMES["dark"]
        self._count, self._fps, self._frame = 0, 30.0, 0
        self._left = _MARGIN
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._theme = theme
        self.update()

    def set_range(self, count: int, fps: float) -> None:
        """Frames and their rate."""
        self._count, self._fps = count, fps
        self.update()

    def set_frame(self, frame: int) -> None:
        """Move the playhead without telling anyone."""
        if frame != self._frame:
            self._frame = frame
            self.update()

    def set_left(self, left: int | None = None) -> None:
        """Where the first column begins, pixels, so that strips with titles stay below each other; None = the edge."""
        self._left = _MARGIN if left is None else left
        self.update()

    # --- places ---------------------------------------------------------------------------------------------------

    def _width(self) -> float:
        """Of all columns, pixels."""
        return max(1.0, self.width() - self._left - _MARGIN)

    def _step(self) -> float:
        return self._width() / max(1, self._count)

    def x_of(self, frame: int) -> float:
        """Middle of a frame's column, pixels."""
        return self._left + (frame + 0.5) * self._step()

    def frame_at(self, x: float) -> int:
        """The frame whose column holds x."""
        return int(np.clip((x - self._left) / self._step(), 0, max(0, self._count - 1)))

    def describe(self, event: QMouseEvent) -> str:
        """What is under the pointer."""
        frame = self.frame_at(event.position().x())
        return tr("Frame {frame} at {seconds:.2f} s", frame=frame, seconds=frame / self._fps)

    def scales(self) -> Sequence[Scale]:
        """What its colours mean."""
        return ()

    # --- events ---------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump."""
        self._scrub(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Scrub while pressed; otherwise say what is under the pointer."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._scrub(event)
        elif self._count:
            told = self.describe(event)
            self.setToolTip(told)
            # At once: a tooltip that is up already would go on telling of the column before.
            QToolTip.showText(event.globalPosition().toPoint(), told, self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """One frame per notch."""
        if self._count:
            step = -1 if event.angleDelta().y() > 0 else 1
            self.scrubbed.emit(int(np.clip(self._frame + step, 0, self._count - 1)))

    def _scrub(self, event: QMouseEvent) -> None:
        if self._count and event.buttons() & Qt.MouseButton.LeftButton:
            self.scrubbed.emit(self.frame_at(event.position().x()))
