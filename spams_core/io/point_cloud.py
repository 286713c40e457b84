"""Point clouds, one per file: PLY, PCD (ASCII and binary) and NPZ with the array `points`."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from spams_core.errors import InputError
from spams_core.io.ply import read_ply_points

__all__ = ["CLOUD_SUFFIXES", "read_cloud"]

_MOST_POINTS = 1 << 25
_LONGEST_HEAD = 1 << 16
_PCD_KINDS = {"F": "f", "I": "i", "U": "u"}
_NO_ORIGIN = np.array([0.0, 0, 0, 1, 0, 0, 0])

Cloud = tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "3"] | None]


def read_cloud(path: Path) -> Cloud:
    """Points in their own frame and unit, finite ones only, and where the sensor stood if the file says it.

    Raises:
        InputError: The file is missing, truncated, of another layout, absurdly large, or without a finite point.
    """
    try:
        if path.stat().st_size > 64 * _MOST_POINTS:
            raise InputError(f"{path} is larger than a cloud of {_MOST_POINTS} points. Thin it out.")
        with np.errstate(invalid="ignore"):  # some bit patterns are numbers that even a cast complains about
            points, origin = _READERS[path.suffix.lower()](path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Put the file there.") from error
    except Exception as error:  # foreign parsers raise whatever comes on broken bytes
        raise InputError(f"{path} is truncated or no point cloud. Export it again.") from error
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"{path} holds no points [N, 3]. Export it again.")
    points = points[np.isfinite(points).all(axis=1) & (np.abs(points) < 1e7).all(axis=1)]
    if len(points) == 0:
        raise InputError(f"{path} holds no finite point. Leave the file out, or export it again.")
    return points, origin


def _read_ply(path: Path) -> Cloud:
    return read_ply_points(path), None


def _read_npz(path: Path) -> Cloud:
    with zipfile.ZipFile(path) as archive:
        for each in archive.infolist():
            if each.file_size > _MOST_POINTS * 24 + _LONGEST_HEAD:
                raise InputError(
                    f"{path} claims an array of {each.file_size} bytes. The file is corrupted; export it again."
                )
    with np.load(path, allow_pickle=False) as arrays:
        if "points" not in arrays:
            raise InputError(f"{path} has no array points [N, 3]. Name it so.")
        points = np.asarray(arrays["points"], dtype=np.float64)
        origin = np.asarray(arrays["sensor_origin"], dtype=np.float64) if "sensor_origin" in arrays else None
    if origin is not None and (origin.shape != (3,) or not np.isfinite(origin).all()):
        raise InputError(f"{path}: sensor_origin must be three finite numbers. Correct it.")
    return points, origin


def _read_pcd(path: Path) -> Cloud:
    """The Point Cloud Library's format, version 0.7."""
    data = path.read_bytes()
    head: dict[str, list[str]] = {}
    at = 0
    while "DATA" not in head:
        end = data.find(b"\n", at, _LONGEST_HEAD)
        if end < 0:
            raise ValueError
        words = data[at:end].decode("ascii").split()
        at = end + 1
        if words and not words[0].startswith("#"):
            head[words[0]] = words[1:]
    names, counts = head["FIELDS"], [int(value) for value in head.get("COUNT", ["1"] * len(head["FIELDS"]))]
    number = int(head["POINTS"][0]) if "POINTS" in head else int(head["WIDTH"][0]) * int(head["HEIGHT"][0])
    if not 0 <= number <= _MOST_POINTS or number > len(data) or not all(0 < count <= 4096 for count in counts):
        raise InputError(f"{path} claims {number} points in {len(data)} bytes. The file is corrupted; export it again.")
    kind = head["DATA"][0]
    if kind == "ascii":
        rows = np.array(data[at:].split(), dtype=np.float64).reshape(number, sum(counts))
        places = np.cumsum([0, *counts])
        points = rows[:, [places[names.index(axis)] for axis in "xyz"]]
    elif kind == "binary":
        layout = np.dtype(
            [
                (f"{k}_{name}", f"<{_PCD_KINDS[letter]}{int(size)}", (count,))
                for k, (name, letter, size, count) in enumerate(
                    zip(names, head["TYPE"], head["SIZE"], counts, strict=True)
                )
            ]
        )
        table = np.frombuffer(data, layout, number, at)
        points = np.stack([table[f"{names.index(axis)}_{axis}"][:, 0] for axis in "xyz"], axis=1).astype(np.float64)
    else:
        raise InputError(
            f"{path} is {kind[:40]}; PCD is read as ascii or binary. Convert it: pcl_convert_pcd_ascii_binary."
        )
    view = np.array(head.get("VIEWPOINT", _NO_ORIGIN), dtype=np.float64)
    stated = view.shape == (7,) and np.isfinite(view).all() and not np.array_equal(view, _NO_ORIGIN)
    return points, view[:3] if stated else None


_READERS: dict[str, Callable[[Path], Cloud]] = {".ply": _read_ply, ".pcd": _read_pcd, ".npz": _read_npz}

CLOUD_SUFFIXES = tuple(_READERS)
"""Endings of the files that may be clouds."""
