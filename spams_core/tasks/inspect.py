"""The capture doctor: what a recording is, how it was understood, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tyro.conf import Positional

from spams_core.data.inspection import FrameFindings, TimeFindings, inspect_frame, inspect_times
from spams_core.data.isolation import sequence_floor
from spams_core.data.recording import ReadingSettings, Source, as_sequence, open_source
from spams_core.data.sequence import DepthSequence
from spams_core.errors import InputError
from spams_core.progress import Progress, Task

__all__ = ["InspectSettings", "inspect"]

_TALLEST_M, _SHORTEST_M = 2.4, 0.7
_PERSON_M = 1.7
_FARTHEST_M, _NEAREST_M = 8.0, 0.35
_FULL_SHARE = 0.6
"""Where more of the pixels have a reading and there are no masks, the background is still there."""
_TILT_DEG = 5.0
_LYING_DEG = 50.0
_MISSING_SHARE = 0.15
_SCALES = (1.0, 0.01, 0.001, 0.00025, 0.0002, 0.0001)


@dataclass(frozen=True)
class InspectSettings:
    """Examine a recording: format, scale, size of the subject, tilt, gaps; warn of what would spoil a fit."""

    recording: Positional[Path]
    """Recording: a folder or a file of any format that the guide lists."""
    looked_at: int = 16
    """Frames that are read, spread over the recording."""
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    """What the recording leaves open."""

    def __post_init__(self) -> None:
        if self.looked_at < 1:
            raise InputError(f"--looked-at {self.looked_at}: it must be 1 or more.")


def inspect(settings: InspectSettings) -> Task[dict[str, Any]]:
    """Open a recording, look at some frames and say what was found.

    Frames that cannot be read are counted and the first one's message is told; only if none can be read it is raised.

    Returns:
        What was found, sizes in metres, and `warnings` by their subject.

    Raises:
        InputError: The recording cannot be opened, or none of the frames looked at can be read.
    """
    source = open_source(settings.recording, settings.reading)
    sequence = as_sequence(source)
    chosen = sorted({*np.linspace(0, sequence.frame_count - 1, settings.looked_at).astype(int).tolist()})
    findings: list[FrameFindings] = []
    broken: list[InputError] = []
    frozen = 0
    for count, t in enumerate(chosen):
        try:
            depth_m = sequence.read_depth_m(t)
            findings.append(inspect_frame(depth_m, sequence.read_mask(t), source.camera))
            if t + 1 < sequence.frame_count:
                frozen += bool(depth_m.any() and np.array_equal(depth_m, sequence.read_depth_m(t + 1)))
        except InputError as error:
            broken.append(error)
        yield Progress(count + 1, len(chosen), f"Look at frame {sequence.frame_names[t]}")
    if not findings:
        raise broken[0]
    times = inspect_times(source.times_s, source.frame_names)
    return _describe(source, findings, times, _floor_tilt_deg(sequence), frozen, len(chosen), broken)


def _middle(values: Sequence[float]) -> float | None:
    """The median of those that are numbers."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else None


def _floor_tilt_deg(sequence: DepthSequence) -> float | None:
    """Angle between the floor's normal and the world's +y; None where no floor is seen or its frames are broken."""
    try:
        floor = sequence_floor(sequence)
    except InputError:
        return None
    return None if floor is None else float(np.degrees(np.arccos(np.clip(floor.normal[1], -1, 1))))


