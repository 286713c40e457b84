"""Fit some frames of a fit anew; all other frames, the shape and the mesh stay as they are."""

from __future__ import annotations

import dataclasses
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int

from spams_core.data.fit import Fit, read_fit, write_fit
from spams_core.data.recording import read_sequence
from spams_core.data.saved_settings import fitted_reading
from spams_core.data.sequence import enlarge
from spams_core.data.subject import SubjectSettings
from spams_core.device import choose_device
from spams_core.errors import InputError
from spams_core.fitting.controls import Controls
from spams_core.fitting.refit import FrameRefit, neighbour_starts
from spams_core.fitting.result import build_fit
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.solve import Start
from spams_core.fitting.surface import weighted_surface
from spams_core.frames import enlargement
from spams_core.io.archive import hash_file
from spams_core.models.spam import read_spam
from spams_core.progress import Progress, Task
from spams_core.settings import parse_frames, settings_from_dict, settings_to_dict
from spams_core.tasks.observing import (
    default_model,
    in_metres,
    input_hashes,
    observe_frames,
    read_matching_segmenter,
    stored_points,
    tell_frames,
)

if TYPE_CHECKING:
    from spams_core.tasks.fit import FitSettings
    from spams_core.tasks.resuming import Checkpoints

__all__ = ["refit"]

logger = logging.getLogger(__name__)

_LONGEST_INTERVAL_S = 0.25


def refit(
    settings: FitSettings, solve: SolveSettings, checkpoints: Checkpoints, controls: Controls | None = None
) -> Task[Fit]:
    """What `fit` does with `start_from`: the result is a whole fit, of which only the chosen frames are new.

    Raises:
        InputError: Recording, model or fit are missing or do not belong together, the fit has none of the frames, none
            of its frames would stay, or the fit that was interrupted is another one.
    """
    start_from = settings.start_from
    assert start_from is not None
    started = time.perf_counter() - checkpoints.seconds_before
    device = choose_device(settings.device)
    before = read_fit(start_from)
    settings = dataclasses.replace(
        settings, subject=_subject_of(settings, before), reading=fitted_reading(before.manifest), saved="ignore"
    )
    sequence = read_sequence(settings.sequence, settings.subject, settings.reading)
    rows = _chosen_rows(settings, before, sequence.frame_count)
    parts = _chosen_parts(settings, before)
    model = settings.model or _model_of(before) or default_model(settings.method)
    hashes = _require_same_inputs(settings, before, model)
    yield Progress(0, 1, "Loading the model")
    spam = read_spam(model, device)
    segmenter = read_matching_segmenter(model, settings.method, spam, device)
    enlarged = enlargement(spam.settings.canonical_per_metre)
    sequence = enlarge(sequence, enlarged)
    generator = np.random.default_rng(settings.seed)
    window = np.unique(np.clip(np.concatenate([rows - 1, rows, rows + 1]), 0, before.frame_count - 1))
    frames = before.frame_indices[window]
    checkpoints.begin(settings, solve, hashes, before.frame_indices[rows], device)
    subjects, labelled, observations = yield from observe_frames(
        sequence, frames, segmenter, settings.labels, spam, generator, device
    )
    yield Progress(1, 1, "Starting from the neighbours")
    steps = np.diff(before.frame_indices)
    interval_s = float(np.median(steps)) / sequence.fps if len(steps) else 1.0
    close = (np.diff(window) == 1) & (np.diff(frames) / sequence.fps <= _LONGEST_INTERVAL_S)
    place = np.searchsorted(window, rows)
    moving = torch.from_numpy(place)
    as_fitted = Start("as fitted", *(
        torch.from_numpy(array[window]).to(device)
        for array in (before.pose_codes, before.root_rotation, before.root_translation_m * np.float32(enlarged))
    ))  # fmt: skip
    shape_codes = torch.from_numpy(before.shape_codes).to(device)
    state = checkpoints.resume(subjects)
    starts = [] if state else neighbour_starts(as_fitted, observations, moving, spam.pose_codes.mean(0), parts)
    solver = FrameRefit(
        spam, observations, torch.from_numpy(close), interval_s, starts, solve,
        torch.Generator().manual_seed(settings.seed), controls=controls, keep_rounds=settings.history,
        shape_codes=shape_codes, moving=moving, state=state, keep_state=checkpoints.keep,
    )  # fmt: skip
    logger.info("fitting %d frames of %s anew on %s", len(rows), sequence.name, device)
    solution = yield from tell_frames(solver.run(), frames, enlarged)
    yield Progress(1, 1, "Warping the mesh to the new frames")
    vertices = torch.from_numpy(before.canonical_vertices).to(device)
    faces = torch.from_numpy(before.faces.astype(np.int64)).to(device)
    part = build_fit(
        spam, weighted_surface(spam, vertices, faces, shape_codes), shape_codes, solution.pose_codes[moving],
        solution.root_rotation[moving], solution.root_translation_m[moving] / enlarged,
        [stored_points(subjects[k], labelled[k], generator, enlarged) for k in place], before.frame_indices[rows],
        solution.loss_history, {}, normal_gate_deg=solve.normal_gate_deg,
        eye_world=sequence.camera.world_from_camera[:3, 3] / enlarged,
    )  # fmt: skip
    history = in_metres(solution.rounds, enlarged)
    if history is not None:  # it counts the frames that were looked at
        history = dataclasses.replace(history, rows=window[history.rows].astype(np.int32))
    result = dataclasses.replace(_spliced(before, part, rows), history=history)
    seconds = time.perf_counter() - started
    manifest: dict[str, Any] = {
        **before.manifest,
        "settings": settings_to_dict(dataclasses.replace(settings, solve=solve, resume=False)),
        "subject": settings_to_dict(settings.subject),
        "reading": settings_to_dict(settings.reading),
        "inputs": hashes,
        "loss_names": list(solution.loss_names),
        "weight_changes": [dataclasses.asdict(change) for change in solution.weight_changes],
        "preset": settings.preset,
        "device": str(device),
        "refit": {
            "from": str(start_from.resolve()),
            "from_sha256": hash_file(start_from / "arrays.safetensors"),
            "frames": before.frame_indices[rows].tolist(),
            "parts": list(settings.reseed),
            "residual_mm": [
                {"frame": int(frame), "before": 1e3 * float(old), "after": 1e3 * float(new)}
                for frame, old, new in zip(
                    before.frame_indices[rows], before.residual_m[rows], part.residual_m, strict=True
                )
            ],
        },
        "seconds_per_frame": seconds / len(rows),
        "depth_residual_mm": float(1000 * np.nanmedian(result.residual_m)),
    }
    result = dataclasses.replace(result, manifest=manifest)
    write_fit(settings.out, result)
    return result


