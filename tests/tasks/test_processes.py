from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator

import pytest
import torch

from spams_core.errors import InputError
from spams_core.progress import Progress, Task, run_to_end
from spams_core.tasks.processes import Unit, available_cores, run_apart


def count(to: int, result: object) -> Task[object]:
    for step in range(to):
        yield Progress(step + 1, to, f"{step + 1}", {"step": float(step)})
    return result


def refuse(message: str) -> Task[None]:
    yield Progress(0, 1, "before")
    raise InputError(message)


def fail() -> Task[None]:
    yield Progress(0, 1, "before")
    raise ZeroDivisionError("a defect")


def die(code: int) -> Task[None]:
    yield Progress(0, 1, "before")
    os._exit(code)


def sleep() -> Task[None]:
    yield Progress(0, 1, "asleep")
    time.sleep(60)


def threads() -> Task[int]:
    yield Progress(0, 1, "before")
    return torch.get_num_threads()


def test_results_keep_the_order_of_the_units_and_reports_add_up() -> None:
    units = [Unit("long", count, (4, "first")), Unit("short", count, (1, "second")), Unit("last", count, (2, "third"))]

    def listen() -> Iterator[Progress]:
        results = yield from run_apart(units, jobs=2)
        assert results == ["first", "second", "third"]

    reports = list(listen())
    assert {report.message for report in reports} >= {"long: 4", "short: 1", "last: 2"}
    steps = [report.step for report in reports]
    assert steps == sorted(steps)
    assert steps[-1] == reports[-1].total == 300
    assert not multiprocessing.active_children()


def test_wrong_input_of_the_first_unit_ends_all() -> None:
    with pytest.raises(InputError, match="one: no such model"):
        run_to_end(run_apart([Unit("one", refuse, ("no such model",)), Unit("two", count, (1, 2))]))
    assert not multiprocessing.active_children()


def test_wrong_input_of_a_later_unit_loses_none_of_the_others() -> None:
    units = [Unit("one", count, (1, 1)), Unit("two", refuse, ("no surface",)), Unit("three", count, (1, 3))]
    first, second, third = run_to_end(run_apart(units))
    assert (first, third) == (1, 3)
    assert isinstance(second, InputError)
    assert str(second) == "two: no surface"


def test_defects_are_told() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)one failed:.*ZeroDivisionError: a defect"):
        run_to_end(run_apart([Unit("one", fail, ())]))
    with pytest.raises(RuntimeError, match="the process of one ended early with exit code 3"):
        run_to_end(run_apart([Unit("one", die, (3,))]))


def test_closing_ends_the_processes() -> None:
    task = run_apart([Unit("one", sleep, ()), Unit("two", sleep, ())], jobs=2)
    assert next(task).message.endswith(": asleep")
    assert len(multiprocessing.active_children()) == 2
    task.close()
    assert not multiprocessing.active_children()


def test_jobs_share_the_cores() -> None:
    (shared,) = run_to_end(run_apart([Unit("one", threads, ())], jobs=available_cores()))
    assert shared == 1


def test_nothing_to_do_is_done_at_once() -> None:
    assert run_to_end(run_apart([], jobs=2)) == []
