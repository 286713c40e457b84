"""The capture doctor: what a recording is, how it was understood, and what in it would spoil a fit.

The window's card and `spams inspect` say the same, for both take words and warnings from `Findings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from spams_core.data.doctor_words import LYING_DEG, warnings_of, words_of
from spams_core.data.isolation import Room, sequence_floor
from spams_core.data.sequence import DepthSequence, subject_silhouette
from spams_core.errors import InputError
from spams_core.frames import transform_points
from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.plane import Plane
from spams_core.progress import Progress, Task
from spams_core.settings import json_ready

__all__ = ["LOOKED_AT", "Findings", "FrameFindings", "TimeFindings", "count_people", "examine", "examine_times"]

LOOKED_AT = 8
"""Frames that are read, spread over the recording."""

_FULL_SHARE = 0.6
"""Where more of the pixels are the subject's and nobody said who it is, the background is still there."""
_STRAY_PERCENT = 0.1
"""Cut off at both ends of an extent: single stray readings are no part of anybody, and a raised hand has more."""

_JUMP_M = 0.15
_PERSON_AREA_M2 = 0.12
"""A child's front has 0.25 m², half of an adult behind a table about as much as this."""
_PERSON_EXTENT_M = 0.6
_ELONGATED = 1.6
_PILED_SHARE = 0.02
"""More readings than this at exactly the farthest depth are no surface but the sensor's limit."""

Side = Literal["top", "bottom", "left", "right"]

_TURNED: Mapping[Side, tuple[float, float, float]] = {
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "bottom": (0.0, 1.0, 0.0),
}
"""Sides of the image that may be up where the top is not, in the camera's frame."""


@dataclass(frozen=True)
class FrameFindings:
    """One frame.

    Attributes:
        missing_share: Share of the image's pixels without a reading.
        gap_share: Share of the subject's silhouette without one; NaN without a subject.
        subject_share: Share of the image's pixels that show the subject.
        size_m: Width, height and depth of the subject in the world; NaN without a subject.
        depth_range_m: 1st and 99th percentile of the subject's depth; NaN without a subject.
        lean_deg: Angle between the subject's longest direction and +y; NaN where it is not elongated.
        people: Connected pieces of a person's size.
        borders: Sides of the image that the subject touches.
        clipped: Whether readings pile up at the farthest depth.
    """

    missing_share: float
    gap_share: float
    subject_share: float
    size_m: tuple[float, float, float]
    depth_range_m: tuple[float, float]
    lean_deg: float
    people: int
    borders: tuple[Side, ...]
    clipped: bool


@dataclass(frozen=True)
class TimeFindings:
    """Attributes: repeated: frames at the time of the one before; missing: frames that gaps in time could hold."""

    repeated: int
    missing: int


