"""Fit a model to a depth recording."""

from __future__ import annotations

import dataclasses
import hashlib
import json
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
from spams_core.data.recording import read_sequence, read_subject, read_true_parts
from spams_core.data.sequence import DepthSequence, SubjectPoints
from spams_core.data.subject import SubjectSettings
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.fitting.controls import LIVE_WEIGHTS, Controls, WeightChange
from spams_core.fitting.observation import Observation
from spams_core.fitting.result import build_fit
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.solve import Solver
from spams_core.fitting.starts import articulated_start, encoder_start, mean_start
from spams_core.geometry.tsdf import observe_distance
from spams_core.io.archive import hash_file, require_new
from spams_core.models.pose_encoder import read_pose_encoder, require_same_codes
from spams_core.models.segmenter import CloudLabels, agree_on_sides, label_clouds, read_segmenter
from spams_core.models.spam import read_spam
from spams_core.progress import Progress, Task
from spams_core.resources import resource_path
from spams_core.settings import json_ready, parse_frames, settings_to_dict

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

Method = Literal["spam", "npm"]
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

_STORED_POINTS = 3000
"""Observed points that a fit keeps per frame: enough to look at, 100 kB."""


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
    labels: Literal["segmenter", "recording"] = "segmenter"
    """Where the part of each point comes from: the segmenter, or the recording's folder labels/, to tell the error of
    the fit from that of the segmenter."""
    device: DeviceName = "auto"
    """Where to compute."""
    seed: int = 0
    """Seed of every random draw."""
    subject: SubjectSettings = field(default_factory=SubjectSettings)
    """Which readings belong to the subject."""
    solve: SolveSettings | None = None
    """Weights and lengths in detail; without it the preset's."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: it must be 0 or more.")


def default_model(method: Method) -> Path:
    """Folder of the bundled model of a method.

    Raises:
        InputError: No model of this method is bundled.
    """
    if method == "spam":
        return resource_path("models/human")
    try:
        return resource_path("models/human_one_part")
    except InputError as error:
        raise InputError(
            "--method npm needs --model: this installation has no one-part model. Train one: spams train … --one-part."
        ) from error


def _labeller(model: Path, method: Method) -> Path:
    """The segmenter of a fit: the model's own; one part needs no labels, and may borrow the bundled one."""
    own = model / "segmenter"
    if method == "npm" and not own.exists():
        # The predicted canonical coordinates place and align a body of one part all the same.
        return default_model("spam") / "segmenter"
    return own


def live_weights(settings: FitSettings) -> dict[str, float]:
    """The weights with which a fit starts and that its controls may change, by name."""
    solve = settings.solve or PRESETS[settings.preset]
    return {name: float(getattr(solve, name)) for name in LIVE_WEIGHTS}


