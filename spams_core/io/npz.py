"""NPZ: an animation as named arrays, written frame by frame, readable with numpy alone and without pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["write_npz"]


def write_npz(
    path: Path,
    arrays: Mapping[str, np.ndarray[Any, Any]],
    name: str,
    frames: Iterable[Float[np.ndarray, "V 3"]],
    shape: tuple[int, int, int],
) -> None:
    """Write whole arrays and one [T, V, 3] float32 array that is too large to hold, taken frame by frame.

    Args:
        path: File to write.
        arrays: Whole arrays by name; text as unicode arrays.
        name: Name of the large array.
        frames: Its T frames.
        shape: (T, V, 3).
    """
    with zipfile.ZipFile(path, "w") as archive:
        for key, value in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, value, allow_pickle=False)
        with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            count = 0
            for frame in frames:
                assert frame.shape == shape[1:]
                file.write(np.ascontiguousarray(frame, dtype="<f4").tobytes())
                count += 1
            assert count == shape[0]
