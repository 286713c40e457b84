"""Recordings in the formats of others, written by hand from their published layouts; each shows the same scene."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 32, 24
FX, FY, CX, CY = 30.0, 29.0, 15.0, 11.5
FRAMES = 4


def scene_m(t: int) -> np.ndarray:
    """A slanted board of about a person's height 2 m away, background removed; one millimetre nearer per frame."""
    depth = np.zeros((HEIGHT, WIDTH))
    depth[1:-1, 12:20] = 2.0 + 0.01 * np.arange(8) - 0.001 * t
    return depth


def millimetres(t: int) -> np.ndarray:
    return np.rint(scene_m(t) * 1000).astype(np.uint16)


def write_intrinsics(path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    matrix = [FX, 0, 0, 0, FY, 0, CX, CY, 1]
    path.write_text(json.dumps({"width": width, "height": height, "intrinsic_matrix": matrix}))


def _png(path: Path, t: int, per_metre: float = 1000) -> None:
    Image.fromarray(np.rint(scene_m(t) * per_metre).astype(np.uint16)).save(path)


def write_exr(path: Path, t: int) -> None:
    """Float depth in Z beside a channel N, uncompressed, by the published layout of OpenEXR files."""
    size = struct.pack("<4i", 0, 0, WIDTH - 1, HEIGHT - 1)
    channels = b"".join(name + b"\0" + struct.pack("<i4B2i", 2, 0, 0, 0, 0, 1, 1) for name in (b"N", b"Z")) + b"\0"
    head = struct.pack("<2i", 20000630, 2)
    for name, kind, value in (
        (b"channels", b"chlist", channels),
        (b"compression", b"compression", b"\0"),
        (b"dataWindow", b"box2i", size),
        (b"displayWindow", b"box2i", size),
        (b"lineOrder", b"lineOrder", b"\0"),
        (b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
        (b"screenWindowCenter", b"v2f", struct.pack("<2f", 0, 0)),
        (b"screenWindowWidth", b"float", struct.pack("<f", 1)),
    ):
        head += name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
    head += b"\0"
    lines = [np.concatenate([np.ones(WIDTH), row]).astype("<f4").tobytes() for row in scene_m(t)]
    first, step = len(head) + 8 * HEIGHT, 8 + len(lines[0])
    table = struct.pack(f"<{HEIGHT}q", *(first + step * y for y in range(HEIGHT)))
    body = b"".join(struct.pack("<2i", y, len(line)) + line for y, line in enumerate(lines))
    path.write_bytes(head + table + body)


WRITE_IMAGE: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "png, millimetres": (".png", _png),
    "png, fifths": (".png", lambda path, t: _png(path, t, 5000)),
    "tiff, 16 bits": (".tif", lambda path, t: Image.fromarray(millimetres(t)).save(path)),
    "tiff, float metres": (".tiff", lambda path, t: Image.fromarray(scene_m(t).astype(np.float32)).save(path)),
    "exr, float metres": (".exr", write_exr),
    "npy, float metres": (".npy", lambda path, t: np.save(path, scene_m(t))),
    "npy, float millimetres": (".npy", lambda path, t: np.save(path, (scene_m(t) * 1000).astype(np.float32))),
    "npy, millimetres": (".npy", lambda path, t: np.save(path, millimetres(t))),
    "npz, millimetres": (".npz", lambda path, t: np.savez_compressed(path, depth=millimetres(t), other=np.zeros(3))),
}


def write_images(path: Path, kind: str = "png, millimetres", *, intrinsics: bool = True) -> Path:
    suffix, write = WRITE_IMAGE[kind]
    (path / "depth").mkdir(parents=True)
    (path / "color").mkdir()
    for t in range(FRAMES):
        write(path / "depth" / f"{t}{suffix}", t)
        Image.new("RGB", (WIDTH, HEIGHT)).save(path / "color" / f"{t}.jpg")
    if intrinsics:
        write_intrinsics(path / "intrinsic.json")
    return path


def write_tum(path: Path) -> Path:
    (path / "depth").mkdir(parents=True)
    lines = ["# depth maps", "# timestamp filename"]
    poses = ["# timestamp tx ty tz qx qy qz qw"]
    for t in range(FRAMES):
        time = f"{1305031102.160407 + t / 25:.6f}"
        _png(path / "depth" / f"{time}.png", t, 5000)
        lines.append(f"{time} depth/{time}.png")
        # Looks along the world's +y, level, 1.5 m up: camera +x = world +x, +y = -z, +z = +y.
        poses.append(f"{time} 0.5 0.25 1.5 {-np.sqrt(0.5):.9f} 0 0 {np.sqrt(0.5):.9f}")
    (path / "depth.txt").write_text("\n".join(lines) + "\n")
    (path / "groundtruth.txt").write_text("\n".join(poses) + "\n")
    write_intrinsics(path / "intrinsics.json")
    return path


def write_sens(path: Path, *, compression: int = 1, count: int = FRAMES) -> Path:
    intrinsics = [FX, 0, CX, 0, 0, FY, CY, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    identity = np.eye(4).ravel().tolist()
    # Looks along the world's +y, level, 1.5 m up.
    pose = [1, 0, 0, 0.5, 0, 0, 1, 0.25, 0, -1, 0, 1.5, 0, 0, 0, 1]
    data = struct.pack("<IQ", 4, 6) + b"Sensor"
    data += struct.pack("<64f", *identity, *identity, *intrinsics, *identity)
    data += struct.pack("<iiIIIIfQ", 2, compression, 64, 48, WIDTH, HEIGHT, 1000.0, count)
    for t in range(FRAMES):
        depth = millimetres(t).tobytes()
        depth = zlib.compress(depth) if compression == 1 else depth
        color = b"jpeg" * (t + 1)
        data += struct.pack("<16f4Q", *pose, 0, 40_000 * t + 7, len(color), len(depth)) + color + depth
    path.write_bytes(data + struct.pack("<Q", 0))
    return path


def write_r3d(path: Path, *, compress: Callable[[bytes], bytes], zipped: int = zipfile.ZIP_STORED, **changes) -> Path:
    metadata = {
        "w": 2 * WIDTH, "h": 2 * HEIGHT, "dw": WIDTH, "dh": HEIGHT, "fps": 30,
        "K": [2 * FX, 0, 0, 0, 2 * FY, 0, 2 * CX + 0.5, 2 * CY + 0.5, 1],
        # A quarter turn about +y: the camera looks along the world's -x.
        "poses": [[0, np.sqrt(0.5), 0, np.sqrt(0.5), 0.5, 1.5, 0.25]] * FRAMES,
        "frameTimestamps": [100 + t / 30 for t in range(FRAMES)],
    } | changes  # fmt: skip
    with zipfile.ZipFile(path, "w", zipped) as archive:
        archive.writestr("metadata", json.dumps({k: v for k, v in metadata.items() if v is not ...}))
        for t in range(FRAMES):
            archive.writestr(f"rgbd/{t}.jpg", b"jpeg")
            archive.writestr(f"rgbd/{t}.depth", compress(scene_m(t).astype("<f4").tobytes()))
    return path


def write_bag(
    path: Path,
    *,
    compression: str = "none",
    encoding: str = "mono16",
    sdk: bool = True,
    unit: float = 0.0005,
    info_size: tuple[int, int] = (WIDTH, HEIGHT),
    times_s: tuple[float, ...] = (0.0, 0.04, 0.08, 0.12),
) -> Path:
    """A bag as the RealSense SDK writes it, or with the topics of a ROS driver."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    image_kind, info_kind, float_kind = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo", "std_msgs/msg/Float32"
    head = types["std_msgs/msg/Header"](0, types["builtin_interfaces/msg/Time"](1, 2), "depth")
    roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    info = types[info_kind](
        head, info_size[1], info_size[0], "plumb_bob", np.zeros(5), np.array([FX, 0, CX, 0, FY, CY, 0, 0, 1.0]),
        np.eye(3).ravel(), np.zeros(12), 0, 0, roi,
    )  # fmt: skip
    root = "/device_0/sensor_0/Depth_0" if sdk else "/camera/depth"
    writer = Writer(path)
    if compression != "none":
        writer.set_compression(Writer.CompressionFormat[compression.upper()])
    with writer:
        topics = {
            "info": (f"{root}/info/camera_info" if sdk else f"{root}/camera_info", info_kind),
            "unit": ("/device_0/sensor_0/option/Depth_Units/value", float_kind),
            "color": ("/device_0/sensor_1/Color_0/image/data", image_kind),
            "depth": (f"{root}/image/data" if sdk else f"{root}/image_rect_raw", image_kind),
        }
        lines = {
            name: writer.add_connection(topic, kind, typestore=store)
            for name, (topic, kind) in topics.items()
            if sdk or name != "unit"
        }
        start = 10**18
        writer.write(lines["info"], start, store.serialize_ros1(info, info_kind))
        if sdk:
            writer.write(lines["unit"], start, store.serialize_ros1(types[float_kind](unit), float_kind))
        for t, time_s in enumerate(times_s):
            if encoding == "32FC1":
                rows = scene_m(t).astype("<f4")
            else:
                rows = np.rint(scene_m(t) / (unit if sdk else 0.001)).astype("<u2")
            padded = np.pad(np.ascontiguousarray(rows).view(np.uint8), ((0, 0), (0, 8)))
            image = types[image_kind](head, HEIGHT, WIDTH, encoding, 0, padded.shape[1], padded.ravel())
            now = start + round(time_s * 1e9)
            color = types[image_kind](head, 2, 2, "rgb8", 0, 6, np.zeros(12, np.uint8))
            writer.write(lines["color"], now, store.serialize_ros1(color, image_kind))
            writer.write(lines["depth"], now, store.serialize_ros1(image, image_kind))
    return path


def _element(identity: int, content: bytes | int | float | str) -> bytes:
    """One element of EBML (RFC 8794)."""
    if isinstance(content, int):
        content = content.to_bytes(max((content.bit_length() + 7) // 8, 1), "big")
    elif isinstance(content, float):
        content = struct.pack(">d", content)
    elif isinstance(content, str):
        content = content.encode()
    return (
        identity.to_bytes((identity.bit_length() + 7) // 8, "big")
        + (len(content) | 1 << 56).to_bytes(8, "big")
        + content
    )


LENS = (0.4921168386936188, 3.1305770874023438, 2.324939012527466, 0.1304156482219696,
        3.458650542663574, 3.350114583969116, 0.6629416346549988)  # fmt: skip
"""Focal length in sensor edges and the radial coefficients of a real device."""


def calibration_json(*, straight: bool = False) -> bytes:
    focal, *radial = LENS
    numbers = [0.5, 0.5, focal, focal, *([0.0] * 6 if straight else radial), 0, 0, 0, 0]
    depth = {"Purpose": "CALIBRATION_CameraPurposeDepth", "Intrinsics": {"ModelParameters": numbers}}
    color = {"Purpose": "CALIBRATION_CameraPurposePhotoVideo", "Intrinsics": {"ModelParameters": [0] * 14}}
    return json.dumps({"CalibrationInformation": {"Cameras": [color, depth]}}).encode()


def write_mkv(
    path: Path,
    frames: list[np.ndarray],
    *,
    calibration: bytes | None = None,
    times_ms: list[int] | None = None,
    codec: bytes = b"b16g",
    title: str = "DEPTH",
) -> Path:
    """A Matroska file (RFC 9559) with tracks IR and DEPTH of raw 16-bit grey, as Azure Kinect's recorder's."""
    height, width = frames[0].shape
    bitmap = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 16, codec, width * height * 2, 0, 0, 0, 0)

    def track(number: int, name: str) -> bytes:
        video = _element(0xE0, _element(0xB0, width) + _element(0xBA, height))
        named = _element(0x536E, name) + _element(0x86, "V_MS/VFW/FOURCC") + _element(0x63A2, bitmap)
        return _element(0xAE, _element(0xD7, number) + _element(0x73C5, number) + _element(0x83, 1) + named + video)

    clusters = b""
    for t, frame in enumerate(frames):
        time = 33 * t if times_ms is None else times_ms[t]
        blocks = b"".join(
            _element(0xA3, bytes([0x80 | number, 0, 0, 0x80]) + image.astype(">u2").tobytes())
            for number, image in ((1, np.full_like(frame, 77)), (2, frame))
        )
        clusters += _element(0x1F43B675, _element(0xE7, time) + blocks)
    files = b""
    if calibration is not None:
        name = _element(0x466E, "calibration.json") + _element(0x4660, "application/octet-stream")
        files = _element(0x1941A469, _element(0x61A7, name + _element(0x465C, calibration) + _element(0x46AE, 9)))
    head = _element(0x1A45DFA3, _element(0x4286, 1) + _element(0x42F7, 1) + _element(0x4282, "matroska"))
    info = _element(0x1549A966, _element(0x2AD7B1, 1_000_000) + _element(0x4D80, "test") + _element(0x5741, "test"))
    tracks = _element(0x1654AE6B, track(1, "IR") + track(2, title))
    path.write_bytes(head + _element(0x18538067, info + tracks + files + clusters))
    return path
