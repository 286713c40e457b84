from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import closest_on_surface, contains, nearest_points, nearest_within, signed_distance


def box(edge: float = 1.0) -> Mesh:
    made = trimesh.creation.box((edge, edge, edge))
    return Mesh(np.asarray(made.vertices), np.asarray(made.faces))


def box_distance(points: np.ndarray, edge: float = 1.0) -> np.ndarray:
    """Exact signed distance to a box around the origin."""
    q = np.abs(points) - edge / 2
    return np.linalg.norm(q.clip(min=0), axis=1) + q.max(1).clip(max=0)


def test_nearest_points_equal_brute_force() -> None:
    generator = np.random.default_rng(0)
    query, points = generator.normal(size=(200, 3)), generator.normal(size=(300, 3))
    distance, index = nearest_points(query, points)
    every = np.linalg.norm(query[:, None] - points, axis=-1)
    np.testing.assert_array_equal(index, every.argmin(1))
    np.testing.assert_allclose(distance, every.min(1))


def test_nearest_within_equals_brute_force() -> None:
    generator = np.random.default_rng(0)
    query, points = generator.normal(size=(200, 3)), generator.normal(size=(300, 3))
    every = np.linalg.norm(query[:, None] - points, axis=-1)
    near = every.min(1) < 0.5
    assert 20 < near.sum() < 180
    np.testing.assert_array_equal(nearest_within(query, points, 0.5), np.where(near, every.argmin(1), -1))


@pytest.mark.parametrize("known", [1, 2, 30, 300, 3000])
def test_pixels_find_their_nearest_together(known: int) -> None:
    """An image with lost readings, a jump, noise, and a corner without any labelled point."""
    generator = np.random.default_rng(known)
    u, v = np.meshgrid(np.arange(130), np.arange(90))
    depth = np.where((u - 60) ** 2 + (v - 40) ** 2 < 400, 1.6, 2.0 + 0.2 * np.sin(u / 20) * np.cos(v / 15))
    depth += 0.003 * generator.normal(size=u.shape)
    seen = generator.random(u.shape) > 0.3
    pixels = np.stack([u[seen], v[seen]], axis=1).astype(np.int32) + np.int32(7)
    query = back_project(depth, Camera(130, 90, 200.0, 200.0, 64.5, 44.5))[seen].astype(np.float32)
    there = np.flatnonzero((pixels[:, 0] > 50) | (pixels[:, 1] > 40))
    points = query[generator.choice(there, known, replace=False)]
    distance, expected = cKDTree(points).query(query)
    expected[distance >= 0.03] = -1
    assert (expected == -1).any()
    assert (expected >= 0).any()
    np.testing.assert_array_equal(nearest_within(query, points, 0.03, pixels), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
def test_narrow_images_find_their_nearest(shape: tuple[int, int]) -> None:
    v, u = np.indices(shape).reshape(2, -1)
    query = np.stack([0.01 * u, 0.01 * v, np.ones(len(u))], axis=1)
    expected = np.where(u + v < 3, 0, -1)
    np.testing.assert_array_equal(nearest_within(query, query[:1], 0.025, np.stack([u, v], axis=1)), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signed_distance_to_a_box(dtype: type) -> None:
    points = np.random.default_rng(1).uniform(-1, 1, (2000, 3)).astype(dtype)
    np.testing.assert_allclose(signed_distance(points, box()), box_distance(points), atol=1e-6)
    np.testing.assert_array_equal(contains(points, box()), box_distance(points) < 0)


def test_closest_place_is_on_the_face_it_names() -> None:
    points = np.random.default_rng(2).uniform(-1, 1, (2000, 3))
    mesh = box()
    distance, face, barycentric = closest_on_surface(points, mesh)
    np.testing.assert_allclose(distance, np.abs(box_distance(points)), atol=1e-12)
    np.testing.assert_allclose(barycentric.sum(1), 1.0)
    assert barycentric.min() > -1e-9
    places = (mesh.vertices[mesh.faces[face]] * barycentric[..., None]).sum(1)
    np.testing.assert_allclose(np.linalg.norm(points - places, axis=1), distance, atol=1e-9)


def test_triangle_without_area_gives_a_place() -> None:
    mesh = Mesh(np.array([[0.0, 0.0, 0.0]] * 3), np.array([[0, 1, 2]]))
    distance, _, barycentric = closest_on_surface(np.array([[0.0, 3.0, 4.0]]), mesh)
    assert distance == 5.0
    np.testing.assert_array_equal(barycentric, [[1.0, 0.0, 0.0]])


def test_box_with_a_hole_still_encloses_its_middle() -> None:
    mesh = box()
    points = np.array([[0.0, 0.0, 0.0], [0.1, -0.1, 0.2], [0.9, 0.0, 0.0], [-2.0, 3.0, 0.0]])
    np.testing.assert_array_equal(contains(points, Mesh(mesh.vertices, mesh.faces[1:])), [True, True, False, False])


def test_empty_mesh_encloses_nothing() -> None:
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int))
    assert not contains(np.zeros((4, 3)), empty).any()
