"""A recording's subject, told from floor, room and other people."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from spams_core.data.sequence import DepthSequence
from spams_core.data.subject import SubjectSettings, join_fragments, label_surfaces
from spams_core.errors import InputError
from spams_core.frames import transform_points
from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.normals import pixel_normals
from spams_core.geometry.plane import Plane, find_floor
from spams_core.progress import check_stop
from spams_core.settings import settings_from_dict

__all__ = ["Room", "fitted_subject", "isolate", "sequence_floor"]

logger = logging.getLogger(__name__)

_FLOOR_FRAMES = 3
_FLOOR_COLUMNS = 160
_FLOOR_JUMP_M = 0.3
"""Seen from knee height, a floor lies this much farther away from one row of pixels to the next."""

_BACKGROUND_FRAMES = 24
_BACKGROUND_QUANTILE = 0.85
"""High, for the subject hides the background behind it; not the highest, for single readings stray."""

_KNOWN_SHARE = 0.25
"""A pixel that is read in fewer of the frames has no background: the room is out of the camera's range there."""

_SAME_SURFACE_M = 0.3
_FARTHEST_STEP_M = 0.6
_LOCK_S = 0.05


def isolate(sequence: DepthSequence, settings: SubjectSettings) -> DepthSequence:
    """The same recording whose masks mark the subject as the settings find it, within the masks that it has.

    Floor and background are looked for when the first mask is read, in all readings, masked or not. Masks are kept once
    made; they may be read from several threads. A sequence that is isolated already begins anew, with what is known of
    its room.

    Raises:
        InputError: The picked pixel is not in the recording; reading a mask raises it where that pixel has no reading.
    """
    room = sequence.room or Room(sequence)
    sequence = dataclasses.replace(room.sequence, subject=settings, room=room)
    if settings.changes_nothing:
        return sequence
    if settings.keep == "picked" and settings.pick is not None:
        frame, u, v = settings.pick
        if not (frame < sequence.frame_count and u < sequence.camera.width and v < sequence.camera.height):
            raise InputError(
                f"the picked pixel (frame {frame}, column {u}, row {v}) is not in {sequence.name}: it has "
                f"{sequence.frame_count} frames of {sequence.camera.width}×{sequence.camera.height}. Pick another."
            )
    return dataclasses.replace(sequence, read_mask=_Isolation(room, settings).mask)


def fitted_subject(manifest: Mapping[str, Any]) -> SubjectSettings:
    """The isolation that a fit was made with, from its manifest; fits that name none were made without.

    Raises:
        InputError: The manifest holds something else there.
    """
    return settings_from_dict(SubjectSettings, manifest.get("subject") or {})


def sequence_floor(
    sequence: DepthSequence,
    *,
    band_m: float = 0.03,
    seed: int = 0,
    up: Float[np.ndarray, "3"] | None = None,
    tilt_deg: float = 50.0,
) -> Plane | None:
    """The floor in the world frame, from the readings of a few frames, masked or not; None where none is seen.

    Args:
        sequence: The recording.
        band_m: Points this near to the floor lie on it.
        seed: Of the search.
        up: Roughly upwards in the world, unit; by default +y.
        tilt_deg: The floor's normal is within this angle of it.

    Raises:
        InputError: A frame cannot be read.
    """
    frames = sorted({*np.linspace(0, sequence.frame_count - 1, _FLOOR_FRAMES).astype(int).tolist()})
    step = max(1, round(sequence.camera.width / _FLOOR_COLUMNS))
    points, normals = [], []
    for t in frames:
        depth_m = sequence.read_depth_m(t)[::step, ::step]
        camera = _thinned(sequence.camera, step)
        points_camera = back_project(depth_m, camera)
        normals_camera = pixel_normals(points_camera, depth_m > 0, jump_m=_FLOOR_JUMP_M)
        known = (depth_m > 0) & (normals_camera != 0).any(-1)
        points.append(transform_points(camera.world_from_camera, points_camera[known]))
        normals.append(normals_camera[known] @ camera.world_from_camera[:3, :3].T)
    up = np.array([0.0, 1.0, 0.0]) if up is None else up
    draws = np.random.default_rng(seed)
    return find_floor(np.concatenate(points), np.concatenate(normals), up, draws, band_m=band_m, tilt_deg=tilt_deg)


