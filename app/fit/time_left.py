"""How long a run still takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.translation import tr

__all__ = ["TimeLeft", "spoken"]


class TimeLeft:
    """Estimates what remains of a run from its pace so far, pauses left out."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._elapsed, self._since = 0.0, now()
        self._running = True
        self._anchor: tuple[int, int, float] | None = None

    def set_paused(self, paused: bool) -> None:
        """Stop or start the watch."""
        if paused == self._running:
            self._elapsed = self.elapsed
            self._since, self._running = self._now(), not paused

    @property
    def paused(self) -> bool:
        """Whether the watch rests."""
        return not self._running

    @property
    def elapsed(self) -> float:
        """Seconds spent working."""
        return self._elapsed + (self._now() - self._since if self._running else 0.0)

    def estimate(self, step: int, total: int) -> float | None:
        """Seconds left; None before there is a pace. Another total is another stage, whose pace is measured anew."""
        if self._anchor is None or self._anchor[1] != total or step < self._anchor[0]:
            self._anchor = (step, total, self.elapsed)
        done, spent = step - self._anchor[0], self.elapsed - self._anchor[2]
        return spent / done * (total - step) if done > 0 and spent > 0.5 else None


def spoken(seconds: float) -> str:
    """A duration as a person says it: seconds, minutes or hours."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return tr("{minutes} min", minutes=round(seconds / 60)) if seconds < 5400 else f"{seconds / 3600:.1f} h"
