"""What is stated of a recording besides its numbers: mirrored images turned back, and what is up in the world."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from spams_core.data.isolation import sequence_floor
from spams_core.data.sequence import as_sequence
from spams_core.frames import transform_points
from spams_core.geometry.mesh import Mesh
from spams_core.io.source import ReadingSettings, Source

__all__ = ["corrected"]

_UP_IN_IMAGE = {
    "top": (0.0, -1.0, 0.0),
    "bottom": (0.0, 1.0, 0.0),
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
}
"""A side of the image, in the camera's frame."""

_LEVEL_DEG = 0.2
"""A floor that is tilted by less is level: its noise is as large."""


def corrected(source: Source, reading: ReadingSettings) -> Source:
    """The recording as the settings say it is to be understood.

    Raises:
        InputError: A frame that the floor is looked for in cannot be read.
    """
    source = dataclasses.replace(source, reading=reading)
    if reading.mirrored:
        source = _turned_back(source)
    return source if reading.up == "recorded" else _upright(source)


@dataclass(frozen=True)
class _Flipped:
    """Images with their columns in the other order."""

    read: Callable[[int], np.ndarray[Any, Any]]

    def __call__(self, t: int) -> np.ndarray[Any, Any]:
        image: np.ndarray[Any, Any] = np.ascontiguousarray(self.read(t)[:, ::-1])
        return image


@dataclass(frozen=True)
class _Moved:
    """Meshes in another world."""

    read: Callable[[int], Mesh]
    pose: Float[np.ndarray, "4 4"]

    def __call__(self, t: int) -> Mesh:
        mesh = self.read(t)
        return dataclasses.replace(mesh, vertices=transform_points(self.pose, mesh.vertices).astype(np.float32))


def _turned_back(source: Source) -> Source:
    """Columns of depth and masks in the other order; ground truth is that of the mirrored person and goes."""
    camera = source.camera
    lost = ("Ground truth is left out, for it belongs to the mirrored images.",) if source.ground_truth else ()
    return dataclasses.replace(
        source,
        camera=dataclasses.replace(camera, cx=camera.width - 1 - camera.cx),
        depth_m=_Flipped(source.depth_m),
        mask=None if source.mask is None else _Flipped(source.mask),
        ground_truth=None,
        notes=(*source.notes, *lost),
    )


def _upright(source: Source) -> Source:
    """A world whose +y is what the settings say is up, levelled by the floor where one is seen."""
    up = source.reading.up
    before = source.camera.world_from_camera
    pose = before if up == "floor" else _standing(np.array(_UP_IN_IMAGE[up]))
    placed = dataclasses.replace(source, camera=dataclasses.replace(source.camera, world_from_camera=pose))
    floor = sequence_floor(as_sequence(placed))
    notes = source.notes
    if floor is None:
        notes = (*notes, "No floor is seen to level the world by.") if up == "floor" else notes
    elif np.degrees(np.arccos(np.clip(floor.normal[1], -1, 1))) > _LEVEL_DEG:
        level = np.eye(4)
        level[:3, :3] = _turn(floor.normal, np.array([0.0, 1.0, 0.0]))
        pose = level @ pose
    return dataclasses.replace(
        source,
        camera=dataclasses.replace(source.camera, world_from_camera=pose),
        ground_truth=None if source.ground_truth is None else _Moved(source.ground_truth, pose @ np.linalg.inv(before)),
        notes=notes,
    )


def _standing(up_camera: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4 4"]:
    """A camera at the origin that looks level along −z, this direction of its own upwards."""
    backwards = np.array([0.0, 0.0, -1.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(up_camera, backwards), up_camera, backwards])
    return pose


def _turn(start: Float[np.ndarray, "3"], end: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """The shortest rotation of one unit vector to another within 90° of it (Rodrigues)."""
    x, y, z = np.cross(start, end)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: np.ndarray = np.eye(3) + cross + cross @ cross / (1.0 + start @ end)
    return turned
