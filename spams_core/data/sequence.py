"""A depth recording, read lazily, and the subject's points in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from spams_core.data.depth_cache import DepthCache
from spams_core.data.subject import SubjectSettings
from spams_core.frames import transform_points
from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.cores import for_each_piece
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.normals import pixel_normals
from spams_core.geometry.tsdf import closed_silhouette
from spams_core.io.source import ReadingSettings, Source

if TYPE_CHECKING:
    from spams_core.data.isolation import Room

__all__ = ["DepthSequence", "SubjectPoints", "as_sequence", "enlarge", "subject_points", "subject_silhouette"]

_POINTS_AT_ONCE = 16_000
"""As many stay in a processor's cache."""


@dataclass(frozen=True)
class DepthSequence:
    """A recording of one subject by one resting depth camera; frames are read when they are asked for.

    Attributes:
        name: For people to read.
        path: Where it was read from, or None.
        camera: Intrinsics and place of the camera.
        fps: Frames per second.
        frame_count: T.
        read_depth_m: Frame index → [H, W] float32 metres, 0 = no reading.
        read_mask: Frame index → [H, W] bool, True on the subject.
        read_ground_truth: Frame index → Mesh in metres, world frame, one topology; None where there is none.
        frame_names: The files' numbers, for messages and for gaps in the numbering.
        subject: How the subject was told from the rest within the recording's own masks; None where these decide alone.
        room: What is known of the resting scene, where the subject was looked for.
        source: The opened recording, and how it was understood; None where a program made the frames.
    """

    name: str
    path: Path | None
    camera: Camera
    fps: float
    frame_count: int
    read_depth_m: Callable[[int], np.ndarray[Any, Any]]
    read_mask: Callable[[int], np.ndarray[Any, Any]]
    read_ground_truth: Callable[[int], Mesh] | None
    frame_names: tuple[str, ...]
    subject: SubjectSettings | None = None
    room: Room | None = None
    source: Source | None = None

    @property
    def reading(self) -> ReadingSettings:
        """What was given when it was opened."""
        return ReadingSettings() if self.source is None else self.source.reading


def enlarge(sequence: DepthSequence, factor: float) -> DepthSequence:
    """The recording of a scene that is larger by a factor, seen from as much farther away: all metres are multiplied.

    Pixels, masks and the decision what the subject is stay as they are. See `frames.enlargement`.
    """
    if factor == 1:
        return sequence
    place = sequence.camera.world_from_camera.copy()
    place[:3, 3] *= factor
    read_depth_m, read_ground_truth = sequence.read_depth_m, sequence.read_ground_truth

    def depth_m(t: int) -> np.ndarray[Any, Any]:
        return read_depth_m(t) * np.float32(factor)

    def ground_truth(t: int) -> Mesh:
        assert read_ground_truth is not None
        mesh = read_ground_truth(t)
        return replace(mesh, vertices=mesh.vertices * factor)

    return replace(
        sequence,
        camera=replace(sequence.camera, world_from_camera=place),
        read_depth_m=depth_m,
        read_ground_truth=None if read_ground_truth is None else ground_truth,
        room=None,
    )


@dataclass(frozen=True)
class SubjectPoints:
    """The subject's points of one frame.

    Attributes:
        points_world: [N, 3] metres.
        normals_world: [N, 3] unit, towards the camera.
        pixels: [N, 2] integer (u, v) of each point.
    """

    points_world: Float[np.ndarray, "N 3"]
    normals_world: Float[np.ndarray, "N 3"]
    pixels: Int[np.ndarray, "N 2"]


def as_sequence(source: Source) -> DepthSequence:
    """The sequence of an opened recording; it keeps the latest depth images, so that few are decoded twice."""
    read_depth_m = DepthCache(source.depth_m)
    return DepthSequence(
        name=source.path.resolve().stem if source.path.is_file() else source.path.resolve().name,
        path=source.path,
        camera=source.camera,
        fps=source.fps,
        frame_count=len(source.frame_names),
        read_depth_m=read_depth_m,
        read_mask=source.mask or _Readings(read_depth_m),
        read_ground_truth=source.ground_truth,
        frame_names=source.frame_names,
        source=source,
    )


@dataclass(frozen=True)
class _Readings:
    """The mask of a recording without masks: every reading."""

    read_depth_m: DepthCache

    def __call__(self, t: int) -> np.ndarray[Any, Any]:
        mask: np.ndarray[Any, Any] = self.read_depth_m(t) > 0
        return mask


def subject_points(depth_m: Float[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"], camera: Camera) -> SubjectPoints:
    """Points of the subject that have a reading and a normal, in row-major order of their pixels."""
    assert depth_m.shape == mask.shape == (camera.height, camera.width)
    seen = mask & (depth_m > 0)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if len(rows) == 0:
        nothing = np.zeros((0, 3), dtype=np.float32)
        return SubjectPoints(nothing, nothing, np.zeros((0, 2), dtype=np.int32))
    # A subject fills a small part of the image; normals are the cost, so only its rectangle is looked at.
    top, left = rows[0], columns[0]
    window = slice(top, rows[-1] + 1), slice(left, columns[-1] + 1)
    valid = seen[window]
    height, width = valid.shape
    cropped = replace(camera, width=width, height=height, cx=camera.cx - left, cy=camera.cy - top)
    points_camera = back_project(depth_m[window], cropped)
    normals_camera = pixel_normals(points_camera, valid)
    x, y, z = (normals_camera[..., k] for k in range(3))
    kept = np.flatnonzero((x != 0) | (y != 0) | (z != 0))
    points_camera, normals_camera = points_camera.reshape(-1, 3), normals_camera.reshape(-1, 3)
    points_world, normals_world = (np.empty((len(kept), 3), dtype=np.float32) for _ in range(2))
    rotation = camera.world_from_camera[:3, :3]

    def turn(start: int) -> None:
        some = slice(start, start + _POINTS_AT_ONCE)
        points_world[some] = transform_points(camera.world_from_camera, points_camera.take(kept[some], axis=0))
        normals_world[some] = normals_camera.take(kept[some], axis=0) @ rotation.T

    for_each_piece(turn, range(0, len(kept), _POINTS_AT_ONCE))
    rows, columns = np.divmod(kept.astype(np.int32), np.int32(width))
    return SubjectPoints(
        points_world, normals_world, np.stack([columns + np.int32(left), rows + np.int32(top)], axis=-1)
    )


def subject_silhouette(depth_m: Float[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """All pixels that the subject covers, those included where the camera lost the reading.

    A mask that marks pixels without a reading knows them and is taken as it is. One that marks readings only, as where
    the recording has no masks, has a gap wherever the camera saw nothing: on hair, dark cloth and edges. There what
    `closed_silhouette` adds counts as the subject's, but for pixels with a reading that the mask denies, where the
    background is seen. A hole through which nothing is seen, as between a body and the arm at its hip, is filled too:
    nothing tells it from lost readings.
    """
    assert depth_m.shape == mask.shape
    missing = depth_m == 0
    return mask if (mask & missing).any() else mask | (closed_silhouette(mask) & missing)
