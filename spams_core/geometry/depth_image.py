"""The depth that a camera would measure of a surface, by a z-buffer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from spams_core.geometry.camera import Camera, project
from spams_core.geometry.mesh import Mesh

__all__ = ["depth_image"]

_NEAR_M = 0.01
_INSIDE = -1e-9
"""A pixel centre on an edge belongs to both triangles, so that rounding leaves no crack."""

_BATCH = 1 << 21
"""Candidate pixels looked at together; some 100 MB."""


def depth_image(mesh_world: Mesh, camera: Camera) -> Float[np.ndarray, "H W"]:
    """Depth along +z of the nearest triangle at every pixel centre, metres, float32; 0 where there is none.

    The inverse of depth is linear in the image, so it is what is interpolated. Every pixel of a triangle's bounding
    rectangle is looked at: fast for the small triangles of a body. Triangles that come nearer than 1 cm to the camera's
    plane are left out.

    Args:
        mesh_world: Metres; front and back sides count alike.
        camera: Intrinsics and place.
    """
    pose = camera.world_from_camera
    points = (mesh_world.vertices.astype(np.float64) - pose[:3, 3]) @ pose[:3, :3]
    faces = np.asarray(mesh_world.faces)[(points[mesh_world.faces][..., 2] > _NEAR_M).all(1)]
    nearest = np.zeros(camera.height * camera.width)  # of the inverse depth
    corners = points[faces]
    pixels, _ = project(corners, camera)
    size = np.array([camera.width, camera.height])
    low = np.clip(np.ceil(pixels.min(1)), 0, size).astype(np.int64)
    high = np.clip(np.floor(pixels.max(1)), -1, size - 1).astype(np.int64)
    span = np.maximum(high - low + 1, 0)
    count = span.prod(1)
    batch = np.cumsum(count) // _BATCH
    for number in np.unique(batch[count > 0]):
        chosen = np.nonzero((batch == number) & (count > 0))[0]
        place, inverse = _covered(
            pixels[chosen], 1.0 / corners[chosen][..., 2], low[chosen], span[chosen], camera.width
        )
        np.maximum.at(nearest, place, inverse)
    depth: np.ndarray = np.divide(1.0, nearest, out=np.zeros_like(nearest), where=nearest > 0)
    return depth.reshape(camera.height, camera.width).astype(np.float32)


def _covered(
    corners_px: Float[np.ndarray, "F 3 2"],
    inverse_depth: Float[np.ndarray, "F 3"],
    low: Int[np.ndarray, "F 2"],
    span: Int[np.ndarray, "F 2"],
    width: int,
) -> tuple[Int[np.ndarray, "N"], Float[np.ndarray, "N"]]:
    """Row-major places of the pixels that each triangle covers, and its inverse depth there."""
    count = span.prod(1)
    triangle = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(triangle)) - np.repeat(np.cumsum(count) - count, count)
    u = low[triangle, 0] + within % span[triangle, 0]
    v = low[triangle, 1] + within // span[triangle, 0]
    at = np.stack([u, v], axis=1).astype(np.float64)
    a, b, c = (corners_px[triangle, k] for k in range(3))
    area = _cross(b - a, c - a)
    flat = np.abs(area) < 1e-12
    area[flat] = 1.0
    weights = np.stack([_cross(b - at, c - at), _cross(c - at, a - at), _cross(a - at, b - at)], axis=1) / area[:, None]
    inside = (weights.min(1) >= _INSIDE) & ~flat
    inverse = (weights * inverse_depth[triangle]).sum(1)
    return (v * width + u)[inside], inverse[inside]


def _cross(a: Float[np.ndarray, "N 2"], b: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N"]:
    product: np.ndarray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product
