from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from spams_core.geometry.isosurface import extract_isosurface


class Counted:
    """A signed distance function that remembers how often it was evaluated, and where gradients were on."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.points = 0
        self.largest_call = 0

    def __call__(self, points: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        self.points += len(points)
        self.largest_call = max(self.largest_call, len(points))
        return self.function(points)


def ball(center: tuple[float, float, float], radius: float) -> Callable[[Tensor], Tensor]:
    return lambda points: (points - torch.tensor(center)).norm(dim=-1) - radius


def capsule(a: tuple[float, float, float], b: tuple[float, float, float], radius: float) -> Callable[[Tensor], Tensor]:
    start, axis = torch.tensor(a), torch.tensor(b) - torch.tensor(a)

    def distance(points: Tensor) -> Tensor:
        along = ((points - start) @ axis / axis.dot(axis)).clamp(0, 1)
        return (points - start - along[:, None] * axis).norm(dim=-1) - radius

    return distance


def test_sphere_is_accurate_watertight_and_outward() -> None:
    mesh = extract_isosurface(ball((0.1, -0.2, 0.05), 0.4), resolution=64)
    whole = mesh.trimesh()
    assert whole.is_watertight
    assert whole.is_winding_consistent
    offset = mesh.vertices - np.array([0.1, -0.2, 0.05])
    # Vertices sit on grid edges, where linear interpolation errs by at most h² / 8r for edges of h = 2/64.
    assert np.abs(np.linalg.norm(offset, axis=1) - 0.4).max() < (2 / 64) ** 2 / (8 * 0.4)
    assert whole.volume == pytest.approx(4 / 3 * np.pi * 0.4**3, rel=0.01)
    # Faces wind counter-clockwise seen from outside: every face normal points away from the center.
    normals = np.cross(*(offset[mesh.faces[:, k]] - offset[mesh.faces[:, 0]] for k in (1, 2)))
    assert ((normals * offset[mesh.faces].mean(1)).sum(1) >= 0).all()


def test_corners_of_the_grid_lie_at_the_bound() -> None:
    """A plane through grid corners only comes out exact if sampling and coordinates share the end points."""
    mesh = extract_isosurface(lambda points: points[:, 0] - 0.3, resolution=50, bound=1.5)
    assert np.abs(mesh.vertices[:, 0] - 0.3).max() < 1e-6
    assert mesh.vertices[:, 1].min() == -1.5
    assert mesh.vertices[:, 1].max() == 1.5


def test_equals_the_dense_grid() -> None:
    distance = capsule((-0.5, -0.3, 0.2), (0.6, 0.4, -0.1), 0.15)
    sparse = extract_isosurface(distance, resolution=64, coarse=16)
    dense = extract_isosurface(distance, resolution=64, coarse=64)
    order = [np.lexsort(mesh.vertices.T) for mesh in (sparse, dense)]
    np.testing.assert_array_equal(sparse.vertices[order[0]], dense.vertices[order[1]])
    assert len(sparse.faces) == len(dense.faces)


def test_near_a_similar_surface_the_same_is_found_with_few_evaluations() -> None:
    """The similar one is thicker by several cells at one end and leaves the other end out."""
    distance = Counted(capsule((-0.5, -0.3, 0.2), (0.6, 0.4, -0.1), 0.15))
    similar = extract_isosurface(capsule((-0.5, -0.3, 0.2), (0.1, 0.1, 0.1), 0.2), resolution=96)
    dense = extract_isosurface(distance, resolution=96, coarse=96)
    distance.points = 0
    found = extract_isosurface(distance, resolution=96, near=similar.vertices)
    evaluated, distance.points = distance.points, 0
    order = [np.lexsort(mesh.vertices.T) for mesh in (found, dense)]
    np.testing.assert_array_equal(found.vertices[order[0]], dense.vertices[order[1]])
    assert len(found.faces) == len(dense.faces)
    extract_isosurface(distance, resolution=96)
    assert evaluated < distance.points / 3


def test_far_from_a_similar_surface_it_is_found_all_the_same() -> None:
    elsewhere = extract_isosurface(ball((-0.5, -0.5, -0.5), 0.2), resolution=64)
    found = extract_isosurface(ball((0.5, 0.5, 0.5), 0.3), resolution=64, near=elsewhere.vertices)
    np.testing.assert_allclose(np.linalg.norm(found.vertices - 0.5, axis=1), 0.3, atol=1e-3)
    assert found.trimesh().is_watertight


def test_thin_capsule_is_found_with_few_evaluations() -> None:
    distance = Counted(capsule((-0.71, -0.63, 0.33), (0.62, 0.57, -0.41), 0.02))
    mesh = extract_isosurface(distance, resolution=256, chunk=10_000)
    assert mesh.trimesh().is_watertight
    assert np.abs(distance.function(torch.from_numpy(mesh.vertices)).numpy()).max() < 2e-3
    length = np.linalg.norm([1.33, 1.2, 0.74])
    assert mesh.trimesh().area == pytest.approx(2 * np.pi * 0.02 * (length + 2 * 0.02), rel=0.03)
    assert distance.points < 257**3 / 150
    assert distance.largest_call <= 10_000


def test_no_corner_is_evaluated_twice() -> None:
    seen: list[Tensor] = []

    def distance(points: Tensor) -> Tensor:
        seen.append(points)
        return ball((0.0, 0.0, 0.0), 0.5)(points)

    extract_isosurface(distance, resolution=128, coarse=16)
    points = torch.cat(seen)
    assert len(points.unique(dim=0)) == len(points)


def test_surface_of_a_function_steeper_than_said_is_closed() -> None:
    """f is 30 times steeper than a distance, so corners beside the surface look far from it."""
    distance = capsule((-0.5, -0.31, 0.22), (0.6, 0.42, -0.13), 0.1)
    mesh = extract_isosurface(lambda points: 30 * distance(points), resolution=64, coarse=16)
    dense = extract_isosurface(distance, resolution=64, coarse=64)
    assert mesh.trimesh().is_watertight
    assert len(mesh.faces) == len(dense.faces)


def test_largest_component_by_area() -> None:
    small, large = ball((0.6, 0.0, 0.0), 0.2), ball((-0.4, 0.0, 0.0), 0.3)

    def both(points: Tensor) -> Tensor:
        return torch.minimum(small(points), large(points))

    assert extract_isosurface(both, resolution=64).trimesh().body_count == 2
    mesh = extract_isosurface(both, resolution=64, largest_component=True)
    assert mesh.trimesh().is_watertight
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices - [-0.4, 0, 0], axis=1), 0.3, atol=1e-3)
    assert len(np.unique(mesh.faces)) == len(mesh.vertices)


@pytest.mark.parametrize("resolution", [33, 40, 96])
def test_any_resolution(resolution: int) -> None:
    assert extract_isosurface(ball((0.0, 0.0, 0.0), 0.5), resolution).trimesh().is_watertight


def test_no_surface_gives_an_empty_mesh() -> None:
    mesh = extract_isosurface(ball((5.0, 0.0, 0.0), 0.5), resolution=64, largest_component=True)
    assert mesh.vertices.shape == (0, 3)
    assert mesh.faces.shape == (0, 3)