def _chosen_rows(settings: FitSettings, before: Fit, frame_count: int) -> Int[np.ndarray, "M"]:
    """Rows of the fit whose frames are chosen."""
    chosen = parse_frames(settings.frames, frame_count)
    rows = np.nonzero(np.isin(before.frame_indices, np.asarray(chosen)))[0]
    if not len(rows):
        raise InputError(
            f"--frames {settings.frames} chooses none of the frames that {settings.start_from} has, "
            f"{before.frame_indices.min()} to {before.frame_indices.max()}. Choose others."
        )
    if len(rows) == before.frame_count and not settings.reseed:
        raise InputError(
            f"--frames {settings.frames} chooses all frames of {settings.start_from}, and leaves no neighbour to start "
            "from. Choose fewer frames, or fit without --start-from."
        )
    return rows


def _chosen_parts(settings: FitSettings, before: Fit) -> list[int]:
    unknown = [name for name in settings.reseed if name not in before.part_names]
    if unknown:
        raise InputError(f"--reseed {unknown[0]}: no such part. Choose from: {', '.join(before.part_names)}.")
    return [before.part_names.index(name) for name in settings.reseed]


def _subject_of(settings: FitSettings, before: Fit) -> SubjectSettings:
    """Which readings belong to the subject: as for the fit, unless something else is asked for."""
    stated = before.manifest.get("subject")
    if settings.subject != SubjectSettings() or not isinstance(stated, dict):
        return settings.subject
    return settings_from_dict(SubjectSettings, stated)


def _model_of(before: Fit) -> Path | None:
    model = before.manifest.get("model")
    return Path(model) if isinstance(model, str) and Path(model).is_dir() else None


def _require_same_inputs(settings: FitSettings, before: Fit, model: Path) -> dict[str, str]:
    """The hashes of recording and model, which must be those that the fit was made from."""
    if before.manifest.get("method", settings.method) != settings.method:
        raise InputError(f"{settings.start_from} was fitted with --method {before.manifest['method']}. Give the same.")
    hashes, known = (
        input_hashes(settings.sequence, model, settings.method, settings.reading),
        before.manifest.get("inputs") or {},
    )
    for name, value in hashes.items():
        if known.get(name) != value:
            what = f"recording than {settings.sequence}" if name == "camera" else f"model than {model}"
            raise InputError(f"{settings.start_from} was fitted to another {what} ({name} differs). Give the same.")
    return hashes


def _spliced(before: Fit, part: Fit, rows: Int[np.ndarray, "M"]) -> Fit:
    """The fit with some frames from another one of the same mesh."""
    arrays: dict[str, Any] = {}
    for name in ("pose_codes", "root_rotation", "root_translation_m", "vertices_world", "residual_m"):
        arrays[name] = getattr(before, name).copy()
        arrays[name][rows] = getattr(part, name)
    new = {int(row): part.observation(k) for k, row in enumerate(rows)}
    seen = [new.get(t) or before.observation(t) for t in range(before.frame_count)]
    arrays["observed_points"] = np.concatenate([one.points_world for one in seen])
    arrays["observed_labels"] = np.concatenate([one.labels for one in seen])
    arrays["matched_points"] = np.concatenate([one.matched_world for one in seen])
    arrays["match_weights"] = np.concatenate([one.match_weights for one in seen])
    reasons = [one.reasons for one in seen if one.reasons is not None]
    # A fit that does not say why it rejected its pairs cannot say it of the other frames.
    arrays["match_reasons"] = np.concatenate(reasons) if len(reasons) == len(seen) else None
    counts = [len(one.labels) for one in seen]
    arrays["observed_offsets"] = np.concatenate([[0], np.cumsum(counts)]).astype(before.observed_offsets.dtype)
    return dataclasses.replace(before, loss_history=part.loss_history, **arrays)
