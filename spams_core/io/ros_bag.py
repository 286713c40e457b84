"""RealSense's `.bag`, and other ROS 1 bags with depth images. Needs the extra `bag`.

The RealSense SDK writes depth under /device_0/sensor_0/Depth_0, its intrinsics and units beside it; a ROS camera driver
writes …/depth/…/image and camera_info. The bag's index is read by `rosbags`; chunks are inflated here, with a bound.
"""

from __future__ import annotations

import bz2
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.intrinsics import camera_of
from spams_core.io.source import MAX_FRAMES, ReadingSettings, Source, check_pixels, depth_in_metres, fps_of, open_head

__all__ = ["holds_ros_bag", "open_ros_bag"]

_MAGIC = b"#ROSBAG V"
_IMAGE, _INFO, _FLOAT = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo", "std_msgs/msg/Float32"
_ENCODINGS = {"mono16": ("u2", 0.001), "16UC1": ("u2", 0.001), "32FC1": ("f4", 1.0)}
"""Encoding → type of its pixels, and metres per unit where nothing else says it (ROS enhancement proposal 118)."""
_MOST_BYTES = 1 << 29
_MESSAGE_DATA, _CONNECTION = 2, 7


@dataclass(frozen=True)
class _Place:
    """Where a message lies: its chunk's place, length and compression, and its offset in the inflated chunk."""

    start: int
    length: int
    compression: str
    offset: int


@dataclass(frozen=True)
class _Frames:
    """The messages of one topic of images."""

    path: Path
    width: int
    height: int
    scale: float
    places: tuple[_Place, ...]

    def depth_m(self, t: int) -> Float[np.ndarray, "H W"]:
        units = _image(self.path, t, self.places[t])
        if units.shape != (self.height, self.width):
            raise InputError(
                f"{self.path}: frame {t} is {units.shape[1]}×{units.shape[0]}, the first {self.width}×{self.height}. "
                "Record again, or give a part of one size."
            )
        return depth_in_metres(units, self.scale)


def holds_ros_bag(path: Path) -> bool:
    """Whether a file is a ROS 1 bag."""
    return path.is_file() and open_head(path, len(_MAGIC)) == _MAGIC


def open_ros_bag(path: Path, reading: ReadingSettings) -> Source:
    """Open a bag: its index is read, and the first depth image, the intrinsics and the units.

    Raises:
        InputError: The extra is not installed, or the bag is truncated, not indexed, or has no depth images.
    """
    try:
        from rosbags.rosbag1 import Reader
    except ImportError as error:
        raise InputError(f"{path} needs the extra bag. Install it: pip install 'spam-studio[bag]'.") from error
    try:
        with Reader(path) as bag:
            topics = {each.topic: each for each in bag.connections if bag.indexes.get(each.id)}
            kinds = {name: each.msgtype for name, each in topics.items()}
            topic = _depth_topic({name: len(bag.indexes[each.id]) for name, each in topics.items()}, kinds)
            if topic is None:
                raise InputError(f"{path} has no depth images. Record with the depth stream on.")
            entries = sorted(entry for each in bag.connections if each.topic == topic for entry in bag.indexes[each.id])
            info, unit = _info_topic(topic, kinds), _unit_topic(topic, kinds)
            wanted = {name: bag.indexes[topics[name].id][0] for name in (info, unit) if name is not None}
            chunks = {at: (chunk.datapos, chunk.datasize, _compression(bag, at)) for at, chunk in bag.chunks.items()}
    except InputError:
        raise
    except Exception as error:  # assertions and the like on broken bytes
        reason = "is not indexed. Run rosbag reindex on it" if "not indexed" in str(error) else (
            "is truncated or corrupted. Copy the file again")  # fmt: skip
        raise InputError(f"{path} {reason}, or record again.") from error
    if len(entries) > MAX_FRAMES:
        raise InputError(f"{path} has more than {MAX_FRAMES} frames. Give a shorter recording.")
    places = tuple(_Place(*chunks[entry.chunk_pos], entry.offset) for entry in entries)
    height, width = _image(path, 0, places[0]).shape
    extra = {name: _Place(*chunks[entry.chunk_pos], entry.offset) for name, entry in wanted.items()}
    camera, intrinsics_from = _camera(path, (width, height), extra.get(info or ""), reading)
    scale, scale_from = _scale(path, places[0], extra.get(unit or ""), reading)
    times_s = tuple(entry.time / 1e9 for entry in entries)
    return Source(
        path=path,
        format="RealSense .bag" if topic.startswith("/device_") else "ROS bag",
        camera=camera,
        fps=reading.fps or fps_of(np.array(times_s)),
        frame_names=tuple(f"{t:06d}" for t in range(len(places))),
        depth_m=_Frames(path, width, height, scale, places).depth_m,
        intrinsics_from=intrinsics_from,
        scale_from=scale_from,
        guessed=intrinsics_from.startswith("guessed"),
        depth_scale=scale,
        times_s=times_s,
    )


def _depth_topic(counts: dict[str, int], kinds: dict[str, str]) -> str | None:
    """The topic of depth images with the most of them; unaligned ones first."""
    images = [name for name, kind in kinds.items() if kind == _IMAGE and "depth" in name.lower()]
    return min(images, key=lambda name: ("aligned" in name, -counts[name], name), default=None)


