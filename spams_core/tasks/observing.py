"""What a fit sees of a recording: labelled points and observed distances; and which networks it needs for that."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int

from spams_core.data.fit_history import FitHistory
from spams_core.data.recording import ReadingSettings, read_sequence, read_subject, read_true_parts
from spams_core.data.sequence import DepthSequence, SubjectPoints
from spams_core.errors import InputError
from spams_core.fitting.observation import Observation
from spams_core.fitting.result import Observed
from spams_core.frames import enlargement
from spams_core.geometry.tsdf import observe_distance
from spams_core.io.archive import hash_file
from spams_core.models.segmenter import CloudLabels, Segmenter, agree_on_sides, label_clouds, read_segmenter
from spams_core.models.spam import Spam
from spams_core.progress import Progress, Task
from spams_core.resources import resource_path
from spams_core.settings import json_ready

__all__ = [
    "LabelSource",
    "Method",
    "default_model",
    "in_metres",
    "input_hashes",
    "observe_frames",
    "read_matching_segmenter",
    "stored_points",
    "tell_frames",
]

Method = Literal["spam", "npm"]
LabelSource = Literal["segmenter", "recording"]
Result = TypeVar("Result")

_STORED_POINTS = 3000
"""Observed points that a fit keeps per frame: enough to look at, 100 kB."""


_SMALLEST_M, _PERSON_M, _LARGEST_M = 0.25, 1.7, 9.0


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


def read_matching_segmenter(model: Path, method: Method, spam: Spam, device: torch.device) -> Segmenter:
    """The segmenter of a model.

    Raises:
        InputError: It is missing or corrupted, or names other parts than the model.
    """
    segmenter = read_segmenter(_labeller(model, method), device)
    if spam.part_count > 1 and segmenter.settings.part_names != spam.settings.part_names:
        raise InputError(f"{model}: segmenter and decoders name different parts. Train them on the same subjects.")
    if segmenter.settings.canonical_per_metre != spam.settings.canonical_per_metre:
        raise InputError(
            f"{_labeller(model, method)} was trained on subjects of another scale than {model}. Train a segmenter of "
            "its own on clouds of the same subjects: spams train segmenter."
        )
    return segmenter


def observe_frames(
    sequence: DepthSequence,
    frames: Int[np.ndarray, "T"],
    segmenter: Segmenter,
    labels: LabelSource,
    spam: Spam,
    generator: np.random.Generator,
    device: torch.device,
) -> Task[tuple[list[SubjectPoints], list[CloudLabels], list[Observation]]]:
    """Read and label the points of some frames, and prepare what the energy compares with.

    Args:
        sequence: Enlarged as the model's subjects need it.

    Raises:
        InputError: What is seen is far larger or smaller than the model's subjects, a frame shows no subject, or there
            are no labels where the recording's are wanted.
    """
    subjects: list[SubjectPoints] = []
    labelled: list[CloudLabels] = []
    for start in range(0, len(frames), 4):
        chunk = [read_subject(sequence, int(t)) for t in frames[start : start + 4]]
        subjects += chunk
        labelled += label_clouds(segmenter, [seen.points_world for seen in chunk], sequence.camera, generator)
        yield Progress(min(start + 4, len(frames)), len(frames), "Labelling the points")
    clouds, times_s = [seen.points_world for seen in subjects], [float(t) / sequence.fps for t in frames]
    _require_size(clouds, sequence.name, enlargement(spam.settings.canonical_per_metre))
    labelled = agree_on_sides(labelled, clouds, segmenter.settings.part_names, times_s)
    if labels == "recording":
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
    return subjects, labelled, observations


def _require_size(clouds: Sequence[Float[np.ndarray, "N 3"]], name: str, enlarged: float) -> None:
    """Refuse subjects that cannot be the model's: parts of one may be out of sight, and some room may be in view."""
    size = float(np.median([np.ptp(points, axis=0).max() for points in clouds]))
    if not _SMALLEST_M < size < _LARGEST_M:
        raise InputError(
            f"{name}: what is seen is {size / enlarged:.2g} m large, but the model knows subjects of about "
            f"{_PERSON_M / enlarged:.2g} m. Choose the model of this subject (--model), correct depth_scale (spams "
            "inspect tells more), or say what the subject is (--subject)."
        )


def stored_points(
    seen: SubjectPoints, found: CloudLabels, generator: np.random.Generator, enlarged: float = 1.0
) -> Observed:
    """Some of a frame's points, their normals and labels, as a fit keeps them: in metres of the recording."""
    rows = generator.permutation(len(seen.points_world))[:_STORED_POINTS]
    return seen.points_world[rows] / np.float32(enlarged), seen.normals_world[rows], found.labels[rows].astype(np.int32)


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


def input_hashes(sequence: Path, model: Path, method: Method, reading: ReadingSettings | None = None) -> dict[str, str]:
    """Hashes of what a fit is made from: the camera, the model's networks, and the segmenter where it is borrowed."""
    files = {"camera": sequence / "camera.json"} if (sequence / "camera.json").is_file() else {}
    files |= {f"model/{part.parent.name}": part for part in sorted(model.glob("*/arrays.safetensors"))}
    labeller = _labeller(model, method)
    if labeller.parent != model:
        files["bundled/segmenter"] = labeller / "arrays.safetensors"
    hashes = {name: hash_file(path) for name, path in files.items()}
    if "camera" not in hashes:
        camera = json.dumps(json_ready(read_sequence(sequence, reading=reading).camera), sort_keys=True)
        hashes["camera"] = hashlib.sha256(camera.encode()).hexdigest()
    return hashes


def in_metres(rounds: FitHistory | None, enlarged: float) -> FitHistory | None:
    """The rounds of a fit, with its roots where the recording has them."""
    if rounds is None:
        return None
    return dataclasses.replace(rounds, root_translation_m=rounds.root_translation_m / np.float32(enlarged))


def tell_frames(solving: Task[Result], frames: Int[np.ndarray, "T"], enlarged: float = 1.0) -> Task[Result]:
    """What a solver reports, its previews in the recording's metres and with its frames ("frame_indices")."""
    while True:
        try:
            report = next(solving)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        if report.preview:
            shown = {"vertices_world": report.preview["vertices_world"] / enlarged, "frame_indices": frames}
            report = dataclasses.replace(report, preview={**report.preview, **shown})
        yield report
