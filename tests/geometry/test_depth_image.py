from __future__ import annotations

import numpy as np
import pytest
import trimesh
from recordings import CAMERA, DISTANCE_M, RADIUS_M, ball_depth

from spams_core.data.virtual_camera import render_depth
from spams_core.geometry.camera import Camera
from spams_core.geometry.depth_image import depth_image
from spams_core.geometry.mesh import Mesh


def test_slanted_plane_has_its_depth_at_every_pixel_and_hides_what_is_behind():
    camera = Camera(32, 24, 40.0, 40.0, 15.5, 11.5, np.eye(4))
    # The plane z = 2 + x / 2, larger than the image; behind it one at z = 5.
    x = np.array([-3.0, 3.0, 3.0, -3.0])
    y = np.array([-3.0, -3.0, 3.0, 3.0])
    near, far = np.stack([x, y, 2 + x / 2], 1), np.stack([4 * x, 4 * y, np.full(4, 5.0)], 1)
    faces = np.array([[4, 5, 6], [4, 6, 7], [0, 1, 2], [0, 2, 3]])
    depth = depth_image(Mesh(np.concatenate([near, far]), faces), camera)
    # x = u z, so z = 2 / (1 - u / 2) along the ray (u, v, 1).
    u = (np.arange(32) - 15.5) / 40
    assert np.allclose(depth, np.broadcast_to(2 / (1 - u / 2), (24, 32)), rtol=1e-6)


def test_ball_has_its_closed_form_depth():
    sphere = trimesh.creation.icosphere(5, RADIUS_M)
    mesh = Mesh(np.asarray(sphere.vertices) - [0, 0, DISTANCE_M], np.asarray(sphere.faces))
    depth, truth = depth_image(mesh, CAMERA), ball_depth()
    assert ((depth > 0) == (truth > 0)).mean() > 0.99
    both = (depth > 0) & (truth > 0)
    # The facets of the icosphere lie up to 0.3 mm inside the ball; grazing rays meet them later.
    assert np.median(np.abs(depth - truth)[both]) < 3e-4


def test_ray_caster_agrees():
    pytest.importorskip("embreex")
    generator = np.random.default_rng(0)
    vertices = generator.uniform([-1, -1, 1.5], [1, 1, 4], (200, 3))
    faces = generator.integers(0, 200, (150, 3))
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])]
    camera = Camera(160, 120, 150.0, 150.0, 79.5, 59.5, np.eye(4))
    depth, (cast, _) = depth_image(Mesh(vertices, faces), camera), render_depth(vertices, faces, camera)
    same = np.abs(depth - cast) < 1e-4
    assert same.mean() > 0.999  # but for rays along an edge


def test_what_is_behind_the_camera_is_not_seen():
    camera = Camera(8, 8, 10.0, 10.0, 3.5, 3.5, np.eye(4))
    behind = np.array([[-1.0, -1, -2], [1, -1, -2], [0, 1, -2]])
    assert not depth_image(Mesh(behind, np.array([[0, 1, 2]])), camera).any()
