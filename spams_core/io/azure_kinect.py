"""Azure Kinect's `.mkv`: a Matroska file with a track of uncompressed 16-bit depth and the factory's calibration.

Needs the extra `mkv`. The layout is that of the Azure Kinect Sensor SDK: the depth track has the codec b16g (16-bit
grey, big-endian, millimetres) and the title DEPTH; the attachment calibration.json has every camera's intrinsics for
its whole sensor, of which a depth mode bins and crops a part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.intrinsics import camera_of
from spams_core.io.source import MAX_FRAMES, ReadingSettings, Source, check_pixels, depth_in_metres, fps_of, open_head

__all__ = ["holds_azure_kinect", "open_azure_kinect"]

_EBML = b"\x1a\x45\xdf\xa3"
_MODES = {
    (320, 288): (512, 96, 90),
    (640, 576): (1024, 192, 180),
    (512, 512): (512, 0, 0),
    (1024, 1024): (1024, 0, 0),
}
"""Image size → edge of the binned sensor and the crop's left and top, in pixels."""
_METRES_PER_UNIT = 0.001


@dataclass(frozen=True)
class _Frames:
    """Where each frame's pixels lie in the file, and from which of them the lens took each pixel of a pinhole image."""

    path: Path
    width: int
    height: int
    scale: float
    byte_order: str
    places: tuple[int, ...]
    straight: tuple[Int[np.ndarray, "H W"], Bool[np.ndarray, "H W"]] | None

    def depth_m(self, t: int) -> Float[np.ndarray, "H W"]:
        wanted = self.width * self.height * 2
        try:
            with self.path.open("rb") as file:
                file.seek(self.places[t])
                data = file.read(wanted)
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be read ({error.strerror or error}). Give a readable file."
            ) from error
        if len(data) != wanted:
            raise InputError(f"{self.path} is truncated at frame {t}. Copy the file again, or record again.")
        depth = depth_in_metres(
            np.frombuffer(data, f"{self.byte_order}u2").reshape(self.height, self.width), self.scale
        )
        if self.straight is not None:
            # The nearest pixel: a mean over a depth edge would make points in the air.
            pixels, inside = self.straight
            depth = np.where(inside, depth.ravel()[pixels], np.float32(0))
        return depth


def holds_azure_kinect(path: Path) -> bool:
    """Whether a file is a Matroska file."""
    return path.is_file() and open_head(path, 4) == _EBML


def open_azure_kinect(path: Path, reading: ReadingSettings) -> Source:
    """Open a recording; the file is gone through once to find its frames, and the lens's distortion is worked out.

    Raises:
        InputError: The extra is not installed, or the file is truncated, has no depth track, or no usable calibration.
    """
    try:
        import av
    except ImportError as error:
        raise InputError(f"{path} needs the extra mkv. Install it: pip install 'spam-studio[mkv]'.") from error
    try:
        with av.open(str(path), options={"probesize": "1000000", "analyzeduration": "0"}) as container:
            track = _depth_track(path, container.streams.video)
            width, height = track.codec_context.width, track.codec_context.height
            check_pixels(path, width, height)
            byte_order = "<" if track.codec_context.pix_fmt == "gray16le" else ">"
            places, times_s = _list_frames(path, container, track, width * height * 2)
            calibration = next(
                (bytes(each.data) for each in container.streams.attachments if (each.name or "").endswith(".json")),
                None,
            )
    except InputError:
        raise
    except Exception as error:  # FFmpeg's errors are of many kinds
        raise InputError(f"{path} is truncated or no Matroska file that can be read. Copy the file again.") from error
    own = reading.fx is not None or reading.intrinsics is not None or reading.sensor is not None
    straight = None
    if calibration is None or own:
        camera, intrinsics_from = camera_of(path, (width, height), (path.parent,), reading)
    else:
        lens = _Lens.read(path, calibration, width, height)
        camera, straight, intrinsics_from = (
            lens.camera,
            lens.straightened(),
            "the file's calibration, lens straightened",
        )
    frames = _Frames(path, width, height, reading.depth_scale or _METRES_PER_UNIT, byte_order, places, straight)
    return Source(
        path=path,
        format="Azure Kinect .mkv",
        camera=camera,
        fps=reading.fps or fps_of(np.array(times_s)),
        frame_names=tuple(f"{t:06d}" for t in range(len(places))),
        depth_m=frames.depth_m,
        intrinsics_from=intrinsics_from,
        scale_from="given" if reading.depth_scale else "the format's millimetres",
        guessed=intrinsics_from.startswith("guessed"),
        depth_scale=frames.scale,
        times_s=times_s,
    )


