"""Normals of pixels against closed forms, and against a plane fitted pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.normals import pixel_normals

CAMERA = Camera(64, 48, 50.0, 60.0, 31.0, 23.5)


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


def fitted_normal(points: np.ndarray, valid: np.ndarray, at: tuple[int, int], radius: int, jump_m: float) -> np.ndarray:
    """By least squares on 1 / z = (n · (x/z, y/z, 1)) / d over the window around one pixel."""
    rows = slice(max(at[0] - radius, 0), at[0] + radius + 1)
    columns = slice(max(at[1] - radius, 0), at[1] + radius + 1)
    near = points[rows, columns][valid[rows, columns]]
    near = near[np.abs(near[:, 2] - points[at][2]) < jump_m]
    terms = near / near[:, 2:]
    plane, _, rank, _ = np.linalg.lstsq(terms, 1 / near[:, 2], rcond=1e-9)
    if rank < 3:
        return np.zeros(3)
    normal = plane / np.linalg.norm(plane)
    return -normal if normal @ points[at] > 0 else normal


@pytest.mark.parametrize("radius", [1, 2, 3, 4])
@pytest.mark.parametrize("band_pixels", [64, 64 * 17, 64 * 48])
def test_normals_are_those_of_planes_fitted_pixel_by_pixel(
    radius: int, band_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With noise, lost readings and jumps of the depth; at every place of the image, its corners and the bands' edges
    included."""
    monkeypatch.setattr("spams_core.geometry.normals._BAND_PIXELS", band_pixels)
    monkeypatch.setattr("spams_core.geometry.normals._JUMPS_AT_ONCE", band_pixels)
    random = np.random.default_rng(radius)
    u, v = np.meshgrid(np.arange(64), np.arange(48))
    depth = 2.0 + 0.2 * np.sin(u / 9) * np.cos(v / 7) + 0.004 * random.normal(size=(48, 64))
    depth = np.where((u - 30) ** 2 + (v - 20) ** 2 < 100, 1.5, depth)
    valid = random.random((48, 64)) > 0.2
    points = back_project(np.where(valid, depth, 0.0), CAMERA)
    spacing = float(np.median(depth[valid])) / CAMERA.fx
    found = pixel_normals(points, valid, jump_m=0.05, radius_m=radius * spacing)
    for row, column in np.ndindex(48, 64):
        expected = fitted_normal(points, valid, (row, column), radius, 0.05) if valid[row, column] else np.zeros(3)
        assert np.allclose(found[row, column], expected, atol=1e-7), (row, column)


def test_normals_of_an_image_as_wide_as_can_be() -> None:
    camera = Camera(24_000, 5, 12_000.0, 12_000.0, 11_999.5, 2.0)
    rays = back_project(np.ones((5, 24_000)), camera)
    normal = np.array([0.1, 0.0, -1.0]) / np.hypot(0.1, 1.0)
    points = back_project(-0.5 / (rays @ normal), camera)
    assert np.abs(pixel_normals(points, np.ones((5, 24_000), dtype=bool)) - normal).max() < 1e-6
