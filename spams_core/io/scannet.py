"""ScanNet's sensor streams, `.sens`: one file with intrinsics, poses and zlib-compressed 16-bit depth.

Dai et al., ScanNet: Richly-annotated 3D Reconstructions of Indoor Scenes, CVPR 2017; the layout is that of its
version 4: little-endian, packed. Compared with the format's description and the Python reader in the project
ScanNet/ScanNet (SensReader): after the sensor's name come four row-major 4 × 4 matrices, intrinsics before extrinsics,
colour before depth; compressions are 0 raw, 1 zlib and, for depth, 2 OpenNI's own, which that reader does not read
either; depth is the stored number divided by the shift; a frame's pose is camera to world, and its time of colour comes
before that of depth. Images are as the sensor held them. Scenes have +z up. No real file was at hand.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.intrinsics import given_camera
from spams_core.io.poses import Y_UP_FROM_Z_UP, rest_note, rigid_pose
from spams_core.io.source import (
    DEFAULT_FPS,
    MAX_FRAMES,
    ReadingSettings,
    Source,
    check_pixels,
    depth_in_metres,
    fps_of,
    open_head,
)

__all__ = ["holds_scannet", "open_scannet"]

_VERSION = 4
_LONGEST_NAME = 4096
_RAW, _ZLIB = 0, 1
_HEAD = struct.Struct("<64fii4IfQ")
"""Four 4 × 4 matrices (intrinsics and extrinsics, colour and depth), two compressions, two sizes, shift, frames."""
_FRAME = struct.Struct("<16f4Q")
"""Pose, time of colour and depth, bytes of colour and depth."""


@dataclass(frozen=True)
class _Frames:
    """Where each frame's depth lies."""

    path: Path
    width: int
    height: int
    compressed: bool
    scale: float
    places: tuple[tuple[int, int], ...]

    def depth_m(self, t: int) -> Float[np.ndarray, "H W"]:
        start, length = self.places[t]
        wanted = self.width * self.height * 2
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                data = file.read(length)
            if self.compressed:
                data = zlib.decompressobj().decompress(data, wanted + 1)
        except (OSError, zlib.error) as error:
            raise InputError(f"{self.path}: frame {t} is corrupted. Copy the file again.") from error
        if len(data) != wanted:
            raise InputError(
                f"{self.path}: frame {t} is not of {self.width}×{self.height} pixels. Copy the file again."
            )
        return depth_in_metres(np.frombuffer(data, "<u2").reshape(self.height, self.width), self.scale)


def holds_scannet(path: Path) -> bool:
    """Whether a file begins as such a stream does: its version and the length of the sensor's name."""
    head = open_head(path, 12) if path.is_file() else b""
    if len(head) < 12:
        return False
    version, length = struct.unpack("<IQ", head)
    return bool(version == _VERSION and length <= _LONGEST_NAME)


def open_scannet(path: Path, reading: ReadingSettings) -> Source:
    """Open a stream; the frames' places in the file are listed, no depth is read.

    Raises:
        InputError: The file is truncated, holds no frames, an unknown compression, or absurd sizes.
    """
    try:
        with path.open("rb") as file:
            file.seek(4)
            (name_length,) = struct.unpack("<Q", _take(path, file, 8))
            _take(path, file, name_length)
            fields = _HEAD.unpack(_take(path, file, _HEAD.size))
            width, height = fields[68:70]
            depth_compression, shift, count = fields[65], fields[70], fields[71]
            _check(path, width, height, depth_compression, shift, count)
            places, poses, times_us = _list_frames(path, file, count)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Give a readable file.") from error
    matrix = np.array(fields[32:48], dtype=np.float64).reshape(4, 4)
    given = given_camera(path, (width, height), reading)
    if given is not None:
        camera = given[0]
    elif not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise InputError(f"{path} has no usable intrinsics of the depth camera. Copy the file again, or give them.")
    else:
        camera = Camera(width, height, matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
    known = [pose for pose in (rigid_pose(path, each) for each in poses) if pose is not None]
    if known:
        camera = dataclasses.replace(camera, world_from_camera=Y_UP_FROM_Z_UP @ known[0])
    times_s = (times_us - times_us[0]) / 1e6
    ascending = bool((np.diff(times_s) >= 0).all() and times_s[-1] > 0)
    frames = _Frames(path, width, height, depth_compression == _ZLIB, reading.depth_scale or 1 / shift, places)
    return Source(
        path=path,
        format="ScanNet .sens",
        camera=camera,
        fps=reading.fps or (fps_of(times_s) if ascending else DEFAULT_FPS),
        frame_names=tuple(f"{t:06d}" for t in range(count)),
        depth_m=frames.depth_m,
        intrinsics_from="the file" if given is None else given[1],
        scale_from="given" if reading.depth_scale else f"the file's {shift:g} units per metre",
        depth_scale=frames.scale,
        times_s=tuple(times_s.tolist()) if ascending else None,
        notes=rest_note(np.stack(known)) if known else (),
    )


def _take(path: Path, file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise InputError(f"{path} is truncated. Copy the file again.")
    return data


def _check(path: Path, width: int, height: int, compression: int, shift: float, count: int) -> None:
    check_pixels(path, width, height)
    if compression not in (_RAW, _ZLIB):
        raise InputError(
            f"{path}: its depth is compressed in a way ({compression}) that is not read. Export it with zlib."
        )
    if not (np.isfinite(shift) and 1 <= shift <= 1e6):
        raise InputError(f"{path}: {shift:g} depth units per metre cannot be. Copy the file again.")
    if not 1 <= count <= MAX_FRAMES:
        raise InputError(f"{path} claims {count} frames. Copy the file again, or record again.")


def _list_frames(
    path: Path, file: BinaryIO, count: int
) -> tuple[tuple[tuple[int, int], ...], list[Float[np.ndarray, "4 4"]], Float[np.ndarray, "T"]]:
    """Place and length of each frame's depth, poses as they are written, and times in microseconds."""
    end = path.stat().st_size
    places: list[tuple[int, int]] = []
    poses, times = [], []
    for _ in range(count):
        *pose, _, time, color_length, depth_length = _FRAME.unpack(_take(path, file, _FRAME.size))
        start = file.tell() + color_length
        if start + depth_length > end:
            raise InputError(f"{path} is truncated after {len(places)} of {count} frames. Copy the file again.")
        places.append((start, depth_length))
        poses.append(np.array(pose, dtype=np.float64).reshape(4, 4))
        times.append(float(time))
        file.seek(start + depth_length)
    return tuple(places), poses, np.array(times)
