"""What a running task tells whoever iterates it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

__all__ = ["Progress", "Stopped", "Task", "check_stop", "run_to_end", "until_stopped"]

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


class Stopped(Exception):
    """Whoever asked for a computation does not want it any more."""


_stopped: ContextVar[Callable[[], bool] | None] = ContextVar("stopped", default=None)


@contextmanager
def until_stopped(stopped: Callable[[], bool]) -> Iterator[None]:
    """Within, `check_stop` in this thread ends the computation once `stopped()` is true."""
    token = _stopped.set(stopped)
    try:
        yield
    finally:
        _stopped.reset(token)


def check_stop() -> None:
    """For loops that last long and report nothing.

    Raises:
        Stopped: The computation is not wanted any more.
    """
    stopped = _stopped.get()
    if stopped is not None and stopped():
        raise Stopped
