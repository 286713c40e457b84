"""Train one network of a model from subjects."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tyro.conf import Positional

from spams_core.data.subjects import Subjects, read_subjects
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.io.archive import hash_file
from spams_core.models.spam import COMPACT, ONE_PART, PAPER, Network, Spam, SpamSettings, read_spam, write_network
from spams_core.progress import Task
from spams_core.settings import settings_to_dict
from spams_core.training.loop import History, LoopSettings, run_training
from spams_core.training.parts import PartsProblem, PartsTraining
from spams_core.training.pose import PoseProblem, PoseTraining
from spams_core.training.pose_encoder import train_pose_encoder
from spams_core.training.segmenter import train_segmenter
from spams_core.training.shape import ShapeProblem, ShapeTraining

__all__ = ["PRESETS", "Preset", "TrainSettings", "Trained", "train"]

logger = logging.getLogger(__name__)

PresetName = Literal["compact", "paper"]


@dataclass(frozen=True)
class Preset:
    """Model sizes, batches and lengths that belong together.

    Attributes:
        model: Sizes of the part-based model.
        shape, parts, pose: Batches, rates and weights per network.
        steps: Optimiser steps per network.
    """

    model: SpamSettings
    shape: ShapeTraining
    parts: PartsTraining
    pose: PoseTraining
    steps: Mapping[str, int]


PRESETS: dict[PresetName, Preset] = {
    "compact": Preset(
        COMPACT,
        ShapeTraining(),
        PartsTraining(),
        PoseTraining(instances=48, points=32),
        {"shape": 5_000, "parts": 2_000, "pose": 9_000, "segmenter": 5_600, "encoder": 5_000},
    ),
    # The paper's learning rates: 1e-4 for the networks, 1e-3 for the codes.
    "paper": Preset(
        PAPER,
        ShapeTraining(
            identities=16, surface_points=512, off_points=512, network_rate=1e-4, code_rate=1e-3, code_start="random"
        ),
        PartsTraining(identities=16, points=4096, network_rate=1e-4),
        PoseTraining(instances=32, points=512, network_rate=1e-4, code_rate=1e-3, code_start="random"),
        {"shape": 100_000, "parts": 30_000, "pose": 200_000, "segmenter": 100_000, "encoder": 100_000},
    ),
}
"""What `--preset` chooses from."""

_ONE_PART_POINTS = 3
"""A step of the baseline sees so many times the points of its one part: it then takes about as long as one of ours."""

_DECODERS = ("shape", "parts", "pose")
"""The networks that subjects train; the others see clouds."""


@dataclass(frozen=True)
class TrainSettings:
    """Train one network; shape comes first, parts and pose build on its codes, the encoder on those of pose."""

    network: Positional[Literal["parts", "shape", "pose", "segmenter", "encoder"]]
    """Which network to train."""
    data: Path
    """Subjects archive from 'spams generate'; for segmenter and encoder the partial clouds made from it."""
    out: Path
    """Model folder; the network goes into a sub-folder of its name, checkpoints beside it."""
    preset: PresetName = "compact"
    """Sizes and lengths: compact trains on two CPU cores, paper has the paper's sizes and wants a GPU."""
    one_part: bool = False
    """Train the one-part baseline (NPMs) with about the same number of weights."""
    steps: int = 0
    """Optimiser steps; 0 takes the preset's."""
    rate: float = 1.0
    """Factor on the decoders' learning rate (not the codes'): wide ones that train for long want less."""
    checkpoint_every_s: float = 120.0
    """Seconds between checkpoints; a killed training goes on when the command is given again."""
    device: DeviceName = "auto"
    """Where to compute."""
    seed: int = 0
    """Seed of initial values and batches."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise InputError("--steps must be 0 (the preset's number) or more.")
        if not 0 < self.rate < math.inf:
            raise InputError(f"--rate is {self.rate}; it is a factor. Give a positive number.")
        if self.rate != 1 and self.network not in _DECODERS:
            raise InputError(f"--rate is for decoders; {self.network} has none. Leave it out.")
        if self.one_part and self.network == "parts":
            raise InputError("A one-part model has no part decoder. Train shape and pose only.")


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        path: Its archive.
        history: Training curves.
    """

    path: Path
    history: History

    def summary(self) -> dict[str, Any]:
        """Where it lies and its last figures."""
        last = self.history.validation[-1][1] if self.history.validation else {}
        return {"path": str(self.path), "steps": self.history.steps, "seconds": self.history.seconds, **last}


