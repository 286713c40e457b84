"""The last depth images of a recording, so that a frame that is asked for again is not decoded again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["CACHE_BYTES", "DepthCache"]

CACHE_BYTES = 16 << 20
"""Thirteen float images of 640 × 480: what one frame, its neighbours and a few readers at once ask for."""


class DepthCache:
    """Reads depth images through a store of the latest ones; may be called from several threads.

    The images are shared, so they are read-only.
    """

    def __init__(self, read: Callable[[int], np.ndarray[Any, Any]], budget_bytes: int = CACHE_BYTES) -> None:
        self._read, self._budget = read, budget_bytes
        self._empty()

    def _empty(self) -> None:
        self._images: OrderedDict[int, np.ndarray[Any, Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> tuple[Callable[[int], np.ndarray[Any, Any]], int]:
        return self._read, self._budget  # another process reads for itself

    def __setstate__(self, state: tuple[Callable[[int], np.ndarray[Any, Any]], int]) -> None:
        self._read, self._budget = state
        self._empty()

    @property
    def nbytes(self) -> int:
        """What the store holds."""
        return self._bytes

    def __call__(self, t: int) -> Float[np.ndarray, "H W"]:
        """Depth of frame t in metres.

        Raises:
            InputError: The frame cannot be read; that is not remembered.
        """
        with self._lock:
            known = self._images.get(t)
            if known is not None:
                self._images.move_to_end(t)
                return known
        depth_m = self._read(t)  # outside the lock: threads decode different frames at once
        depth_m.setflags(write=False)
        with self._lock:
            if t not in self._images and depth_m.nbytes <= self._budget:
                self._images[t] = depth_m
                self._bytes += depth_m.nbytes
                while self._bytes > self._budget:
                    self._bytes -= self._images.popitem(last=False)[1].nbytes
        return depth_m
