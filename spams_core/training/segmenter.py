"""Training of the point segmenter: what a partial cloud may look like, its losses, and the run as a task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from spams_core.data.subjects import SPLITS, Split
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.io.archive import Archive, hash_file, read_archive
from spams_core.models.segmenter import COMPACT, PAPER, Segmenter, SegmenterSettings, write_segmenter
from spams_core.progress import Task
from spams_core.settings import settings_to_dict
from spams_core.training.loop import LoopSettings, run_training

__all__ = [
    "AugmentSettings",
    "Clouds",
    "SegmenterProblem",
    "SegmenterTrainSettings",
    "augment",
    "canonical_loss",
    "mirrored_parts",
    "read_clouds",
    "train_segmenter",
]


@dataclass(frozen=True)
class AugmentSettings:
    """What real recordings do to a cloud that rendered ones don't show; all draws are uniform up to these values."""

    tilt_degrees: float = 12.0
    """Largest tilt about the horizontal axes, for cameras whose pitch and roll are unknown."""
    yaw_degrees: float = 10.0
    """Largest turn about the vertical axis; the data hold all yaws, so this only fills gaps."""
    scale: float = 0.05
    """Largest relative error of the scale, for estimated intrinsics."""
    jitter_m: float = 0.008
    """Largest standard deviation of independent noise per point."""
    bend_m: float = 0.02
    """Largest standard deviation of a smooth displacement field, for clothes, hair and warped depth."""
    cut_probability: float = 0.4
    """How often a half-space is missing, as behind furniture or outside the image."""
    hole_probability: float = 0.4
    """How often a ball is missing, as behind an object."""
    least_points: int = 512
    """Fewest points of a batch's clouds."""
    mirror: bool = True
    """Whether half of the clouds are mirrored; their left and right parts swap."""

    def __post_init__(self) -> None:
        if min(self.tilt_degrees, self.yaw_degrees, self.scale, self.jitter_m, self.bend_m) < 0 or self.scale >= 1:
            raise InputError("augmentation: angles and distances must not be negative, and scale must be below 1.")
        if not (0 <= self.cut_probability <= 1 and 0 <= self.hole_probability <= 1) or self.least_points < 1:
            raise InputError("augmentation: probabilities must lie in [0, 1], least_points must be positive.")


@dataclass(frozen=True)
class SegmenterTrainSettings:
    """Training of the point segmenter on rendered partial clouds."""

    clouds: Path
    """Archive of partial clouds."""
    out: Path
    """Folder for the checkpoint and, at the end, the model."""
    preset: Literal["compact", "paper"] = "compact"
    """Size of the network."""
    batch: int = 16
    """Clouds of one step."""
    learning_rate: float = 2e-3
    """Adam's highest rate."""
    warmup_steps: int = 100
    """Steps over which the loss grows to its full weight, which steadies the first statistics."""
    label_smoothing: float = 0.02
    """Share of a label that goes to all parts alike."""
    canonical_weight: float = 0.3
    """Weight of the canonical coordinates against the labels."""
    validation_clouds: int = 128
    """Clouds of a validation."""
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    """Augmentation."""
    loop: LoopSettings = field(default_factory=lambda: LoopSettings(steps=4000, validate_every=250))
    """Length and rhythm."""
    device: DeviceName = "auto"
    """Where to compute."""
    seed: int = 0
    """Seeds weights and batches."""

    def __post_init__(self) -> None:
        if min(self.batch, self.validation_clouds) < 1 or min(self.learning_rate, self.canonical_weight) <= 0:
            raise InputError("training: batch, validation_clouds, learning_rate and canonical_weight must be positive.")
        if not 0 <= self.label_smoothing < 1:
            raise InputError("training: label_smoothing must lie in [0, 1).")
