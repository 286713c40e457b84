"""The energy's terms: known values, zero at the optimum, and rows whose gradient is the cost's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spams_core.fitting.energy import (
    Rows,
    correspondence_rows,
    coverage_rows,
    free_space_rows,
    icp_rows,
    isometry_rows,
    reconstruction_rows,
    temporal_rows,
)

SHAPE = (2, 3, 5)


def draw(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def directions(seed: int) -> Tensor:
    return torch.nn.functional.normalize(draw(seed, *SHAPE, 3), dim=-1)


def row_gradient(rows: Rows) -> Tensor:
    """2 Σ_k w r a, per point."""
    return 2 * ((rows.weight * rows.residual).unsqueeze(-1) * rows.by_point).sum(-2)


def check_gradient(term: Callable[[Tensor], Rows], at: Tensor) -> None:
    """The rows' gradient by the points is that of the cost."""
    points = at.clone().requires_grad_()
    rows = term(points)
    (true,) = torch.autograd.grad(rows.cost.sum(), points)
    torch.testing.assert_close(row_gradient(rows).detach(), true)


def test_icp_counts_ten_millimetres_along_the_normal_as_one():
    observed, normals, weights = torch.zeros(1, 1, 1, 3), torch.tensor([[[[0.0, 0.0, 1.0]]]]), torch.ones(1, 1, 1)
    along = icp_rows(observed + 0.01 * normals, normals, observed, normals, weights, None, tangential=0.0)
    assert along.cost.item() == pytest.approx(1.0)
    across = icp_rows(observed + torch.tensor([0.01, 0, 0]), normals, observed, normals, weights, None, tangential=0.1)
    assert across.cost.item() == pytest.approx(0.1)
    # Geman-McClure: at r = σ half of σ², however far away at most σ².
    robust = icp_rows(observed + 0.01 * normals, normals, observed, normals, weights, 0.01, tangential=0.0)
    assert robust.cost.item() == pytest.approx(0.5)
    far = icp_rows(observed + 5.0 * normals, normals, observed, normals, weights, 0.01, tangential=0.0)
    assert far.cost.item() == pytest.approx(1.0, rel=1e-4)
    assert icp_rows(observed, normals, observed, normals, weights, 0.01).cost.item() == 0.0


@pytest.mark.parametrize("scale", [None, 0.03])
def test_icp_rows_have_the_gradient_of_the_cost(scale):
    observed, normals, weights = draw(0, *SHAPE, 3, scale=0.02), directions(1), draw(2, *SHAPE).abs()
    model_normals = directions(3)
    check_gradient(
        lambda model: icp_rows(model, model_normals, observed, normals, weights, scale), draw(4, *SHAPE, 3, scale=0.02)
    )


def test_icp_rows_know_how_the_shape_moves_a_point():
    """A surface point moves by −f / 0.8 metres along its normal."""
    observed, normals, weights = draw(0, *SHAPE, 3, scale=0.02), directions(1), draw(2, *SHAPE).abs()
    model, model_normals = draw(4, *SHAPE, 3, scale=0.02), directions(3)
    f = torch.zeros(SHAPE, dtype=torch.float64, requires_grad=True)
    moved = icp_rows(model - f[..., None] * model_normals / 0.8, model_normals, observed, normals, weights, 0.03)
    (true,) = torch.autograd.grad(moved.cost.sum(), f)
    assert moved.by_distance is not None
    torch.testing.assert_close(2 * (moved.weight * moved.residual * moved.by_distance).sum(-1).detach(), true)


def test_rejected_pairs_count_nothing_and_every_frame_counts_alike():
    observed, normals = draw(0, *SHAPE, 3, scale=0.02), directions(1)
    model = observed + 0.01 * normals
    weights = torch.ones(SHAPE, dtype=torch.float64)
    weights[:, 0, 1:] = 0
    rows = icp_rows(model, normals, observed, normals, weights, None, tangential=0.0)
    torch.testing.assert_close(rows.cost, torch.ones(3, dtype=torch.float64))
    assert (rows.weight[:, 0, 1:] == 0).all()
    weights[:, 2] = 0
    assert icp_rows(model, normals, observed, normals, weights, None).cost[2] == 0


