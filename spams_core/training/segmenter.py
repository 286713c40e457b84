"""Training of the point segmenter: what a partial cloud may look like, its losses, and the run as a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from spams_core.data.subjects import SPLITS, Split
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.io.archive import Archive, hash_file, read_archive
from spams_core.models.segmenter import COMPACT, PAPER, Segmenter, mirrored_parts, write_segmenter
from spams_core.progress import Task
from spams_core.settings import settings_to_dict
from spams_core.training.augment import AugmentSettings, distort
from spams_core.training.loop import History, LoopSettings, run_training

__all__ = [
    "Clouds",
    "SegmenterProblem",
    "SegmenterTraining",
    "augment",
    "canonical_loss",
    "read_clouds",
    "train_segmenter",
]

VALIDATE_EVERY = 250
"""Steps between validations."""


@dataclass(frozen=True)
class SegmenterTraining:
    """Batches, rate and weights of the point segmenter."""

    batch: int = 16
    """Clouds of one step."""
    ramp: float = 0.5
    """Share of the training over which the augmentation grows from a fifth to its full strength and the rear views from
    rare to frequent: telling left from right needs the facing, and that is learned sooner from clean front views."""
    rear_weights: tuple[float, float] = (0.15, 0.8)
    """How often a rear view is drawn against a front view, before and after the ramp."""
    network_rate: float = 2e-3
    """Adam's starting learning rate."""
    label_smoothing: float = 0.02
    """Share of a label that goes to all parts alike."""
    canonical_weight: float = 0.3
    """Weight of the canonical coordinates against the labels."""
    validation_clouds: int = 128
    """Clouds of a validation."""
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    """Augmentation."""

    def __post_init__(self) -> None:
        if min(self.batch, self.validation_clouds) < 1 or min(self.network_rate, self.canonical_weight) <= 0:
            raise InputError("segmenter training: batches, network_rate and canonical_weight must be positive.")
        if not 0 < self.ramp <= 1 or min(self.rear_weights) <= 0:
            raise InputError("segmenter training: ramp must lie in (0, 1], rear_weights must be positive.")
        if not 0 <= self.label_smoothing < 1:
            raise InputError("segmenter training: label_smoothing must lie in [0, 1).")


@dataclass(frozen=True)
class Clouds:
    """Partial clouds of one split in the upright frame, canonical units.

    Attributes:
        part_names: Names of the Q parts.
        points: [C, N, 3], noisy as a depth camera sees them.
        labels: [C, N] part of each point.
        canonical: [C, N, 3] where each point lies on the body in the canonical pose.
    """

    part_names: tuple[str, ...]
    points: Float[Tensor, "C N 3"]
    labels: Int[Tensor, "C N"]
    canonical: Float[Tensor, "C N 3"]


def read_clouds(archive: Archive, split: Split) -> Clouds:
    """Read one split of an archive of kind "clouds".

    Raises:
        InputError: The archive holds no clouds of this split, or its labels name parts that it does not have.
    """
    rows = np.nonzero(archive.array("split") == SPLITS.index(split))[0]
    if not len(rows):
        raise InputError(f"{archive.path} holds no {split} clouds. Generate more identities.")
    part_names = tuple(archive.manifest["part_names"])
    labels = archive.array("labels")[rows]
    if labels.max() >= len(part_names):
        raise InputError(f"{archive.path}: a label exceeds its {len(part_names)} part names. Make the archive again.")
    points, canonical = (torch.from_numpy(archive.array(name)[rows]) for name in ("points", "canonical"))
    return Clouds(part_names, points, torch.from_numpy(labels), canonical)


