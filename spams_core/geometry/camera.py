"""A pinhole camera and the way from depth pixels to points."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from spams_core.errors import InputError

__all__ = ["Camera", "back_project", "pixel_normals", "project"]


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


def pixel_normals(
    points_camera: Float[np.ndarray, "H W 3"], valid: Bool[np.ndarray, "H W"], jump_m: float = 0.05
) -> Float[np.ndarray, "H W 3"]:
    """Unit normals that face the camera, from central differences of the neighbouring pixels' points.

    A neighbour across a depth jump larger than `jump_m` metres does not count; one valid neighbour per axis is enough.
    Pixels without a normal get zeros.
    """
    depth = points_camera[..., 2]

    def difference(axis: int) -> tuple[np.ndarray, np.ndarray]:
        total = np.zeros_like(points_camera)
        count = np.zeros(depth.shape)
        for step in (1, -1):
            near = np.roll(points_camera, -step, axis=axis)
            good = valid & np.roll(valid, -step, axis=axis) & (np.abs(near[..., 2] - depth) < jump_m)
            edge = [slice(None), slice(None)]
            edge[axis] = slice(-1, None) if step == 1 else slice(0, 1)
            good[tuple(edge)] = False  # roll wraps around
            total += np.where(good[..., None], step * (near - points_camera), 0.0)
            count += good
        return total, count > 0

    along_v, good_v = difference(0)
    along_u, good_u = difference(1)
    normal = np.cross(along_v, along_u)
    length = np.linalg.norm(normal, axis=-1)
    good = good_u & good_v & valid & (length > 0)
    normal = np.where(good[..., None], normal / np.where(good, length, 1.0)[..., None], 0.0)
    # The side that the camera sees: the normal points against the viewing ray.
    facing = (normal * points_camera).sum(-1, keepdims=True)
    result: np.ndarray = np.where(facing > 0, -normal, normal)
    return result
