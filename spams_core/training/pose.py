"""Training of the pose decoders and the instances' pose codes, the shape codes frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from spams_core.data.sampling import bind_surface
from spams_core.data.subjects import Subjects
from spams_core.errors import InputError
from spams_core.models.spam import Spam
from spams_core.training.shape import CODE_SIGMA, principal_codes

__all__ = ["PoseProblem", "PoseTraining", "flow_loss"]


@dataclass(frozen=True)
class PoseTraining:
    """Batch sizes, learning rates and loss weights of the pose decoders."""

    instances: int = 16
    """Posed instances in a batch."""
    points: int = 96
    """Points per instance and part."""
    network_rate: float = 1e-3
    """Adam's starting learning rate for the networks."""
    code_rate: float = 2e-3
    """Adam's starting learning rate for the codes."""
    displacement: float = 0.02
    """Standard deviation, in canonical units, of the points' distance from the surface."""
    shape_noise: float = 0.1
    """Noise on the shape codes, in standard deviations of the training codes."""
    prior_weight: float = 1e-6
    """Weight of ‖p‖² / σ² with σ = 0.01."""
    code_start: Literal["random", "principal"] = "principal"
    """Codes start as N(0, σ²) draws (the paper's), or as principal components of the training flows."""
    pool: int = 40_000
    """Surface samples that batches are drawn from."""
    held_out: int = 32
    """Instances that are kept for validation."""

    def __post_init__(self) -> None:
        if min(self.instances, self.points, self.pool) < 1 or self.held_out < 0:
            raise InputError("pose training: batch sizes and the pool must be positive.")


def flow_loss(
    flow: Float[Tensor, "*batch N 3"], true_flow: Float[Tensor, "*batch N 3"], weights: Float[Tensor, "*batch N"]
) -> Tensor:
    """Mean ℓ2 length of the flow's error, points weighted by part confidence (the paper's pose loss)."""
    length: Tensor = (flow - true_flow).norm(dim=-1)
    return (length * weights).sum() / weights.sum().clamp_min(1e-9)


