"""A frame's depth as a coloured picture and as numbers under the pointer. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8

from app.colormap import DEPTH

if TYPE_CHECKING:
    from spams_core.data.sequence import DepthSequence
    from spams_core.geometry.camera import Camera

__all__ = ["DepthFrame", "Pixel", "color_range_m", "read_depth_frame"]

_RANGE_FRAMES = 5
_DIMMED_ALPHA = 70


@dataclass(frozen=True)
class Pixel:
    """What one pixel of a depth image knows.

    Attributes:
        u, v: Column and row.
        depth_m: Distance along the camera's axis.
        point_camera: [3] metres, +x right, +y down, +z forward.
        point_world: [3] metres.
        kept: Whether it belongs to the subject.
    """

    u: int
    v: int
    depth_m: float
    point_camera: Float[np.ndarray, "3"]
    point_world: Float[np.ndarray, "3"]
    kept: bool


@dataclass(frozen=True)
class DepthFrame:
    """One frame of a recording.

    Attributes:
        frame: Its number.
        camera: Of this H × W.
        depth_m: [H, W], 0 = no reading.
        kept: [H, W] pixels with a reading that belong to the subject.
        rgba: [H, W, 4] the picture: transparent where there is no reading, dimmed where it is not the subject.
        range_m: Depths of the ramp's first and last colour.
    """

    frame: int
    camera: Camera
    depth_m: Float[np.ndarray, "H W"]
    kept: Bool[np.ndarray, "H W"]
    rgba: UInt8[np.ndarray, "H W 4"]
    range_m: tuple[float, float]

    def pixel(self, u: int, v: int) -> Pixel | None:
        """The reading at column u, row v; None where there is none."""
        height, width = self.depth_m.shape
        if not (0 <= u < width and 0 <= v < height) or self.depth_m[v, u] <= 0:
            return None
        z, camera = float(self.depth_m[v, u]), self.camera
        point = np.array([z * (u - camera.cx) / camera.fx, z * (v - camera.cy) / camera.fy, z])
        world = camera.world_from_camera[:3, :3] @ point + camera.world_from_camera[:3, 3]
        return Pixel(u, v, z, point, world, bool(self.kept[v, u]))


def color_range_m(sequence: DepthSequence) -> tuple[float, float]:
    """Nearest and farthest depth worth a colour, over a few frames; stray readings do not stretch it.

    Raises:
        InputError: A frame cannot be read.
    """
    frames = sorted({*np.linspace(0, sequence.frame_count - 1, _RANGE_FRAMES).astype(int).tolist()})
    readings = [depth[depth > 0] for depth in map(sequence.read_depth_m, frames)]
    known = np.concatenate(readings)
    if not len(known):
        return 0.0, 1.0
    near, far = np.percentile(known, [0.5, 99.5])
    return float(near), float(max(far, near + 0.05))


def read_depth_frame(sequence: DepthSequence, frame: int, range_m: tuple[float, float]) -> DepthFrame:
    """Read a frame and colour it.

    Raises:
        InputError: The frame or its mask cannot be read.
    """
    depth_m = sequence.read_depth_m(frame)
    seen = depth_m > 0
    kept = sequence.read_mask(frame) & seen
    near, far = range_m
    rgba = np.empty((*depth_m.shape, 4), dtype=np.uint8)
    rgba[..., :3] = DEPTH.colors(depth_m, near, far)
    grey = rgba[..., :3].mean(-1, keepdims=True).astype(np.uint8)
    rgba[..., :3] = np.where(kept[..., None], rgba[..., :3], grey)
    rgba[..., 3] = np.where(kept, 255, np.where(seen, _DIMMED_ALPHA, 0))
    return DepthFrame(frame, sequence.camera, depth_m, kept, rgba, range_m)
