from __future__ import annotations

import numpy as np
import pytest
from recordings import CAMERA, DISTANCE_M, RADIUS_M, ball_depth

from spams_core.data.sequence import subject_points, subject_silhouette
from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.normals import pixel_normals


def over_the_whole_image(depth_m, mask, camera):
    """The slow twin: every pixel of the image."""
    points = back_project(depth_m, camera)
    normals = pixel_normals(points, mask & (depth_m > 0))
    keep = (normals != 0).any(-1)
    rotation, translation = camera.world_from_camera[:3, :3], camera.world_from_camera[:3, 3]
    rows, columns = np.nonzero(keep)
    return points[keep] @ rotation.T + translation, normals[keep] @ rotation.T, np.stack([columns, rows], -1)


@pytest.mark.parametrize("shift_m", [-0.6, 0.0, 0.3, 0.7])
def test_looking_only_at_the_subject_changes_nothing(shift_m):
    pose = np.array([[0.0, 0, 1, 0.3], [1, 0, 0, -2], [0, 1, 0, 5], [0, 0, 0, 1]])
    camera = Camera(32, 24, 40.0, 40.0, 15.5, 11.5, pose)
    depth = ball_depth(shift_m)
    mask = np.random.default_rng(0).random(depth.shape) < 0.9
    seen = subject_points(depth, mask, camera)
    points, normals, pixels = over_the_whole_image(depth, mask, camera)
    assert np.allclose(seen.points_world, points, atol=1e-6)
    assert np.allclose(seen.normals_world, normals, atol=1e-6)
    assert np.array_equal(seen.pixels, pixels)


def test_normals_of_a_ball_point_away_from_its_centre():
    depth = ball_depth()
    seen = subject_points(depth, depth > 0, CAMERA)
    outward = (seen.points_world - [0, 0, -DISTANCE_M]) / RADIUS_M
    # The camera looks along -z, so +z of the world points back at it.
    assert seen.normals_world[:, 2].min() > 0
    middle = np.linalg.norm(outward[:, :2], axis=1) < 0.6
    # Central differences over two pixels of 4 cm on a curve of 0.5 m turn the normal by less than 5 degrees.
    assert (seen.normals_world * outward).sum(1)[middle].min() > np.cos(np.deg2rad(5))


def test_nothing_seen_gives_no_points():
    seen = subject_points(ball_depth(), np.zeros((24, 32), bool), CAMERA)
    assert seen.points_world.shape == seen.normals_world.shape == (0, 3)
    assert seen.pixels.shape == (0, 2)


def disc_with_gaps():
    """A disc of 20 pixels radius that lacks a row of readings, and a block of 9 × 9 in its middle."""
    rows, columns = np.mgrid[:60, :60]
    disc = (rows - 30) ** 2 + (columns - 30) ** 2 <= 400
    gaps = (rows == 15) | ((abs(rows - 30) < 5) & (abs(columns - 30) < 5))
    return disc, disc & ~gaps


def test_lost_readings_inside_a_body_are_the_subject_s():
    disc, seen = disc_with_gaps()
    silhouette = subject_silhouette(np.where(seen, 2.0, 0.0), seen)
    assert not (silhouette & ~disc).any()
    assert (disc & ~silhouette).sum() <= 2  # the ends of the row, at the disc's edge
    assert silhouette[26:35, 26:35].all()


def test_a_mask_that_knows_pixels_without_a_reading_is_taken_as_it_is():
    disc, seen = disc_with_gaps()
    ring = disc.copy()
    ring[28:33, 28:33] = False
    assert np.array_equal(subject_silhouette(np.where(seen, 2.0, 0.0), ring), ring)


def test_background_that_is_seen_through_a_hole_is_not_the_subject_s():
    _, seen = disc_with_gaps()
    depth = np.where(seen, 2.0, 0.0)
    depth[26:35, 26:35] = 4.0
    silhouette = subject_silhouette(depth, seen)
    assert not silhouette[26:35, 26:35].any()
    assert silhouette[15, 20:40].all()
