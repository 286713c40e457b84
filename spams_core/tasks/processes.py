"""Tasks that run in processes of their own, several at a time: for their speed, and for their memory to be theirs."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import torch

from spams_core.errors import InputError
from spams_core.progress import Progress, Task

__all__ = ["Unit", "available_cores", "run_apart"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_STEPS_PER_UNIT = 100


@dataclass(frozen=True)
class Unit(Generic[Result]):
    """A task and what it needs; all of it goes to another process.

    Attributes:
        title: What the reports of progress begin with.
        function: The task, a function of a module.
        arguments: Its arguments.
    """

    title: str
    function: Callable[..., Task[Result]]
    arguments: tuple[Any, ...]


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_apart(units: Sequence[Unit[Result]], jobs: int = 1) -> Task[list[Result | InputError]]:
    """Run each task in a fresh process, `jobs` of them at a time, and pass their reports on; previews stay behind.

    Where several run at a time, each computes with its share of the cores. Closing this ends all processes.

    Returns:
        The results in the order of the units. A unit whose input is wrong has its error there instead, so that the
        others are not lost for it.

    Raises:
        InputError: The input of a unit is wrong before any unit is done: most likely that of all.
    """
    threads = max(1, available_cores() // jobs) if jobs > 1 else None
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    results: dict[int, Result | InputError] = {}
    steps = [0] * len(units)
    started = 0
    try:
        while len(results) < len(units):
            while len(running) < jobs and started < len(units):
                receiver, sender = context.Pipe(duplex=False)
                unit = units[started]
                child: BaseProcess = context.Process(
                    target=_work, args=(sender, unit.function, unit.arguments, threads), daemon=True
                )
                child.start()
                sender.close()  # so that the child's end is the last one, and its death ends the stream
                running[receiver] = (started, child)
                started += 1
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                place, process = running[ready]
                try:
                    kind, value = ready.recv()
                except EOFError as error:
                    process.join()
                    raise RuntimeError(
                        f"the process of {units[place].title} ended early with exit code {process.exitcode}"
                    ) from error
                if kind == "failure":
                    raise RuntimeError(f"{units[place].title} failed:\n{value}")
                if kind == "report":
                    steps[place] = _STEPS_PER_UNIT * value.step // max(value.total, 1)
                    message = f"{units[place].title}: {value.message}"
                    yield Progress(sum(steps), _STEPS_PER_UNIT * len(units), message, value.metrics)
                    continue
                if kind == "input":
                    problem = InputError(f"{units[place].title}: {value}")
                    if all(isinstance(result, InputError) for result in results.values()):
                        raise problem
                    logger.error("%s", problem)
                    results[place] = problem
                else:
                    results[place] = value
                steps[place] = _STEPS_PER_UNIT
                _end(ready, process)
                del running[ready]
    finally:
        for receiver, (_, child) in running.items():
            child.terminate()
            _end(receiver, child)
    return [results[place] for place in range(len(units))]


def _end(receiver: Connection, process: BaseProcess) -> None:
    process.join()
    receiver.close()


def _work(
    sender: Connection, function: Callable[..., Task[Any]], arguments: tuple[Any, ...], threads: int | None
) -> None:
    """Body of a process: tell the parent how it goes and what came out."""
    # An interrupt reaches the whole group of processes; the parent answers it and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        task = function(*arguments)
        while True:
            try:
                sender.send(("report", replace(next(task), preview={})))
            except StopIteration as stop:
                sender.send(("result", stop.value))
                return
    except InputError as error:
        sender.send(("input", str(error)))
    except Exception:
        sender.send(("failure", traceback.format_exc()))
