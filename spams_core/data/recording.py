"""Depth recordings from disk, and the subject in one of their frames."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from PIL import Image

from spams_core.data.correction import corrected
from spams_core.data.formats import FORMATS, format_of, open_format
from spams_core.data.isolation import isolate
from spams_core.data.sequence import DepthSequence, SubjectPoints, as_sequence, subject_points
from spams_core.data.subject import SubjectSettings
from spams_core.errors import InputError
from spams_core.io.intrinsics import UnknownIntrinsicsError
from spams_core.io.source import ReadingSettings, Source

__all__ = [
    "FORMATS",
    "ReadingSettings",
    "Source",
    "UnknownIntrinsicsError",
    "as_sequence",
    "is_recording",
    "open_source",
    "read_sequence",
    "read_subject",
    "read_true_parts",
]

logger = logging.getLogger(__name__)


def is_recording(path: Path) -> bool:
    """Whether a path holds a recording of a known format; it may still be faulty."""
    return format_of(path) is not None


def open_source(path: Path, reading: ReadingSettings) -> Source:
    """Open a recording of any format, understood as the settings say.

    Raises:
        InputError: Nothing is there, it is of no known format, or it is faulty.
    """
    return corrected(open_format(path, reading), reading)


def read_sequence(
    path: Path, subject: SubjectSettings | None = None, reading: ReadingSettings | None = None
) -> DepthSequence:
    """Open a recording of any format; its frames are read when they are asked for.

    Without masks every reading belongs to the subject, but for what `subject` takes away. Guessed intrinsics or scale
    are logged as a warning.

    Raises:
        InputError: Something in the recording is missing, invalid or incomplete, or `subject` picks a pixel that it
            does not have; reading a frame raises it as well.
    """
    source = open_source(path, reading or ReadingSettings())
    if source.guessed:
        logger.warning(
            "%s: intrinsics %s; depth scale %s. spams inspect tells whether that can be.",
            path, source.intrinsics_from, source.scale_from,
        )  # fmt: skip
    sequence = as_sequence(source)
    return sequence if subject is None else isolate(sequence, subject)


def read_subject(sequence: DepthSequence, t: int) -> SubjectPoints:
    """The subject's points in frame t.

    Raises:
        InputError: The frame cannot be read, has no reading at all, or shows no subject.
    """
    frame = f"{sequence.name}, frame {sequence.frame_names[t]}"
    depth_m = sequence.read_depth_m(t)
    if not depth_m.any():
        raise InputError(f"{frame}: the depth image has no reading. Leave this frame out (--frames), or record again.")
    mask = sequence.read_mask(t)
    subject = subject_points(depth_m, mask, sequence.camera)
    if len(subject.points_world) == 0:
        if sequence.subject is not None and not sequence.subject.changes_nothing:
            raise InputError(
                f"{frame}: nothing is left of it as the subject. Widen the depth range or the box, pick the subject "
                "anew, or leave this frame out (--frames)."
            )
        reason = "the mask marks no pixel" if not mask.any() else "the mask marks no pixel with a usable reading"
        raise InputError(
            f"{frame}: no subject in view, {reason}. Correct the mask, or leave this frame out (--frames)."
        )
    return subject


def read_true_parts(
    sequence: DepthSequence, t: int, subject: SubjectPoints, part_count: int
) -> Int[np.ndarray, "N"] | None:
    """The true part of each subject point in frame t, or -1; None where the recording has no label images, or only
    those of a mirrored person.

    A label image is 8-bit grey and holds the part plus one, 0 = none, as `spams render` writes it.

    Raises:
        InputError: The image is missing, broken, of another size, or names a part that the model does not have.
    """
    if sequence.path is None or not (sequence.path / "labels").is_dir() or sequence.reading.mirrored:
        return None
    path = sequence.path / "labels" / f"{sequence.frame_names[t]}.png"
    try:
        with Image.open(path, formats=["PNG"]) as image:
            values = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is missing or corrupted. Re-export it, or remove the folder labels.") from error
    if values.shape != (sequence.camera.height, sequence.camera.width):
        raise InputError(f"{path} is no grey image of the depth's size. Re-export it, or remove the folder labels.")
    truth: np.ndarray[Any, Any] = values[subject.pixels[:, 1], subject.pixels[:, 0]].astype(np.int32) - 1
    if truth.max() >= part_count:
        raise InputError(
            f"{path} holds part {truth.max() + 1}, but the model has {part_count} (1 to {part_count}; 0 is none). "
            "Re-export it, or choose the model of these parts."
        )
    return truth