def augment(
    points: Float[Tensor, "B N 3"],
    labels: Int[Tensor, "B N"],
    canonical: Float[Tensor, "B N 3"],
    mirrored: Int[Tensor, "Q"],
    settings: AugmentSettings,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "B M 3"], Int[Tensor, "B M"], Float[Tensor, "B M 3"]]:
    """Clouds with their labels as `distort` changes them, half of them mirrored.

    Args:
        points: Upright frame, canonical units.
        labels: Parts.
        canonical: Canonical coordinates; change only in a mirror.
        mirrored: From `mirrored_parts`.
        settings: How much of everything.
        generator: All draws.

    Returns:
        Points, labels and canonical coordinates of M points per cloud.
    """
    distorted = distort(points, settings, generator)
    points, chosen = distorted.points, distorted.chosen
    canonical = canonical.gather(1, chosen[..., None].expand(-1, -1, 3))
    labels = labels.gather(1, chosen)
    if settings.mirror:
        flip = torch.rand(len(points), generator=generator) < 0.5
        sign = torch.where(flip, -1.0, 1.0)[:, None]
        points = torch.cat([points[..., :1] * sign[..., None], points[..., 1:]], dim=-1)
        canonical = torch.cat([canonical[..., :1] * sign[..., None], canonical[..., 1:]], dim=-1)
        labels = torch.where(flip[:, None], mirrored[labels], labels)
    return points, labels, canonical


def canonical_loss(
    canonical: Float[Tensor, "*batch 3"], log_scale: Float[Tensor, "*batch"], target: Float[Tensor, "*batch 3"]
) -> Float[Tensor, ""]:
    """Mean negative log density d / b + 3 log b of the error d under b⁻³ exp(-d / b), without its constant.

    Smallest at b = d / 3 for a known error d.
    """
    # The square root's slope is infinite at 0.
    distance = ((canonical - target).square().sum(-1) + 1e-10).sqrt()
    return (distance * (-log_scale).exp() + 3 * log_scale).mean()


class SegmenterProblem:
    """What the training loop minimises."""

    def __init__(
        self, segmenter: Segmenter, train: Clouds, validation: Clouds, settings: SegmenterTraining, steps: int
    ) -> None:
        self._segmenter, self._train, self._validation, self._settings = segmenter, train, validation, settings
        self._device = next(segmenter.parameters()).device
        self._ramp_steps = settings.ramp * steps
        # A view shows the front where most of what it sees lies before the canonical origin.
        self._rear = train.canonical[..., 2].float().mean(1) < 0
        mirrored = mirrored_parts(train.part_names)
        self._mirrored = torch.arange(len(train.part_names)) if mirrored is None else mirrored
        # Without a left and a right part nothing says that the subject is symmetric; a hand is not.
        paired = mirrored is not None and bool((mirrored != torch.arange(len(mirrored))).any())
        self._augment = replace(settings.augment, mirror=settings.augment.mirror and paired)

    @property
    def module(self) -> nn.Module:
        """The network."""
        return self._segmenter

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group."""
        return [{"params": list(self._segmenter.parameters()), "lr": self._settings.network_rate}]

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the parts and the negative log density of the canonical coordinates, augmented clouds."""
        settings, clouds = self._settings, self._train
        progress = min(1.0, step / self._ramp_steps)
        rare, frequent = settings.rear_weights
        weights = torch.where(self._rear, rare + progress * (frequent - rare), 1.0)
        rows = torch.multinomial(weights, settings.batch, replacement=True, generator=generator)
        batch = augment(
            clouds.points[rows].float(), clouds.labels[rows].long(), clouds.canonical[rows].float(),
            self._mirrored, self._augment.scaled(0.2 + 0.8 * progress), generator,
        )  # fmt: skip
        points, labels, target = (value.to(self._device) for value in batch)
        logits, canonical, log_scale = self._segmenter(points)
        cross_entropy = nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), label_smoothing=settings.label_smoothing
        )
        return {
            "labels": cross_entropy,
            "canonical": settings.canonical_weight * canonical_loss(canonical, log_scale, target),
        }

    def validate(self) -> dict[str, float]:
        """Figures on evenly chosen validation clouds."""
        return figures(self._segmenter, self._validation, self._settings.validation_clouds)


