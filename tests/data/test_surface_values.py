from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fits import FRAMES, ball_fit
from recordings import write_ball

from spams_core.data.recording import read_sequence
from spams_core.data.surface_values import displacement_range_m, surface_values
from spams_core.errors import InputError

RADIUS_M = 0.5


def observed(outward_m: float, weights: float = 1.0):
    """The ball's front half, observed at a constant distance outside."""
    fit = ball_fit()
    row = 1
    center = fit.vertices_world[row].mean(0)
    front = fit.vertices_world[row][fit.vertices_world[row][:, 2] > 0.1]
    points = (center + (front - center) * (1 + outward_m / RADIUS_M)).astype(np.float32)
    counts = np.array([0, 0, len(points)] + [len(points)] * (FRAMES - 2))
    return replace(
        fit, observed_points=points, observed_labels=np.zeros(len(points), np.int32), matched_points=front,
        match_weights=np.full(len(points), weights, np.float32), observed_offsets=counts.astype(np.int64),
    )  # fmt: skip


def test_distance_is_that_of_the_observation_and_unknown_behind():
    fit = observed(0.02)
    values = surface_values(fit, 1, "distance")
    front = fit.vertices_world[1][:, 2] > 0.1
    # The nearest place on a vertex's triangles is the vertex, as the ball is convex.
    assert np.allclose(values[front], 0.02, atol=1e-5)
    assert np.isnan(values[fit.vertices_world[1][:, 2] < 0.0]).all()
    assert np.isnan(surface_values(fit, 0, "distance")).all()  # no points in that frame


def test_confidence_is_the_share_of_pairs_kept():
    fit = observed(0.02, weights=0.0)
    values = surface_values(fit, 1, "kept")
    assert (values[np.isfinite(values)] == 0).all()
    assert np.nanmin(surface_values(observed(0.02), 1, "kept")) == 1


def test_displacement_is_the_way_from_the_first_frame():
    fit = ball_fit()
    for row in range(FRAMES):
        assert np.allclose(surface_values(fit, row, "displacement"), row / (FRAMES - 1), atol=1e-6)
    assert displacement_range_m(fit) == pytest.approx(1.0, abs=1e-6)


def test_truth_is_the_distance_to_the_true_surface(tmp_path):
    sequence = read_sequence(write_ball(tmp_path / "ball", 10))
    truth = sequence.read_ground_truth(0).vertices
    moved = ball_fit()
    faces = sequence.read_ground_truth(0).faces
    moved = replace(
        moved, faces=faces, vertices_world=np.stack([truth * 1.0 for _ in range(FRAMES)]).astype(np.float32),
    )  # fmt: skip
    assert surface_values(moved, 0, "truth", sequence).max() < 1e-6
    # A sphere against the same one 10 cm aside: its foremost vertex is off by nearly that.
    assert 0.09 < surface_values(moved, 1, "truth", sequence).max() < 0.11
    with pytest.raises(InputError, match="no ground truth"):
        surface_values(moved, 0, "truth", None)
