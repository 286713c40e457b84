"""The terms of the fitting energy, each as its cost and as the weighted rows that Gauss-Newton solves.

A term compares warped model points x, in metres in the world, with one frame's observation. Near the present iterate
its cost is Σ w (r + a · δx + b δf)²: r a residual, a its derivative by the point, b that by the predicted distance f at
the point's canonical place, w the weight that a robust penalty leaves it (iteratively reweighted least squares). Every
cost is zero at its optimum, and its gradient is that of the rows, 2 Σ w r (a · δx + b δf).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from spams_core.frames import CANONICAL_PER_METRE

__all__ = [
    "Rows",
    "correspondence_rows",
    "coverage_rows",
    "free_space_rows",
    "icp_rows",
    "isometry_rows",
    "reconstruction_rows",
    "temporal_rows",
]

_SQUARED_CM = 1e4  # per m²: 10 mm count 1
_LEAST_ABSOLUTE = 1e-3  # canonical units: below this ℓ1 is as good as ℓ2


@dataclass(frozen=True)
class Rows:
    """Linearised residuals of one term at n points of every part (Q) in every frame (T), k rows for each.

    Attributes:
        cost: [T] the term's value in each frame.
        residual: [Q, T, n, k] r.
        by_point: [Q, T, n, k, 3] a.
        by_distance: [Q, T, n, k] b; None where the term does not see the shape.
        weight: [Q, T, n, k] w.
    """

    cost: Float[Tensor, "T"]
    residual: Float[Tensor, "Q T n k"]
    by_point: Float[Tensor, "Q T n k 3"]
    by_distance: Float[Tensor, "Q T n k"] | None
    weight: Float[Tensor, "Q T n k"]

    def scaled(self, factor: float) -> Rows:
        """The same term with another weight in the energy."""
        return Rows(
            factor * self.cost, self.residual, self.by_point, self.by_distance, factor * self.weight
        )  # fmt: skip


def _shares(weights: Float[Tensor, "Q T n"]) -> Float[Tensor, "Q T n"]:
    """Weights that sum to one in each frame, or to zero where nothing counts."""
    return weights / weights.sum((0, 2), keepdim=True).clamp_min(1e-9)


def _geman_mcclure(squared: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
    """ρ = σ² s / (σ² + s) of squared residuals s and its slope; without a scale plain squares."""
    if scale is None:
        return squared, torch.ones_like(squared)
    return scale**2 * squared / (scale**2 + squared), (scale**2 / (scale**2 + squared)).square()


def icp_rows(
    model: Float[Tensor, "Q T n 3"],
    model_normals: Float[Tensor, "Q T n 3"],
    observed: Float[Tensor, "Q T n 3"],
    normals: Float[Tensor, "Q T n 3"],
    weights: Float[Tensor, "Q T n"],
    scale_m: float | None,
    tangential: float = 0.1,
) -> Rows:
    """L_icp: Geman-McClure penalty of paired points' distances along and across the observed normal.

    ρ(r²) with r² = (n · d)² + tangential ‖d‖², in mm² / 100, so that 10 mm count 1. A surface point moves with the
    shape by −f along its normal, which is how pairs pull at the shape.

    Args:
        model: Warped model points, metres.
        model_normals: Unit normals of the warped surface there.
        observed: The observed points they are paired with, metres.
        normals: Unit normals there.
        weights: 0 for rejected pairs.
        scale_m: σ; pairs much farther apart hardly count. None is least squares.
        tangential: Share of the point-to-point distance in the point-to-plane distance.
    """
    offset = model - observed
    along = (offset * normals).sum(-1)
    cost, slope = _geman_mcclure(along.square() + tangential * offset.square().sum(-1), scale_m)
    share = _SQUARED_CM * _shares(weights)
    root = tangential**0.5
    eye = torch.eye(3, dtype=model.dtype, device=model.device).expand(*model.shape, 3)
    by_point = torch.cat([normals.unsqueeze(-2), root * eye], dim=-2)
    by_distance = -(by_point * model_normals.unsqueeze(-2)).sum(-1) / CANONICAL_PER_METRE
    residual = torch.cat([along.unsqueeze(-1), root * offset], dim=-1)
    return Rows(
        (share * cost).sum((0, 2)),
        residual,
        by_point,
        by_distance,
        (share * slope).unsqueeze(-1).expand(residual.shape),
    )


def correspondence_rows(
    model: Float[Tensor, "Q T n 3"],
    observed: Float[Tensor, "Q T n 3"],
    weights: Float[Tensor, "Q T n"],
    scale_m: float | None,
) -> Rows:
    """L_seg: Geman-McClure penalty between observed points and the warp of their predicted canonical points.

    In the same unit as `icp_rows`: 10 mm count 1.

    Args:
        model: Warped canonical points, metres.
        observed: The points that they were predicted for, metres.
        weights: How much each counts.
        scale_m: σ; points much farther apart hardly count. None is least squares.
    """
    offset = model - observed
    cost, slope = _geman_mcclure(offset.square().sum(-1), scale_m)
    share = _SQUARED_CM * _shares(weights)
    eye = torch.eye(3, dtype=model.dtype, device=model.device).expand(*model.shape, 3)
    return Rows((share * cost).sum((0, 2)), offset, eye, None, (share * slope).unsqueeze(-1).expand(offset.shape))


def coverage_rows(
    model: Float[Tensor, "Q T n 3"],
    model_normals: Float[Tensor, "Q T n 3"],
    target: Float[Tensor, "Q T n 3"],
    direction: Float[Tensor, "Q T n 3"],
    weights: Float[Tensor, "Q T n"],
    scale_m: float,
) -> Rows:
    """L_cov: Geman-McClure penalty of how far surface points fall short of targets beside them in the image plane.

    In the unit of `icp_rows`: 10 mm count 1. What has come past its target costs nothing. A surface point moves with
    the shape by −f along its normal.

    Args:
        model: Warped model points, metres.
        model_normals: Unit normals of the warped surface there.
        target: How far they should reach, metres.
        direction: Unit directions in which they should.
        weights: Shares of the frame's points; they sum to the share that is not covered, so that the term fades.
        scale_m: σ; what is missing much farther hardly counts.
    """
    short = ((target - model) * direction).sum(-1)
    cost, slope = _geman_mcclure(short.square(), scale_m)
    share = _SQUARED_CM * weights * (short > 0)
    by_distance = (direction * model_normals).sum(-1, keepdim=True) / CANONICAL_PER_METRE
    return Rows(
        (share * cost).sum((0, 2)), short[..., None], -direction.unsqueeze(-2), by_distance, (share * slope)[..., None]
    )  # fmt: skip


def reconstruction_rows(
    predicted: Float[Tensor, "Q T n"],
    observed: Float[Tensor, "Q T n"],
    gradient: Float[Tensor, "Q T n 3"],
    mask: Bool[Tensor, "Q T n"],
    truncation: float,
) -> Rows:
    """L_r: clamped ℓ1 between predicted and observed signed distance, canonical units.

    Points on the wrong side of a surface count half as much again as others, those on the right side and too far half
    as little (NPMs' hard-sample weight 1 + ½ sign(s) sign(s − ŝ), Palafox et al. 2021).

    Args:
        predicted: ŝ of the canonical point.
        observed: s of the warped point.
        gradient: Derivative of s by the warped point, per metre.
        mask: M_o and M_part: observed, near the seen surface, and of the part that is seen there.
        truncation: Both distances are clamped to ± this.
    """
    s, s_hat = observed.clamp(-truncation, truncation), predicted.clamp(-truncation, truncation)
    residual = s - s_hat
    hard = 1 + 0.5 * torch.sign(s) * torch.sign(residual)
    share = _shares(mask.to(s.dtype)) * hard
    return _least_absolute(residual, share, gradient, observed.abs() < truncation, predicted.abs() < truncation)


def free_space_rows(
    predicted: Float[Tensor, "Q T n"],
    bound: Float[Tensor, "Q T n"],
    gradient: Float[Tensor, "Q T n 3"],
    free: Bool[Tensor, "Q T n"],
    truncation: float,
) -> Rows:
    """Penalty of a body where the depth camera saw through: how far ŝ falls short of the least possible distance.

    Mean over all points, so that it fades as fewer points lie in free space.

    Args:
        predicted: ŝ of the canonical point, canonical units.
        bound: Lower bound of the distance of the warped point, canonical units.
        gradient: Derivative of the bound by the warped point, per metre.
        free: Where the bound holds.
        truncation: Both are clamped to ± this.
    """
    short = bound.clamp(-truncation, truncation) - predicted.clamp(-truncation, truncation)
    counted = free & (short > 0)
    share = counted.to(short.dtype) / (short.shape[0] * short.shape[2])
    # A point deep in free space keeps its gradient, or it would never come back.
    return _least_absolute(short, share, gradient, counted, predicted.abs() < truncation)


def _least_absolute(
    residual: Tensor,
    share: Tensor,
    gradient: Tensor,
    by_observed: Bool[Tensor, "..."],
    by_predicted: Bool[Tensor, "..."],
) -> Rows:
    magnitude = residual.abs()
    # Huber's ℓ1: quadratic below `_LEAST_ABSOLUTE`, so that the slope is defined at 0.
    small = magnitude < _LEAST_ABSOLUTE
    cost = torch.where(small, magnitude.square() / (2 * _LEAST_ABSOLUTE), magnitude - _LEAST_ABSOLUTE / 2)
    weight = share / (2 * magnitude.clamp_min(_LEAST_ABSOLUTE))
    return Rows(
        (share * cost).sum((0, 2)),
        residual.unsqueeze(-1),
        (gradient * by_observed.unsqueeze(-1)).unsqueeze(-2),
        -by_predicted.to(residual.dtype).unsqueeze(-1),
        weight.unsqueeze(-1),
    )


def temporal_rows(
    model: Float[Tensor, "Q T n 3"], expected: Float[Tensor, "Q T n 3"], weights: Float[Tensor, "T"], scale_m: float
) -> Rows:
    """L_t: Geman-McClure penalty of the way of a surface point to the middle between its neighbours in time.

    An even motion costs nothing; 10 mm count 1. All frames move at once, and each looks at where its neighbours were:
    with whole steps two frames would change places for ever, so the rows lead halfway (the same gradient, twice the
    curvature, which bounds the cost from above).

    Args:
        model: Warped model points, metres.
        expected: Mean of the same points' places in the neighbouring frames; held fixed.
        weights: 0 for frames without two neighbours.
        scale_m: σ; a sudden motion costs no more than about σ².
    """
    offset = model - expected
    cost, slope = _geman_mcclure(offset.square().sum(-1), scale_m)
    share = _SQUARED_CM * weights[:, None] / (offset.shape[0] * offset.shape[2])
    eye = torch.eye(3, dtype=model.dtype, device=model.device).expand(*model.shape, 3)
    weight = 2 * (share * slope).unsqueeze(-1).expand(offset.shape)
    return Rows((share * cost).sum((0, 2)), offset / 2, eye, None, weight)


def isometry_rows(
    posed: Float[Tensor, "Q T n 3"], partner: Float[Tensor, "Q T n 3"], rest: Float[Tensor, "Q 1 n"], scale: float
) -> Rows:
    """Near-isometry: surface points keep their distance to a close partner in every pose, relative to that distance.

    Geman-McClure of the strain, because skin does stretch at joints. `by_point` is the derivative by the difference of
    the two points, canonical units.

    Args:
        posed: Warped points, posed frame.
        partner: Their warped partners.
        rest: Distances of each point and its partner in the canonical pose.
        scale: σ, a strain.
    """
    difference = posed - partner
    length = difference.norm(dim=-1)
    strain = length / rest - 1
    cost, slope = _geman_mcclure(strain.square(), scale)
    share = 1.0 / (posed.shape[0] * posed.shape[2])
    direction = difference / (length * rest).clamp_min(1e-9).unsqueeze(-1)
    return Rows(
        share * cost.sum((0, 2)), strain.unsqueeze(-1), direction.unsqueeze(-2), None, (share * slope).unsqueeze(-1)
    )
