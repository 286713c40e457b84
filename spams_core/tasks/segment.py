"""Label the subject's points in a recording with body parts."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from tyro.conf import Positional

from spams_core.data.recording import ReadingSettings, read_sequence, read_subject, read_true_parts
from spams_core.data.saved_settings import Saved, with_saved
from spams_core.data.sequence import SubjectPoints, enlarge
from spams_core.data.subject import SubjectSettings
from spams_core.device import DeviceName, choose_device
from spams_core.frames import enlargement
from spams_core.io.archive import hash_file, require_new, write_archive
from spams_core.metrics.labels import label_accuracy
from spams_core.models.segmenter import CloudLabels, agree_on_sides, label_clouds, read_segmenter
from spams_core.progress import Progress, Task
from spams_core.resources import resource_path
from spams_core.settings import parse_frames, settings_to_dict

__all__ = ["SegmentSettings", "Segmentation", "segment"]

logger = logging.getLogger(__name__)

_FRAMES_AT_ONCE = 4
"""Frames per pass of the network: more save no time on a CPU and delay the first result."""

_UNKNOWN = -1
"""In place of a part where a label image says nothing."""


@dataclass(frozen=True)
class SegmentSettings:
    """Label the subject of a recording with body parts."""

    sequence: Positional[Path]
    """Recording: a folder with camera.json and depth, or another format that the guide lists."""
    out: Path | None = None
    """Folder to write points, labels and confidences to; it must not exist."""
    model: Path | None = None
    """Model folder; the bundled human model when left out."""
    frames: str = ":"
    """Frames to label, as a:b:step or one number."""
    device: DeviceName = "auto"
    """Where to compute."""
    seed: int = 0
    """Seeds the choice of the points that the network sees."""
    subject: SubjectSettings = field(default_factory=SubjectSettings)
    """Which readings belong to the subject."""
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    """What the recording leaves open, or states wrongly."""
    saved: Saved = "use"
    """Whether settings that the window saved beside the recording, as NAME.subject.json, count where none are given."""


@dataclass(frozen=True)
class Segmentation:
    """Labelled points of T frames.

    Attributes:
        part_names: Names of the Q parts.
        frame_indices: [T] frames of the recording.
        points_world: Per frame [N, 3] metres.
        labels: Per frame [N] most probable part.
        confidences: Per frame [N] its probability.
        accuracy: Share of right labels where the recording has label images, else None.
    """

    part_names: tuple[str, ...]
    frame_indices: Int[np.ndarray, "T"]
    points_world: list[Float[np.ndarray, "N 3"]]
    labels: list[Int[np.ndarray, "N"]]
    confidences: list[Float[np.ndarray, "N"]]
    accuracy: float | None

    def summary(self) -> dict[str, Any]:
        """Frames, points, the share of each part, and the accuracy where it is known."""
        counts = np.bincount(np.concatenate(self.labels), minlength=len(self.part_names))
        shares = {name: float(count / counts.sum()) for name, count in zip(self.part_names, counts, strict=True)}
        return {
            "frames": len(self.frame_indices), "points": int(counts.sum()), "part_shares": shares,
            "mean_confidence": float(np.concatenate(self.confidences).mean()), "segmentation_accuracy": self.accuracy,
        }  # fmt: skip


def segment(settings: SegmentSettings) -> Task[Segmentation]:
    """Label every point of the subject in the chosen frames.

    Reports once per frame; the preview holds `frame` [1], `points_world` [N, 3], `labels` [N] and `confidences` [N],
    their probabilities, as this frame alone suggests them. In the result, all frames agree on what is left and right.

    Raises:
        InputError: The recording or the model is missing or broken, a frame shows no subject, the frames choose
            nothing, or `out` exists or cannot be written.
    """
    device = choose_device(settings.device)
    if settings.out is not None:
        require_new(settings.out)
    known = with_saved(settings.sequence, settings.saved, settings.subject, settings.reading)
    sequence = read_sequence(settings.sequence, known.subject, known.reading)
    frames = parse_frames(settings.frames, sequence.frame_count)
    model = (settings.model or resource_path("models/human")) / "segmenter"
    segmenter = read_segmenter(model, device)
    enlarged = enlargement(segmenter.settings.canonical_per_metre)
    sequence = enlarge(sequence, enlarged)
    generator = np.random.default_rng(settings.seed)
    part_names = segmenter.settings.part_names
    logger.info("labelling %d frames of %s with %s", len(frames), sequence.name, model)

    subjects: list[SubjectPoints] = []
    results: list[CloudLabels] = []
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        some = frames[start : start + _FRAMES_AT_ONCE]
        read = [read_subject(sequence, t) for t in some]
        found = label_clouds(segmenter, [subject.points_world for subject in read], sequence.camera, generator)
        for t, subject, result in zip(some, read, found, strict=True):
            subjects.append(subject)
            results.append(result)
            confidences = result.probabilities.max(1)
            metrics = {"confidence": float(confidences.mean())}
            preview = {
                "frame": np.array([t]), "points_world": subject.points_world / enlarged, "labels": result.labels,
                "confidences": confidences,
            }  # fmt: skip
            yield Progress(len(results), len(frames), f"Label frame {sequence.frame_names[t]}", metrics, preview)
    clouds = [subject.points_world for subject in subjects]
    results = agree_on_sides(results, clouds, part_names, [t / sequence.fps for t in frames])

    truths, predictions = [], []
    for t, subject, result in zip(frames, subjects, results, strict=True):
        truth = read_true_parts(sequence, t, subject, len(part_names))
        if truth is not None:
            truths.append(truth[truth != _UNKNOWN])
            predictions.append(result.labels[truth != _UNKNOWN])
    labelled = sum(map(len, truths))
    segmentation = Segmentation(
        part_names,
        np.array(frames, dtype=np.int32),
        [points / np.float32(enlarged) for points in clouds],
        [result.labels for result in results],
        [result.probabilities.max(1) for result in results],
        label_accuracy(np.concatenate(predictions), np.concatenate(truths)) if labelled else None,
    )
    if settings.out is not None:
        _write(settings.out, segmentation, settings, model)
    return segmentation


def _write(out: Path, segmentation: Segmentation, settings: SegmentSettings, model: Path) -> None:
    counts = [len(labels) for labels in segmentation.labels]
    arrays = {
        "frame_indices": segmentation.frame_indices,
        "offsets": np.cumsum([0, *counts]).astype(np.int64),
        "points_world": np.concatenate(segmentation.points_world),
        "labels": np.concatenate(segmentation.labels).astype(np.uint8),
        "confidences": np.concatenate(segmentation.confidences),
    }
    manifest = {
        "task": "segment",
        "settings": settings_to_dict(settings),
        "part_names": list(segmentation.part_names),
        "model_sha256": hash_file(model / "arrays.safetensors"),
        "metrics": segmentation.summary(),
    }
    write_archive(out, "segmentation", manifest, arrays)
