"""What every reader of recordings gives: one opened source, and the settings that say what a file leaves open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh

__all__ = [
    "MAX_FRAMES",
    "MAX_PIXELS",
    "ReadingSettings",
    "SensorName",
    "Source",
    "Up",
    "check_pixels",
    "contained",
    "depth_in_metres",
    "fps_of",
    "open_head",
]

MAX_PIXELS = 1 << 26
"""64 megapixels, far beyond any depth camera and below Pillow's own guard against decompression bombs."""

MAX_FRAMES = 1_000_000
"""Nine hours at 30 frames per second."""

_FARTHEST_M = 100.0
"""No depth camera sees farther; what claims to be is no reading."""

DEFAULT_FPS = 30.0

SensorName = Literal["kinect_v1", "kinect_v2", "azure_kinect", "realsense_d400"]

Up = Literal["recorded", "floor", "top", "bottom", "left", "right"]


@dataclass(frozen=True)
class ReadingSettings:
    """What a recording may leave open, or state wrongly; each is taken instead of what the recording says."""

    intrinsics: Path | None = None
    """JSON file with the camera's intrinsics: width, height and intrinsic_matrix (column by column, as Open3D writes
    it), or width, height, fx, fy, cx, cy."""
    sensor: SensorName | None = None
    """The camera, to take its nominal intrinsics for this image size."""
    fx: float | None = None
    """Focal length in pixels; give all of fx, fy, cx, cy or none."""
    fy: float | None = None
    """Focal length in pixels, vertically."""
    cx: float | None = None
    """Principal point in pixels; pixel centres lie at integers."""
    cy: float | None = None
    """Principal point in pixels, vertically."""
    depth_scale: float | None = None
    """Metres per unit of the depth images, such as 0.001 for millimetres."""
    fps: float | None = None
    """Frames per second."""
    mirrored: bool = False
    """The images are mirrored, left for right; turn them back."""
    up: Up = "recorded"
    """What is up in the world: as recorded; as recorded, levelled by the floor that is seen; or one side of the images,
    whatever pose was recorded, levelled by the floor where one is seen."""

    def __post_init__(self) -> None:
        given = [value for value in (self.fx, self.fy, self.cx, self.cy) if value is not None]
        if given and len(given) < 4:
            raise InputError("reading: give all of fx, fy, cx and cy, or none of them.")
        if given and (not np.isfinite(given).all() or self.fx <= 0 or self.fy <= 0):  # type: ignore[operator]
            raise InputError("reading: fx, fy, cx and cy must be finite, fx and fy positive. Correct them.")
        if self.depth_scale is not None and not 0 < self.depth_scale <= 1:
            raise InputError(
                f"reading: depth_scale is {self.depth_scale:g}; it must be the metres per depth unit, above 0 and at "
                "most 1, such as 0.001 for millimetres. Correct it."
            )
        if self.fps is not None and not 0 < self.fps <= 10_000:
            raise InputError(f"reading: fps is {self.fps:g}; it must be above 0 and at most 10,000. Correct it.")
        if self.up not in get_args(Up):
            raise InputError(f"reading: up is {self.up!r}. Choose one of: {', '.join(get_args(Up))}.")


@dataclass(frozen=True)
class Source:
    """An opened recording of any format; frames are read, and checked, when they are asked for.

    Attributes:
        path: Its folder or file.
        format: Name of the format, for people.
        camera: Intrinsics and place of the camera.
        fps: Frames per second.
        frame_names: One per frame, in their order in time.
        depth_m: Frame index → [H, W] float32 metres, 0 = no reading.
        mask: Frame index → [H, W] bool, True on the subject; None where every reading is the subject's.
        ground_truth: Frame index → Mesh in metres, world frame; None where there is none.
        intrinsics_from: Where the intrinsics come from, for people.
        guessed: Whether intrinsics or depth scale are a guess.
        depth_scale: Metres per stored unit, or None where the recording is metric.
        scale_from: How the scale was found, for people.
        times_s: Timestamp of each frame in seconds, or None where the recording has none.
        notes: What a user should know about this recording, whole sentences.
        reading: What was given when it was opened.
    """

    path: Path
    format: str
    camera: Camera
    fps: float
    frame_names: tuple[str, ...]
    depth_m: Callable[[int], np.ndarray[Any, Any]]
    intrinsics_from: str
    scale_from: str
    guessed: bool = False
    depth_scale: float | None = None
    mask: Callable[[int], np.ndarray[Any, Any]] | None = None
    ground_truth: Callable[[int], Mesh] | None = None
    times_s: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()
    reading: ReadingSettings = field(default_factory=ReadingSettings)


def depth_in_metres(units: np.ndarray[Any, Any], scale: float) -> Float[np.ndarray, "H W"]:
    """Stored depth as float32 metres; what is not finite, not positive or beyond 100 m becomes 0, no reading."""
    with np.errstate(over="ignore", invalid="ignore"):
        depth = units.astype(np.float32) * np.float32(scale)
        good: Bool[np.ndarray, "H W"] = (depth > 0) & (depth <= _FARTHEST_M)
    result: np.ndarray[Any, Any] = np.where(good, depth, np.float32(0))
    return result


def check_pixels(path: Path, width: int, height: int) -> None:
    """Refuse a size that no depth camera has, before memory is taken for it.

    Raises:
        InputError: The image has no pixels or more than 64 megapixels.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise InputError(
            f"{path} claims {width}×{height} pixels; a depth image has at most {MAX_PIXELS >> 20} megapixels. "
            "The file is corrupted; export it again."
        )


def contained(root: Path, file: Path) -> Path:
    """`file`, once it is sure that it lies inside `root`, links followed.

    Raises:
        InputError: It does not.
    """
    try:
        inside = file.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError) as error:  # a NUL character, a circle of links
        raise InputError(
            f"{root}: {str(file.name)[:80]!r} is no usable file. Copy the file into the folder."
        ) from error
    if not inside:
        raise InputError(f"{file} leads out of {root}. Copy the file into the folder and name it by its place there.")
    return file


def fps_of(times_s: Float[np.ndarray, "T"]) -> float:
    """Frames per second from timestamps: the median interval's; 30 where there is none."""
    steps = np.diff(np.asarray(times_s, dtype=np.float64))
    steps = steps[steps > 0]
    return float(np.clip(1 / np.median(steps), 1e-3, 1e4)) if len(steps) else DEFAULT_FPS


def open_head(path: Path, count: int) -> bytes:
    """The first bytes of a file, fewer where it is shorter; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""
