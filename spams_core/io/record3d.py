"""Record3D's `.r3d`: a ZIP archive with metadata in JSON and, per frame, LZFSE-compressed float32 depth in metres.

Nothing is unpacked to the disk, so names in the archive lead nowhere.

The format is not documented; compared with what its developer answers in the public discussions of the project
marek-simonik/record3d: depth is float32, row by row, in metres, LZFSE-compressed; K is column-major and that of the
colour image, and is scaled to the smaller depth image, which is aligned with it; a pose is qx qy qz qw x y z, camera to
world, with OpenGL's axes, for the image as it is stored (upright in portrait). Poses begin at the first frame's own, so
gravity is unknown; `initPose` is the identity in what the app exports, and is not read. `perFrameIntrinsicCoeffs`, fx
fy cx cy of each frame, is known from programs that read it alone; the first frame's counts. No real file was at hand.
"""

from __future__ import annotations

import dataclasses
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.intrinsics import given_camera
from spams_core.io.poses import pose_from_quaternion, rest_note
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

__all__ = ["holds_record3d", "open_record3d"]

_LONGEST_METADATA = 1 << 28
_FRAME_NAME = re.compile(r"rgbd/([0-9]{1,9})\.depth")
_CV_FROM_ARKIT = np.diag([1.0, -1.0, -1.0, 1.0])
_UNTURNED = 3 - 1e-6
"""Trace of a rotation that is none."""
_MOST_BYTES = 1 << 26
"""Of a depth map whose size is not stated; 16 megapixels."""


@dataclass(frozen=True)
class _Frames:
    """Where each frame's depth lies in the archive: offset of its local header, stored length, compression."""

    path: Path
    width: int
    height: int
    places: tuple[tuple[int, int, int], ...]

    def depth_m(self, t: int) -> Float[np.ndarray, "H W"]:
        wanted = self.width * self.height * 4
        data = _inflate(self.path, t, _stored(self.path, t, self.places[t], wanted), wanted)
        if len(data) != wanted:
            raise InputError(f"{self.path}: frame {t} is not of {self.width}×{self.height} pixels. Export it again.")
        return depth_in_metres(np.frombuffer(data, "<f4").reshape(self.height, self.width), 1.0)


def holds_record3d(path: Path) -> bool:
    """Whether a file is a ZIP archive with the entry `metadata`."""
    if not path.is_file() or open_head(path, 4) != b"PK\x03\x04":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name == "metadata" or _FRAME_NAME.fullmatch(name) for name in archive.namelist())
    except Exception:  # broken archives raise whatever comes
        return path.suffix.lower() == ".r3d"


def open_record3d(path: Path, reading: ReadingSettings) -> Source:
    """Open a recording; the frames are listed and the first one looked at.

    Raises:
        InputError: The archive is truncated, lacks metadata or frames, claims absurd sizes, or its compression needs an
            extra that is not installed.
    """
    if reading.depth_scale is not None:
        raise InputError(f"{path} is in metres. Leave out the depth scale.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            metadata = _metadata(path, archive)
    except InputError:
        raise
    except Exception as error:  # broken archives raise whatever comes
        raise InputError(f"{path} is truncated or no ZIP archive. Export it again.") from error
    named = entries if len(entries) <= 4 * MAX_FRAMES else []
    numbered = [(int(match[1]), entry) for entry in named if (match := _FRAME_NAME.fullmatch(entry.filename))]
    numbered.sort(key=lambda each: each[0])
    if not numbered:
        raise InputError(f"{path} holds no depth frames (rgbd/0.depth, …). Export it from Record3D as .r3d.")
    if len({number for number, _ in numbered}) < len(numbered):
        raise InputError(f"{path} holds a frame twice. Export it again.")
    places = tuple((entry.header_offset, entry.compress_size, entry.compress_type) for _, entry in numbered)
    width, height = _size(path, metadata, places)
    given = given_camera(path, (width, height), reading)
    camera = _camera(path, metadata, width, height) if given is None else given[0]
    notes: tuple[str, ...] = ()
    poses = _numbers(metadata.get("poses"), 7)
    if poses is not None and len(poses):
        turned = np.stack([pose_from_quaternion(path, row[4:7], row[:4]) for row in poses[:MAX_FRAMES]])
        camera = dataclasses.replace(camera, world_from_camera=turned[0] @ _CV_FROM_ARKIT)
        notes = rest_note(turned)
        if turned[0, :3, :3].trace() > _UNTURNED:
            notes = (*notes, "Its poses begin at the first frame's own, so nothing tells how the camera was tilted.")
    times_s = _times(metadata, len(places))
    fps = _positive(metadata.get("fps")) or (fps_of(np.array(times_s)) if times_s else DEFAULT_FPS)
    return Source(
        path=path,
        format="Record3D .r3d",
        camera=camera,
        fps=reading.fps or min(fps, 10_000.0),
        frame_names=tuple(str(number) for number, _ in numbered),
        depth_m=_Frames(path, width, height, places).depth_m,
        intrinsics_from="the file" if given is None else given[1],
        scale_from="the format is metric",
        times_s=times_s,
        notes=notes,
    )


def _metadata(path: Path, archive: zipfile.ZipFile) -> Mapping[str, Any]:
    try:
        with archive.open("metadata") as file:
            text = file.read(_LONGEST_METADATA + 1)
    except KeyError as error:
        raise InputError(f"{path} lacks the entry metadata. Export it from Record3D as .r3d.") from error
    try:
        data = json.loads(text) if len(text) <= _LONGEST_METADATA else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, Mapping):
        raise InputError(f"{path}: its metadata is no JSON object. Export it again.")
    return data