def test_correspondence_rows():
    observed, weights = draw(0, *SHAPE, 3, scale=0.02), draw(2, *SHAPE).abs()
    assert correspondence_rows(observed, observed, weights, 0.1).cost.abs().max() == 0
    shifted = correspondence_rows(observed + torch.tensor([0.006, 0.0, 0.008]), observed, weights, None)
    torch.testing.assert_close(shifted.cost, torch.ones(3, dtype=torch.float64))
    check_gradient(
        lambda model: correspondence_rows(model, observed, weights, 0.05), observed + draw(5, *SHAPE, 3, scale=0.03)
    )


def test_reconstruction_weighs_hard_samples():
    mask = torch.ones(1, 1, 1, dtype=torch.bool)
    gradient = torch.tensor([[[[0.0, 0.0, 0.8]]]])

    def cost(predicted: float, observed: float) -> float:
        values = (torch.full((1, 1, 1), value) for value in (predicted, observed))
        return reconstruction_rows(*values, gradient, mask, truncation=0.04).cost.item()

    huber = 1e-3 / 2  # ℓ1 is rounded off within a thousandth
    assert cost(0.0, 0.02) == pytest.approx(1.5 * (0.02 - huber))
    assert cost(0.03, 0.02) == pytest.approx(0.5 * (0.01 - huber))
    assert cost(0.02, 0.02) == 0.0
    assert cost(0.5, 0.3) == 0.0  # both beyond the truncation


def test_reconstruction_rows_have_the_gradient_of_the_cost():
    normals = directions(1)
    mask = draw(2, *SHAPE) > -0.5
    predicted = draw(3, *SHAPE, scale=0.02)

    def term(points: Tensor) -> Rows:
        observed = 0.8 * (points * normals).sum(-1)
        return reconstruction_rows(predicted, observed, 0.8 * normals, mask, 0.04)

    check_gradient(term, draw(4, *SHAPE, 3, scale=0.02))
    f = predicted.clone().requires_grad_()
    rows = reconstruction_rows(f, draw(6, *SHAPE, scale=0.02), normals, mask, 0.04)
    (true,) = torch.autograd.grad(rows.cost.sum(), f)
    assert rows.by_distance is not None
    torch.testing.assert_close(2 * (rows.weight * rows.residual * rows.by_distance).sum(-1).detach(), true)


def test_coverage_counts_what_is_short_of_the_target_and_nothing_beyond():
    target, side, weights = torch.zeros(1, 1, 1, 3), torch.tensor([[[[1.0, 0.0, 0.0]]]]), torch.ones(1, 1, 1)
    short = coverage_rows(target - 0.01 * side, side, target, side, weights, 1e3)
    assert short.cost.item() == pytest.approx(1.0)
    across = torch.tensor([0.0, 0.3, 0.2])  # depth and the way along the outline are none of its business
    assert coverage_rows(target + across, side, target, side, weights, 1e3).cost.item() == 0
    beyond = coverage_rows(target + 0.01 * side, side, target, side, weights, 1e3)
    assert beyond.cost.item() == 0
    assert not beyond.weight.any()
    assert coverage_rows(target - side, side, target, side, weights, 0.01).cost.item() == pytest.approx(1.0, rel=1e-3)


