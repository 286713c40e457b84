"""Intrinsics of a recording that does not carry them: from a JSON file beside it, from settings, or from its size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.source import ReadingSettings, SensorName

__all__ = ["NOMINAL", "UnknownIntrinsicsError", "camera_of", "find_intrinsics", "given_camera", "read_intrinsics"]


class UnknownIntrinsicsError(InputError):
    """Nothing tells the intrinsics; somebody who knows them may be asked.

    Attributes:
        usual: Intrinsics of a usual lens, 60° wide, for images of this size.
    """

    def __init__(self, size: tuple[int, int], message: str) -> None:
        super().__init__(message)
        width, height = size
        focal = round(width / (2 * np.tan(np.radians(30))), 1)
        self.usual = ReadingSettings(fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2)


_NAMES = ("intrinsics.json", "intrinsic.json", "camera_intrinsic.json", "camera_intrinsics.json")

_LONGEST_FILE = 1 << 20

NOMINAL: dict[SensorName, dict[tuple[int, int], tuple[float, float, float, float]]] = {
    "kinect_v1": {
        (640, 480): (525.0, 525.0, 319.5, 239.5),
        (320, 240): (262.5, 262.5, 159.5, 119.5),
    },
    "kinect_v2": {(512, 424): (365.5, 365.5, 255.5, 211.5)},
    "azure_kinect": {
        (640, 576): (504.0, 504.0, 320.0, 332.0),
        (320, 288): (252.0, 252.0, 160.0, 166.0),
        (1024, 1024): (504.0, 504.0, 512.0, 512.0),
        (512, 512): (252.0, 252.0, 256.0, 256.0),
    },
    "realsense_d400": {
        (1280, 720): (640.0, 640.0, 639.5, 359.5),
        (848, 480): (424.0, 424.0, 423.5, 239.5),
        (640, 480): (384.0, 384.0, 319.5, 239.5),
        (640, 360): (320.0, 320.0, 319.5, 179.5),
        (480, 270): (240.0, 240.0, 239.5, 134.5),
        (424, 240): (212.0, 212.0, 211.5, 119.5),
    },
}
"""Sensor → image size → nominal fx, fy, cx, cy in pixels. One device differs from another by some per cent. Where two
sensors share a size, the first one counts; a RealSense D415 has a narrower view than the D435 and D455 meant here."""


def camera_of(
    path: Path, size: tuple[int, int], folders: tuple[Path, ...], reading: ReadingSettings
) -> tuple[Camera, str]:
    """The camera of depth images of this size, and where it comes from.

    First the settings count, then a JSON file in one of `folders`, then the table `NOMINAL`; a source that begins with
    "guessed" is that table by the size alone.

    Raises:
        InputError: Nothing tells the intrinsics, or what tells them is faulty or of another size.
    """
    width, height = size
    given = given_camera(path, size, reading)
    if given is not None:
        return given
    found = find_intrinsics(folders)
    if found is not None:
        return read_intrinsics(found, size), found.name
    for sensor, sizes in NOMINAL.items():
        if size in sizes:
            return Camera(width, height, *sizes[size]), f"guessed from the size {width}×{height}: {sensor}"
    raise UnknownIntrinsicsError(
        size,
        f"{path} has neither camera.json nor intrinsics.json, and no known camera has images of {width}×{height}. "
        "Add intrinsics.json with width, height and intrinsic_matrix, or give fx, fy, cx and cy (--reading.fx).",
    )


def given_camera(path: Path, size: tuple[int, int], reading: ReadingSettings) -> tuple[Camera, str] | None:
    """The camera that the settings state, and how they do; None where they leave it open.

    Raises:
        InputError: A file of intrinsics is faulty or of another size, or the sensor has no such images.
    """
    width, height = size
    if reading.fx is not None:
        assert reading.fy is not None
        assert reading.cx is not None
        assert reading.cy is not None
        return Camera(width, height, reading.fx, reading.fy, reading.cx, reading.cy), "given"
    if reading.intrinsics is not None:
        return read_intrinsics(reading.intrinsics, size), f"{reading.intrinsics.name}, given"
    if reading.sensor is not None:
        if size not in NOMINAL[reading.sensor]:
            known = ", ".join(f"{w}×{h}" for w, h in NOMINAL[reading.sensor])
            raise InputError(
                f"{path}: its images are {width}×{height}, but those of {reading.sensor} are {known}. "
                "Give fx, fy, cx and cy, or another sensor."
            )
        return Camera(width, height, *NOMINAL[reading.sensor][size]), f"nominal of {reading.sensor}, given"
    return None


def find_intrinsics(folders: tuple[Path, ...]) -> Path | None:
    """The first file in these folders that has a name under which intrinsics are written."""
    return next((folder / name for folder in folders for name in _NAMES if (folder / name).is_file()), None)


def read_intrinsics(path: Path, size: tuple[int, int]) -> Camera:
    """Intrinsics from JSON: Open3D's width, height and column-major intrinsic_matrix, or fx, fy, cx, cy by name.

    Raises:
        InputError: The file is missing, no such JSON, or for images of another size.
    """
    remedy = "Give width, height and intrinsic_matrix (nine numbers, column by column), or fx, fy, cx, cy."
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_FILE + 1)
        if len(text) > _LONGEST_FILE:
            raise InputError(f"{path} is longer than a file of intrinsics. {remedy}")
        data = json.loads(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no valid JSON. {remedy}") from error
    if not isinstance(data, Mapping):
        raise InputError(f"{path} is no JSON object. {remedy}")
    fx, fy, cx, cy = _focal_and_center(path, data, remedy)
    stated = tuple(data.get(name, have) for name, have in zip(("width", "height"), size, strict=True))
    if stated != size:
        raise InputError(
            f"{path} is for images of {stated[0]}×{stated[1]}, but the depth images are {size[0]}×{size[1]}. "
            "Give the intrinsics of the depth images."
        )
    try:
        return Camera(*size, fx, fy, cx, cy)
    except InputError as error:
        raise InputError(f"{path}: fx and fy must be positive and all numbers finite. {remedy}") from error


def _focal_and_center(path: Path, data: Mapping[str, Any], remedy: str) -> tuple[float, float, float, float]:
    try:
        if "intrinsic_matrix" in data:
            matrix = np.array(data["intrinsic_matrix"], dtype=np.float64)
            if matrix.shape == (3, 3):  # by rows, as people write it
                matrix = matrix.T.ravel()
            if matrix.shape != (9,):
                raise ValueError
            if matrix[6] == 0 and matrix[2] != 0:
                raise InputError(f"{path}: intrinsic_matrix is written row by row. Write it column by column.")
            values = matrix[[0, 4, 6, 7]]
        else:
            values = np.array([data[name] for name in ("fx", "fy", "cx", "cy")], dtype=np.float64)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InputError(f"{path} holds no intrinsics. {remedy}") from error
    fx, fy, cx, cy = (float(value) for value in values)
    return fx, fy, cx, cy