def _info_topic(topic: str, kinds: dict[str, str]) -> str | None:
    above = topic.rpartition("/")[0]
    candidates = (f"{above}/camera_info", f"{above.rpartition('/')[0]}/info/camera_info")
    return next((name for name in candidates if kinds.get(name) == _INFO), None)


def _unit_topic(topic: str, kinds: dict[str, str]) -> str | None:
    sensor = re.match(r"(/device_[0-9]+/sensor_[0-9]+)/", topic)
    pattern = re.escape(sensor[1]) + "/option/Depth.Units/value" if sensor else "$^"
    return next((name for name, kind in kinds.items() if kind == _FLOAT and re.fullmatch(pattern, name)), None)


def _compression(bag: Any, at: int) -> str:
    """The name of a chunk's compression, from its header."""
    bag.bio.seek(at)
    (length,) = struct.unpack("<I", bag.bio.read(4))
    found = re.search(rb"compression=(none|lz4|bz2)", bag.bio.read(min(length, 4096)))
    if found is None:
        raise ValueError
    return found[1].decode()


def _inflate(data: bytes, compression: str) -> bytes:
    if compression == "none":
        return data
    if compression == "bz2":
        return bz2.BZ2Decompressor().decompress(data, _MOST_BYTES)
    from lz4.frame import LZ4FrameDecompressor

    inflated: bytes = LZ4FrameDecompressor().decompress(data, _MOST_BYTES)
    return inflated


def _message(path: Path, place: _Place) -> bytes:
    """The bytes of one message; records that describe a connection may come before it."""
    with path.open("rb") as file:
        if place.compression == "none":
            file.seek(place.start + place.offset)
            chunk = file.read(place.length - place.offset)
        else:
            file.seek(place.start)
            chunk = _inflate(file.read(place.length), place.compression)[place.offset :]
    at = 0
    while True:
        (header,) = struct.unpack_from("<I", chunk, at)
        fields = chunk[at + 4 : at + 4 + header]
        (length,) = struct.unpack_from("<I", chunk, at + 4 + header)
        start = at + 8 + header
        kind = re.search(rb"op=(.)", fields, re.DOTALL)
        if kind is None or start + length > len(chunk) or kind[1][0] not in (_MESSAGE_DATA, _CONNECTION):
            raise ValueError
        if kind[1][0] == _MESSAGE_DATA:
            return chunk[start : start + length]
        at = start + length


@lru_cache(1)
def _deserialize() -> Callable[[bytes, str], Any]:
    from rosbags.typesys import Stores, get_typestore

    reader: Callable[[bytes, str], Any] = get_typestore(Stores.ROS1_NOETIC).deserialize_ros1
    return reader


def _decoded(path: Path, what: str, place: _Place, kind: str) -> Any:
    try:
        return _deserialize()(_message(path, place), kind)
    except Exception as error:  # broken bytes raise whatever comes
        raise InputError(f"{path}: {what} is truncated or corrupted. Copy the file again.") from error


def _image(path: Path, t: int, place: _Place) -> np.ndarray[Any, Any]:
    """A depth image [H, W] in its stored unit."""
    message = _decoded(path, f"frame {t}", place, _IMAGE)
    if message.encoding not in _ENCODINGS:
        raise InputError(f"{path}: frame {t} is {message.encoding[:20]!r}, no depth. Record 16UC1, mono16 or 32FC1.")
    check_pixels(path, message.width, message.height)
    kind = np.dtype((">" if message.is_bigendian else "<") + _ENCODINGS[message.encoding][0])
    step, used = message.step, message.width * kind.itemsize
    if step < used or len(message.data) < step * message.height:
        raise InputError(
            f"{path}: frame {t} is shorter than {message.width}×{message.height} pixels. Copy the file again."
        )
    rows = np.asarray(message.data, dtype=np.uint8)[: step * message.height].reshape(message.height, step)[:, :used]
    return np.ascontiguousarray(rows).view(kind)


def _camera(path: Path, size: tuple[int, int], info: _Place | None, reading: ReadingSettings) -> tuple[Camera, str]:
    if info is None or reading.fx is not None or reading.intrinsics is not None or reading.sensor is not None:
        return camera_of(path, size, (path.parent,), reading)
    message = _decoded(path, "camera_info", info, _INFO)
    if (message.width, message.height) != size:
        raise InputError(
            f"{path}: its intrinsics are for {message.width}×{message.height}, its depth is {size[0]}×{size[1]}. "
            "Give fx, fy, cx and cy (--reading.fx)."
        )
    k = np.asarray(message.K, dtype=np.float64)
    try:
        return Camera(*size, k[0], k[4], k[2], k[5]), "the file's camera_info"
    except InputError as error:
        raise InputError(f"{path}: its camera_info is unusable. Give fx, fy, cx and cy (--reading.fx).") from error


def _scale(path: Path, first: _Place, unit: _Place | None, reading: ReadingSettings) -> tuple[float, str]:
    if reading.depth_scale is not None:
        return reading.depth_scale, "given"
    encoding = _decoded(path, "frame 0", first, _IMAGE).encoding
    if unit is not None and encoding != "32FC1":
        scale = float(_decoded(path, "Depth Units", unit, _FLOAT).data)
        if not 1e-6 < scale <= 1:
            raise InputError(f"{path}: {scale:g} metres per depth unit cannot be. Give it (--reading.depth-scale).")
        return scale, "the file's Depth Units"
    return _ENCODINGS[encoding][1], "the usual one of its encoding " + encoding