def _describe(
    source: Source,
    findings: list[FrameFindings],
    times: TimeFindings | None,
    floor_tilt_deg: float | None,
    frozen: int,
    looked_at: int,
    broken: list[InputError],
) -> dict[str, Any]:
    camera = source.camera
    full = source.mask is None and np.median([each.reading_share for each in findings]) > _FULL_SHARE
    borders = Counter(side for each in findings for side in each.borders)
    told: dict[str, Any] = {
        "path": str(source.path),
        "format": source.format,
        "frames": len(source.frame_names),
        "looked_at": looked_at,
        "width": camera.width,
        "height": camera.height,
        "fps": source.fps,
        "intrinsics": {name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy")},
        "intrinsics_from": source.intrinsics_from,
        "depth_scale": source.depth_scale,
        "depth_scale_from": source.scale_from,
        "background_removed": not full,
        "subject_height_m": _middle([each.height_m for each in findings]),
        "subject_width_m": _middle([each.width_m for each in findings]),
        "distance_m": _middle([each.distance_m for each in findings]),
        "lean_deg": _middle([each.lean_deg for each in findings]),
        "floor_tilt_deg": floor_tilt_deg,
        "mirrored": "depth alone does not tell: let the subject raise the right hand and look",
        "people": None if full else int(np.median([each.people for each in findings])),
        "missing_share": _middle([each.missing_share for each in findings]),
        "touches_border": {side: borders[side] / len(findings) for side in sorted(borders)},
        "clipped_frames": sum(each.clipped for each in findings),
        "repeated_timestamps": None if times is None or source.times_s is None else times.repeated,
        "missing_frames": None if times is None else times.missing,
        "frozen_frames": frozen,
        "unreadable_frames": len(broken),
        "notes": list(source.notes),
    }
    return {**told, "warnings": _warnings(source, told, full, broken)}


def _warnings(source: Source, told: dict[str, Any], full: bool, broken: list[InputError]) -> dict[str, str]:
    """What would spoil a fit, and what to do about it, by its subject."""
    warnings: dict[str, str] = {}
    height, distance = told["subject_height_m"], told["distance_m"]
    if source.intrinsics_from.startswith("guessed"):
        warnings["intrinsics"] = (
            f"The intrinsics are {source.intrinsics_from}. Add intrinsics.json, or give them to spams convert."
        )
    if height is None:
        warnings["subject"] = "No frame that was looked at shows a subject. Check the masks and the depth."
    elif full:
        warnings["background"] = (
            "Readings fill the image, so the background counts as the subject. Add masks, or say what the subject is "
            "(--subject of spams fit)."
        )
        if not _NEAREST_M < distance < _FARTHEST_M:
            warnings["scale"] = f"What is seen lies {distance:.3g} m away. {_better_scale(source, distance, 2.2)}"
    elif not _SHORTEST_M < height < _TALLEST_M:
        size = max(height, told["subject_width_m"])
        if not _SHORTEST_M < size < _TALLEST_M:
            warnings["scale"] = f"The subject is {height:.3g} m tall. {_better_scale(source, size, _PERSON_M)}"
    if told["people"] is not None and told["people"] > 1:
        warnings["people"] = f"{told['people']} people are in view; a fit follows one. Mask the others out."
    if told["floor_tilt_deg"] is not None and told["floor_tilt_deg"] > _TILT_DEG:
        warnings["tilt"] = (
            f"The floor is tilted by {told['floor_tilt_deg']:.0f}° against the world's +y. "
            "Correct world_from_camera in camera.json."
        )
    if told["lean_deg"] is not None and told["lean_deg"] > _LYING_DEG and not full:
        warnings["upright"] = (
            f"The subject's long side leans {told['lean_deg']:.0f}° from the world's +y. "
            "If it stands, the images are turned: turn them, or correct world_from_camera."
        )
    often = [side for side, share in told["touches_border"].items() if share > 0.25]
    if often and not full:
        warnings["border"] = f"The subject is cut off by the image's edge ({', '.join(often)}). Step back, or aim anew."
    if told["clipped_frames"] > 0.25 * told["looked_at"]:
        warnings["clipping"] = (
            f"In {told['clipped_frames']} frames readings pile up at the farthest depth: the sensor's limit, "
            "no surface. Remove them, or mask them out."
        )
    if told["missing_share"] is not None and told["missing_share"] > _MISSING_SHARE:
        warnings["missing"] = (
            f"{told['missing_share']:.0%} of the subject has no reading. Avoid dark or shiny cloth and sunlight."
        )
    if told["repeated_timestamps"] or told["frozen_frames"]:
        warnings["repeated"] = (
            f"{told['repeated_timestamps'] or 0} timestamps repeat and {told['frozen_frames']} of the frames looked at "
            "are the same as the next one. Leave the repeated frames out."
        )
    if told["missing_frames"]:
        warnings["dropped"] = f"{told['missing_frames']} frames are missing in between; motion jumps there."
    if broken:
        warnings["unreadable"] = f"{len(broken)} of the frames looked at cannot be read; the first: {broken[0]}"
    return warnings


def _better_scale(source: Source, size_m: float, wanted_m: float) -> str:
    """What depth scale would give the wanted size."""
    if source.depth_scale is None:
        return "Check the intrinsics."
    units = size_m / source.depth_scale
    best = min(_SCALES, key=lambda scale: abs(float(np.log(units * scale / wanted_m))))
    if best == source.depth_scale or not 0.5 < units * best / wanted_m < 2:
        return f"Check depth_scale ({source.depth_scale:g} metres per unit) and the intrinsics."
    return (
        f"With depth_scale {best:g} instead of {source.depth_scale:g} it would be {units * best:.2f} m: give it to "
        "spams convert, or correct camera.json."
    )
