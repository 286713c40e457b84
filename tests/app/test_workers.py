"""Threads and clocks on their own."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from app.fit.time_left import TimeLeft
from app.latest import Job, LatestWins
from app.playback import PlaybackClock
from app.worker import TaskWorker
from spams_core.progress import Progress, Task, check_stop


def counting(steps: int, log: list[str], step_s: float = 0.0) -> Task[str]:
    try:
        for step in range(steps):
            time.sleep(step_s)
            log.append(threading.current_thread().name)
            yield Progress(step + 1, steps, "count", {"loss": float(step)}, {"frame": np.array([step])})
    except GeneratorExit:
        log.append("closed")
        raise
    return "done"


def test_task_runs_off_the_gui_thread_and_reports_in_it(qtbot: Any) -> None:
    log: list[str] = []
    worker = TaskWorker(counting(50, log), "count")
    seen: list[tuple[str, Any]] = []
    main = threading.current_thread().name
    for name in ("progressed", "measured", "succeeded", "ended"):
        getattr(worker, name).connect(lambda *a, name=name: seen.append((name, (a, threading.current_thread().name))))
    with qtbot.waitSignal(worker.ended, timeout=5_000):
        worker.start()
    assert main not in log
    assert all(value[1] == main for _, value in seen)
    names = [name for name, _ in seen]
    assert names[-2:] == ["succeeded", "ended"]
    assert seen[-2][1][0] == ("done",)
    # Every figure arrives, and of the reports the last one.
    figures = [metrics["loss"] for name, (a, _) in seen if name == "measured" for _, metrics in a[0]]
    assert figures == [float(step) for step in range(50)]
    assert [a[0].step for name, (a, _) in seen if name == "progressed"][-1] == 50


def test_previews_are_the_newest_or_all(qtbot: Any) -> None:
    for every, expected in ((True, list(range(50))), (False, [49])):
        worker = TaskWorker(counting(50, []), "count", every_preview=every)
        frames: list[int] = []
        worker.previewed.connect(lambda preview, frames=frames: frames.append(int(preview["frame"][0])))
        with qtbot.waitSignal(worker.ended, timeout=5_000):
            worker.start()
        # The task ends before the mailbox is first drained, or some previews were replaced.
        assert frames == expected if every else frames[-1] == 49


def test_cancel_closes_the_generator_also_while_paused(qtbot: Any) -> None:
    log: list[str] = []
    worker = TaskWorker(counting(10_000, log, 0.01), "count")
    worker.start()
    qtbot.waitUntil(lambda: len(log) > 3, timeout=5_000)
    worker.set_paused(True)
    qtbot.wait(100)
    held = len(log)
    qtbot.wait(100)
    assert len(log) == held
    begin = time.perf_counter()
    with qtbot.waitSignals([worker.stopped, worker.ended], timeout=5_000):
        worker.cancel()
    assert time.perf_counter() - begin < 0.5
    assert log[-1] == "closed"


def test_what_a_task_raises_is_handed_over(qtbot: Any) -> None:
    def failing() -> Task[None]:
        yield Progress(0, 1, "start")
        raise ValueError("broken")

    worker = TaskWorker(failing(), "fail")
    with qtbot.waitSignal(worker.failed, timeout=5_000) as failed:
        worker.start()
    assert isinstance(failed.args[0], ValueError)
    qtbot.waitUntil(lambda: not worker.running, timeout=5_000)


def test_latest_wins_skips_what_was_replaced(qtbot: Any) -> None:
    thread = LatestWins("latest")
    results: list[int] = []

    def job(value: int) -> Job:
        def compute() -> int:
            time.sleep(0.03)
            return value

        return Job(compute, results.append, lambda error: pytest.fail(str(error)))

    for value in range(100):
        thread.submit(job(value))
        qtbot.wait(1)
    qtbot.waitUntil(lambda: thread.idle and bool(results) and results[-1] == 99, timeout=5_000)
    assert len(results) < 30
    assert results == sorted(results)
    thread.submit(job(1), job(2), job(3))
    qtbot.waitUntil(lambda: results[-3:] == [1, 2, 3], timeout=5_000)
    thread.close()


def test_what_is_running_is_not_begun_again(qtbot: Any) -> None:
    """Whoever walks on to the frame that is being read ahead gets that one, and the next is not read late for it."""
    thread, begun, results = LatestWins("keys"), [], []
    may_go = threading.Event()

    def job(frame: int, key: Any) -> Job:
        def compute() -> int:
            begun.append(frame)
            assert may_go.wait(20)
            return frame

        return Job(compute, results.append, lambda error: pytest.fail(str(error)), key)

    thread.submit(job(1, "one"), job(2, "two"))
    qtbot.waitUntil(lambda: begun == [1], timeout=20_000)
    thread.submit(job(1, "one"), job(1, "one with labels"), job(3, "three"), job(4, None))
    may_go.set()
    qtbot.waitUntil(lambda: len(results) == 4, timeout=20_000)
    assert begun == results == [1, 1, 3, 4]
    thread.close()


def test_closed_thread_delivers_nothing(qtbot: Any) -> None:
    thread = LatestWins("closed")
    results: list[int] = []
    thread.submit(Job(lambda: 1, results.append, lambda _: None))
    thread.close()
    qtbot.wait(50)
    assert results == []


def test_closing_ends_a_long_computation_at_its_next_check(qtbot: Any) -> None:
    thread, started = LatestWins("long"), threading.Event()

    def compute() -> None:
        for _ in range(500):
            started.set()
            check_stop()
            time.sleep(0.01)

    thread.submit(Job(compute, lambda _: None, lambda _: None))
    assert started.wait(5)
    begin = time.perf_counter()
    thread.close()
    assert time.perf_counter() - begin < 1


class _Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now, self.drawn = 0.0, True

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(qapp: Any) -> tuple[_Clock, PlaybackClock, list[int]]:
    time_source = _Clock()
    made = PlaybackClock(lambda: time_source.drawn, time_source)
    made.set_range(20, 10.0)
    due: list[int] = []
    made.frame_due.connect(due.append)
    made.play()
    made._timer.setInterval(10**6)  # the test ticks
    return time_source, made, due


def run(clock: tuple[_Clock, PlaybackClock, list[int]], seconds: float, tick_s: float = 0.01) -> None:
    time_source, made, _ = clock
    for _ in range(round(seconds / tick_s)):
        time_source.now += tick_s
        made.tick()


def test_real_time_drops_what_cannot_be_drawn(clock: tuple[_Clock, PlaybackClock, list[int]]) -> None:
    time_source, made, due = clock
    run(clock, 0.505)
    assert due == [1, 2, 3, 4, 5]
    time_source.drawn = False
    run(clock, 0.5)
    assert due[-1] == 5
    time_source.drawn = True
    run(clock, 0.01)
    assert due[-1] == 10
    assert made.dropped == 4
    made.pause()


def test_every_frame_waits_instead(clock: tuple[_Clock, PlaybackClock, list[int]]) -> None:
    time_source, made, due = clock
    made.pace = "every frame"
    for _ in range(5):
        time_source.drawn = False
        run(clock, 0.5)
        time_source.drawn = True
        run(clock, 0.01)
    assert due == [1, 2, 3, 4, 5]
    assert made.dropped == 0
    made.pause()


def test_speed_and_loop(clock: tuple[_Clock, PlaybackClock, list[int]]) -> None:
    _, made, due = clock
    made.speed = 2.0
    run(clock, 0.505)
    assert due[-1] == 10
    run(clock, 0.5)
    assert due[-1] == 0  # looped
    made.loop = False
    run(clock, 2.0)
    assert due[-1] == 19
    assert not made.playing


def test_time_left_ignores_pauses_and_starts_anew_per_stage() -> None:
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    assert left.estimate(0, 100) is None
    now[0] = 10.0
    assert left.estimate(20, 100) == pytest.approx(40)
    left.set_paused(True)
    now[0] = 1000.0
    left.set_paused(False)
    assert left.estimate(20, 100) == pytest.approx(40)
    assert left.estimate(0, 7) is None
    now[0] += 2.0
    assert left.estimate(1, 7) == pytest.approx(12)
