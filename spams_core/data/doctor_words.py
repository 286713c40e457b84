"""The capture doctor's findings in words, and the warnings with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spams_core.data.doctor import Findings

__all__ = ["LYING_DEG", "warnings_of", "words_of"]

LYING_DEG = 50.0
"""Who leans more than this lies, or the images are turned."""

_PERSON_M = (0.6, 2.5)
"""The longest side of a person who sits, or who stands with raised arms: beyond it the scale is wrong."""
_TALL_M = 1.7
_MIDDLE_M = 2.2
_DISTANCE_M = (0.35, 8.0)
"""Of what is seen, where that is a room and not a person."""
_TILT_DEG = 5.0
_GAPPY_SHARE = 0.15
_OFTEN = 0.25
"""What is wrong in fewer of the frames looked at is an accident."""
_SLOW_FPS = 8.0
_SCALES = (1.0, 0.01, 0.001, 0.00025, 0.0002, 0.0001)


def words_of(found: Findings) -> Iterator[tuple[str, str]]:
    """Every finding in a few words, after its title."""
    fx, fy, cx, cy = (found.intrinsics[name] for name in ("fx", "fy", "cx", "cy"))
    yield "Format", found.format
    yield "Images", f"{found.width} × {found.height} pixels"
    yield "Duration", f"{found.frames} frames, {found.fps:g} fps, {found.frames / found.fps:.1f} s"
    yield "Intrinsics", f"fx {fx:.5g}, fy {fy:.5g}, cx {cx:.5g}, cy {cy:.5g}; {found.intrinsics_from}"
    scale = "metres" if found.depth_scale is None else f"{found.depth_scale:g} m per unit"
    yield "Depth scale", f"{scale}; {found.depth_scale_from}"
    if found.size_m is None or found.depth_range_m is None:
        yield "Subject", "none seen"
    else:
        width, height, depth = found.size_m
        near, far = found.depth_range_m
        title = "What is seen" if found.has_background else "Subject"
        yield title, f"{height:.2f} m tall, {width:.2f} m wide, {depth:.2f} m deep"
        yield "Distance", f"{near:.2f} to {far:.2f} m"
    if found.people is not None:
        yield "People", str(found.people)
    gaps = "" if found.gap_share is None or found.has_background else f"; {found.gap_share:.0%} within the subject"
    yield "No reading", f"{found.missing_share:.0%} of the image{gaps}"
    piled = f"{found.clipped_frames} of {len(found.looked_at)} images pile up at the farthest depth"
    yield "Clipping", piled if found.clipped_frames else "none"
    if not found.has_background:
        yield "Image's edge", f"touched: {', '.join(found.borders)}" if found.borders else "not touched"
    yield "Floor", _floor_words(found)
    above = "" if found.camera_height_m is None else f", {found.camera_height_m:.2f} m above the floor"
    tilt = found.camera_tilt_deg
    way = "level" if abs(tilt) < 0.5 else f"{abs(tilt):.0f}° {'down' if tilt > 0 else 'up'}wards"
    yield "Camera", f"looks {way}{above}"
    yield "Mirrored", "turned back" if found.mirrored else "depth alone does not tell: raise the right hand and look"
    yield "Timestamps", _time_words(found)
    for number, note in enumerate(found.notes):
        yield f"Note {number + 1}" if len(found.notes) > 1 else "Note", note


def _floor_words(found: Findings) -> str:
    if found.floor_tilt_deg is not None:
        tilted = found.floor_tilt_deg >= 0.5
        return f"found, tilted by {found.floor_tilt_deg:.0f}° against +y" if tilted else "found, level"
    return "none seen" if found.up_side is None else f"found if the image's {found.up_side} is up"


def _time_words(found: Findings) -> str:
    none = found.repeated_times is None
    told = [] if none else [f"{found.repeated_times} repeated"]
    if found.missing_frames is not None:
        told.append(f"{found.missing_frames} frames missing")
    told.append(f"{found.frozen_frames} of {len(found.looked_at)} images the same as the next")
    return ("none; " if none else "") + ", ".join(told)


def warnings_of(found: Findings) -> dict[str, str]:
    """What would spoil a fit, each with what to do, by its subject."""
    told: dict[str, str] = {}
    if found.intrinsics_from.startswith("guessed"):
        told["intrinsics"] = (
            f"The intrinsics are {found.intrinsics_from}. Add intrinsics.json, or give them (--reading.fx, fy, cx, cy)."
        )
    if found.size_m is None or found.depth_range_m is None:
        told["subject"] = "No subject is seen in the frames looked at. Pick the person, or widen range and box."
    elif found.has_background:
        told["background"] = (
            "Readings fill the image, so the background counts as the subject. Pick the person, set range and box "
            "(--subject), or add masks."
        )
        middle = float(np.mean(found.depth_range_m))
        if not _DISTANCE_M[0] < middle * found.enlarged < _DISTANCE_M[1]:
            better = _better_scale(found, middle, _MIDDLE_M / found.enlarged)
            told["scale"] = f"What is seen lies {middle:.3g} m away. {better}"
    elif not _PERSON_M[0] <= max(found.size_m) * found.enlarged <= _PERSON_M[1]:
        expected = "person" if found.enlarged == 1 else "subject"
        told["scale"] = (
            f"The subject is {found.size_m[1]:.3g} m tall. If only the {expected} is kept, the scale is wrong. "
            f"{_better_scale(found, max(found.size_m), _TALL_M / found.enlarged)}"
        )
        if found.enlarged == 1 and max(found.size_m) < _PERSON_M[0]:
            told["scale"] += " If it is no person, fit the model of its kind."
    if found.people is not None and found.people > 1:
        told["people"] = f"{found.people} people are in view; a fit follows one. Pick one, or mask the others out."
    if found.up_side is not None:
        told["upright"] = (
            f"No floor is seen, but one if the image's {found.up_side} were up. If the images are turned, say so "
            f"(--reading.up {found.up_side})."
        )
    elif found.lean_deg is not None and found.lean_deg > LYING_DEG and found.enlarged == 1:
        told["upright"] = (
            f"The subject's long side leans {found.lean_deg:.0f}° from the world's +y. If it stands, the images are "
            "turned: say which side is up (--reading.up)."
        )
    if found.floor_tilt_deg is not None and found.floor_tilt_deg > _TILT_DEG:
        told["tilt"] = (
            f"The floor is tilted by {found.floor_tilt_deg:.0f}° against the world's +y. Level it (--reading.up "
            "floor), or correct world_from_camera."
        )
    often = [side for side, share in found.borders.items() if share > _OFTEN]
    if often and not found.has_background:
        told["border"] = (
            f"The subject touches the image's border ({', '.join(often)}). What is outside will be guessed: step back, "
            "or aim anew."
        )
    if found.clipped_frames > _OFTEN * len(found.looked_at):
        told["clipping"] = (
            f"In {found.clipped_frames} of {len(found.looked_at)} frames readings pile up at the farthest depth: the "
            "sensor's limit, no surface. Lower the range, or mask them out."
        )
    if found.gap_share is not None and found.gap_share > _GAPPY_SHARE:
        told["missing"] = (
            f"{found.gap_share:.0%} of the subject has no reading. Avoid dark or shiny cloth, sunlight, and standing "
            "too near or too far."
        )
    if found.fps < _SLOW_FPS:
        told["slow"] = f"{found.fps:g} frames per second are few: fast limbs move far between frames."
    if found.repeated_times or found.frozen_frames:
        told["repeated"] = (
            f"{found.repeated_times or 0} timestamps repeat and {found.frozen_frames} of the frames looked at are the "
            "same as the next one. Leave the repeated frames out."
        )
    if found.missing_frames:
        told["dropped"] = f"{found.missing_frames} frames are missing in between; motion jumps there."
    if found.unreadable:
        told["unreadable"] = (
            f"{len(found.unreadable)} of the frames looked at cannot be read; the first: {found.unreadable[0]}"
        )
    return told


def _better_scale(found: Findings, size_m: float, wanted_m: float) -> str:
    """What depth scale would give the wanted size."""
    if found.depth_scale is None:
        return "Check the intrinsics."
    units = size_m / found.depth_scale
    best = min(_SCALES, key=lambda scale: abs(float(np.log(units * scale / wanted_m))))
    if best == found.depth_scale or not 0.5 < units * best / wanted_m < 2:
        return f"Check the depth scale ({found.depth_scale:g} metres per unit) and the intrinsics."
    return (
        f"With a depth scale of {best:g} instead of {found.depth_scale:g} it would be {units * best:.2f} m "
        f"(--reading.depth-scale {best:g})."
    )
