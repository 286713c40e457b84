from __future__ import annotations

import numpy as np
import pytest
import trimesh

from spams_core.geometry.mesh import Mesh
from spams_core.metrics.tracking import bind_samples, end_point_errors, errors_by_part

COUNT = 50_000


def sphere(radius: float = 0.5, subdivisions: int = 5) -> Mesh:
    made = trimesh.creation.icosphere(subdivisions, radius)
    return Mesh(np.asarray(made.vertices), np.asarray(made.faces))


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_perfect_tracking_leaves_the_samples_spacing() -> None:
    """The nearest of N random samples on area A is ½ √(A / N) away on average, and stays so."""
    mesh = sphere()
    binding = bind_samples(mesh, mesh, generator(), COUNT)
    spacing = 0.5 * np.sqrt(4 * np.pi * 0.5**2 / COUNT)
    for shift in ([0.0, 0.0, 0.0], [3.0, -1.0, 2.0]):
        errors = end_point_errors(binding, mesh.vertices + shift, mesh.vertices + shift)
        assert errors.shape == (COUNT,)
        assert errors.mean() == pytest.approx(spacing, rel=0.02)


def test_prediction_that_stays_behind_errs_by_the_way_gone() -> None:
    truth, predicted = sphere(), sphere(subdivisions=4)
    binding = bind_samples(predicted, truth, generator(), COUNT)
    errors = end_point_errors(binding, predicted.vertices, truth.vertices + np.array([0.0, 0.4, -0.3]))
    assert errors.mean() == pytest.approx(0.5, rel=1e-3)


def test_turn_that_the_shape_does_not_show_is_seen() -> None:
    """A sphere that turns by θ looks the same, yet its points move 2 sin(θ/2) · π/4 · r on average."""
    mesh = sphere()
    turn = trimesh.transformations.rotation_matrix(1.0, [0, 0, 1])[:3, :3]
    binding = bind_samples(mesh, mesh, generator(), COUNT)
    errors = end_point_errors(binding, mesh.vertices, mesh.vertices @ turn.T)
    assert errors.mean() == pytest.approx(2 * np.sin(0.5) * np.pi / 4 * 0.5, rel=0.01)


def test_binding_is_to_the_nearest_place_of_the_first_frame() -> None:
    """Concentric spheres err by the gap at the first frame, and by gap plus way in the direction of the motion."""
    predicted, truth = sphere(0.5), sphere(0.6)
    binding = bind_samples(predicted, truth, generator(), COUNT)
    assert end_point_errors(binding, predicted.vertices, truth.vertices).mean() == pytest.approx(0.1, rel=0.01)
    assert end_point_errors(binding, predicted.vertices, 2 * truth.vertices).mean() == pytest.approx(0.7, rel=0.01)


def test_every_sample_counts_however_far() -> None:
    """The truth has a second piece far from any prediction; its samples are bound and counted."""
    near, far = trimesh.creation.box((0.1,) * 3), trimesh.creation.box((0.1,) * 3).apply_translation([10.0, 0, 0])
    both = trimesh.util.concatenate([near, far])
    predicted = Mesh(np.asarray(near.vertices), np.asarray(near.faces))
    binding = bind_samples(predicted, Mesh(both.vertices, both.faces), generator(), 10_000)
    errors = end_point_errors(binding, predicted.vertices, np.asarray(both.vertices))
    assert len(errors) == 10_000
    assert (errors > 9).mean() == pytest.approx(0.5, abs=0.03)
    assert errors.mean() == pytest.approx(0.5 * 9.95, rel=0.06)


def test_a_part_that_moves_alone_errs_alone() -> None:
    """Of two boxes, the truth moves one by 50 mm and the prediction stays; a third part has no samples."""
    boxes = [trimesh.creation.box((0.2,) * 3).apply_translation([x, 0, 0]) for x in (-1.0, 1.0)]
    both = trimesh.util.concatenate(boxes)
    mesh, parts = Mesh(np.asarray(both.vertices), np.asarray(both.faces)), np.repeat([0, 1], 8)
    binding = bind_samples(mesh, mesh, generator(), COUNT)
    moved = mesh.vertices + np.array([0.0, 0.03, -0.04]) * parts[:, None]
    errors = end_point_errors(binding, mesh.vertices, moved)
    found = errors_by_part(errors, binding, parts, ("still", "moves", "absent"))
    assert found["still"] == pytest.approx(0.5 * np.sqrt(2 * 6 * 0.2**2 / COUNT), rel=0.05)
    assert found["moves"] == pytest.approx(0.05, rel=0.01)
    assert found["absent"] is None


def test_sample_belongs_to_the_nearest_corner() -> None:
    """The share of a triangle that is nearer to one corner in barycentric coordinates is a third."""
    triangle = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]]))
    binding = bind_samples(triangle, triangle, generator(), 20_000)
    # The part's mean error is the part's share if all its samples err by 1 and the others are counted as well.
    for corner in range(3):
        parts = np.where(np.arange(3) == corner, 1, 0)
        owned = binding.truth.barycentric.argmax(1) == corner
        found = errors_by_part(owned.astype(float), binding, parts, ("others", "corner"))
        assert found == {"others": 0.0, "corner": 1.0}
        assert owned.mean() == pytest.approx(1 / 3, abs=0.015)
