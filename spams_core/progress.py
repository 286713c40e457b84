"""What a running task tells whoever iterates it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

__all__ = ["Progress", "Task", "run_to_end"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """One report of a task.

    Attributes:
        step: Steps finished, 0..total.
        total: Steps altogether.
        message: What is being done, for a person to read.
        metrics: Named figures of this step, such as loss terms.
        preview: Plain numpy arrays that a viewer may draw; keys are the task's own.
    """

    step: int
    total: int
    message: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    preview: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


Task = Generator[Progress, None, Result]
"""A task reports while it works and returns its result; closing it cancels."""


def run_to_end(task: Task[Result]) -> Result:
    """Iterate a task to its end, drop its reports and return its result."""
    while True:
        try:
            next(task)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