@dataclass(frozen=True)
class Findings:
    """What a look at a recording tells; everything that is None could not be told.

    Attributes:
        path: Where it lies.
        format: Name of the format, for people.
        frames, width, height, fps: As the recording says or as they were given.
        looked_at: Numbers of the frames that were read.
        unreadable: What is wrong with each of them that could not be read.
        intrinsics: fx, fy, cx, cy in pixels.
        intrinsics_from, depth_scale_from: How they were found.
        guessed: Whether one of the two is a guess.
        depth_scale: Metres per stored unit; None where the recording is metric.
        mirrored: Whether the images are flipped left to right when they are read.
        has_background: Whether nobody said who the subject is, and the readings are those of a room.
        size_m: Width, height and depth of the subject.
        depth_range_m: Nearest and farthest reading of the subject.
        missing_share, gap_share: Of the image, and of the subject's silhouette.
        people: Pieces of a person's size among the subject's readings; None where the background is among them.
        lean_deg: Angle between the subject's long side and +y.
        floor_found: Whether a floor is seen.
        floor_tilt_deg: Angle between its normal and the world's +y.
        up_side: Side of the image that the floor says is up, where that is not its top.
        camera_tilt_deg: How far the camera looks down from the horizontal, by the floor or else by its pose.
        camera_height_m: Above the floor.
        borders: Share of the frames in which the subject touches each side of the image.
        clipped_frames: Frames looked at whose readings pile up at the farthest depth.
        repeated_times: Frames at the time of the one before; None without timestamps.
        missing_frames: Frames that the gaps in time or in the numbers could hold.
        frozen_frames: Frames looked at that are the same as the next one.
        notes: What the reader of the format has to say.
        enlarged: How many times larger the expected subjects would be if they were as large as people; see
            `frames.enlargement`.
    """

    path: str
    format: str
    frames: int
    width: int
    height: int
    fps: float
    looked_at: tuple[int, ...]
    unreadable: tuple[str, ...]
    intrinsics: Mapping[str, float]
    intrinsics_from: str
    depth_scale_from: str
    guessed: bool
    depth_scale: float | None
    mirrored: bool
    has_background: bool
    size_m: tuple[float, float, float] | None
    depth_range_m: tuple[float, float] | None
    missing_share: float
    gap_share: float | None
    people: int | None
    lean_deg: float | None
    floor_found: bool
    floor_tilt_deg: float | None
    up_side: Side | None
    camera_tilt_deg: float
    camera_height_m: float | None
    borders: Mapping[Side, float]
    clipped_frames: int
    repeated_times: int | None
    missing_frames: int | None
    frozen_frames: int
    notes: tuple[str, ...]
    enlarged: float = 1.0

    def warnings(self) -> dict[str, str]:
        """What would spoil a fit, each with what to do, by its subject."""
        return warnings_of(self)

    def words(self) -> dict[str, str]:
        """Every finding in a few words, by its title."""
        return dict(words_of(self))

    def summary(self) -> dict[str, Any]:
        """All numbers and the warnings, as JSON can hold them."""
        plain: dict[str, Any] = json_ready({**dataclasses.asdict(self), "warnings": self.warnings()})
        return plain

    def text(self) -> list[str]:
        """Words and warnings as lines for people."""
        words, warnings = self.words(), self.warnings()
        width = max(map(len, words))
        told = [f"{title:<{width}}  {text}" for title, text in words.items()]
        return (
            [*told, "", *(f"! {text}" for text in warnings.values())]
            if warnings
            else [*told, "", "No problem was found."]
        )


def examine(sequence: DepthSequence, looked_at: int = LOOKED_AT, enlarged: float = 1.0) -> Task[Findings]:
    """Look at some frames of a recording and say what was found.

    They are spread over it; of a subject that was picked they are those from the pick on, for following somebody
    through a whole recording takes long. Frames that cannot be read are told; only if none can be, it is raised.

    Raises:
        InputError: None of the frames looked at can be read.
    """
    chosen = _spread(sequence, looked_at)
    found: list[FrameFindings] = []
    broken: list[InputError] = []
    frozen = 0
    for count, t in enumerate(chosen):
        try:
            depth_m = sequence.read_depth_m(t)
            found.append(_examine_frame(depth_m, sequence.read_mask(t), sequence.camera))
            if t + 1 < sequence.frame_count:
                frozen += bool(depth_m.any() and np.array_equal(depth_m, sequence.read_depth_m(t + 1)))
        except InputError as error:
            broken.append(error)
        yield Progress(count + 1, len(chosen), f"Look at frame {sequence.frame_names[t]}")
    if not found:
        raise broken[0]
    return dataclasses.replace(_gather(sequence, chosen, found, broken, frozen), enlarged=enlarged)


def _spread(sequence: DepthSequence, count: int) -> tuple[int, ...]:
    subject = sequence.subject
    if subject is not None and subject.keep == "picked" and subject.pick is not None:
        return tuple(range(subject.pick[0], min(subject.pick[0] + count, sequence.frame_count)))
    return tuple(sorted({*np.linspace(0, sequence.frame_count - 1, count).astype(int).tolist()}))


