"""Back-projection, projection and pixel normals against closed forms; cameras that can't be."""

import math

import numpy as np
import pytest

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera, back_project, pixel_normals, project

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


@pytest.mark.parametrize("tilt_deg", [0.0, 30.0, -50.0])
def test_normals_of_a_tilted_plane(tilt_deg: float):
    # The plane n · p = d seen along each pixel's ray r: depth z with z n · (r / r_z) = d.
    tilt = math.radians(tilt_deg)
    normal = np.array([math.sin(tilt), 0.0, -math.cos(tilt)])
    rays = back_project(np.ones((48, 64)), CAMERA)
    depth = -2.0 / (rays @ normal)
    depth[(depth < 0) | (depth > 5)] = 0
    points = back_project(depth, CAMERA)
    found = pixel_normals(points, depth > 0, jump_m=10.0)
    inside = (found != 0).any(-1)
    assert inside.sum() > 1000
    assert np.abs(found[inside] - normal).max() < 1e-9


def test_noise_hardly_turns_normals():
    """At three metres a pixel is 12 mm wide and readings are off by 9 mm: differences would be wrong by 30 degrees."""
    camera = Camera(96, 72, 250.0, 250.0, 47.5, 35.5)
    depth = 3.0 + 0.009 * np.random.default_rng(0).normal(size=(72, 96))
    found = pixel_normals(back_project(depth, camera), depth > 0)
    inside = found[6:-6, 6:-6]
    angles_deg = np.degrees(np.arccos(np.clip(-inside[..., 2], -1, 1)))
    assert np.median(angles_deg) < 8
    assert np.percentile(angles_deg, 95) < 16


def test_normals_do_not_look_across_a_jump():
    depth = np.full((48, 64), 2.0)
    depth[:, 32:] = 3.0
    found = pixel_normals(back_project(depth, CAMERA), depth > 0)
    assert np.allclose(found, [0, 0, -1])


def test_a_lone_pixel_has_no_normal():
    depth = np.zeros((48, 64))
    depth[20, 20] = 2.0
    assert not pixel_normals(back_project(depth, CAMERA), depth > 0).any()


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 3), (2, 2)])
def test_images_smaller_than_the_window_are_fine(size: tuple[int, int]):
    depth = back_project(np.full((48, 64), 0.5), CAMERA)[: size[0], : size[1]]
    found = pixel_normals(depth, np.ones(size, dtype=bool))
    assert (found != 0).any() == (min(size) > 1)


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
