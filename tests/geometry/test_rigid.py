from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from spams_core.geometry.rigid import left_jacobian, rotation_from_vector, skew, weighted_procrustes


def random_vectors(count: int, seed: int = 0) -> torch.Tensor:
    """Rotation vectors shorter than half a turn."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    angle = torch.rand(count, 1, generator=generator, dtype=torch.float64) * (math.pi - 1e-3)
    return direction / direction.norm(dim=-1, keepdim=True) * angle


def test_skew_is_the_cross_product() -> None:
    a, b = random_vectors(5), random_vectors(5, seed=1)
    torch.testing.assert_close((skew(a) @ b.unsqueeze(-1)).squeeze(-1), torch.linalg.cross(a, b))


def test_quarter_turn_about_z_takes_x_to_y() -> None:
    rotation = rotation_from_vector(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    x, y = torch.eye(3, dtype=torch.float64)[:2]
    torch.testing.assert_close(rotation @ x, y)


@pytest.mark.parametrize("scale", [1.0, 1e-2, 3e-3, 1e-4, 1e-9, 0.0])
def test_rotations_agree_with_scipy_down_to_none(scale: float) -> None:
    vectors = random_vectors(200) * scale
    expected = torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix())
    rotation = rotation_from_vector(vectors)
    torch.testing.assert_close(rotation, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 0.0])
def test_rotation_gradients(scale: float) -> None:
    vectors = (random_vectors(4).reshape(2, 2, 3) * scale).requires_grad_()
    assert torch.autograd.gradcheck(rotation_from_vector, vectors)


@pytest.mark.parametrize("scale", [1.0, 0.05, 0.0316, 1e-3, 0.0])
def test_left_jacobian_is_the_derivative_of_the_rotation(scale: float) -> None:
    """∂(R(v) x)/∂v = −[R x]× J(v): what automatic differentiation of Rodrigues' formula says too."""
    vectors, points = random_vectors(20) * scale, random_vectors(20, seed=1)

    def turned(vector: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
        return rotation_from_vector(vector) @ point

    true = torch.func.vmap(torch.func.jacrev(turned))(vectors, points)
    moved = torch.func.vmap(turned)(vectors, points)
    torch.testing.assert_close(-skew(moved) @ left_jacobian(vectors), true, rtol=0, atol=1e-10)


def test_left_jacobian_carries_a_small_turn_to_the_left() -> None:
    vectors, small = random_vectors(50), 1e-5 * random_vectors(50, seed=2)
    exact = rotation_from_vector(vectors + small)
    linear = rotation_from_vector((left_jacobian(vectors) @ small.unsqueeze(-1))[..., 0]) @ rotation_from_vector(
        vectors
    )
    torch.testing.assert_close(exact, linear, rtol=0, atol=1e-8)  # off by the square of the turn


def test_procrustes_recovers_random_motions_and_ignores_weightless_outliers() -> None:
    generator = torch.Generator().manual_seed(3)
    source = torch.randn(4, 6, 30, 3, generator=generator, dtype=torch.float64)
    rotation = rotation_from_vector(random_vectors(24).reshape(4, 6, 3))
    translation = torch.randn(4, 6, 3, generator=generator, dtype=torch.float64)
    target = source @ rotation.mT + translation.unsqueeze(-2)
    weights = torch.rand(4, 6, 30, generator=generator, dtype=torch.float64)
    target[..., :5, :] += 100.0
    weights[..., :5] = 0.0
    found_rotation, found_translation = weighted_procrustes(source, target, weights)
    torch.testing.assert_close(found_rotation, rotation)
    torch.testing.assert_close(found_translation, translation)


def test_procrustes_never_mirrors() -> None:
    source = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for target in (source * torch.tensor([-1.0, 1.0, 1.0]), source * torch.tensor([1.0, 1.0, 0.0])):
        rotation, _ = weighted_procrustes(source, target, torch.ones(20, dtype=torch.float64))
        torch.testing.assert_close(rotation.det(), torch.ones((), dtype=torch.float64))
        torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64))


def test_procrustes_is_the_minimum() -> None:
    """On noisy points no small rotation about any axis lowers the weighted error."""
    generator = torch.Generator().manual_seed(5)
    source, target = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    weights = torch.rand(40, generator=generator, dtype=torch.float64)
    rotation, translation = weighted_procrustes(source, target, weights)

    def error(turn: torch.Tensor, shift: torch.Tensor) -> float:
        moved = source @ (rotation_from_vector(turn) @ rotation).mT + translation + shift
        return float((weights * (moved - target).square().sum(-1)).sum())

    best = error(torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    for step in random_vectors(50) * 1e-2:
        assert error(step, torch.zeros_like(step)) > best
        assert error(torch.zeros_like(step), step) > best


def test_procrustes_gradients() -> None:
    generator = torch.Generator().manual_seed(7)
    source = torch.randn(2, 8, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 8, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(weighted_procrustes, (source, target, weights))
