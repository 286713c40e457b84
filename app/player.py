"""Moves the playhead: by the clock, by keys, to the worst frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QObject, Slot

from app.playback import PlaybackClock
from app.session import Session

__all__ = ["Player"]


class Player(QObject):
    """Sets `session.frame`. `painted` counts the viewport's paints, so that the clock knows what has been drawn."""

    def __init__(self, session: Session, painted: Callable[[], int], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._painted = session, painted
        self._painted_before = 0
        self._worst = -1
        self.clock = PlaybackClock(self._drawn, parent=self)
        self.clock.frame_due.connect(self.go_to)
        session.frame_changed.connect(self._on_frame)
        session.fit_changed.connect(self._on_fit)

    def _drawn(self) -> bool:
        cloud = self._session.cloud
        read = cloud is None or cloud.frame == self._session.frame
        return read and self._painted() > self._painted_before

    @Slot(int)
    def _on_frame(self, _: int) -> None:
        self._painted_before = self._painted()

    @Slot(object)
    def _on_fit(self, _: object) -> None:
        self._worst = -1

    @Slot(int)
    def go_to(self, frame: int) -> None:
        """Put the playhead on a frame, within the recording."""
        count = self._session.frame_count
        if count:
            self._session.frame = int(np.clip(frame, 0, count - 1))

    def toggle(self, play: bool) -> None:
        """Play or pause."""
        if play:
            self.clock.play()
        else:
            self.clock.pause()

    def step(self, frames: int) -> None:
        """Pause and move by some frames."""
        self.clock.pause()
        self.go_to(self._session.frame + frames)

    def go_to_first(self) -> None:
        """To the start."""
        self.go_to(0)

    def go_to_last(self) -> None:
        """To the end."""
        self.go_to(self._session.frame_count - 1)

    def set_loop(self, loop: bool) -> None:
        """Whether the end is followed by the start."""
        self.clock.loop = loop

    def next_worst(self, step: int = 1) -> None:
        """Visit the ten worst frames in turn, the worst first; step -1 goes back through them."""
        fit = self._session.fit
        if fit is not None:
            order = np.argsort(np.nan_to_num(-np.asarray(fit.residual_m), nan=0.0))[:10]
            self._worst = (max(self._worst, 0 if step < 0 else -1) + step) % len(order)
            self.clock.pause()
            self.go_to(int(fit.frame_indices[order[self._worst]]))
