"""Opens what a user points at: a recording or a fit, and a first look at where its subject is. Knows no Qt."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from app.free_names import free_path
from spams_core.data.fit import Fit, read_fit
from spams_core.data.fit_checkpoint import checkpoint_path
from spams_core.data.isolation import fitted_subject
from spams_core.data.recording import ReadingSettings, is_recording, read_sequence, read_subject
from spams_core.data.saved_settings import fitted_reading, read_saved, saved_path
from spams_core.data.sequence import DepthSequence
from spams_core.errors import InputError

__all__ = ["Opened", "Survey", "free_output_path", "open_path", "survey_fit", "survey_points"]

_SURVEY_FRAMES = 5


@dataclass(frozen=True)
class Survey:
    """Where the subject is over the whole recording, world frame, metres.

    Attributes:
        center: Middle of the box that holds the subject in all frames looked at.
        extent: Size of that box.
        floor_m: Height of the lowest points.
        sensor: Where the camera stands.
        depth_range_m: Nearest and farthest subject point along the camera's axis, for colours.
    """

    center: Float[np.ndarray, "3"]
    extent: Float[np.ndarray, "3"]
    floor_m: float
    sensor: Float[np.ndarray, "3"]
    depth_range_m: tuple[float, float]


@dataclass(frozen=True)
class Opened:
    """What was found: a recording, a fit, or a fit with its recording."""

    path: Path
    sequence: DepthSequence | None
    fit: Fit | None
    survey: Survey
    kept: bool = False
    """Whether how it is read was kept beside it."""


def open_path(path: Path, recording: Path | None = None, reading: ReadingSettings | None = None) -> Opened:
    """Open a recording's or a fit's folder; a file inside one stands for its folder.

    A fit whose recording is neither at `recording` nor where the fit says opens without it. A recording is read as
    `reading` says, else as was saved beside it; a fit's as for the fit.

    Raises:
        InputError: It is neither, or it is invalid.
    """
    path = path.expanduser().absolute()
    folder = path.parent if path.name in ("camera.json", "manifest.json", "arrays.safetensors") else path
    if folder.name in ("depth", "mask", "color", "ground_truth") and (folder.parent / "camera.json").is_file():
        folder = folder.parent
    if not folder.exists():
        raise InputError(f"{folder} does not exist. Choose the folder of a recording or of a fit.")
    if (folder / "manifest.json").is_file():
        return _open_fit(folder, recording)
    if is_recording(folder) or (folder / "depth").is_dir():
        kept = None if reading is not None else _kept_reading(folder)
        sequence = read_sequence(folder, reading=reading or kept)
        return Opened(folder, sequence, None, _survey_sequence(sequence), kept is not None)
    raise InputError(
        f"{folder} is neither a recording (camera.json and depth/, or another format) nor a fit (manifest.json). "
        "Choose another folder."
    )


def _kept_reading(recording: Path) -> ReadingSettings | None:
    """How it was read when its settings were saved; a faulty file is told when the subject is loaded from it."""
    path = saved_path(recording)
    try:
        return read_saved(path).reading if path.is_file() else None
    except InputError:
        return None


def _of_fit(recorded: Path, fit: Fit) -> DepthSequence:
    return read_sequence(recorded, fitted_subject(fit.manifest), fitted_reading(fit.manifest))


def _open_fit(folder: Path, recording: Path | None) -> Opened:
    fit = read_fit(folder)
    recorded = recording or fit.manifest.get("sequence")
    try:
        sequence = _of_fit(Path(recorded), fit) if recorded else None
    except InputError:
        sequence = None
    if sequence is not None and int(fit.frame_indices.max()) >= sequence.frame_count:
        sequence = None  # another recording has taken that name
    return Opened(folder, sequence, fit, survey_fit(fit, sequence))


def _survey_sequence(sequence: DepthSequence) -> Survey:
    """Look at a few frames. A single bad frame is no reason to refuse a recording; if all are bad, say why."""
    clouds, problem = [], None
    for t in sorted({*np.linspace(0, sequence.frame_count - 1, _SURVEY_FRAMES).astype(int).tolist()}):
        try:
            clouds.append(read_subject(sequence, t).points_world)
        except InputError as error:
            problem = problem or error
    if not clouds:
        assert problem is not None
        raise problem
    return survey_points(np.concatenate(clouds), sequence.camera.world_from_camera)


def survey_fit(fit: Fit, sequence: DepthSequence | None) -> Survey:
    """Where a fitted body is over all its frames."""
    pose = sequence.camera.world_from_camera if sequence is not None else np.diag([1.0, -1.0, -1.0, 1.0])
    return survey_points(fit.vertices_world[:, ::7].reshape(-1, 3), pose)


def survey_points(points_world: Float[np.ndarray, "N 3"], world_from_camera: Float[np.ndarray, "4 4"]) -> Survey:
    """Where some points are; the camera stands where its pose says."""
    # Depth edges throw single points far off the body; they must not decide where the camera looks.
    low, high = np.percentile(points_world, [0.5, 99.5], axis=0)
    sensor, axis = world_from_camera[:3, 3], world_from_camera[:3, 2]
    depth = (points_world - sensor) @ axis
    near, far = np.percentile(depth, [1.0, 99.0])
    return Survey(
        (low + high) / 2, np.maximum(high - low, 0.2), float(low[1]), sensor, (float(near), float(max(far, near + 0.1)))
    )


def free_output_path(sequence: DepthSequence, taken: Collection[Path] = ()) -> Path:
    """A new folder name for a fit of this recording: beside it, or in the home folder where that cannot be written.

    Names of fits that were interrupted are theirs.

    Args:
        taken: Names that are spoken for, though nothing is there yet.
    """
    place = sequence.path.absolute().parent if sequence.path is not None else None
    bundled = place is not None and any((up / "parts.json").is_file() for up in (place, *place.parents))
    if place is None or bundled or not _writable(place):
        place = Path.home() / "SPAM Studio"
    known = set(taken)
    while checkpoint_path(path := free_path(place, f"{sequence.name}_fit", taken=known)).exists():
        known.add(path)
    return path


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