def figures(segmenter: Segmenter, clouds: Clouds, count: int, batch: int = 16) -> dict[str, float]:
    """Accuracy over all points, of the worst part, and errors of the canonical coordinates on evenly chosen clouds.

    Args:
        segmenter: In evaluation mode.
        clouds: Held-out clouds.
        count: Most clouds to take.
        batch: Clouds that the network sees at once.

    Returns:
        "accuracy", "worst_part_accuracy" (mean recall of the part that fares worst), "canonical_median" and
        "canonical_mean" in canonical units.
    """
    device, seen = next(segmenter.parameters()).device, segmenter.settings.points
    rows = torch.linspace(0, len(clouds.points) - 1, min(count, len(clouds.points))).round().long()
    right, errors, labels = [], [], []
    for some in torch.split(rows, batch):
        with torch.inference_mode():
            logits, canonical, _ = segmenter(clouds.points[some, :seen].float().to(device))
        truth = clouds.labels[some, :seen].long()
        labels.append(truth)
        right.append(logits.argmax(-1).cpu() == truth)
        errors.append((canonical.cpu() - clouds.canonical[some, :seen].float()).norm(dim=-1))
    correct, truth, error = torch.cat(right).float(), torch.cat(labels), torch.cat(errors)
    recalls = [float(correct[truth == part].mean()) for part in torch.unique(truth)]
    return {
        "accuracy": float(correct.mean()),
        "worst_part_accuracy": min(recalls),
        "canonical_median": float(error.median()),
        "canonical_mean": float(error.mean()),
    }


def train_segmenter(
    data: Path,
    out: Path,
    *,
    preset: Literal["compact", "paper"],
    steps: int,
    checkpoint_every_s: float,
    device: torch.device,
    seed: int,
    training: SegmenterTraining | None = None,
) -> Task[tuple[Path, History]]:
    """Train the segmenter on an archive of clouds, or go on with a training that was killed.

    Args:
        data: Archive of kind "clouds".
        out: Model folder; the archive goes to `segmenter` in it, the checkpoint to `checkpoints/segmenter`.
        preset: Sizes of the network.
        steps: Optimiser steps.
        checkpoint_every_s: Seconds between checkpoints.
        device: Where to compute.
        seed: Seeds weights and batches.
        training: Batches, rate and weights; the defaults when None.

    Returns:
        The archive's folder and the training curves.

    Raises:
        InputError: The clouds are missing or incomplete, the checkpoint belongs to other settings, or `out` cannot be
            written.
    """
    training = training or SegmenterTraining()
    archive = read_archive(data, "clouds")
    train, validation, test = (read_clouds(archive, split) for split in SPLITS)
    sizes = replace(
        {"compact": COMPACT, "paper": PAPER}[preset],
        part_names=train.part_names,
        canonical_per_metre=float(archive.manifest.get("canonical_per_metre", CANONICAL_PER_METRE)),
    )
    segmenter = Segmenter(sizes, seed=seed).to(device)
    loop = LoopSettings(steps, checkpoint_every_s=checkpoint_every_s, validate_every=VALIDATE_EVERY)
    made_from = {
        "training": settings_to_dict(training), "seed": seed, "data_sha256": hash_file(data / "arrays.safetensors"),
    }  # fmt: skip
    problem = SegmenterProblem(segmenter, train, validation, training, steps)
    fingerprint = {**made_from, "model": settings_to_dict(sizes), "steps": steps}
    history = yield from run_training(
        problem, loop, out / "checkpoints" / "segmenter", seed=seed, fingerprint=fingerprint
    )  # fmt: skip
    segmenter.eval()
    manifest: Mapping[str, Any] = {
        **made_from, "loop": settings_to_dict(loop), "history": history.manifest(), "torch": torch.__version__,
        "metrics": {"test": figures(segmenter, test, len(test.points))},
    }  # fmt: skip
    write_segmenter(out / "segmenter", segmenter, manifest, replace=True)
    return out / "segmenter", history