def _gather(
    sequence: DepthSequence,
    chosen: tuple[int, ...],
    found: Sequence[FrameFindings],
    broken: Sequence[InputError],
    frozen: int,
) -> Findings:
    source, camera, subject = sequence.source, sequence.camera, sequence.subject
    unsaid = (source is None or source.mask is None) and (subject is None or subject.changes_nothing)
    full = bool(unsaid and np.median([each.subject_share for each in found]) > _FULL_SHARE)
    seen = [each for each in found if each.subject_share > 0]
    size = np.median([each.size_m for each in seen], axis=0).tolist() if seen else None
    lean_deg = None if full else _middle([each.lean_deg for each in found])
    floor, floor_tilt_deg, up_side = _floor(sequence, upright=lean_deg is not None and lean_deg < LYING_DEG)
    up = floor.normal if floor is not None else np.array([0.0, 1.0, 0.0])
    forward, place = camera.world_from_camera[:3, 2], camera.world_from_camera[:3, 3]
    sides = sorted({side for each in found for side in each.borders})
    times_s = None if source is None else source.times_s
    times = examine_times(times_s, sequence.frame_names)
    return Findings(
        path="" if sequence.path is None else str(sequence.path),
        format="native" if source is None else source.format,
        frames=sequence.frame_count,
        width=camera.width,
        height=camera.height,
        fps=sequence.fps,
        looked_at=chosen,
        unreadable=tuple(map(str, broken)),
        intrinsics={name: float(getattr(camera, name)) for name in ("fx", "fy", "cx", "cy")},
        intrinsics_from="the program" if source is None else source.intrinsics_from,
        depth_scale_from="the program" if source is None else source.scale_from,
        guessed=source is not None and source.guessed,
        depth_scale=None if source is None else source.depth_scale,
        mirrored=sequence.reading.mirrored,
        has_background=full,
        size_m=None if size is None else (size[0], size[1], size[2]),
        depth_range_m=(min(e.depth_range_m[0] for e in seen), max(e.depth_range_m[1] for e in seen)) if seen else None,
        missing_share=float(np.mean([each.missing_share for each in found])),
        gap_share=_middle([each.gap_share for each in found]),
        people=None if full else int(np.median([each.people for each in found])),
        lean_deg=lean_deg,
        floor_found=floor is not None,
        floor_tilt_deg=floor_tilt_deg,
        up_side=up_side,
        camera_tilt_deg=float(np.degrees(np.arcsin(np.clip(-forward @ up, -1.0, 1.0)))),
        camera_height_m=None if floor is None else float(floor.heights_m(place)),
        borders={side: sum(side in each.borders for each in found) / len(found) for side in sides},
        clipped_frames=sum(each.clipped for each in found),
        repeated_times=None if times is None or times_s is None else times.repeated,
        missing_frames=None if times is None else times.missing,
        frozen_frames=frozen,
        notes=() if source is None else source.notes,
    )


