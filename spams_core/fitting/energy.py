"""The terms of the fitting energy; every one is zero at its optimum and takes plain tensors."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = [
    "code_prior",
    "correspondence_term",
    "free_space_term",
    "icp_term",
    "reconstruction_term",
    "temporal_term",
]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(1e-9)


def reconstruction_term(
    predicted: Float[Tensor, "*batch N"],
    observed: Float[Tensor, "*batch N"],
    mask: Bool[Tensor, "*batch N"],
    truncation: float,
) -> Tensor:
    """L_r: clamped ℓ1 between predicted and observed signed distance.

    Points on the wrong side of a surface count half as much again as others, those on the right side and too far half
    as little (NPMs' hard-sample weight 1 + ½ sign(s) sign(s − ŝ), Palafox et al. 2021).

    Args:
        predicted: ŝ of the canonical point, canonical units.
        observed: s of the warped point, canonical units.
        mask: M_o and M_part: observed, near the seen surface, and of the part that is seen there.
        truncation: Both distances are clamped to ± this.
    """
    s, s_hat = observed.clamp(-truncation, truncation), predicted.clamp(-truncation, truncation)
    hard = 1 + 0.5 * torch.sign(s.detach()) * torch.sign((s - s_hat).detach())
    return _mean(hard * (s - s_hat).abs(), mask.to(s.dtype))


def free_space_term(
    predicted: Float[Tensor, "*batch N"],
    bound: Float[Tensor, "*batch N"],
    free: Bool[Tensor, "*batch N"],
    truncation: float,
) -> Tensor:
    """Penalty of a body where the depth camera saw through: how far ŝ falls short of the least possible distance.

    Mean over all points, so that it fades as fewer points lie in free space.

    Args:
        predicted: ŝ of the canonical point, canonical units.
        bound: Lower bound of the distance of the warped point, canonical units.
        free: Where the bound holds.
        truncation: Both are clamped to ± this.
    """
    short = bound.clamp(-truncation, truncation) - predicted.clamp(-truncation, truncation)
    return (short.clamp_min(0) * free).mean()


def icp_term(
    model: Float[Tensor, "*batch N 3"],
    observed: Float[Tensor, "*batch N 3"],
    normals: Float[Tensor, "*batch N 3"],
    weights: Float[Tensor, "*batch N"],
    scale_m: float,
    tangential: float = 0.1,
) -> Tensor:
    """L_icp: Geman-McClure penalty of paired points' distances along and across the observed normal.

    ρ(r²) = σ² r² / (σ² + r²) with r² = (n · d)² + tangential · ‖d‖², in mm² / 100, so that 10 mm count 1.

    Args:
        model: Warped model points, metres.
        observed: The observed points they are paired with, metres.
        normals: Unit normals there.
        weights: 0 for rejected pairs.
        scale_m: σ; pairs much farther apart hardly count.
        tangential: Share of the point-to-point distance in the point-to-plane distance.
    """
    offset = model - observed
    squared = (offset * normals).sum(-1).square() + tangential * offset.square().sum(-1)
    return 1e4 * _mean(scale_m**2 * squared / (scale_m**2 + squared), weights)


def correspondence_term(
    model: Float[Tensor, "*batch N 3"],
    observed: Float[Tensor, "*batch N 3"],
    weights: Float[Tensor, "*batch N"],
    scale_m: float,
) -> Tensor:
    """Geman-McClure penalty of the distance between observed points and the warp of their predicted canonical points.

    In the same unit as `icp_term`: 10 mm count 1.
    """
    squared = (model - observed).square().sum(-1)
    return 1e4 * _mean(scale_m**2 * squared / (scale_m**2 + squared), weights)


def temporal_term(flow: Float[Tensor, "T N 3"], adjacent: Bool[Tensor, "T1"], beta: float = 0.02) -> Tensor:
    """L_t: smooth ℓ1 between the flows of the same canonical points in neighbouring frames.

    Args:
        flow: Flows of the same points in T frames, canonical units.
        adjacent: For each of the T − 1 pairs, whether the two frames follow each other in the recording.
        beta: Where ℓ2 turns into ℓ1, canonical units.
    """
    if len(flow) < 2 or not adjacent.any():
        return flow.new_zeros(())
    pairs = torch.nn.functional.smooth_l1_loss(flow[1:], flow[:-1], beta=beta, reduction="none")
    return pairs[adjacent].mean()


def code_prior(z: Float[Tensor, "*batch K"]) -> Tensor:
    """L_c: mean squared Mahalanobis distance of codes to the training codes, per coordinate."""
    return z.square().mean()
