"""Pieces of an image that the processor's cores work on together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

__all__ = ["for_each_piece"]

_MOST_THREADS = 4
"""More would wait for Python's lock, and for memory."""


def for_each_piece(work: Callable[[int], Any], starts: Sequence[int]) -> None:
    """Call `work` with every start, in as many threads as tensors are computed with; numpy lets them run at once.

    What a call raises is raised here.
    """
    threads = min(len(starts), torch.get_num_threads(), _MOST_THREADS)
    if threads < 2:
        for start in starts:
            work(start)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, start) for start in starts]:
            done.result()
