"""Broken files: what every reader of binary recordings must survive."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import strategies as st

from spams_core.data.recording import ReadingSettings, open_source
from spams_core.errors import InputError

__all__ = ["MUTATIONS", "mutate", "read_or_refuse"]

MUTATIONS = st.integers(0, 2**40)
"""Each number is one way to break a file."""


def mutate(data: bytes, mutation: int) -> bytes:
    """Overwrite up to four places with random bytes, and cut every second file."""
    draw = random.Random(mutation)
    changed = bytearray(data)
    for _ in range(draw.randrange(5)):
        new = draw.choice([draw.randbytes(draw.randint(1, 8)), b"\0" * 8, b"\xff" * 8])
        start = draw.randrange(len(changed))
        changed[start : start + len(new)] = new
    return bytes(changed[: draw.randrange(len(changed) + 1)] if draw.random() < 0.5 else changed)


def read_or_refuse(path: Path) -> bool:
    """Open a recording and read its first and last frame; whether that went well. Only an InputError may come."""
    try:
        source = open_source(path, ReadingSettings())
        for t in {0, len(source.frame_names) - 1}:
            depth = source.depth_m(t)
            assert depth.shape == (source.camera.height, source.camera.width)
            assert (depth >= 0).all()
            assert (depth <= 100).all()
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError(f"more than one line: {error}") from error
        return False
    return True
