"""Camera poses as recordings write them, and what it means here if the camera moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from spams_core.errors import InputError

__all__ = ["Y_UP_FROM_Z_UP", "pose_from_quaternion", "rest_note", "rigid_pose"]

Y_UP_FROM_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""Turns a world whose +z points up into one whose +y does."""

_AT_REST_M = 0.03
_AT_REST_DEG = 2.0


def pose_from_quaternion(
    path: Path, position: Float[np.ndarray, "3"], xyzw: Float[np.ndarray, "4"]
) -> Float[np.ndarray, "4 4"]:
    """A pose from its position and its quaternion (x, y, z, w), which is brought to length 1.

    Raises:
        InputError: The quaternion is not near that length, or a number is not finite; `path` is named.
    """
    length = float(np.linalg.norm(xyzw))
    if not np.isfinite(position).all() or not 0.9 < length < 1.1:
        raise InputError(f"{path}: a pose is no position and unit quaternion. Correct it, or remove the poses.")
    x, y, z, w = xyzw / length
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = position
    return pose


def rigid_pose(path: Path, matrix: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"] | None:
    """The nearest pose to a matrix that is one but for rounding; None for a lost track, written as infinity or zeros.

    Raises:
        InputError: The matrix is finite, yet no pose.
    """
    if not np.isfinite(matrix).all() or not matrix[:3, :3].any():
        return None
    u, stretch, v = np.linalg.svd(matrix[:3, :3].astype(np.float64))
    if np.abs(stretch - 1).max() > 0.02 or np.linalg.det(u @ v) < 0:
        raise InputError(
            f"{path}: a camera pose is no rotation and translation. The file is corrupted; export it again."
        )
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = u @ v, matrix[:3, 3]
    return pose


def rest_note(poses: Float[np.ndarray, "T 4 4"]) -> tuple[str, ...]:
    """A sentence that says how far the camera moves, or nothing where it rests."""
    way = float(np.linalg.norm(poses[:, :3, 3] - poses[0, :3, 3], axis=1).max())
    turned = np.einsum("tij,ij->t", poses[:, :3, :3], poses[0, :3, :3])
    angle = float(np.degrees(np.arccos(np.clip((turned - 1) / 2, -1, 1))).max())
    if way < _AT_REST_M and angle < _AT_REST_DEG:
        return ()
    return (
        f"The camera moves by up to {way:.2f} m and turns by up to {angle:.0f}°; here it counts as at rest where it "
        "first stands, so the subject's way through the world is its way past the camera.",
    )
