"""Borders, holes and cuts of meshes against solids whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from spams_core.geometry.topology import _close_pairs, find_edges, find_holes, self_intersections, surface_pieces


@pytest.fixture(scope="module")
def ball() -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(3, 0.5)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    return float(trimesh.Trimesh(vertices, faces, process=False).volume)


def test_a_closed_surface_has_no_border_and_no_holes(ball):
    vertices, faces = ball
    edges = find_edges(faces)
    assert (len(edges.border), edges.crowded, edges.opposed) == (0, 0, 0)
    holes = find_holes(faces, len(vertices))
    assert holes.rims == ()
    np.testing.assert_array_equal(holes.closed(vertices), vertices)


def test_fans_close_every_hole_and_face_outwards(ball):
    vertices, faces = ball
    cap, bottom = vertices[:, 1] > 0.4, vertices[:, 1] < -0.45
    opened = faces[~(cap[faces].any(1) | bottom[faces].any(1))]
    holes = find_holes(opened, len(vertices))
    assert len(holes.rims) == 2
    closed = np.concatenate([opened, holes.faces])
    edges = find_edges(closed)
    assert (len(edges.border), edges.crowded, edges.opposed) == (0, 0, 0)
    whole = volume(holes.closed(vertices), closed)
    # A flat lid takes the spherical cap away, no more; a lid that faced inwards would take far more.
    assert 0.8 * volume(vertices, faces) < whole < volume(vertices, faces)
    # Many poses at once are closed as each of them is.
    both = np.stack([vertices, 2 * vertices])
    np.testing.assert_allclose(holes.closed(both)[1], 2 * holes.closed(vertices))


def test_turned_and_doubled_triangles_are_counted(ball):
    _, faces = ball
    turned = faces.copy()
    turned[0] = turned[0, ::-1]
    assert find_edges(turned).opposed == 3
    assert find_edges(np.concatenate([faces, faces[:1]])).crowded == 3


def test_pieces_are_numbered_by_size(ball):
    vertices, faces = ball
    small = np.array([[0, 1, 2]]) + len(vertices)
    piece = surface_pieces(np.concatenate([small, faces]), len(vertices) + 3)
    assert piece[0] == 1
    assert (piece[1:] == 0).all()


def test_a_ball_does_not_cut_itself(ball):
    assert len(self_intersections(*ball)) == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_two_balls_cut_each_other_along_a_circle(ball, scale):
    vertices, faces = ball
    offset = np.array([0.61, 0.03, 0.02])
    both = np.concatenate([vertices, vertices + offset]) * scale
    pairs = self_intersections(both, np.concatenate([faces, faces + len(vertices)]))
    assert len(pairs) > 20
    assert (pairs[:, 0] < len(faces)).all()
    assert (pairs[:, 1] >= len(faces)).all()
    middle = both[np.concatenate([faces, faces + len(vertices)])[pairs[:, 0]]].mean(1) / scale
    # Points that are as far from one centre as from the other, within a triangle's size.
    one, two = np.linalg.norm(middle, axis=1), np.linalg.norm(middle - offset, axis=1)
    assert np.abs(one - two).max() < 0.15


def test_a_large_triangle_is_compared_with_all(ball):
    vertices, faces = ball
    sheet = np.array([[-5.0, 0.013, -5.0], [5.0, 0.013, -5.0], [0.0, 0.013, 7.0]])
    pairs = self_intersections(
        np.concatenate([vertices, sheet]), np.concatenate([faces, [[len(vertices) + k for k in range(3)]]])
    )
    crossed = (vertices[faces][..., 1] > 0.013).any(1) & (vertices[faces][..., 1] < 0.013).any(1)
    np.testing.assert_array_equal(np.sort(pairs[:, 0]), np.nonzero(crossed)[0])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100, 401])
def test_close_pairs_are_those_of_a_comparison_of_all(count):
    draw = np.random.default_rng(0)
    corners = draw.uniform(size=(count, 1, 3)) + 0.1 * draw.normal(size=(count, 3, 3))
    low, high = corners.min(1), corners.max(1)
    touching = (low[:, None] <= high).all(-1) & (low <= high[:, None]).all(-1)
    expected = set(zip(*(side.tolist() for side in np.nonzero(np.triu(touching, 1))), strict=True))
    pairs = _close_pairs(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3))
    assert len(pairs) == len(expected)
    assert set(map(tuple, pairs.tolist())) == expected
