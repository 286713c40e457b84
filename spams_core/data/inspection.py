"""What a recording's frames tell about how it was captured: size, tilt, people, gaps, clipping."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from spams_core.data.sequence import subject_silhouette
from spams_core.frames import transform_points
from spams_core.geometry.camera import Camera, back_project

__all__ = ["FrameFindings", "TimeFindings", "count_people", "inspect_frame", "inspect_times"]

_JUMP_M = 0.15
_PERSON_AREA_M2 = 0.12
"""A child's front has 0.25 m², half of an adult behind a table about as much as this."""
_PERSON_EXTENT_M = 0.6
_ELONGATED = 1.6
_PILED_SHARE = 0.02
"""More readings than this at exactly the farthest depth are no surface but the sensor's limit."""


@dataclass(frozen=True)
class FrameFindings:
    """One frame.

    Attributes:
        reading_share: Share of all pixels that have a reading.
        missing_share: Share of the subject's silhouette that has none; NaN without a subject.
        height_m: Extent of the subject along the world's +y, a hundredth cut off at both ends; NaN without a subject.
        width_m: The same, the larger of both level directions.
        distance_m: Median distance of the subject to the camera; NaN without a subject.
        lean_deg: Angle between the subject's longest direction and +y; NaN where it is not elongated.
        people: Connected pieces of a person's size.
        borders: Sides of the image that the subject touches.
        clipped: Whether readings pile up at the farthest depth.
    """

    reading_share: float
    missing_share: float
    height_m: float
    width_m: float
    distance_m: float
    lean_deg: float
    people: int
    borders: tuple[str, ...]
    clipped: bool


@dataclass(frozen=True)
class TimeFindings:
    """Attributes: repeated: frames at the time of the one before; missing: frames that gaps in time could hold."""

    repeated: int
    missing: int


def inspect_frame(depth_m: Float[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"], camera: Camera) -> FrameFindings:
    """Look at one frame; `mask` marks the subject, or every reading where the recording has no masks."""
    readings = depth_m > 0
    seen = mask & readings
    silhouette = subject_silhouette(depth_m, mask)
    nothing = float("nan")
    height = width = distance = lean = nothing
    if seen.any():
        points_camera = back_project(depth_m, camera)[seen]
        points = transform_points(camera.world_from_camera, points_camera)
        low, high = np.percentile(points, [1, 99], axis=0)
        height, width = float(high[1] - low[1]), float(max(high[0] - low[0], high[2] - low[2]))
        distance = float(np.median(np.linalg.norm(points_camera, axis=1)))
        lean = _lean_deg(points)
    farthest = depth_m.max()
    sides = {"top": mask[0], "bottom": mask[-1], "left": mask[:, 0], "right": mask[:, -1]}
    return FrameFindings(
        reading_share=float(readings.mean()),
        missing_share=float(1 - (silhouette & readings).sum() / silhouette.sum()) if silhouette.any() else nothing,
        height_m=height,
        width_m=width,
        distance_m=distance,
        lean_deg=lean,
        people=count_people(depth_m, seen, camera),
        borders=tuple(side for side, edge in sides.items() if edge.any()),
        clipped=bool(readings.any() and np.ptp(depth_m[readings]) > 0.1
                     and (depth_m == farthest).sum() > _PILED_SHARE * readings.sum()),
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


def inspect_times(times_s: tuple[float, ...] | None, frame_names: tuple[str, ...]) -> TimeFindings | None:
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