def _middle(values: Sequence[float]) -> float | None:
    """The median of those that are numbers."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else None


def _floor(sequence: DepthSequence, *, upright: bool) -> tuple[Plane | None, float | None, Side | None]:
    """The floor, its tilt against +y, and the side of the image that is up by it, where +y is not.

    A wall beside somebody who stands `upright` is no floor.
    """
    try:
        floor = (sequence.room or Room(sequence)).floor()
        if floor is not None:
            return floor, float(np.degrees(np.arccos(np.clip(floor.normal[1], -1, 1)))), None
        for side, direction in _TURNED.items():
            if upright and side != "bottom":
                continue
            up = sequence.camera.world_from_camera[:3, :3] @ np.array(direction)
            if sequence_floor(sequence, up=up, tilt_deg=35.0) is not None:
                return None, None, side
    except InputError:
        pass  # its frames are broken
    return None, None, None


def _examine_frame(depth_m: Float[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"], camera: Camera) -> FrameFindings:
    """Look at one frame; `mask` marks the subject, or every reading where nothing tells it."""
    readings = depth_m > 0
    seen = mask & readings
    silhouette = subject_silhouette(depth_m, mask)
    nothing = float("nan")
    size, depths, lean = (nothing,) * 3, (nothing,) * 2, nothing
    if seen.any():
        points = transform_points(camera.world_from_camera, back_project(depth_m, camera)[seen])
        low, high = np.percentile(points, [_STRAY_PERCENT, 100 - _STRAY_PERCENT], axis=0)
        size = tuple((high - low).tolist())
        depths = tuple(np.percentile(depth_m[seen], [1, 99]).tolist())
        lean = _lean_deg(points)
    edges: dict[Side, np.ndarray[Any, Any]] = {
        "top": seen[0], "bottom": seen[-1], "left": seen[:, 0], "right": seen[:, -1],
    }  # fmt: skip
    return FrameFindings(
        missing_share=float(1 - readings.mean()),
        gap_share=float(1 - (silhouette & readings).sum() / silhouette.sum()) if silhouette.any() else nothing,
        subject_share=float(seen.mean()),
        size_m=size,
        depth_range_m=depths,
        lean_deg=lean,
        people=count_people(depth_m, seen, camera),
        borders=tuple(side for side, edge in edges.items() if edge.any()),
        clipped=bool(readings.any() and np.ptp(depth_m[readings]) > 0.1
                     and (depth_m == depth_m.max()).sum() > _PILED_SHARE * readings.sum()),
    )  # fmt: skip


def count_people(depth_m: Float[np.ndarray, "H W"], seen: Bool[np.ndarray, "H W"], camera: Camera) -> int:
    """Connected pieces of a person's size; a step of more than 0.15 m in depth separates."""
    inner = seen.copy()
    for axis in (0, 1):
        step = np.abs(np.diff(depth_m, axis=axis)) > _JUMP_M
        before, after = [slice(None)] * 2, [slice(None)] * 2
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        inner[tuple(before)] &= ~(step & seen[tuple(after)])
    labels, count = ndimage.label(inner)
    if count == 0:
        return 0
    pixel_m2 = depth_m.astype(np.float64) ** 2 / (camera.fx * camera.fy)
    areas = ndimage.sum_labels(pixel_m2, labels, np.arange(1, count + 1))
    windows = ndimage.find_objects(labels)
    people = 0
    for piece in np.flatnonzero(areas > _PERSON_AREA_M2) + 1:
        window = windows[piece - 1]
        distance = float(np.median(depth_m[window][labels[window] == piece]))
        rows, columns = (edge.stop - edge.start for edge in window)
        people += max(rows / camera.fy, columns / camera.fx) * distance > _PERSON_EXTENT_M
    return int(people)


def examine_times(times_s: tuple[float, ...] | None, frame_names: tuple[str, ...]) -> TimeFindings | None:
    """Repeated and missing frames by their timestamps, else by gaps in their numbers; None where neither tells."""
    if times_s is not None and len(times_s) > 2:
        steps = np.diff(np.array(times_s))
        usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
        missing = int(np.rint(steps[steps > 1.5 * usual] / usual - 1).sum()) if usual > 0 else 0
        return TimeFindings(int((steps <= 0).sum()), missing)
    numbers = _numbers(frame_names)
    if numbers is None or len(numbers) < 2:
        return None
    gaps = [after - before for before, after in pairwise(numbers.tolist())]
    usual_gap = int(np.median(gaps))
    return TimeFindings(0, sum(max(round(gap / max(usual_gap, 1)) - 1, 0) for gap in gaps))


def _numbers(names: tuple[str, ...]) -> Int[np.ndarray, "T"] | None:
    """The last run of digits in each name, where all have one."""
    found = ["".join(char if char.isascii() and char.isdigit() else " " for char in name).split() for name in names]
    if not all(found):
        return None
    return np.array([int(words[-1][-15:]) for words in found], dtype=np.int64)


def _lean_deg(points: Float[np.ndarray, "N 3"]) -> float:
    """Angle between the longest direction and +y; NaN where none is much longer than the next."""
    centred = points[:: max(len(points) // 5000, 1)].astype(np.float64)
    centred = centred - centred.mean(0)
    if len(centred) < 10:
        return float("nan")
    values, vectors = np.linalg.eigh(centred.T @ centred)
    if values[2] < _ELONGATED**2 * values[1]:
        return float("nan")
    return float(np.degrees(np.arccos(np.clip(abs(vectors[1, 2]), 0, 1))))
