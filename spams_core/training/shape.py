"""Training of the shape decoders and the identities' shape codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from spams_core.data.sampling import OffSurface, bind_surface, sample_off_surface
from spams_core.data.subjects import Subjects
from spams_core.errors import InputError
from spams_core.geometry.mesh import vertex_normals
from spams_core.models.spam import Spam

__all__ = [
    "CODE_SIGMA",
    "ShapeData",
    "ShapeProblem",
    "ShapeTraining",
    "eikonal_terms",
    "prepare_shape_data",
    "principal_codes",
]


@dataclass(frozen=True)
class ShapeTraining:
    """Batch sizes, learning rates and loss weights of the shape decoders."""

    identities: int = 6
    """Identities in a batch."""
    surface_points: int = 192
    """Surface points per identity and part."""
    off_points: int = 192
    """Points off the surface per identity and part."""
    network_rate: float = 1e-3
    """Adam's starting learning rate for the networks."""
    code_rate: float = 2e-3
    """Adam's starting learning rate for the codes."""
    surface_weight: float = 30.0
    """Weight of |f| on the surface."""
    normal_weight: float = 1.0
    """Weight of 1 − cos(∇f, n) on the surface."""
    eikonal_weight: float = 0.3
    """Weight of | ‖∇f‖ − 1 |."""
    off_weight: float = 1.0
    """Weight of exp(−100 |f|) away from the surface."""
    distance_weight: float = 15.0
    """Weight of |f − d| where the true signed distance d is known; closed training meshes give it."""
    prior_weight: float = 1e-6
    """Weight of ‖s‖² / σ² with σ = 0.01."""
    code_start: Literal["random", "principal"] = "principal"
    """Codes start as N(0, σ²) draws (the paper's), or as principal components of the training surfaces."""
    pool: int = 12_000
    """Prepared points per identity, on the surface and off it each."""

    def __post_init__(self) -> None:
        if min(self.identities, self.surface_points, self.off_points, self.pool) < 1:
            raise InputError("shape training: batch sizes and the pool must be positive.")


CODE_SIGMA = 0.01
"""Standard deviation of the codes at the start and of their prior (the paper's choice)."""

_PRINCIPAL_SPREAD = 0.4
"""Norm of a part's code, one standard deviation, when it starts from principal components; codes that start as small
draws grow to about this."""


def principal_codes(samples: Float[Tensor, "I N 3"], length: int) -> Float[Tensor, "I D"]:
    """Codes to start from: principal components of corresponding points, so that like shapes have like codes.

    An auto-decoder visits each code only now and then; codes that start where they belong leave the visits to the
    network. Component k has a standard deviation that grows with the square root of its share, so that small components
    are heard too.

    Args:
        samples: The same N points on I shapes, or their flows in I poses.
        length: D; components beyond the rank are zero.
    """
    flat = (samples - samples.mean(0)).flatten(1)
    u, singular, _ = torch.linalg.svd(flat, full_matrices=False)
    count = min(length, len(singular))
    codes = flat.new_zeros(len(flat), length)
    codes[:, :count] = u[:, :count] * singular[:count].sqrt()
    scale = codes.var(0, correction=0).sum().sqrt().clamp_min(1e-12)
    return _PRINCIPAL_SPREAD * codes / scale


