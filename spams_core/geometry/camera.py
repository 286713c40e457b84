"""A pinhole camera and the way from depth pixels to points."""

from __future__ import annotations

import itertools
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
    points_camera: Float[np.ndarray, "H W 3"],
    valid: Bool[np.ndarray, "H W"],
    jump_m: float = 0.05,
    radius_m: float = 0.04,
) -> Float[np.ndarray, "H W 3"]:
    """Unit normals that face the camera, from planes through the surface around each pixel.

    Differences of neighbouring readings would be noise: a few metres away a depth camera's noise is as large as the
    pixels' distance. A plane n · x = d is linear in the image, 1 / z = (n · (x/z, y/z, 1)) / d, so least squares over a
    square window give it.

    Args:
        points_camera: Back-projected pixels, metres.
        valid: Pixels with a reading.
        jump_m: Pixels whose depth differs by more than this from the middle's do not count, metres.
        radius_m: Half the window's width on a surface at the median depth, metres; 1 to 4 pixels.

    Returns:
        Normals; zeros where fewer than three pixels, or only pixels in a row, count.
    """
    if not valid.any():
        return np.zeros_like(points_camera)
    depth = np.where(valid, points_camera[..., 2], 1.0)
    u, v, inverse = points_camera[..., 0] / depth, points_camera[..., 1] / depth, 1 / depth
    rows, columns = np.nonzero(valid)
    first, last = columns.argmin(), columns.argmax()
    spacing = (u[rows[last], columns[last]] - u[rows[first], columns[first]]) / max(columns[last] - columns[first], 1)
    radius = int(np.clip(round(radius_m / max(spacing * np.median(depth[valid]), 1e-9)), 1, 4))
    sums = np.zeros((9, *depth.shape))
    for dv, du in itertools.product(range(-radius, radius + 1), repeat=2):
        here, near = _overlap(depth.shape, dv, du)
        counts = valid[here] & valid[near] & (np.abs(depth[near] - depth[here]) < jump_m)
        a, b, w = (np.where(counts, field[near] - field[here], 0.0) for field in (u, v, inverse))
        for place, term in enumerate((counts, a, b, w, a * a, a * b, b * b, a * w, b * w)):
            sums[place][here] += term
    count = np.maximum(sums[0], 1)
    mean_a, mean_b, mean_w, aa, ab, bb, aw, bw = sums[1:] / count
    aa, ab, bb = aa - mean_a**2, ab - mean_a * mean_b, bb - mean_b**2
    aw, bw = aw - mean_a * mean_w, bw - mean_b * mean_w
    determinant = aa * bb - ab**2
    good = valid & (sums[0] >= 3) & (determinant > 1e-6 * (aa + bb) ** 2)
    safe = np.where(good, determinant, 1.0)
    by_u, by_v = (bb * aw - ab * bw) / safe, (aa * bw - ab * aw) / safe
    constant = inverse + mean_w - by_u * (u + mean_a) - by_v * (v + mean_b)
    normal = np.stack([by_u, by_v, constant], axis=-1)
    normal = np.where(good[..., None], normal / np.linalg.norm(normal, axis=-1, keepdims=True).clip(1e-12), 0.0)
    # The side that the camera sees: the normal points against the viewing ray.
    facing = (normal * points_camera).sum(-1, keepdims=True)
    result: np.ndarray = np.where(facing > 0, -normal, normal)
    return result


def _span(size: int, step: int) -> slice:
    """The places from `step` on, or up to `step` before the end if it is negative; none if there are fewer."""
    return slice(min(max(0, step), size), max(size - max(0, -step), 0))


def _overlap(shape: tuple[int, ...], dv: int, du: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the pixels that have a neighbour (dv, du) away, and of those neighbours."""
    here = tuple(_span(size, -step) for size, step in zip(shape, (dv, du), strict=True))
    near = tuple(_span(size, step) for size, step in zip(shape, (dv, du), strict=True))
    return (here[0], here[1]), (near[0], near[1])