def test_coverage_rows_have_the_gradient_of_the_cost():
    side, target, weights = directions(0), draw(1, *SHAPE, 3, scale=0.02), draw(2, *SHAPE).abs()
    check_gradient(
        lambda model: coverage_rows(model, side, target, side, weights, 0.06), target + draw(3, *SHAPE, 3, scale=0.05)
    )
    model, normals = target - 0.01 * side, directions(4)
    f = torch.zeros(SHAPE, dtype=torch.float64, requires_grad=True)
    moved = coverage_rows(model - f[..., None] * normals / 0.8, normals, target, side, weights, 0.06)
    (true,) = torch.autograd.grad(moved.cost.sum(), f)
    assert moved.by_distance is not None
    torch.testing.assert_close(2 * (moved.weight * moved.residual * moved.by_distance).sum(-1).detach(), true)


def test_free_space_pushes_only_what_is_too_far_in_front():
    gradient, free = torch.zeros(1, 1, 2, 3), torch.ones(1, 1, 2, dtype=torch.bool)
    gradient[..., 2] = 0.8
    predicted, bound = torch.tensor([[[0.01, 0.03]]]), torch.tensor([[[0.03, 0.01]]])
    rows = free_space_rows(predicted, bound, gradient, free, 0.04)
    assert rows.cost.item() == pytest.approx((0.02 - 5e-4) / 2)
    assert rows.weight[0, 0, 1] == 0
    assert free_space_rows(predicted, bound, gradient, ~free, 0.04).cost.item() == 0
    deep = free_space_rows(torch.zeros(1, 1, 1), torch.full((1, 1, 1), 0.5), gradient[:, :, :1], free[..., :1], 0.04)
    assert deep.cost.item() == pytest.approx(0.04 - 5e-4)
    assert row_gradient(deep)[0, 0, 0, 2] > 0  # truncated in its cost, but still on its way out


def test_temporal_rows_let_an_even_motion_pass():
    places = draw(0, 2, 3, 5, 3, scale=0.1)
    before, after = places - 0.05, places + 0.05
    weights = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    assert temporal_rows(places, (before + after) / 2, weights, 0.05).cost.abs().max() < 1e-20
    off = temporal_rows(places + torch.tensor([0.01, 0.0, 0.0]), places, weights, 1e3)
    torch.testing.assert_close(off.cost, weights)
    check_gradient(lambda model: temporal_rows(model, places, weights, 0.05), places + draw(1, *SHAPE, 3, scale=0.02))


def test_frames_that_follow_each_other_do_not_swing():
    """All frames step at once: an alternating motion must die out, not turn round at full length."""
    places = torch.zeros(1, 6, 1, 3, dtype=torch.float64)
    places[:, ::2, ..., 0], places[:, 1::2, ..., 0] = 0.01, -0.01
    expected = places.roll(1, 1)  # both neighbours of each frame lie there
    rows = temporal_rows(places, expected, torch.ones(6, dtype=torch.float64), 1e3)
    matrix = (rows.weight[..., None, None] * rows.by_point[..., :, None] * rows.by_point[..., None, :]).sum(-3)
    right = (rows.weight[..., None] * rows.residual[..., None] * rows.by_point).sum(-2)
    step = -torch.linalg.solve(matrix, right)
    assert (places + step).abs().max() < 1e-9


def test_isometry_is_zero_for_rigid_motions_and_knows_strain():
    points, partner = draw(0, 2, 1, 5, 3), draw(1, 2, 1, 5, 3)
    rest = (points - partner).norm(dim=-1)
    turn = torch.linalg.qr(draw(2, 3, 3)).Q
    moved, other = (x.expand(-1, 3, -1, -1) @ turn.T + 0.3 for x in (points, partner))
    assert isometry_rows(moved, other, rest, 0.3).cost.max() < 1e-20
    stretched = isometry_rows(1.1 * moved, 1.1 * other, rest, 1e3)
    torch.testing.assert_close(stretched.cost, torch.full((3,), 0.01, dtype=torch.float64), rtol=1e-4, atol=0)
    check_gradient(lambda x: isometry_rows(x, other, rest, 0.3), moved + draw(3, *SHAPE, 3, scale=0.1))
