"""PC2: point caches, the moved vertices of a mesh that another file holds.

Layout, little-endian: signature `POINTCACHE2\\0`, int32 version 1, int32 number of points, float32 first frame, float32
frames per sample, int32 number of samples; then x, y, z of every point of every sample as float32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from spams_core.errors import InputError
from spams_core.io.source import MAX_FRAMES

__all__ = ["PointCache", "open_pc2", "write_pc2"]

_HEADER = "<12siiffi"
_HEADER_BYTES = struct.calcsize(_HEADER)
_SIGNATURE = b"POINTCACHE2\0"
_FARTHEST = 1e7


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
        file.write(struct.pack(_HEADER, _SIGNATURE, 1, points, start, frames_per_sample, samples))
        count = 0
        for frame in frames:
            assert frame.shape == (points, 3)
            file.write(np.ascontiguousarray(frame, dtype="<f4").tobytes())
            count += 1
        assert count == samples


@dataclass(frozen=True)
class PointCache:
    """An opened cache; vertices are read when they are asked for.

    Attributes:
        path: The file.
        vertex_count: V.
        frame_count: T.
    """

    path: Path
    vertex_count: int
    frame_count: int

    def vertices(self, t: int) -> Float[np.ndarray, "V 3"]:
        """Vertices of frame t in the file's own frame and unit.

        Raises:
            InputError: The file cannot be read any more, or has numbers that are not finite.
        """
        length = self.vertex_count * 12
        try:
            with self.path.open("rb") as file:
                file.seek(_HEADER_BYTES + t * length)
                data = file.read(length)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror or error}). Put the file there.") from error
        if len(data) != length:
            raise InputError(f"{self.path} is truncated at frame {t}. Export it again.")
        with np.errstate(invalid="ignore"):  # some bit patterns are numbers that even a cast complains about
            vertices = np.frombuffer(data, "<f4").reshape(-1, 3).astype(np.float64)
        if not (np.abs(vertices) < _FARTHEST).all():
            raise InputError(f"{self.path}: frame {t} has vertices that are not finite. Export it again.")
        return vertices


def open_pc2(path: Path) -> PointCache:
    """Open a cache and check its length.

    Raises:
        InputError: The file is missing, no PC2, truncated, or holds no frames.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Put the file there.") from error
    if len(head) < _HEADER_BYTES or head[:12] != _SIGNATURE:
        raise InputError(f"{path} is truncated or no PC2 file. Export it again.")
    _, version, vertices, _, _, frames = struct.unpack(_HEADER, head)
    if version != 1 or vertices < 1 or not 1 <= frames <= MAX_FRAMES:
        raise InputError(f"{path} claims {vertices} vertices in {frames} frames. Export it again.")
    if size < _HEADER_BYTES + 12 * vertices * frames:
        raise InputError(f"{path} is truncated: it lacks some of its {frames} frames. Export it again.")
    return PointCache(path, vertices, frames)
