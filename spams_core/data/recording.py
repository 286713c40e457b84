"""Depth recordings from disk, and the subject in one of their frames."""

from __future__ import annotations

from pathlib import Path

from spams_core.data.sequence import DepthSequence, SubjectPoints, subject_points
from spams_core.errors import InputError
from spams_core.io.native_sequence import open_sequence

__all__ = ["read_sequence", "read_subject"]


def read_sequence(path: Path) -> DepthSequence:
    """Open a recording in the native format; its frames are read when they are asked for.

    Without a mask folder every reading belongs to the subject.

    Raises:
        InputError: Something in the folder is missing, invalid or incomplete; reading a frame raises it as well.
    """
    folder = open_sequence(path)
    return DepthSequence(
        name=folder.path.resolve().name,
        path=folder.path,
        camera=folder.camera,
        fps=folder.fps,
        frame_count=len(folder.frame_names),
        read_depth_m=folder.depth_m,
        read_mask=folder.mask,
        read_ground_truth=folder.ground_truth if folder.has_ground_truth else None,
        frame_names=folder.frame_names,
    )


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
        reason = "the mask marks no pixel" if not mask.any() else "the mask marks no pixel with a usable reading"
        raise InputError(
            f"{frame}: no subject in view, {reason}. Correct the mask, or leave this frame out (--frames)."
        )
    return subject
