"""Back-projection and projection against closed forms; cameras that can't be."""

import math

import numpy as np
import pytest

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera, back_project, project

CAMERA = Camera(64, 48, 50.0, 60.0, 31.0, 23.5)


def test_principal_point_lies_on_the_axis_and_a_known_pixel_where_it_must():
    depth = np.full((48, 64), 2.0)
    points = back_project(depth, CAMERA)
    assert np.allclose(points[:, 31, 0], 0)
    # u = 56 is 25 pixels right of the principal point: x = 25 / 50 · 2.
    assert np.allclose(points[10, 56], [1.0, (10 - 23.5) / 60 * 2, 2.0])


def test_projection_inverts_back_projection():
    depth = np.random.default_rng(0).uniform(0.5, 4.0, (48, 64))
    pixels, z = project(back_project(depth, CAMERA), CAMERA)
    u, v = np.meshgrid(np.arange(64), np.arange(48))
    assert np.allclose(pixels[..., 0], u)
    assert np.allclose(pixels[..., 1], v)
    assert np.allclose(z, depth)


def test_points_behind_the_camera_have_no_pixel():
    pixels, z = project(np.array([0.1, 0.2, -1.0]), CAMERA)
    assert np.isnan(pixels).all()
    assert z == -1.0


def test_sizes_must_agree():
    with pytest.raises(InputError, match="depth is 64×40 but the camera 64×48"):
        back_project(np.zeros((40, 64)), CAMERA)


@pytest.mark.parametrize(
    "changed",
    [{"fx": -1.0}, {"fy": math.nan}, {"cx": math.inf}, {"width": 0}, {"world_from_camera": np.diag([1, 1, 2, 1])}],
)
def test_impossible_cameras_are_refused(changed: dict):
    values = {"width": 64, "height": 48, "fx": 50.0, "fy": 60.0, "cx": 31.0, "cy": 23.5, **changed}
    with pytest.raises(InputError, match="camera"):
        Camera(**values)
