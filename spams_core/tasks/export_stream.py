"""Progress and cancelling for writers that take all frames in one call."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float

from spams_core.progress import Progress, Task
from spams_core.tasks.export_source import ExportJob

__all__ = ["stream"]


class _Stopped(Exception):
    """The export was cancelled while the writer waited for a frame."""


def stream(job: ExportJob, message: str, write: Callable[[Iterator[Float[np.ndarray, "V 3"]]], None]) -> Task[None]:
    """Run a writer in a thread that is handed one frame per step; closing the generator ends it."""
    frames: queue.Queue[np.ndarray | None] = queue.Queue(maxsize=1)
    stopped, errors = threading.Event(), list[BaseException]()

    def handed() -> Iterator[Float[np.ndarray, "V 3"]]:
        while (frame := frames.get()) is not None:
            yield frame
        if stopped.is_set():
            raise _Stopped

    def run() -> None:
        try:
            write(handed())
        except BaseException as error:  # handed on to the generator's caller
            errors.append(error)

    thread = threading.Thread(target=run, name="writer", daemon=True)
    thread.start()

    def hand(frame: np.ndarray | None) -> None:
        while thread.is_alive():
            try:
                frames.put(frame, timeout=0.05)
                return
            except queue.Full:
                continue

    try:
        for count, vertices in enumerate(job.vertices()):
            yield Progress(count, len(job.frames), f"{message}: frame {count + 1} of {len(job.frames)}")
            hand(vertices)
        hand(None)
        while thread.is_alive():
            thread.join(0.1)
            yield Progress(len(job.frames), len(job.frames), f"{message}: finish the file")
    finally:
        if thread.is_alive():
            stopped.set()
            hand(None)
            thread.join()
    for error in errors:
        raise error