@dataclass(frozen=True)
class ShapeData:
    """Prepared points of some identities.

    Attributes:
        surface, normals: [I, N, 3] each.
        surface_targets: [N, Q], the same for all identities.
        surface_of_part: Q index arrays into N.
        off: One record per identity.
        off_of_part: Per identity, Q index arrays.
    """

    surface: Tensor
    normals: Tensor
    surface_targets: Tensor
    surface_of_part: tuple[Tensor, ...]
    off: tuple[OffSurface, ...]
    off_of_part: tuple[tuple[Tensor, ...], ...]

    def batch(
        self, identities: Tensor, surface_points: int, off_points: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Points for every part and identity: [Q, G, N, …] arrays on the CPU."""
        parts = len(self.surface_of_part)
        surface, normals, weights, off, distance, off_weights = [], [], [], [], [], []
        for q in range(parts):
            candidates = self.surface_of_part[q]
            pick = candidates[
                torch.randint(len(candidates), (len(identities), surface_points), generator=generator)
            ]  # fmt: skip
            rows = identities[:, None]
            surface.append(self.surface[rows, pick])
            normals.append(self.normals[rows, pick])
            weights.append(self.surface_targets[pick, q])
            for identity in identities.tolist():
                data, inside = self.off[identity], self.off_of_part[identity][q]
                chosen = inside[torch.randint(len(inside), (off_points,), generator=generator)].numpy()
                off.append(torch.from_numpy(data.points[chosen]))
                distance.append(torch.from_numpy(data.distance[chosen]))
                off_weights.append(torch.from_numpy(data.targets[chosen, q]))
        shape = (parts, len(identities), off_points)
        return {
            "surface": torch.stack(surface),
            "normals": torch.stack(normals),
            "weights": torch.stack(weights),
            "off": torch.stack(off).reshape(*shape, 3),
            "distance": torch.stack(distance).reshape(shape),
            "off_weights": torch.stack(off_weights).reshape(shape),
        }


def prepare_shape_data(subjects: Subjects, identities: Any, pool: int, seed: int) -> ShapeData:
    """Surface samples with normals and off-surface samples with distances for some identities."""
    generator = np.random.default_rng(seed)
    binding = bind_surface(subjects, pool, generator)
    surface, normals, off = [], [], []
    faces = torch.from_numpy(subjects.faces.astype(np.int64))
    for identity in identities:
        vertices = subjects.canonical(int(identity))
        normal = vertex_normals(torch.from_numpy(vertices), faces).numpy()
        weight = binding.barycentric[..., None]
        surface.append((vertices[binding.vertices] * weight).sum(1))
        blended = (normal[binding.vertices] * weight).sum(1)
        normals.append(blended / np.maximum(np.linalg.norm(blended, axis=1, keepdims=True), 1e-12))
        off.append(sample_off_surface(vertices, subjects.faces, subjects.part_weights, pool, generator))
    return ShapeData(
        torch.from_numpy(np.stack(surface).astype(np.float32)),
        torch.from_numpy(np.stack(normals).astype(np.float32)),
        torch.from_numpy(binding.targets),
        tuple(torch.from_numpy(rows) for rows in binding.of_part),
        tuple(off),
        tuple(
            tuple(torch.from_numpy(np.nonzero(data.targets[:, q] > 0)[0]) for q in range(data.targets.shape[1]))
            for data in off
        ),
    )


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(1e-9)


def eikonal_terms(
    on_surface: Float[Tensor, "*batch N"],
    surface_gradient: Float[Tensor, "*batch N 3"],
    normals: Float[Tensor, "*batch N 3"],
    weights: Float[Tensor, "*batch N"],
    off_surface: Float[Tensor, "*batch M"],
    off_gradient: Float[Tensor, "*batch K 3"],
    off_weights: Float[Tensor, "*batch M"],
    distance: Float[Tensor, "*batch M"],
) -> dict[str, Tensor]:
    """SIREN's boundary-value losses, each point weighted by its part confidence (Sitzmann et al. 2020, eq. 6).

    Args:
        on_surface: f at surface points.
        surface_gradient: ∇f there.
        normals: True normals there.
        weights: Part confidences there.
        off_surface: f at points off the surface.
        off_gradient: ∇f at the first K of them.
        off_weights: Part confidences there.
        distance: True signed distances there.

    Returns:
        surface |f|, normal 1 − cos(∇f, n), eikonal |‖∇f‖ − 1|, off exp(−100 |f|) farther than 0.05 from the surface,
        and distance |f − d|.
    """
    gradient = torch.cat([surface_gradient, off_gradient], dim=-2)
    gradient_weights = torch.cat([weights, off_weights[..., : off_gradient.shape[-2]]], dim=-1)
    far = (distance.abs() > 0.05) * off_weights
    return {
        "surface": _mean(on_surface.abs(), weights),
        "normal": _mean(1 - nn.functional.cosine_similarity(surface_gradient, normals, dim=-1), weights),
        "eikonal": _mean((gradient.norm(dim=-1) - 1).abs(), gradient_weights),
        "off": _mean(torch.exp(-100 * off_surface.abs()), far),
        "distance": _mean((off_surface - distance).abs(), off_weights),
    }


class ShapeProblem:
    """Shape decoders and codes of the training identities, checked on validation identities."""

    def __init__(self, spam: Spam, subjects: Subjects, settings: ShapeTraining, seed: int) -> None:
        self.spam, self.settings = spam, settings
        train, held_out = subjects.identities("train"), subjects.identities("validation")[:4]
        self.data = prepare_shape_data(subjects, train, settings.pool, seed)
        self.held_out = prepare_shape_data(subjects, held_out, settings.pool, seed) if len(held_out) else None
        generator = torch.Generator().manual_seed(seed)
        shape = (spam.part_count, spam.settings.shape_code)
        codes = CODE_SIGMA * torch.randn(len(train), *shape, generator=generator)
        if settings.code_start == "principal":
            for q, rows in enumerate(self.data.surface_of_part):
                codes[:, q] = principal_codes(self.data.surface[:, rows[:: max(1, len(rows) // 1000)]], shape[1])
        device = next(spam.parameters()).device
        self._module = nn.Module()
        self._module.decoders = spam.shape_decoders
        self._module.codes = nn.Parameter(codes.to(device))
        self._module.register_buffer("held_out_codes", torch.zeros(len(held_out), *shape, device=device))

    @property
    def module(self) -> nn.Module:
        """Decoders and codes."""
        return self._module

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Networks and codes with their own rates."""
        return [
            {"params": list(self.spam.shape_decoders.parameters()), "lr": self.settings.network_rate},
            {"params": [self._module.codes], "lr": self.settings.code_rate},
        ]

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Eikonal losses and the code prior of a random batch."""
        settings, codes = self.settings, self._module.codes
        assert isinstance(codes, Tensor)
        rows = torch.randperm(len(codes), generator=generator)[: settings.identities]
        batch = self.data.batch(rows, settings.surface_points, settings.off_points, generator)
        return self._terms(batch, codes[rows.to(codes.device)])

    def _terms(self, batch: dict[str, Tensor], codes: Float[Tensor, "G Q Ds"]) -> dict[str, Tensor]:
        settings, decoders = self.settings, self.spam.shape_decoders
        batch = {name: value.to(codes.device) for name, value in batch.items()}
        film = decoders.film(codes.transpose(0, 1))
        # Gradients in x need a second differentiation: they are taken on the surface and on a part of the rest only.
        split = batch["off"].shape[2] // 4
        free = torch.cat([batch["surface"], batch["off"][:, :, :split]], dim=2).requires_grad_()
        values = decoders(free, film)[..., 0]
        (gradient,) = torch.autograd.grad(values.sum(), free, create_graph=True)
        rest = decoders(batch["off"][:, :, split:], film)[..., 0]
        count = batch["surface"].shape[2]
        terms = eikonal_terms(
            values[..., :count], gradient[..., :count, :], batch["normals"], batch["weights"],
            torch.cat([values[..., count:], rest], dim=-1), gradient[..., count:, :], batch["off_weights"],
            batch["distance"],
        )  # fmt: skip
        weighted = {name: getattr(settings, f"{name}_weight") * value for name, value in terms.items()}
        weighted["prior"] = settings.prior_weight * codes.square().sum(-1).mean() / CODE_SIGMA**2
        return weighted

    def validate(self) -> dict[str, float]:
        """Mean |f| on the surface of training identities, and of unseen ones after fitting their codes."""
        generator = torch.Generator().manual_seed(1)
        codes, held_out = self._module.codes, self._module.held_out_codes
        assert isinstance(codes, Tensor)
        assert isinstance(held_out, Tensor)
        figures = {"surface_error": self._surface_error(self.data, codes.detach(), generator)}
        if self.held_out is None:
            return figures
        for parameter in self.spam.shape_decoders.parameters():
            parameter.requires_grad_(False)
        with torch.no_grad():
            if not held_out.any():
                held_out += codes.mean(0)
        fitted = held_out.clone().requires_grad_()
        optimizer = torch.optim.Adam([fitted], lr=5e-3)
        rows = torch.arange(len(fitted))
        for _ in range(25):  # warm-started from the last validation, so few steps suffice
            batch = self.held_out.batch(rows, 64, 32, generator)
            film = self.spam.shape_decoders.film(fitted.transpose(0, 1))
            points = torch.cat([batch["surface"], batch["off"]], dim=2).to(fitted.device)
            target = torch.cat([torch.zeros_like(batch["weights"]), batch["distance"]], dim=2).to(fitted.device)
            weight = torch.cat([batch["weights"], batch["off_weights"]], dim=2).to(fitted.device)
            error = _mean((self.spam.shape_decoders(points, film)[..., 0] - target).abs(), weight)
            optimizer.zero_grad()
            (error + 1e-4 * fitted.square().mean()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            held_out.copy_(fitted)
        figures["unseen_surface_error"] = self._surface_error(self.held_out, fitted.detach(), generator)
        for parameter in self.spam.shape_decoders.parameters():
            parameter.requires_grad_(True)
        return figures

    @torch.no_grad()
    def _surface_error(self, data: ShapeData, codes: Tensor, generator: torch.Generator) -> float:
        rows = torch.arange(min(len(codes), 8))
        batch = data.batch(rows, 256, 1, generator)
        film = self.spam.shape_decoders.film(codes[rows].transpose(0, 1))
        values = self.spam.shape_decoders(batch["surface"].to(codes.device), film)[..., 0]
        return float(_mean(values.abs(), batch["weights"].to(codes.device)))

    def finish(self) -> None:
        """Put the learned codes into the model."""
        codes = self._module.codes
        assert isinstance(codes, Tensor)
        self.spam.shape_codes = codes.detach().clone()