def _positive(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9
    return float(value) if good else None


def _numbers(value: Any, columns: int) -> Float[np.ndarray, "T columns"] | None:
    """A list of rows of finite numbers, or None."""
    try:
        rows = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return rows if rows.ndim == 2 and rows.shape[1] == columns and np.isfinite(rows).all() else None


def _times(metadata: Mapping[str, Any], count: int) -> tuple[float, ...] | None:
    stamps = metadata.get("frameTimestamps")
    if not isinstance(stamps, list) or len(stamps) != count:
        return None
    rows = _numbers([stamps], count)
    return None if rows is None else tuple(rows[0].tolist())


def _size(path: Path, metadata: Mapping[str, Any], places: tuple[tuple[int, int, int], ...]) -> tuple[int, int]:
    """Width and height of the depth: as stated, or the first frame's number of pixels in the shape of the colour."""
    stated = [_positive(metadata.get(name)) for name in ("dw", "dh")]
    if stated[0] is not None and stated[1] is not None:
        width, height = int(stated[0]), int(stated[1])
        check_pixels(path, width, height)
        return width, height
    color = [_positive(metadata.get(name)) for name in ("w", "h")]
    if color[0] is None or color[1] is None:
        raise InputError(f"{path}: its metadata lacks the size w, h. Export it again.")
    length = len(_inflate(path, 0, _stored(path, 0, places[0], _MOST_BYTES), _MOST_BYTES))
    height = round(np.sqrt(length / 4 * color[1] / color[0]))
    width = length // 4 // max(height, 1)
    if height < 1 or width * height * 4 != length:
        raise InputError(f"{path}: its depth has not the shape of its colour. Export it again.")
    check_pixels(path, width, height)
    return width, height


def _camera(path: Path, metadata: Mapping[str, Any], width: int, height: int) -> Camera:
    """Intrinsics of the first frame, from those of the colour image, whose shape the depth has."""
    color = [_positive(metadata.get(name)) for name in ("w", "h")]
    per_frame = _numbers(metadata.get("perFrameIntrinsicCoeffs"), 4)
    matrix = _numbers([metadata.get("K")], 9)
    if per_frame is not None and len(per_frame):
        fx, fy, cx, cy = per_frame[0]
    elif matrix is not None:
        fx, fy, cx, cy = matrix[0, [0, 4, 6, 7]]
    else:
        raise InputError(f"{path}: its metadata lacks the intrinsics K. Export it again.")
    if color[0] is None or color[1] is None or not (fx > 0 and fy > 0):
        raise InputError(f"{path}: its metadata holds no usable intrinsics. Export it again.")
    across, down = width / color[0], height / color[1]
    if abs(across / down - 1) > 0.05:
        raise InputError(
            f"{path}: depth of {width}×{height} does not go with intrinsics for {color[0]:g}×{color[1]:g}. "
            "Export it again."
        )
    # Pixel centres lie at integers, so sizes scale about the image's corner at −½.
    return Camera(width, height, fx * across, fy * down, (cx + 0.5) * across - 0.5, (cy + 0.5) * down - 0.5)


def _stored(path: Path, t: int, place: tuple[int, int, int], raw_length: int) -> bytes:
    """An entry's content as the archive keeps it, its ZIP compression undone; read where the directory says it lies."""
    offset, length, compression = place
    try:
        with path.open("rb") as file:
            file.seek(offset)
            head = file.read(30)
            if head[:4] != b"PK\x03\x04" or length > 2 * raw_length + 4096:
                raise ValueError
            file.seek(sum(struct.unpack("<HH", head[26:30])), 1)
            data = file.read(length)
        if compression == zipfile.ZIP_DEFLATED:
            data = zlib.decompressobj(-15).decompress(data, 2 * raw_length + 4096)
        elif compression != zipfile.ZIP_STORED:
            raise ValueError
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise InputError(f"{path}: frame {t} is truncated or corrupted. Export it again.") from error
    return data


def _inflate(path: Path, t: int, data: bytes, most: int) -> bytes:
    """Undo LZFSE; data that are not compressed stay as they are.

    Raises:
        InputError: The data are corrupted, would grow beyond `most` bytes, or the extra is not installed.
    """
    if data[:3] != b"bvx":
        return data
    claimed = _claimed_length(data)
    corrupted = f"{path}: frame {t} is truncated or corrupted. Export it again."
    if claimed is None or claimed > most:
        raise InputError(corrupted)
    try:
        import lzfse
    except ImportError as error:
        raise InputError(
            f"{path} is compressed with LZFSE, which needs the extra record3d. Install it: pip install "
            "'spam-studio[record3d]'."
        ) from error
    try:
        raw: bytes = lzfse.decompress(data)
    except Exception as error:  # the library has one exception of its own, and runs out of memory with another
        raise InputError(corrupted) from error
    return raw


def _claimed_length(data: bytes) -> int | None:
    """The bytes that LZFSE data say they make, or None where their blocks are broken."""
    place = total = 0
    while place + 4 <= len(data):
        magic = data[place : place + 4]
        if magic == b"bvx$":
            return total
        head = data[place : place + 32]
        if len(head) < 8:
            return None
        (raw,) = struct.unpack("<I", head[4:8])
        if magic == b"bvx-":
            length = 8 + raw
        elif magic == b"bvxn" and len(head) >= 12:
            length = 12 + struct.unpack("<I", head[8:12])[0]
        elif magic == b"bvx2" and len(head) == 32:
            first, second, third = struct.unpack("<3Q", head[8:32])
            length = (third & 0xFFFFFFFF) + ((first >> 20) & 0xFFFFF) + ((second >> 40) & 0xFFFFF)
        else:
            return None
        place += length
        total += raw
        if length < 8:
            return None
    return None
