"""Rotations and rigid alignment, batched and differentiable."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["left_jacobian", "rotation_from_vector", "skew", "weighted_procrustes"]


def skew(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix [v]× with [v]× w = v × w."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*vector.shape, 3)


def rotation_from_vector(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation by |v| radians about v (Rodrigues): R = I + sin θ/θ [v]× + (1 − cos θ)/θ² [v]×².

    Smooth everywhere, at v = 0 too, where the two fractions are replaced by their Taylor series.
    """
    squared = (vector * vector).sum(-1)
    small = squared < 1e-4
    # Both branches are differentiated, so the one that is not taken must not divide by zero either.
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    first = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
    second = torch.where(small, 0.5 - squared / 24 + squared**2 / 720, (1 - angle.cos()) / safe)
    cross = skew(vector)
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye + first[..., None, None] * cross + second[..., None, None] * (cross @ cross)


def left_jacobian(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """J with R(v + δ) ≈ R(J δ) R(v) for small δ (Barfoot, State Estimation for Robotics, eq. 7.77b).

    J = I + (1 − cos θ)/θ² [v]× + (θ − sin θ)/θ³ [v]×²; at v = 0 the fractions are replaced by their Taylor series.
    """
    squared = (vector * vector).sum(-1)
    small = squared < 1e-3
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    first = torch.where(small, 0.5 - squared / 24 + squared**2 / 720, (1 - angle.cos()) / safe)
    second = torch.where(small, 1 / 6 - squared / 120 + squared**2 / 5040, (angle - angle.sin()) / (angle * safe))
    cross = skew(vector)
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye + first[..., None, None] * cross + second[..., None, None] * (cross @ cross)


def weighted_procrustes(
    source: Float[Tensor, "*batch N 3"], target: Float[Tensor, "*batch N 3"], weights: Float[Tensor, "*batch N"]
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3"]]:
    """The rigid motion that minimises Σ w |R x + t − y|² (Kabsch 1976; Umeyama 1991 without scale).

    Args:
        source: Points x.
        target: Points y, row by row.
        weights: w ≥ 0, not all zero. At least three points that carry weight must not lie on one line.

    Returns:
        Rotations with determinant +1 and translations: `target ≈ source @ R.mT + t`.
    """
    share = (weights / weights.sum(-1, keepdim=True)).unsqueeze(-1)
    source_center = (share * source).sum(-2, keepdim=True)
    target_center = (share * target).sum(-2, keepdim=True)
    covariance = (share * (target - target_center)).mT @ (source - source_center)
    u, _, vh = torch.linalg.svd(covariance)
    # A reflection would fit flat or mirrored points better; turning the weakest axis round keeps it a rotation.
    flip = torch.ones_like(u[..., 0])
    flip[..., 2] = torch.sign(torch.linalg.det(u @ vh))
    rotation = (u * flip.detach().unsqueeze(-2)) @ vh
    translation = target_center - source_center @ rotation.mT
    return rotation, translation.squeeze(-2)
