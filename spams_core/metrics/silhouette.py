"""How well a surface's outline in the image agrees with the observed subject."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from spams_core.geometry.camera import Camera, project
from spams_core.geometry.mesh import Mesh

__all__ = ["mesh_silhouette", "silhouette_iou"]

_NEAR_M = 0.01
"""Triangles are cut off here in front of the camera, where a projection still is finite."""

_ON_EDGE_PX = 1e-6
"""Pixel centres this near to an edge are covered, so that rounding leaves no crack between two triangles."""


def silhouette_iou(mesh_world: Mesh, subject: Bool[np.ndarray, "H W"], camera: Camera) -> float | None:
    """Pixels that both the projected surface and the subject cover, over those that either covers.

    Args:
        mesh_world: Metres.
        subject: True on the observed subject, see `spams_core.data.sequence.subject_silhouette`.
        camera: Of the H × W image.

    Returns:
        In [0, 1]; None where neither covers a pixel.
    """
    fitted = mesh_silhouette(mesh_world, camera)
    union = int((fitted | subject).sum())
    return int((fitted & subject).sum()) / union if union else None


def mesh_silhouette(mesh_world: Mesh, camera: Camera) -> Bool[np.ndarray, "H W"]:
    """The pixels whose centres, at integer (u, v), the projected surface covers, edges included.

    A row of pixel centres meets a triangle in one interval. Counting +1 where intervals start and -1 where they end, a
    running sum along each row tells how many triangles cover a pixel: the time goes with the triangles' heights, not
    their areas. What lies behind the camera is cut off.

    Args:
        mesh_world: Metres; front and back sides count alike.
        camera: Intrinsics and place.
    """
    pose = camera.world_from_camera
    points = (mesh_world.vertices.astype(np.float64) - pose[:3, 3]) @ pose[:3, :3]
    corners_px, _ = project(_in_front(points[mesh_world.faces]), camera)
    u, v = corners_px[..., 0], corners_px[..., 1]
    first = np.ceil(np.clip(v.min(1) - _ON_EDGE_PX, 0, camera.height)).astype(np.int64)
    last = np.floor(np.clip(v.max(1) + _ON_EDGE_PX, -1, camera.height - 1)).astype(np.int64)
    rows_of = np.maximum(last - first + 1, 0)
    triangle = np.repeat(np.arange(len(u)), rows_of)
    row = np.arange(len(triangle)) - np.repeat(np.cumsum(rows_of) - rows_of - first, rows_of)
    start, end = _row_interval(u[triangle], v[triangle], row)
    left = np.ceil(np.clip(start - _ON_EDGE_PX, 0, camera.width)).astype(np.int64)
    beyond = np.floor(np.clip(end + _ON_EDGE_PX, -1, camera.width - 1)).astype(np.int64) + 1
    some = left < beyond
    stride = camera.width + 1
    size = camera.height * stride
    changes = np.bincount(row[some] * stride + left[some], minlength=size)
    changes -= np.bincount(row[some] * stride + beyond[some], minlength=size)
    covered: np.ndarray[Any, Any] = changes.reshape(camera.height, stride).cumsum(1)[:, :-1] > 0
    return covered


def _row_interval(
    u: Float[np.ndarray, "N 3"], v: Float[np.ndarray, "N 3"], row: Int[np.ndarray, "N"]
) -> tuple[Float[np.ndarray, "N"], Float[np.ndarray, "N"]]:
    """Where a triangle begins and ends along a row of the image that it reaches."""
    level = np.clip(row, v.min(1), v.max(1))
    start, end = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    for k in range(3):
        u_from, v_from, u_to, v_to = u[:, k], v[:, k], u[:, (k + 1) % 3], v[:, (k + 1) % 3]
        height = v_to - v_from
        # A level edge gives its first corner; the edge that follows gives the other.
        along = u_from + (level - v_from) / np.where(height == 0, 1.0, height) * (u_to - u_from)
        meets = (np.minimum(v_from, v_to) <= level) & (level <= np.maximum(v_from, v_to))
        start = np.minimum(start, np.where(meets, along, np.inf))
        end = np.maximum(end, np.where(meets, along, -np.inf))
    return start, end


def _in_front(corners: Float[np.ndarray, "F 3 3"]) -> Float[np.ndarray, "G 3 3"]:
    """What of some triangles, in the camera frame, lies beyond z = `_NEAR_M`: a triangle, two, or nothing of each."""
    ahead = corners[..., 2] >= _NEAR_M
    count = ahead.sum(1)
    pieces = [corners[count == 3]]
    for one, alone in ((1, True), (2, False)):
        cut = corners[count == one]
        # Turn the corner that is alone on its side to the first place.
        first = np.argmax(ahead[count == one] == alone, axis=1)
        a, b, c = (cut[np.arange(len(cut)), (first + k) % 3] for k in range(3))
        on_ab, on_ac = _at_near(a, b), _at_near(a, c)
        if alone:
            pieces.append(np.stack([a, on_ab, on_ac], axis=1))
        else:
            pieces += [np.stack([on_ab, b, c], axis=1), np.stack([on_ab, c, on_ac], axis=1)]
    return np.concatenate(pieces)


def _at_near(a: Float[np.ndarray, "N 3"], b: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    """Where the way from a to b crosses z = `_NEAR_M`."""
    share = (_NEAR_M - a[:, 2]) / (b[:, 2] - a[:, 2])
    place: np.ndarray[Any, Any] = a + share[:, None] * (b - a)
    place[:, 2] = _NEAR_M
    return place
