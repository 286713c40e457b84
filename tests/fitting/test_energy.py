"""Every term: a known value, zero at its optimum, gradients."""

import math

import pytest
import torch

from spams_core.fitting.energy import (
    code_prior,
    correspondence_term,
    free_space_term,
    icp_term,
    reconstruction_term,
    temporal_term,
)

D = torch.float64


def test_reconstruction_known_value():
    predicted = torch.tensor([0.01, -0.01, 0.9, 0.02], dtype=D)
    observed = torch.tensor([0.03, 0.01, 0.9, 0.5], dtype=D)
    mask = torch.tensor([True, True, True, False])
    # Too far on the right side (sign s = sign(s − ŝ)) weighs 1.5; the third is clamped to equality.
    expected = (1.5 * 0.02 + 1.5 * 0.02 + 0) / 3
    assert reconstruction_term(predicted, observed, mask, 0.05).item() == pytest.approx(expected)


def test_reconstruction_eases_points_whose_distance_only_overshoots():
    one = torch.ones(1, dtype=torch.bool)
    over = reconstruction_term(torch.tensor([0.03], dtype=D), torch.tensor([0.01], dtype=D), one, 0.05)
    under = reconstruction_term(torch.tensor([0.01], dtype=D), torch.tensor([0.03], dtype=D), one, 0.05)
    assert over.item() == pytest.approx(0.5 * 0.02)
    assert under.item() == pytest.approx(1.5 * 0.02)


def test_reconstruction_ignores_masked_points_and_survives_an_empty_mask():
    none = torch.zeros(3, dtype=torch.bool)
    assert reconstruction_term(torch.ones(3), torch.zeros(3), none, 0.05).item() == 0


def test_free_space_counts_only_what_falls_short_of_the_bound():
    predicted = torch.tensor([-0.02, 0.03, -0.02, -1.0], dtype=D)
    bound = torch.tensor([0.01, 0.01, 0.5, 0.5], dtype=D)
    free = torch.tensor([True, True, True, False])
    # 0.01 + 0.02 short; the second is far enough out; the third's bound is clamped to 0.05.
    expected = (0.03 + 0 + 0.07) / 4
    assert free_space_term(predicted, bound, free, 0.05).item() == pytest.approx(expected)


def test_icp_counts_ten_millimetres_as_one():
    observed = torch.zeros(1, 3, dtype=D)
    normal = torch.tensor([[0.0, 0.0, 1.0]], dtype=D)
    model = torch.tensor([[0.0, 0.0, 0.01]], dtype=D)
    value = icp_term(model, observed, normal, torch.ones(1, dtype=D), 1e3, tangential=0.0)
    assert value.item() == pytest.approx(1.0, rel=1e-6)


def test_icp_lets_points_slide_and_saturates():
    observed = torch.zeros(1, 3, dtype=D)
    normal = torch.tensor([[0.0, 0.0, 1.0]], dtype=D)
    weight = torch.ones(1, dtype=D)
    sliding = icp_term(torch.tensor([[0.01, 0.0, 0.0]], dtype=D), observed, normal, weight, 1e3, tangential=0.1)
    assert sliding.item() == pytest.approx(0.1, rel=1e-6)
    far = icp_term(torch.tensor([[0.0, 0.0, 100.0]], dtype=D), observed, normal, weight, 0.05)
    assert far.item() == pytest.approx(1e4 * 0.05**2, rel=1e-3)


def test_correspondence_of_a_known_offset():
    model = torch.tensor([[0.0, 0.03, 0.04]], dtype=D)
    r2, s2 = 0.05**2, 0.15**2
    value = correspondence_term(model, torch.zeros(1, 3, dtype=D), torch.ones(1, dtype=D), 0.15)
    assert value.item() == pytest.approx(1e4 * s2 * r2 / (s2 + r2))


def test_temporal_compares_only_neighbours():
    flow = torch.zeros(3, 2, 3, dtype=D)
    flow[1] += 0.1
    flow[2] += 5.0
    adjacent = torch.tensor([True, False])
    # Smooth ℓ1 beyond beta: |x| − beta / 2.
    assert temporal_term(flow, adjacent, beta=0.02).item() == pytest.approx(0.1 - 0.01)
    assert temporal_term(flow[:1], adjacent[:0]).item() == 0


def test_terms_vanish_at_their_optimum():
    points = torch.rand(5, 3, dtype=D)
    weights = torch.rand(5, dtype=D)
    normals = torch.nn.functional.normalize(torch.rand(5, 3, dtype=D), dim=-1)
    distance = torch.linspace(-0.1, 0.1, 5, dtype=D)
    assert icp_term(points, points, normals, weights, 0.1).item() == 0
    assert correspondence_term(points, points, weights, 0.1).item() == 0
    assert reconstruction_term(distance, distance, weights > 0, 0.05).item() == 0
    assert temporal_term(points.expand(4, 5, 3), torch.ones(3, dtype=torch.bool)).item() == 0
    assert code_prior(torch.zeros(4, dtype=D)).item() == 0


def test_code_prior_is_the_mean_square():
    assert code_prior(torch.tensor([3.0, 4.0])).item() == pytest.approx(12.5)


def test_gradients():
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=D).requires_grad_()

    observed, normals, weights = draw(6, 3).detach(), draw(6, 3).detach(), draw(6).detach().abs()
    adjacent = torch.tensor([True, True, False])
    assert torch.autograd.gradcheck(lambda x: icp_term(x, observed, normals, weights, 0.3), draw(6, 3))
    assert torch.autograd.gradcheck(lambda x: correspondence_term(x, observed, weights, 0.3), draw(6, 3))
    assert torch.autograd.gradcheck(lambda x: temporal_term(x, adjacent, 0.3), draw(4, 2, 3))
    assert torch.autograd.gradcheck(code_prior, draw(7))
    predicted = torch.tensor([0.011, -0.013, 0.03], dtype=D, requires_grad=True)
    seen = torch.tensor([0.02, 0.01, -0.015], dtype=D, requires_grad=True)
    mask = torch.ones(3, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda a, b: reconstruction_term(a, b, mask, 0.05), (predicted, seen))
    assert torch.autograd.gradcheck(lambda a, b: free_space_term(a, b, mask, 0.05), (predicted, seen))
    assert math.isfinite(reconstruction_term(predicted, seen, mask, 0.05).item())