class PoseProblem:
    """Pose decoders and the codes of the training instances, checked on unseen poses."""

    def __init__(self, spam: Spam, subjects: Subjects, settings: PoseTraining, seed: int) -> None:
        self.spam, self.settings = spam, settings
        train = subjects.identities("train")
        if len(spam.shape_codes) != len(train):
            raise InputError("The model's shape codes belong to other subjects. Train shape and pose on the same ones.")
        instances = subjects.instances(train)
        order = np.random.default_rng(seed).permutation(len(instances))
        count = min(settings.held_out, len(instances) // 10)
        self.held_out_rows, self.rows = np.sort(instances[order[:count]]), np.sort(instances[order[count:]])
        self.identity_row = {int(identity): k for k, identity in enumerate(train)}
        self.canonical = torch.from_numpy(np.stack([subjects.canonical(int(identity)) for identity in train]))
        self.subjects = subjects  # posed vertices stay on disk
        self.posed_identity = torch.tensor(
            [self.identity_row.get(int(identity), -1) for identity in subjects.posed_identity]
        )
        binding = bind_surface(subjects, settings.pool, np.random.default_rng(seed))
        self.corners = torch.from_numpy(binding.vertices)
        self.barycentric = torch.from_numpy(binding.barycentric)
        self.targets = torch.from_numpy(binding.targets)
        self.of_part = tuple(torch.from_numpy(rows) for rows in binding.of_part)
        device = next(spam.parameters()).device
        generator = torch.Generator().manual_seed(seed)
        shape = (spam.part_count, spam.settings.pose_code)
        self._module = nn.Module()
        self._module.decoders = spam.pose_decoders
        codes = CODE_SIGMA * torch.randn(len(self.rows), *shape, generator=generator)
        if settings.code_start == "principal":
            self._start_codes(codes)
        if spam.settings.pose.rigid:
            mean = self.canonical.mean(0)
            for q, rows in enumerate(self.of_part):
                spam.pose_decoders.pivot[q] = mean[self.corners[rows, 0]].mean(0).to(device)
        self._module.codes = nn.Parameter(codes.to(device))
        self._module.register_buffer("held_out_codes", torch.zeros(count, *shape, device=device))
        self.shape_spread = spam.shape_codes.std(0)

    def _start_codes(self, codes: Float[Tensor, "P Q D"], points: int = 250) -> None:
        """Fill codes with the principal components of each part's flow at a few surface points."""
        for q, rows in enumerate(self.of_part):
            vertices = self.corners[rows[:: max(1, len(rows) // points)], 0]
            everywhere = np.broadcast_to(vertices.numpy(), (len(self.rows), len(vertices)))
            posed = torch.from_numpy(self.subjects.posed_at(self.rows, everywhere))
            canonical = self.canonical[self.posed_identity[torch.from_numpy(self.rows)]][:, vertices]
            codes[:, q] = principal_codes(posed - canonical, codes.shape[2])

    @property
    def module(self) -> nn.Module:
        """Decoders and codes."""
        return self._module

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Networks and codes with their own rates."""
        return [
            {"params": list(self.spam.pose_decoders.parameters()), "lr": self.settings.network_rate},
            {"params": [self._module.codes], "lr": self.settings.code_rate},
        ]

    def _batch(self, rows: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Canonical points, true flow and weights [Q, G, N, …] at the same barycentric points of both meshes."""
        samples = torch.stack(
            [part[torch.randint(len(part), (len(rows), count), generator=generator)] for part in self.of_part]
        )
        corners = self.corners[samples]
        barycentric = self.barycentric[samples][..., None]
        canonical = self.canonical[self.posed_identity[rows][None, :, None, None], corners]
        of_instance = np.ascontiguousarray(corners.transpose(0, 1).numpy())
        posed = torch.from_numpy(self.subjects.posed_at(rows.numpy(), of_instance)).transpose(0, 1)
        height = self.settings.displacement * torch.randn(samples.shape, generator=generator)
        # Half the points lie on the surface itself: that is where the fitted mesh will be.
        height[..., ::2] = 0

        def place(triangle: Tensor) -> Tensor:
            normal = torch.linalg.cross(
                triangle[..., 1, :] - triangle[..., 0, :], triangle[..., 2, :] - triangle[..., 0, :]
            )
            normal = nn.functional.normalize(normal, dim=-1, eps=1e-12)
            return (triangle * barycentric).sum(-2) + height[..., None] * normal

        points, moved = place(canonical), place(posed)
        weights = torch.stack([self.targets[samples[q], q] for q in range(len(self.of_part))])
        device = self.spam.shape_codes.device
        return points.to(device), (moved - points).to(device), weights.to(device)

    def _film(self, rows: Tensor, codes: Tensor, noise: Tensor | None) -> Tensor:
        shape = self.spam.shape_codes[self.posed_identity[rows].to(codes.device)]
        if noise is not None:
            shape = shape + self.settings.shape_noise * self.shape_spread * noise
        return self.spam.pose_decoders.film(torch.cat([shape, codes], dim=-1).transpose(0, 1))

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """ℓ2 flow loss and the code prior of a random batch."""
        codes = self._module.codes
        assert isinstance(codes, Tensor)
        pick = torch.randint(len(codes), (self.settings.instances,), generator=generator)
        rows = torch.from_numpy(self.rows)[pick]
        chosen = codes[pick.to(codes.device)]
        points, flow, weights = self._batch(rows, self.settings.points, generator)
        noise = torch.randn(len(rows), *self.spam.shape_codes.shape[1:], generator=generator).to(codes.device)
        predicted = self.spam.pose_decoders(points, self._film(rows, chosen, noise))
        return {
            "flow": flow_loss(predicted, flow, weights),
            "prior": self.settings.prior_weight * chosen.square().sum(-1).mean() / CODE_SIGMA**2,
        }

    def validate(self) -> dict[str, float]:
        """End-point error in canonical units on unseen poses after fitting their codes to the true flow."""
        codes, held_out = self._module.codes, self._module.held_out_codes
        assert isinstance(codes, Tensor)
        assert isinstance(held_out, Tensor)
        if not len(held_out):
            return {}
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            if not held_out.any():
                held_out += codes.mean(0)
        for parameter in self.spam.pose_decoders.parameters():
            parameter.requires_grad_(False)
        fitted = held_out.clone().requires_grad_()
        optimizer = torch.optim.Adam([fitted], lr=1e-2)
        rows = torch.from_numpy(self.held_out_rows)
        for _ in range(40):  # warm-started from the last validation, so few steps suffice
            points, flow, weights = self._batch(rows, 48, generator)
            loss = flow_loss(self.spam.pose_decoders(points, self._film(rows, fitted, None)), flow, weights)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            held_out.copy_(fitted)
            points, flow, weights = self._batch(rows, 128, generator)
            predicted = self.spam.pose_decoders(points, self._film(rows, fitted, None))
        for parameter in self.spam.pose_decoders.parameters():
            parameter.requires_grad_(True)
        return {"unseen_pose_error": float(flow_loss(predicted, flow, weights))}

    def finish(self) -> None:
        """Put the learned codes into the model."""
        codes = self._module.codes
        assert isinstance(codes, Tensor)
        self.spam.pose_codes = codes.detach().clone()
        rows = torch.from_numpy(self.rows)
        self.spam.instance_identity = self.posed_identity[rows].to(codes.device)
        self.spam.posed_instance = rows.to(codes.device)
