"""PC2: point caches, the moved vertices of a mesh that another file holds.

Layout, little-endian: signature `POINTCACHE2\\0`, int32 version 1, int32 number of points, float32 first frame, float32
frames per sample, int32 number of samples; then x, y, z of every point of every sample as float32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float

__all__ = ["write_pc2"]

_HEADER = "<12siiffi"


def write_pc2(
    path: Path,
    frames: Iterable[Float[np.ndarray, "V 3"]],
    shape: tuple[int, int],
    start: float = 0.0,
    frames_per_sample: float = 1.0,
) -> None:
    """Write a cache, one frame in memory at a time.

    Args:
        path: File to write.
        frames: T frames of V vertices, in the order of the mesh's.
        shape: (T, V).
        start: Frame number of the first sample.
        frames_per_sample: Frame numbers from one sample to the next.
    """
    samples, points = shape
    with Path(path).open("wb") as file:
        file.write(struct.pack(_HEADER, b"POINTCACHE2\0", 1, points, start, frames_per_sample, samples))
        count = 0
        for frame in frames:
            assert frame.shape == (points, 3)
            file.write(np.ascontiguousarray(frame, dtype="<f4").tobytes())
            count += 1
        assert count == samples
