"""Fit a model to a depth recording."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tyro.conf import Positional

from spams_core.data.fit import Fit, write_fit
from spams_core.data.recording import ReadingSettings, read_sequence
from spams_core.data.saved_settings import Saved, with_saved
from spams_core.data.sequence import enlarge
from spams_core.data.subject import SubjectSettings
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.fitting.controls import LIVE_WEIGHTS, Controls, WeightChange
from spams_core.fitting.result import build_fit
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.solve import Solver
from spams_core.fitting.starts import articulated_start, encoder_start, mean_start
from spams_core.frames import enlargement
from spams_core.io.archive import read_archive, require_new
from spams_core.models.pose_encoder import read_pose_encoder, require_same_codes
from spams_core.models.spam import read_spam
from spams_core.progress import Progress, Task
from spams_core.resources import remember_parts
from spams_core.settings import parse_frames, settings_to_dict
from spams_core.tasks.observing import (
    LabelSource,
    Method,
    default_model,
    in_metres,
    input_hashes,
    observe_frames,
    read_matching_segmenter,
    stored_points,
    tell_frames,
)
from spams_core.tasks.refit import refit
from spams_core.tasks.resuming import Checkpoints, kept_weights

__all__ = [
    "LIVE_WEIGHTS",
    "PRESETS",
    "Controls",
    "FitSettings",
    "Method",
    "Preset",
    "WeightChange",
    "default_model",
    "fit",
    "input_hashes",
    "live_weights",
]

logger = logging.getLogger(__name__)

Preset = Literal["fast", "accurate", "paper"]

PRESETS: Mapping[Preset, SolveSettings] = {
    "fast": SolveSettings(),
    "accurate": SolveSettings(
        rounds=6, joint_rounds=16, part_points=96, surface_points=64, match_resolution=128, mesh_resolution=192
    ),
    # 20k points per frame and 500k around the canonical surface over the rounds, as in the paper.
    "paper": SolveSettings(
        rounds=15, joint_rounds=35, iterations=10, part_points=3334, surface_points=1667, match_resolution=128,
        mesh_resolution=256, window=1,
    ),
}  # fmt: skip
"""What `--preset` chooses from."""

_LONGEST_INTERVAL_S = 0.25
"""Frames farther apart in time say nothing of each other's motion."""


