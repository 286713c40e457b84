from __future__ import annotations

import numpy as np
import pytest
import trimesh

from spams_core.geometry.mesh import Mesh
from spams_core.metrics.surface import compare_surfaces, intersection_over_union


def cube(edge: float, center: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Mesh:
    made = trimesh.creation.box((edge, edge, edge))
    return Mesh(np.asarray(made.vertices) + center, np.asarray(made.faces))


def sphere(radius: float) -> Mesh:
    made = trimesh.creation.icosphere(5, radius)
    return Mesh(np.asarray(made.vertices), np.asarray(made.faces))


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        (cube(0.8), cube(0.8), 1.0),
        (cube(0.5), cube(1.0), 1 / 8),
        (cube(1.0), cube(0.5), 1 / 8),
        (cube(0.8, (0.2, 0.0, 0.0)), cube(0.8), 3 / 5),
        (cube(0.4, (0.5, 0.5, 0.5)), cube(0.4, (-0.5, -0.5, -0.5)), 0.0),
        # Only what lies in [-1, 1]³ is compared: the union is 2 · 2 · 1.5 there.
        (cube(2.0, (0.5, 0.0, 0.0)), cube(2.0, (1.0, 0.0, 0.0)), 2 / 3),
    ],
)
def test_iou_of_cubes(predicted: Mesh, truth: Mesh, expected: float) -> None:
    # The union holds at least 64,000 of the points, so that 4 standard deviations are below 0.008.
    assert intersection_over_union(predicted, truth, generator()) == pytest.approx(expected, abs=0.008)


def test_iou_of_spheres() -> None:
    expected = (0.5 / 0.6) ** 3
    assert intersection_over_union(sphere(0.5), sphere(0.6), generator()) == pytest.approx(expected, abs=0.006)


def test_iou_survives_a_hole() -> None:
    whole = sphere(0.5)
    holed = Mesh(whole.vertices, whole.faces[8:])
    assert intersection_over_union(holed, whole, generator(), count=100_000) > 0.99


def test_iou_without_any_volume_is_zero() -> None:
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int))
    assert intersection_over_union(empty, cube(0.5), generator(), count=1000) == 0.0
    assert intersection_over_union(empty, empty, generator(), count=1000) == 0.0


def test_chamfer_of_concentric_spheres() -> None:
    agreement = compare_surfaces(sphere(0.5), sphere(0.6), generator(), count=50_000)
    assert agreement.accuracy == pytest.approx(0.01, rel=0.01)
    assert agreement.completeness == pytest.approx(0.01, rel=0.01)
    assert agreement.normal_consistency == pytest.approx(1.0, abs=1e-3)


def test_both_directions_of_concentric_cubes() -> None:
    """From an inner cube every place is δ away; from the outer one the rim, δ wide, is farther away.

    On an outer face of edge L each tangential coordinate leaves the inner face by e ≤ δ on 2δ of L: the mean squared
    distance is δ² + 2 · (2/L) ∫ e² de = δ² + 4 δ³ / 3L.
    """
    inner, outer, gap = cube(1.0), cube(1.5), 0.25
    agreement = compare_surfaces(inner, outer, generator(), count=40_000)
    assert agreement.accuracy == pytest.approx(gap**2, rel=0.015)
    assert agreement.completeness == pytest.approx(gap**2 + 4 * gap**3 / (3 * 1.5), rel=0.015)
    assert agreement.chamfer_l2 == pytest.approx((agreement.accuracy + agreement.completeness) / 2)
    turned = compare_surfaces(outer, inner, generator(), count=40_000)
    assert turned.accuracy == pytest.approx(agreement.completeness, rel=0.015)
    assert turned.completeness == pytest.approx(agreement.accuracy, rel=0.015)


def test_equal_surfaces_differ_by_the_samples_spacing_only() -> None:
    agreement = compare_surfaces(sphere(0.5), sphere(0.5), generator(), count=50_000)
    assert agreement.chamfer_l2 == pytest.approx(4 * np.pi * 0.5**2 / (np.pi * 50_000), rel=0.03)


def test_far_piece_counts_in_full() -> None:
    """Half of the predicted area is 0.9 away from the truth: nothing caps or drops it."""
    both = trimesh.util.concatenate(
        [trimesh.creation.box((0.1,) * 3), trimesh.creation.box((0.1,) * 3).apply_translation([1.0, 0, 0])]
    )
    agreement = compare_surfaces(Mesh(both.vertices, both.faces), cube(0.1), generator(), count=20_000)
    assert 0.5 * 0.9**2 < agreement.accuracy < 0.5 * 1.0**2
    assert agreement.completeness < 1e-4


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0, np.pi])
def test_normals_of_tilted_triangles_differ_by_the_angle(angle: float) -> None:
    faces = np.array([[0, 1, 2]])
    flat = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), faces)
    tilt = trimesh.transformations.rotation_matrix(angle, [1, 0, 0])[:3, :3]
    tilted = Mesh((flat.vertices @ tilt.T).astype(np.float32), faces)
    agreement = compare_surfaces(tilted, flat, generator(), count=500)
    assert agreement.normal_accuracy == pytest.approx(np.cos(angle), abs=1e-6)
    assert agreement.normal_completeness == pytest.approx(np.cos(angle), abs=1e-6)
    assert agreement.normal_consistency == pytest.approx(np.cos(angle), abs=1e-6)


def test_surface_turned_inside_out_has_opposite_normals() -> None:
    whole = sphere(0.5)
    inside_out = Mesh(whole.vertices, whole.faces[:, ::-1])
    assert compare_surfaces(inside_out, whole, generator(), count=20_000).normal_consistency < -0.99