def _depth_track(path: Path, tracks: Any) -> Any:
    """The track titled DEPTH, or the only one of 16-bit grey."""
    titled = [each for each in tracks if each.metadata.get("title", "").upper() == "DEPTH"]
    grey = [each for each in tracks if (each.codec_context.pix_fmt or "").startswith("gray16")]
    found = titled or (grey if len(grey) == 1 else [])
    if not found:
        raise InputError(f"{path} has no depth track. Record with the depth camera on (k4arecorder --depth-mode …).")
    if found[0].codec_context.name != "rawvideo" or not (found[0].codec_context.pix_fmt or "").startswith("gray16"):
        raise InputError(
            f"{path}: its depth track is {found[0].codec_context.name}, not raw 16-bit grey. Record it anew."
        )
    return found[0]


def _list_frames(path: Path, container: Any, track: Any, wanted: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Where each frame's pixels begin in the file, and its time in seconds.

    A packet's position is that of its block: the track's number, two bytes of time, one of flags, then the pixels.
    """
    places: list[int] = []
    times: list[float] = []
    with path.open("rb") as file:
        for packet in container.demux(track):
            if packet.size == 0 or packet.pts is None:
                continue
            if packet.size != wanted or packet.pos is None or packet.pos < 0:
                raise InputError(f"{path}: frame {len(places)} is not of the track's size. Copy the file again.")
            file.seek(packet.pos)
            first = file.read(1)
            start = packet.pos + (9 - (first[0] if first else 0).bit_length()) + 3
            if not places:
                file.seek(start)
                if file.read(wanted) != bytes(packet):
                    raise InputError(
                        f"{path}: its depth track is packed in a way that is not read. Repack it: "
                        "ffmpeg -i IN.mkv -map 0 -c copy OUT.mkv."
                    )
            places.append(start)
            times.append(float(packet.pts * track.time_base))
            if len(places) > MAX_FRAMES:
                raise InputError(f"{path} has more than {MAX_FRAMES} frames. Give a shorter recording.")
    if not places:
        raise InputError(f"{path} has no depth frames. Record again.")
    order = sorted(range(len(places)), key=times.__getitem__)
    return tuple(places[k] for k in order), tuple(times[k] for k in order)


@dataclass(frozen=True)
class _Lens:
    """The depth camera in one mode: a pinhole camera and the rational and tangential distortion of Brown's model."""

    camera: Camera
    radial: tuple[float, ...]
    tangential: tuple[float, float]

    @staticmethod
    def read(path: Path, calibration: bytes, width: int, height: int) -> _Lens:
        """Take the depth camera's intrinsics for this size of image from the factory's calibration."""
        broken = f"{path}: its calibration holds no depth camera. Give fx, fy, cx and cy (--reading.fx)."
        if (width, height) not in _MODES:
            raise InputError(f"{path}: no depth mode has images of {width}×{height}. Copy the file again.")
        try:
            data = json.loads(calibration.rstrip(b"\0"))
            cameras = data["CalibrationInformation"]["Cameras"]
            depth = next(each for each in cameras if str(each.get("Purpose", "")).endswith("CameraPurposeDepth"))
            numbers = np.array(depth["Intrinsics"]["ModelParameters"], dtype=np.float64)
            if not isinstance(depth, Mapping) or numbers.shape[0] < 14 or not np.isfinite(numbers).all():
                raise ValueError
        except (ValueError, TypeError, KeyError, LookupError, AttributeError, RecursionError, StopIteration) as error:
            raise InputError(broken) from error
        cx, cy, fx, fy = numbers[:4]
        *radial, _, _, p2, p1 = numbers[4:14]
        edge, left, top = _MODES[width, height]
        # Stored for a sensor of edge 1 whose corner is the origin; here pixel centres lie at integers.
        try:
            camera = Camera(width, height, fx * edge, fy * edge, cx * edge - left - 0.5, cy * edge - top - 0.5)
        except InputError as error:
            raise InputError(broken) from error
        return _Lens(camera, tuple(float(value) for value in radial), (float(p1), float(p2)))

    def straightened(self) -> tuple[Int[np.ndarray, "H W"], Bool[np.ndarray, "H W"]]:
        """For each pixel of the pinhole image the pixel of the recorded one that shows it, and whether there is one."""
        camera = self.camera
        y, x = np.mgrid[: camera.height, : camera.width].astype(np.float64)
        bent_x, bent_y = self.bend((x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy)
        with np.errstate(invalid="ignore", over="ignore"):
            u = np.rint(np.nan_to_num(bent_x * camera.fx + camera.cx, nan=-1, posinf=-1, neginf=-1)).clip(
                -1, camera.width
            )
            v = np.rint(np.nan_to_num(bent_y * camera.fy + camera.cy, nan=-1, posinf=-1, neginf=-1)).clip(
                -1, camera.height
            )
        inside = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
        pixels = np.where(inside, v * camera.width + u, 0).astype(np.int32)
        return pixels, inside

    def bend(
        self, x: Float[np.ndarray, "*shape"], y: Float[np.ndarray, "*shape"]
    ) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
        """Where the lens shows the ray (x, y, 1), in units of the focal length."""
        k1, k2, k3, k4, k5, k6 = self.radial
        p1, p2 = self.tangential
        with np.errstate(all="ignore"):
            r2 = x * x + y * y
            factor = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
            return (
                x * factor + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * factor + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
            )