@dataclass(frozen=True)
class FitSettings:
    """Fit a model to a depth recording and write the result as a fit archive."""

    sequence: Positional[Path]
    """Recording: a folder with camera.json and depth/, or another format that the guide lists."""
    out: Path
    """Where the fit goes; a new folder."""
    model: Path | None = None
    """Model folder; without it the bundled human model of the method."""
    method: Method = "spam"
    """Part-based model, or the one-part baseline (NPMs)."""
    preset: Preset = "fast"
    """How long and how finely to fit; paper has the paper's sizes and wants a GPU."""
    frames: str = ":"
    """Frames to fit, as start:stop:step."""
    labels: LabelSource = "segmenter"
    """Where the part of each point comes from: the segmenter, or the recording's folder labels/, to tell the error of
    the fit from that of the segmenter."""
    device: DeviceName = "auto"
    """Where to compute."""
    seed: int = 0
    """Seed of every random draw."""
    subject: SubjectSettings = field(default_factory=SubjectSettings)
    """Which readings belong to the subject."""
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    """What the recording leaves open, or states wrongly."""
    saved: Saved = "use"
    """Whether settings that the window saved beside the recording, as NAME.subject.json, count where none are given."""
    solve: SolveSettings | None = None
    """Weights and lengths in detail; without it the preset's."""
    start_from: Path | None = None
    """A fit of this recording whose chosen frames are fitted anew, from their neighbours and with its shape; all other
    frames are taken over as they are."""
    reseed: tuple[str, ...] = ()
    """Parts that start anew in these frames, from the neighbours' or the mean pose; without names the whole body does.
    """
    history: bool = True
    """Keep the body after each round, so that the window can show how the fit came about."""
    resume: bool = False
    """Go on with a fit to the same folder that was interrupted, from the last round that OUT.part keeps."""
    checkpoint_every_s: float = 20.0
    """Seconds between checkpoints in OUT.part, at least; they are made between two rounds."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: it must be 0 or more.")
        if self.reseed and self.start_from is None:
            raise InputError("--reseed needs --start-from, the fit whose parts start anew.")
        if not self.checkpoint_every_s >= 0:
            raise InputError(f"--checkpoint-every-s {self.checkpoint_every_s}: it must be 0 or more.")


def live_weights(settings: FitSettings) -> dict[str, float]:
    """The weights with which a fit starts, or goes on, and that its controls may change, by name."""
    solve = settings.solve or PRESETS[settings.preset]
    return {name: float(getattr(solve, name)) for name in LIVE_WEIGHTS} | kept_weights(settings)


def fit(settings: FitSettings, controls: Controls | None = None) -> Task[Fit]:
    """Segment, initialise, minimise, extract, write.

    Weights that are changed through `controls` while it runs are written into the manifest as "weight_changes".

    While it runs, the folder OUT.part keeps its last round; `resume` goes on from there, and on the same computer ends
    bit for bit where the fit would have ended without the interruption.

    Reports carry the loss terms as metrics and now and then a preview: the model's surface in every frame
    ("vertices_world" [T, V, 3], "faces", "vertex_parts", "frame_indices").

    Raises:
        InputError: Recording, model or output are missing, invalid or do not belong together; an interrupted fit to the
            same folder is there and `resume` is not set, or it is of other settings, recording or model, or damaged.
    """
    solve = settings.solve or PRESETS[settings.preset]
    require_new(settings.out)
    with Checkpoints(settings) as checkpoints:
        task = _fit if settings.start_from is None else refit
        result = yield from task(settings, solve, checkpoints, controls)
        checkpoints.remove()
    return result


def _fit(settings: FitSettings, solve: SolveSettings, checkpoints: Checkpoints, controls: Controls | None) -> Task[Fit]:
    """All frames."""
    started = time.perf_counter() - checkpoints.seconds_before
    device = choose_device(settings.device)
    known = with_saved(settings.sequence, settings.saved, settings.subject, settings.reading)
    settings = dataclasses.replace(settings, subject=known.subject, reading=known.reading, saved="ignore")
    sequence = read_sequence(settings.sequence, settings.subject, settings.reading)
    chosen = parse_frames(settings.frames, sequence.frame_count)
    frames, interval_s = np.asarray(chosen), chosen.step / sequence.fps
    model = settings.model or default_model(settings.method)
    yield Progress(0, 1, "Loading the model")
    spam = read_spam(model, device)
    if (settings.method == "npm") != (spam.part_count == 1):
        needed = "one part" if settings.method == "npm" else "several parts"
        raise InputError(f"--method {settings.method} needs a model of {needed}; {model} has {spam.part_count}.")
    segmenter = read_matching_segmenter(model, settings.method, spam, device)
    enlarged = enlargement(spam.settings.canonical_per_metre)
    sequence = enlarge(sequence, enlarged)
    encoder = None
    if solve.pose_encoder and (model / "encoder").exists():
        encoder = read_pose_encoder(model / "encoder", device)
        require_same_codes(encoder, spam, model / "encoder")
    inputs = input_hashes(Path(settings.sequence), Path(model), settings.method, settings.reading)
    checkpoints.begin(settings, solve, inputs, frames, device)
    generator = np.random.default_rng(settings.seed)
    subjects, labelled, observations = yield from observe_frames(
        sequence, frames, segmenter, settings.labels, spam, generator, device
    )
    adjacent = torch.full((len(frames) - 1,), interval_s <= _LONGEST_INTERVAL_S)
    random = torch.Generator().manual_seed(settings.seed)
    state = checkpoints.resume(subjects)
    yield Progress(0, 1, "Placing the body")
    starts = []
    if state is None:
        starts.append(mean_start(spam, observations))
        if encoder is not None:
            starts.append(encoder_start(encoder, observations, sequence.camera))
        if solve.articulated:
            starts.append(articulated_start(spam, observations, adjacent, solve, random))
    solver = Solver(
        spam, observations, adjacent, interval_s, starts, solve, random, controls=controls,
        keep_rounds=settings.history, state=state, keep_state=checkpoints.keep,
    )  # fmt: skip
    logger.info("fitting %d frames of %s on %s", len(frames), sequence.name, device)
    solution = yield from tell_frames(solver.run(), frames, enlarged)
    observed = [stored_points(*pair, generator, enlarged) for pair in zip(subjects, labelled, strict=True)]
    manifest: dict[str, Any] = {
        "task": "fit",
        "settings": settings_to_dict(dataclasses.replace(settings, solve=solve, resume=False)),
        "sequence": str(Path(settings.sequence).resolve()),
        "sequence_name": sequence.name,
        "subject": settings_to_dict(settings.subject),
        "reading": settings_to_dict(settings.reading),
        "fps": sequence.fps,
        "model": str(Path(model).resolve()),
        "inputs": inputs,
        "part_names": list(spam.settings.part_names),
        "canonical_per_metre": spam.settings.canonical_per_metre,
        "loss_names": list(solution.loss_names),
        "weight_changes": [dataclasses.asdict(change) for change in solution.weight_changes],
        "method": settings.method,
        "preset": settings.preset,
        "device": str(device),
        "observation_bytes_per_frame": float(np.mean([seen.distance.bytes for seen in observations])),
    }
    parts = remember_parts(read_archive(Path(model) / "shape").manifest)
    manifest |= {} if parts is None else {"parts": parts}
    yield Progress(1, 1, "Warping the mesh to every frame")
    result = build_fit(
        spam, solution.surface, solution.shape_codes, solution.pose_codes, solution.root_rotation,
        solution.root_translation_m / enlarged, observed, frames, solution.loss_history, manifest,
        normal_gate_deg=solve.normal_gate_deg, eye_world=sequence.camera.world_from_camera[:3, 3] / enlarged,
    )  # fmt: skip
    result = dataclasses.replace(result, history=in_metres(solution.rounds, enlarged))
    manifest["seconds_per_frame"] = (time.perf_counter() - started) / len(frames)
    manifest["depth_residual_mm"] = float(1000 * np.nanmedian(result.residual_m))
    write_fit(settings.out, result)
    return result
