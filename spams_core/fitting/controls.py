"""Weights of a running fit that whoever started it may change."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Iterable

from spams_core.errors import InputError
from spams_core.fitting.settings import SolveSettings

__all__ = ["LIVE_WEIGHTS", "Controls", "WeightChange"]

LIVE_WEIGHTS: tuple[str, ...] = tuple(
    field.name for field in dataclasses.fields(SolveSettings) if field.name.endswith("_weight")
)
"""Settings of a fit that may change while it runs: the weights of the loss terms."""


@dataclasses.dataclass(frozen=True)
class WeightChange:
    """Another weight from a step on.

    Attributes:
        iteration: The first step with this weight: a row of the loss history, from 0.
        name: One of `LIVE_WEIGHTS`.
        value: The weight, 0 or more.
    """

    iteration: int
    name: str
    value: float

    def __post_init__(self) -> None:
        if self.name not in LIVE_WEIGHTS:
            raise InputError(f"{self.name!r} cannot change during a fit. Choose one of: {', '.join(LIVE_WEIGHTS)}.")
        if not math.isfinite(self.value) or self.value < 0:
            raise InputError(f"{self.name} = {self.value}: a weight must be 0 or more, and finite.")


class Controls:
    """Carries changed weights to a running fit, from any thread.

    Args:
        planned: Changes at known steps, such as those that an earlier fit has recorded: they repeat it.
    """

    def __init__(self, planned: Iterable[WeightChange] = ()) -> None:
        self._lock = threading.Lock()
        self._planned = sorted(planned, key=lambda change: change.iteration)
        self._wanted: dict[str, float] = {}

    def set_weight(self, name: str, value: float) -> None:
        """Want another weight from the next step on.

        Raises:
            InputError: There is no such weight, or it is negative or not finite.
        """
        change = WeightChange(0, name, float(value))
        with self._lock:
            self._wanted[change.name] = change.value

    def take(self, iteration: int) -> dict[str, float]:
        """Weights to use from this step on, by name; they are handed out once."""
        with self._lock:
            due = {change.name: change.value for change in self._planned if change.iteration <= iteration}
            self._planned = [change for change in self._planned if change.iteration > iteration]
            taken, self._wanted = {**due, **self._wanted}, {}
        return taken