def _thinned(camera: Camera, step: int) -> Camera:
    """The camera of every step-th pixel."""
    width, height = -(-camera.width // step), -(-camera.height // step)
    return Camera(
        width, height, camera.fx / step, camera.fy / step, camera.cx / step, camera.cy / step, camera.world_from_camera
    )


@dataclasses.dataclass(frozen=True)
class _Found:
    """The subject in one frame: its packed mask, and where it was seen last."""

    packed: np.ndarray[Any, Any]
    seen_in: int
    middle_world: Float[np.ndarray, "3"]


class Room:
    """What rests in a recording; each is looked for once, when it is asked for first.

    Attributes:
        sequence: The recording with its own masks.
    """

    def __init__(self, sequence: DepthSequence) -> None:
        self.sequence = sequence
        self._floors: dict[int, Plane | None] = {}
        self._background_m: Float[np.ndarray, "H W"] | None = None
        self._lock = threading.Lock()

    def floor(self, seed: int = 0) -> Plane | None:
        """The floor in the world frame; None where none is seen.

        Raises:
            InputError: A frame cannot be read.
        """
        with self._lock:
            if seed not in self._floors:
                self._floors[seed] = sequence_floor(self.sequence, seed=seed)
            return self._floors[seed]

    def background_m(self) -> Float[np.ndarray, "H W"]:
        """Depth of what is there in most frames, in metres, 0 where it is unknown.

        Raises:
            InputError: A frame cannot be read.
        """
        with self._lock:
            if self._background_m is None:
                self._background_m = _background_m(self.sequence)
            return self._background_m


def _background_m(sequence: DepthSequence) -> Float[np.ndarray, "H W"]:
    frames = np.unique(np.linspace(0, sequence.frame_count - 1, _BACKGROUND_FRAMES).astype(int)).tolist()
    stack = np.sort(np.stack([sequence.read_depth_m(t) for t in frames]), axis=0)
    known = (stack > 0).sum(0)
    place = len(stack) - known + np.floor(_BACKGROUND_QUANTILE * np.maximum(known - 1, 0)).astype(int)
    taken = np.take_along_axis(stack, np.minimum(place, len(stack) - 1)[None], axis=0)[0]
    background: np.ndarray = np.where(known > _KNOWN_SHARE * len(stack), taken, 0.0)
    return background


class _Isolation:
    def __init__(self, room: Room, settings: SubjectSettings) -> None:
        self._room, self._sequence, self._settings = room, room.sequence, settings
        self._found: dict[int, _Found] = {}
        self._lock = threading.RLock()

    def mask(self, t: int) -> Bool[np.ndarray, "H W"]:
        """True on the subject's readings in frame t."""
        while not self._lock.acquire(timeout=_LOCK_S):
            check_stop()  # another thread follows the subject through a long recording
        try:
            if self._settings.keep == "picked":
                self._follow(t)
            elif t not in self._found:
                kept, depth_m = self._candidates(t)
                self._remember(t, self._surface(kept, depth_m), depth_m, None)
            return self._unpacked(t)
        finally:
            self._lock.release()

    @cached_property
    def _floor(self) -> Plane | None:
        floor = self._room.floor(self._settings.seed)
        if floor is None:
            logger.warning("%s: no floor is seen, none is removed", self._sequence.name)
        return floor

    def _candidates(self, t: int) -> tuple[Bool[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
        """Readings that pass all tests of their own place; and the depth image."""
        settings, sequence = self._settings, self._sequence
        depth_m = sequence.read_depth_m(t)
        kept = sequence.read_mask(t) & (depth_m > 0) & (depth_m >= settings.near_m)
        if settings.far_m is not None:
            kept &= depth_m <= settings.far_m
        if settings.remove_background:
            kept &= self._stands_out(depth_m)
        floor = self._floor if settings.remove_floor else None
        if floor is not None or settings.box_low_m is not None:
            points = self._points_world(depth_m)[kept]
            passed = np.ones(len(points), dtype=bool)
            if floor is not None:
                passed &= floor.heights_m(points) > settings.floor_band_m
            if settings.box_low_m is not None and settings.box_high_m is not None:
                passed &= ((points >= settings.box_low_m) & (points <= settings.box_high_m)).all(-1)
            kept[kept] = passed
        return kept, depth_m

    def _stands_out(self, depth_m: Float[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
        background = self._room.background_m()
        before: np.ndarray = (background == 0) | (depth_m < background - self._settings.background_gap_m)
        return before & (depth_m > 0)

    def _points_world(self, depth_m: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W 3"]:
        camera = self._sequence.camera
        return transform_points(camera.world_from_camera, back_project(depth_m, camera))

    def _surface(self, kept: Bool[np.ndarray, "H W"], depth_m: Float[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
        """The surface that one frame alone decides upon."""
        if self._settings.keep == "all" or not kept.any():
            return kept
        labels = label_surfaces(depth_m, kept, self._settings.depth_jump_m)
        chosen = 1
        if self._settings.keep == "moving":
            moving = labels[kept & self._stands_out(depth_m)]
            if len(moving) == 0:
                return np.zeros_like(kept)
            chosen = int(np.bincount(moving).argmax())
        return join_fragments(labels, chosen, self._points_world(depth_m), self._settings.join_gap_m)

    # --- the picked surface through time --------------------------------------------------------------------------

    def _follow(self, t: int) -> None:
        """Follow the picked surface frame by frame to t, from the nearest frame on the way whose mask is known."""
        assert self._settings.pick is not None
        start = self._settings.pick[0]
        if start not in self._found:
            self._remember(start, *self._picked(), None)
        step = 1 if t >= start else -1
        last = t
        while last not in self._found:
            last -= step
        for frame in range(last + step, t + step, step) if last != t else ():
            check_stop()
            kept, depth_m = self._candidates(frame)
            before = self._found[frame - step]
            self._remember(frame, self._same_surface(kept, depth_m, before), depth_m, before)

    def _picked(self) -> tuple[Bool[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
        assert self._settings.pick is not None
        frame, u, v = self._settings.pick
        kept, depth_m = self._candidates(frame)
        if not kept[v, u]:
            reason = (
                "has no reading" if depth_m[v, u] == 0 else "is taken away by mask, range, box, floor or background"
            )
            raise InputError(
                f"the picked pixel (frame {frame}, column {u}, row {v}) of {self._sequence.name} {reason}. "
                "Pick another on the subject."
            )
        labels = label_surfaces(depth_m, kept, self._settings.depth_jump_m)
        points = self._points_world(depth_m)
        return join_fragments(labels, int(labels[v, u]), points, self._settings.join_gap_m), depth_m

    def _same_surface(
        self, kept: Bool[np.ndarray, "H W"], depth_m: Float[np.ndarray, "H W"], before: _Found
    ) -> Bool[np.ndarray, "H W"]:
        """The surface where the subject was a frame ago, or the nearest to it; none where it is out of sight."""
        if not kept.any():
            return kept
        labels = label_surfaces(depth_m, kept, self._settings.depth_jump_m)
        points = self._points_world(depth_m)
        last = self._sequence.read_depth_m(before.seen_in)
        here = self._unpacked(before.seen_in) & kept & (np.abs(depth_m - last) < _SAME_SURFACE_M)
        if here.any():
            chosen = int(np.bincount(labels[here]).argmax())
        else:
            counts = np.bincount(labels[kept])
            middles = [np.median(points[labels == k], axis=0) for k in range(1, min(len(counts), 6))]
            distances = np.linalg.norm(np.array(middles) - before.middle_world, axis=1)
            if distances.min() > _FARTHEST_STEP_M:
                return np.zeros_like(kept)
            chosen = int(distances.argmin()) + 1
        return join_fragments(labels, chosen, points, self._settings.join_gap_m)

    def _remember(
        self, t: int, mask: Bool[np.ndarray, "H W"], depth_m: Float[np.ndarray, "H W"], before: _Found | None
    ) -> None:
        packed = np.packbits(mask)
        if before is not None and not mask.any():
            self._found[t] = _Found(packed, before.seen_in, before.middle_world)
            return
        follows = self._settings.keep == "picked"
        middle = np.median(self._points_world(depth_m)[mask], axis=0) if follows and mask.any() else np.zeros(3)
        self._found[t] = _Found(packed, t, middle)

    def _unpacked(self, t: int) -> Bool[np.ndarray, "H W"]:
        camera = self._sequence.camera
        count = camera.width * camera.height
        bits = np.unpackbits(self._found[t].packed, count=count)
        return bits.astype(bool).reshape(camera.height, camera.width)
