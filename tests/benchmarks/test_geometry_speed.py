"""Times of the geometry and of the metrics on a body-sized capsule, in canonical units."""

from __future__ import annotations

import numpy as np
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from spams_core.geometry.isosurface import extract_isosurface
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import closest_on_surface
from spams_core.metrics.surface import compare_surfaces, intersection_over_union

RADIUS, HALF_LENGTH = 0.15, 0.6


def capsule_distance(points: Tensor) -> Tensor:
    axis_point = torch.zeros_like(points)
    axis_point[:, 1] = points[:, 1].clamp(-HALF_LENGTH, HALF_LENGTH)
    return (points - axis_point).norm(dim=-1) - RADIUS


def body(shift: float = 0.0) -> Mesh:
    """About as many triangles as a fitted body has, its surface `shift` aside."""
    mesh = extract_isosurface(capsule_distance, 160)
    return Mesh(mesh.vertices + np.array([shift, 0.0, 0.0]), mesh.faces)


def test_isosurface_at_128(benchmark: BenchmarkFixture) -> None:
    mesh = benchmark(extract_isosurface, capsule_distance, 128)
    assert mesh.trimesh().is_watertight


def test_chamfer_and_normals_of_100k_samples(benchmark: BenchmarkFixture) -> None:
    agreement = benchmark(compare_surfaces, body(0.02), body(), np.random.default_rng(0))
    assert 0 < agreement.chamfer_l2 < 0.02**2


def test_iou_of_a_million_points(benchmark: BenchmarkFixture) -> None:
    iou = benchmark(intersection_over_union, body(0.02), body(), np.random.default_rng(0))
    assert 0.7 < iou < 0.95


def test_distance_of_10k_points_to_a_surface(benchmark: BenchmarkFixture) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (10_000, 3))
    distance, _, _ = benchmark(closest_on_surface, points, body())
    expected = np.abs(capsule_distance(torch.from_numpy(points)).numpy())
    np.testing.assert_allclose(distance, expected, atol=2e-3)