def fit(settings: FitSettings, controls: Controls | None = None) -> Task[Fit]:
    """Segment, initialise, minimise, extract, write.

    Weights that are changed through `controls` while it runs are written into the manifest as "weight_changes".

    Reports carry the loss terms as metrics and now and then a preview: the model's surface in every frame
    ("vertices_world" [T, V, 3], "faces", "vertex_parts", "frame_indices").

    Raises:
        InputError: Recording, model or output are missing, invalid or do not belong together.
    """
    started = time.perf_counter()
    device = choose_device(settings.device)
    solve = settings.solve or PRESETS[settings.preset]
    require_new(settings.out)
    sequence = read_sequence(settings.sequence, settings.subject)
    chosen = parse_frames(settings.frames, sequence.frame_count)
    frames, interval_s = np.asarray(chosen), chosen.step / sequence.fps
    model = settings.model or default_model(settings.method)
    yield Progress(0, 1, "Loading the model")
    spam = read_spam(model, device)
    if (settings.method == "npm") != (spam.part_count == 1):
        needed = "one part" if settings.method == "npm" else "several parts"
        raise InputError(f"--method {settings.method} needs a model of {needed}; {model} has {spam.part_count}.")
    segmenter = read_segmenter(_labeller(model, settings.method), device)
    if spam.part_count > 1 and segmenter.settings.part_names != spam.settings.part_names:
        raise InputError(f"{model}: segmenter and decoders name different parts. Train them on the same subjects.")
    encoder = None
    if solve.pose_encoder and (model / "encoder").exists():
        encoder = read_pose_encoder(model / "encoder", device)
        require_same_codes(encoder, spam, model / "encoder")
    generator = np.random.default_rng(settings.seed)
    subjects: list[SubjectPoints] = []
    labelled: list[CloudLabels] = []
    for start in range(0, len(frames), 4):
        chunk = [read_subject(sequence, int(t)) for t in frames[start : start + 4]]
        subjects += chunk
        labelled += label_clouds(segmenter, [seen.points_world for seen in chunk], sequence.camera, generator)
        yield Progress(min(start + 4, len(frames)), len(frames), "Labelling the points")
    clouds, times_s = [seen.points_world for seen in subjects], [float(t) / sequence.fps for t in frames]
    labelled = agree_on_sides(labelled, clouds, segmenter.settings.part_names, times_s)
    if settings.labels == "recording":
        labelled = [
            _with_true_parts(sequence, int(t), seen, found)
            for t, seen, found in zip(frames, subjects, labelled, strict=True)
        ]
    if spam.part_count == 1:
        labelled = [dataclasses.replace(found, labels=np.zeros_like(found.labels)) for found in labelled]
    observations = [
        _observe(sequence, int(t), seen, found, device)
        for t, seen, found in zip(frames, subjects, labelled, strict=True)
    ]
    adjacent = torch.full((len(frames) - 1,), interval_s <= _LONGEST_INTERVAL_S)
    random = torch.Generator().manual_seed(settings.seed)
    yield Progress(1, 1, "Placing the body")
    starts = [mean_start(spam, observations)]
    if encoder is not None:
        starts.append(encoder_start(encoder, observations, sequence.camera))
    if solve.articulated:
        starts.append(articulated_start(spam, observations, adjacent, solve, random))
    solver = Solver(spam, observations, adjacent, interval_s, starts, solve, random, controls=controls)
    logger.info("fitting %d frames of %s on %s", len(frames), sequence.name, device)
    solving = solver.run()
    while True:
        try:
            report = next(solving)
        except StopIteration as stop:
            solution = stop.value
            break
        if report.preview:
            report = dataclasses.replace(report, preview={**report.preview, "frame_indices": frames})
        yield report
    observed = []
    for seen, found in zip(subjects, labelled, strict=True):
        rows = generator.permutation(len(seen.points_world))[:_STORED_POINTS]
        observed.append((seen.points_world[rows], seen.normals_world[rows], found.labels[rows].astype(np.int32)))
    manifest: dict[str, Any] = {
        "task": "fit",
        "settings": settings_to_dict(dataclasses.replace(settings, solve=solve)),
        "sequence": str(Path(settings.sequence).resolve()),
        "sequence_name": sequence.name,
        "subject": settings_to_dict(settings.subject),
        "fps": sequence.fps,
        "model": str(Path(model).resolve()),
        "inputs": input_hashes(Path(settings.sequence), Path(model), settings.method),
        "part_names": list(spam.settings.part_names),
        "loss_names": list(solution.loss_names),
        "weight_changes": [dataclasses.asdict(change) for change in solution.weight_changes],
        "method": settings.method,
        "preset": settings.preset,
        "device": str(device),
        "observation_bytes_per_frame": float(np.mean([seen.distance.bytes for seen in observations])),
    }
    yield Progress(1, 1, "Warping the mesh to every frame")
    result = build_fit(
        spam, solution.surface, solution.shape_codes, solution.pose_codes, solution.root_rotation,
        solution.root_translation_m, observed, frames, solution.loss_history, manifest,
        normal_gate_deg=solve.normal_gate_deg,
    )  # fmt: skip
    manifest["seconds_per_frame"] = (time.perf_counter() - started) / len(frames)
    manifest["depth_residual_mm"] = float(1000 * np.nanmedian(result.residual_m))
    write_fit(settings.out, result)
    return result


def _with_true_parts(sequence: DepthSequence, t: int, seen: SubjectPoints, found: CloudLabels) -> CloudLabels:
    """The labels of the recording where it has any, those of the segmenter elsewhere."""
    truth = read_true_parts(sequence, t, seen, found.probabilities.shape[1])
    if truth is None:
        raise InputError(f"{sequence.name} has no folder labels/ with true parts. Fit it with --labels segmenter.")
    return dataclasses.replace(found, labels=np.where(truth >= 0, truth, found.labels).astype(np.int32))


def _observe(
    sequence: DepthSequence, t: int, seen: SubjectPoints, found: CloudLabels, device: torch.device
) -> Observation:
    depth_m, mask = sequence.read_depth_m(t), sequence.read_mask(t)
    parts = np.full(depth_m.shape, -1, dtype=np.int8)
    parts[seen.pixels[:, 1], seen.pixels[:, 0]] = found.labels
    spread = torch.from_numpy(found.canonical_sigma).float()
    return Observation(
        torch.from_numpy(seen.points_world).to(device),
        torch.from_numpy(seen.normals_world).to(device),
        torch.from_numpy(found.labels.astype(np.int64)).to(device),
        torch.from_numpy(found.canonical).float().to(device),
        # 0.05 units, 6 cm, is a usual error; points that are much surer do not outweigh all others.
        (1 / (1 + (spread / 0.05).square())).to(device),
        observe_distance(depth_m, mask, sequence.camera, parts, device),
    )


def input_hashes(sequence: Path, model: Path, method: Method) -> dict[str, str]:
    """Hashes of what a fit is made from: the camera, the model's networks, and the segmenter where it is borrowed."""
    files = {"camera": sequence / "camera.json"} if (sequence / "camera.json").is_file() else {}
    files |= {f"model/{part.parent.name}": part for part in sorted(model.glob("*/arrays.safetensors"))}
    labeller = _labeller(model, method)
    if labeller.parent != model:
        files["bundled/segmenter"] = labeller / "arrays.safetensors"
    hashes = {name: hash_file(path) for name, path in files.items()}
    if "camera" not in hashes:
        camera = json.dumps(json_ready(read_sequence(sequence).camera), sort_keys=True)
        hashes["camera"] = hashlib.sha256(camera.encode()).hexdigest()
    return hashes
