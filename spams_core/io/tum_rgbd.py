"""TUM RGB-D: depth.txt lists timestamps and images of 5,000 units per metre, groundtruth.txt the camera's poses.

Sturm et al., A Benchmark for the Evaluation of RGB-D SLAM Systems, IROS 2012.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float

from spams_core.errors import InputError
from spams_core.io.depth_images import DepthImages, image_size
from spams_core.io.intrinsics import camera_of
from spams_core.io.poses import Y_UP_FROM_Z_UP, pose_from_quaternion, rest_note
from spams_core.io.source import MAX_FRAMES, ReadingSettings, Source, contained, fps_of

__all__ = ["holds_tum_rgbd", "open_tum_rgbd"]

_METRES_PER_UNIT = 1 / 5000
_LONGEST_LIST = 1 << 27
_LATEST_S = 0.05
"""A pose farther in time from its image than this is none of it."""


def holds_tum_rgbd(path: Path) -> bool:
    """Whether a folder has the list of depth images."""
    return (path / "depth.txt").is_file()


def open_tum_rgbd(path: Path, reading: ReadingSettings) -> Source:
    """Open a recording; the images' sizes are checked.

    The camera stands where its pose at the first frame says; that it may move is said in the notes.

    Raises:
        InputError: A list or an image is missing or faulty, or timestamps do not ascend.
    """
    rows = _rows(path / "depth.txt", 2)
    times_s = np.array([_number(path / "depth.txt", row[0]) for row in rows])
    wrong = np.flatnonzero(np.diff(times_s) <= 0)
    if len(wrong):
        first = wrong[0]
        what = "twice" if times_s[first] == times_s[first + 1] else "out of order"
        raise InputError(
            f"{path / 'depth.txt'}: timestamp {rows[first + 1][0]} is {what}. Sort the lines and leave each time once."
        )
    files = tuple(contained(path, path / row[1]) for row in rows)
    for file in files:
        if file.suffix.lower() != ".png":
            raise InputError(
                f"{path / 'depth.txt'} names {file.name}; its depth images are 16-bit PNG. Correct the list."
            )
    size = image_size(files[0])
    for file in files[1:]:
        other = image_size(file)
        if other != size:
            raise InputError(f"{file} is {other[0]}×{other[1]} but {files[0].name} {size[0]}×{size[1]}. Re-export it.")
    camera, intrinsics_from = camera_of(path, size, (path,), reading)
    notes: tuple[str, ...] = ()
    if (path / "groundtruth.txt").is_file():
        poses = _poses(path / "groundtruth.txt", times_s)
        camera = dataclasses.replace(camera, world_from_camera=Y_UP_FROM_Z_UP @ poses[0])
        notes = rest_note(poses)
    images = DepthImages(files, size, reading.depth_scale or _METRES_PER_UNIT)
    return Source(
        path=path,
        format="TUM RGB-D",
        camera=camera,
        fps=reading.fps or fps_of(times_s),
        frame_names=tuple(file.stem for file in files),
        depth_m=images.depth_m,
        intrinsics_from=intrinsics_from,
        scale_from="given" if reading.depth_scale else "the format's 5,000 units per metre",
        guessed=intrinsics_from.startswith("guessed"),
        depth_scale=images.scale,
        times_s=tuple(times_s.tolist()),
        notes=notes,
    )


def _rows(path: Path, least: int) -> list[list[str]]:
    """The lines of a list that are no comments, split at blanks."""
    try:
        if path.stat().st_size > _LONGEST_LIST:
            raise InputError(f"{path} is longer than a list of frames. Give a shorter recording.")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Put the file there.") from error
    except ValueError as error:
        raise InputError(f"{path} is no text. Export it again.") from error
    rows = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not rows or len(rows) > MAX_FRAMES * 10:
        raise InputError(f"{path} lists {'no' if not rows else 'too many'} frames. Export it again.")
    short = next((row for row in rows if len(row) < least), None)
    if short is not None:
        raise InputError(f"{path}: the line {' '.join(short)[:60]!r} has fewer than {least} fields. Correct it.")
    return rows


def _number(path: Path, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise InputError(f"{path}: {text[:40]!r} is no number. Correct it.")
    return number


def _poses(path: Path, times_s: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T 4 4"]:
    """The pose nearest in time to each frame, as it is written: world +z up."""
    rows = _rows(path, 8)
    table = np.array([[_number(path, field) for field in row[:8]] for row in rows])
    table = table[np.argsort(table[:, 0], kind="stable")]
    right = np.searchsorted(table[:, 0], times_s).clip(1, max(len(table) - 1, 1))
    left = right - 1
    right = right.clip(max=len(table) - 1)
    nearer = np.abs(table[right, 0] - times_s) < np.abs(table[left, 0] - times_s)
    chosen = np.where(nearer, right, left)
    gap = float(np.abs(table[chosen[0], 0] - times_s[0]))
    if gap > _LATEST_S:
        raise InputError(
            f"{path} has no pose within {_LATEST_S:g} s of the first depth image. Give the poses of this recording, or "
            "remove the file."
        )
    return np.stack([pose_from_quaternion(path, table[k, 1:4], table[k, 4:8]) for k in chosen])
