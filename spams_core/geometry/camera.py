"""A pinhole camera and the way from depth pixels to points."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from spams_core.errors import InputError

__all__ = ["Camera", "back_project", "project"]


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics in pixels and the camera's place in the world.

    Attributes:
        width, height: Image size in pixels.
        fx, fy: Focal lengths in pixels.
        cx, cy: Principal point in pixels; pixel centres lie at integers.
        world_from_camera: 4 × 4, metres; `points_world = world_from_camera @ points_camera`. By default the camera
            stands upright at the world's origin and looks along -z.

    Raises:
        InputError: A size or focal length is not positive, or a number is not finite.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    world_from_camera: Float[np.ndarray, "4 4"] = field(default_factory=lambda: np.diag([1.0, -1.0, -1.0, 1.0]))

    def __post_init__(self) -> None:
        numbers = np.array([self.width, self.height, self.fx, self.fy, self.cx, self.cy], dtype=np.float64)
        if not np.isfinite(numbers).all() or (numbers[:4] <= 0).any():
            raise InputError(
                "camera: width, height, fx and fy must be positive and all intrinsics finite; "
                f"found width {self.width}, height {self.height}, fx {self.fx}, fy {self.fy}, cx {self.cx}, "
                f"cy {self.cy}. Correct camera.json."
            )
        pose = np.asarray(self.world_from_camera, dtype=np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise InputError("camera: world_from_camera must be a finite 4 × 4 matrix. Correct camera.json.")
        rotation = pose[:3, :3]
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
            raise InputError("camera: world_from_camera must be a rotation and a translation. Correct camera.json.")
        object.__setattr__(self, "world_from_camera", pose)


def back_project(depth_m: Float[np.ndarray, "H W"], camera: Camera) -> Float[np.ndarray, "H W 3"]:
    """Lift every depth pixel into the camera frame.

    Pixel (u, v) at depth z becomes z · K⁻¹ [u, v, 1]ᵀ (Hartley & Zisserman, 2nd ed., §6.1).

    Args:
        depth_m: Distance along +z in metres; 0 marks a missing pixel, which becomes the origin.
        camera: Intrinsics in pixels, for this H × W.

    Returns:
        Points in metres, camera frame.

    Raises:
        InputError: Depth and camera sizes differ.
    """
    if depth_m.shape != (camera.height, camera.width):
        raise InputError(
            f"depth is {depth_m.shape[1]}×{depth_m.shape[0]} but the camera {camera.width}×{camera.height}. "
            "Correct camera.json or re-export the depth."
        )
    u = (np.arange(camera.width) - camera.cx) / camera.fx
    v = (np.arange(camera.height) - camera.cy) / camera.fy
    points: np.ndarray = np.stack([depth_m * u[None, :], depth_m * v[:, None], depth_m], axis=-1)
    return points


def project(
    points_camera: Float[np.ndarray, "*batch 3"], camera: Camera
) -> tuple[Float[np.ndarray, "*batch 2"], Float[np.ndarray, "*batch"]]:
    """Project points of the camera frame to pixels (u, v) and depths z in metres; z ≤ 0 is behind the camera."""
    z = points_camera[..., 2]
    safe = np.where(z > 1e-9, z, np.nan)
    u = camera.fx * points_camera[..., 0] / safe + camera.cx
    v = camera.fy * points_camera[..., 1] / safe + camera.cy
    return np.stack([u, v], axis=-1), z