def train(settings: TrainSettings) -> Task[Trained]:
    """Train a network, or go on with a training that was killed.

    Raises:
        InputError: Subjects, model or checkpoint are missing, corrupted or do not belong together.
    """
    device = choose_device(settings.device)
    preset = PRESETS[settings.preset]
    if settings.network == "segmenter":
        return (yield from _train_on_clouds(settings, train_segmenter, device))
    if settings.network == "encoder":
        return (yield from _train_on_clouds(settings, train_pose_encoder, device))
    subjects = read_subjects(settings.data)
    model_settings = preset.model
    if settings.one_part:
        sizes = ONE_PART if settings.preset == "compact" else replace(PAPER, part_names=("body",))
        model_settings, subjects = sizes, _as_one_part(subjects)
        preset = replace(
            preset,
            shape=replace(
                preset.shape,
                surface_points=_ONE_PART_POINTS * preset.shape.surface_points,
                off_points=_ONE_PART_POINTS * preset.shape.off_points,
            ),
            pose=replace(preset.pose, points=_ONE_PART_POINTS * preset.pose.points),
        )
    elif subjects.part_names != model_settings.part_names:
        model_settings = replace(model_settings, part_names=subjects.part_names)
    model_settings = replace(model_settings, canonical_per_metre=subjects.canonical_per_metre)
    preset = replace(preset, **{name: _with_rate(getattr(preset, name), settings.rate) for name in _DECODERS})
    if settings.network == "shape":
        spam = Spam(model_settings, seed=settings.seed).to(device)
    else:
        spam = read_spam(settings.out, device, networks=("shape",)).train()
        if spam.settings != model_settings:
            raise InputError(f"{settings.out / 'shape'} has other sizes than preset {settings.preset!r} gives here.")
    problems: dict[str, Callable[[], ShapeProblem | PartsProblem | PoseProblem]] = {
        "shape": lambda: ShapeProblem(spam, subjects, preset.shape, settings.seed),
        "parts": lambda: PartsProblem(spam, subjects, preset.parts, settings.seed),
        "pose": lambda: PoseProblem(spam, subjects, preset.pose, settings.seed),
    }
    network: Network = settings.network
    problem = problems[network]()
    problem.module.requires_grad_(True)
    loop = LoopSettings(settings.steps or preset.steps[network], checkpoint_every_s=settings.checkpoint_every_s)
    data_hash = hash_file(settings.data / "arrays.safetensors")
    training = settings_to_dict(getattr(preset, network))
    fingerprint = {
        "data": data_hash, "network": network, "training": training, "model": settings_to_dict(model_settings),
        "seed": settings.seed,
    }  # fmt: skip
    logger.info("training %s on %s, %d steps", network, device, loop.steps)
    history = yield from run_training(
        problem, loop, settings.out / "checkpoints" / network, seed=settings.seed, fingerprint=fingerprint
    )
    problem.finish()
    manifest = {
        "training": training, "loop": settings_to_dict(loop), "seed": settings.seed, "data_sha256": data_hash,
        "history": history.manifest(), "torch": torch.__version__,
        **{key: subjects.archive.manifest[key] for key in ("parts",) if key in subjects.archive.manifest},
    }  # fmt: skip
    write_network(settings.out, network, spam, manifest)
    return Trained(settings.out / network, history)


def _train_on_clouds(
    settings: TrainSettings, train_network: Callable[..., Task[tuple[Path, History]]], device: torch.device
) -> Task[Trained]:
    steps = settings.steps or PRESETS[settings.preset].steps[settings.network]
    path, history = yield from train_network(
        settings.data, settings.out, preset=settings.preset, steps=steps,
        checkpoint_every_s=settings.checkpoint_every_s, device=device, seed=settings.seed,
    )  # fmt: skip
    return Trained(path, history)


def _with_rate(training: Any, factor: float) -> Any:
    return replace(training, network_rate=factor * training.network_rate)


def _as_one_part(subjects: Subjects) -> Subjects:
    ones = np.ones((len(subjects.part_weights), 1), dtype=np.float32)
    return replace(subjects, part_names=("body",), part_weights=ones)
