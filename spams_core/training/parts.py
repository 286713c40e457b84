"""Training of the part decoder on the frozen shape codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spams_core.data.subjects import Subjects
from spams_core.errors import InputError
from spams_core.models.spam import Spam
from spams_core.training.shape import ShapeData, prepare_shape_data

__all__ = ["PartsProblem", "PartsTraining"]


@dataclass(frozen=True)
class PartsTraining:
    """Batch sizes and learning rate of the part decoder."""

    identities: int = 8
    """Identities in a batch."""
    points: int = 1024
    """Points per identity; half of them on the surface."""
    network_rate: float = 1e-3
    """Adam's starting learning rate."""
    code_noise: float = 0.1
    """Noise on the codes, in standard deviations of the training codes, so that codes between them work too."""
    pool: int = 12_000
    """Prepared points per identity, on the surface and off it each."""

    def __post_init__(self) -> None:
        if min(self.identities, self.points, self.pool) < 1 or self.code_noise < 0:
            raise InputError("part training: batch sizes and the pool must be positive, the noise not negative.")


class PartsProblem:
    """Part decoder with binary cross-entropy; boundary points belong to two parts."""

    def __init__(self, spam: Spam, subjects: Subjects, settings: PartsTraining, seed: int) -> None:
        self.spam, self.settings = spam, settings
        self.data: ShapeData = prepare_shape_data(subjects, subjects.identities("train"), settings.pool, seed)
        self.codes = spam.shape_codes
        self.spread = self.codes.std(0)

    @property
    def module(self) -> nn.Module:
        """The part decoder."""
        return self.spam.part_decoder

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group."""
        return [{"params": list(self.module.parameters()), "lr": self.settings.network_rate}]

    def _batch(self, rows: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        half = count // 2
        pick = torch.randint(self.data.surface.shape[1], (len(rows), half), generator=generator)
        points, targets = [self.data.surface[rows[:, None], pick]], [self.data.surface_targets[pick]]
        off = torch.randint(self.settings.pool, (len(rows), count - half), generator=generator).numpy()
        chosen = [(self.data.off[row], index) for row, index in zip(rows.tolist(), off, strict=True)]
        points.append(torch.from_numpy(np.stack([data.points[index] for data, index in chosen])))
        targets.append(torch.from_numpy(np.stack([data.targets[index] for data, index in chosen])))
        return torch.cat(points, 1).to(self.codes.device), torch.cat(targets, 1).to(self.codes.device)

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Binary cross-entropy of all parts' confidences at a random batch."""
        settings = self.settings
        rows = torch.randperm(len(self.codes), generator=generator)[: settings.identities]
        points, targets = self._batch(rows, settings.points, generator)
        noise = torch.randn(len(rows), *self.codes.shape[1:], generator=generator).to(self.codes.device)
        codes = self.codes[rows.to(self.codes.device)] + settings.code_noise * self.spread * noise
        logits = self.spam.part_logits(points, codes)
        return {"confidence": nn.functional.binary_cross_entropy_with_logits(logits, targets)}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Share of surface points whose most confident part is a true one."""
        generator = torch.Generator().manual_seed(1)
        rows = torch.arange(min(len(self.codes), 8))
        points, targets = self._batch(rows, 2048, generator)
        best = self.spam.part_logits(points[:, :1024], self.codes[rows]).argmax(-1, keepdim=True)
        return {"surface_accuracy": float((targets[:, :1024].gather(-1, best) > 0.5).float().mean())}

    def finish(self) -> None:
        """Nothing to hand over: the decoder is the model's own."""
