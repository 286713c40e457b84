"""The virtual depth camera against analytic depth, and its noise against the formulas it states."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import trimesh

from spams_core.data.virtual_camera import (
    EXACT,
    SensorNoise,
    apply_noise,
    axial_sigma_m,
    incidence_cosines,
    orbit_camera,
    render_depth,
)
from spams_core.errors import InputError
from spams_core.frames import transform_points
from spams_core.geometry.camera import Camera, back_project, project

pytest.importorskip("embreex")


def wall(z: float) -> tuple[np.ndarray, np.ndarray]:
    """A 10 m square at camera depth z, in the world of the default camera (which looks along −z)."""
    corners = np.array([[-5, -5, -z], [5, -5, -z], [5, 5, -z], [-5, 5, -z]], dtype=float)
    return corners, np.array([[0, 1, 2], [0, 2, 3]])


def test_plane_depth_is_constant_and_tilted_plane_matches_formula():
    camera = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
    vertices, faces = wall(2.0)
    depth, face_ids = render_depth(vertices, faces, camera)
    assert depth.dtype == np.float32
    assert face_ids.dtype == np.int32
    np.testing.assert_allclose(depth, 2.0, atol=1e-6)
    assert set(np.unique(face_ids)) == {0, 1}
    # The plane z_camera = 2 + x_camera / 2 meets the ray (x, y, 1)·z at z = 2 / (1 − x / 2).
    tilted = vertices.copy()
    tilted[:, 2] -= tilted[:, 0] / 2
    depth, _ = render_depth(tilted, faces, camera)
    x = (np.arange(64) - 31.5) / 60.0
    np.testing.assert_allclose(depth, np.broadcast_to(2.0 / (1 - x / 2), depth.shape), rtol=2e-6)


def test_sphere_depth_lies_on_sphere_and_covers_its_silhouette():
    radius, distance = 0.5, 2.0
    sphere = trimesh.creation.icosphere(5, radius)
    camera = orbit_camera(37.0, 20.0, distance, (0.0, 0.0, 0.0))
    depth, face_ids = render_depth(sphere.vertices, sphere.faces, camera)
    hit = face_ids >= 0
    assert ((depth > 0) == hit).all()
    points_world = transform_points(camera.world_from_camera, back_project(depth, camera)[hit])
    # A triangle with edges up to h lies at most h² / 6r below the sphere that its corners touch.
    sagitta = sphere.edges_unique_length.max() ** 2 / (6 * radius)
    below = radius - np.linalg.norm(points_world, axis=-1)
    assert below.min() > -1e-6
    assert below.max() < sagitta + 1e-6 < 2e-4
    # A sphere of radius r at d on the optical axis is seen as a disc of angular radius asin(r / d).
    radius_px = camera.fx * np.tan(np.arcsin(radius / distance))
    assert hit.sum() == pytest.approx(np.pi * radius_px**2, rel=0.005)
    centre = np.argwhere(hit).mean(0)
    np.testing.assert_allclose(centre, [camera.cy, camera.cx], atol=0.1)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 30), (200, -15), (315, 80)])
def test_back_projected_pixels_lie_on_the_face_they_hit(azimuth, elevation):
    body = trimesh.creation.capsule(height=1.0, radius=0.3)
    camera = orbit_camera(azimuth, elevation, 1.7, (0.1, 0.2, 0.3))
    depth, face_ids = render_depth(body.vertices, body.faces, camera)
    hit = face_ids >= 0
    assert hit.sum() > 1000
    points_world = transform_points(camera.world_from_camera, back_project(depth, camera)[hit])
    corners = body.vertices[body.faces[face_ids[hit]]]
    nearest = trimesh.triangles.closest_point(corners, points_world)
    assert np.linalg.norm(nearest - points_world, axis=-1).max() < 1e-5


def test_orbit_camera_looks_at_its_target_upright():
    front = orbit_camera(0, 0, 2.0, (0.0, 1.0, 0.0))
    np.testing.assert_allclose(front.world_from_camera[:3, :3], np.diag([1.0, -1.0, -1.0]), atol=1e-12)
    np.testing.assert_allclose(front.world_from_camera[:3, 3], [0, 1, 2], atol=1e-12)
    # From the person's left (+x), what is in front of the person (+z) appears on the left of the image.
    side = orbit_camera(90, 10, 3.0, (0.0, 1.0, 0.0))
    camera_from_world = np.linalg.inv(side.world_from_camera)
    (centre, ahead, above), depth = project(
        transform_points(camera_from_world, np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 1.5, 0.0]])), side
    )
    np.testing.assert_allclose(centre, [side.cx, side.cy], atol=1e-9)
    assert depth[0] == pytest.approx(3.0)
    assert ahead[0] < centre[0] - 10
    assert above[0] == pytest.approx(centre[0])
    assert above[1] < centre[1] - 10


def test_cropped_absent_and_behind_bodies():
    camera = orbit_camera(0, 0, 2.0)
    sphere = trimesh.creation.icosphere(3, 0.3)
    half, _ = render_depth(sphere.vertices - np.array([2 * 160 / 252, 0, 0]), sphere.faces, camera)
    assert (half[:, :2] > 0).any()
    assert not (half[:, 100:] > 0).any()
    for offset in ([50.0, 0, 0], [0, 0, 10.0]):
        depth, face_ids = render_depth(sphere.vertices + offset, sphere.faces, camera)
        assert not depth.any()
        assert (face_ids == -1).all()
    # A room around the camera reaches behind it and fills the whole image.
    room = trimesh.creation.box((6, 6, 6))
    depth, _ = render_depth(room.vertices, room.faces, camera)
    np.testing.assert_allclose(depth[100:180, 100:220], 5.0, atol=1e-5)
    assert (depth > 0).all()


def test_incidence_cosine_of_a_wall_is_the_rays_own_angle():
    camera = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
    vertices, faces = wall(2.0)
    _, face_ids = render_depth(vertices, faces, camera)
    rays = back_project(np.ones((48, 64)), camera)
    np.testing.assert_allclose(
        incidence_cosines(vertices, faces, face_ids, camera), 1 / np.linalg.norm(rays, axis=-1), atol=1e-9
    )


def test_without_effects_depth_stays_exact():
    generator = np.random.default_rng(0)
    depth = generator.uniform(1.0, 4.0, (20, 30)).astype(np.float32)
    depth[generator.random((20, 30)) < 0.3] = 0
    np.testing.assert_array_equal(apply_noise(depth, generator.random((20, 30)), EXACT, generator), depth)


@pytest.mark.parametrize("z", [1.0, 2.5, 4.0])
def test_axial_noise_has_the_stated_deviation(z):
    noise = SensorNoise(disparity_step_px=0, edge_dropout=0, grazing_angle_deg=90, hole_share=0)
    depth = np.full((400, 400), z, dtype=np.float32)
    error = apply_noise(depth, np.ones_like(depth), noise, np.random.default_rng(1)) - depth
    sigma = 0.0012 + 0.0019 * (z - 0.4) ** 2
    assert axial_sigma_m(np.array(z)) == pytest.approx(sigma)
    # Noise alike over some 20 pixels leaves about 8,000 independent draws: 1 % deviation of the estimate.
    assert error.std() == pytest.approx(sigma, rel=0.04)
    assert abs(error.mean()) < 0.05 * sigma


def test_disparity_is_rounded_to_eighths_of_a_pixel():
    noise = SensorNoise(axial_scale=0, edge_dropout=0, grazing_angle_deg=90, hole_share=0)
    depth = np.linspace(0.8, 4.5, 10_000, dtype=np.float32).reshape(100, 100)
    read = apply_noise(depth, np.ones_like(depth), noise, np.random.default_rng(0))
    steps = 43.5 / read.astype(np.float64) / 0.125
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert np.abs(43.5 / depth - 43.5 / read).max() <= 0.0625 + 1e-4
    near = np.unique(read[np.abs(read - 2.5) < 0.05])
    assert np.diff(near).max() == pytest.approx(0.018, abs=0.001)  # z² / (b f) · ⅛ px at 2.5 m


def test_dropout_strikes_only_where_it_should():
    generator = np.random.default_rng(2)
    depth = np.full((200, 200), 3.0, dtype=np.float32)
    depth[:, 100:] = 2.0
    facing = np.ones_like(depth)
    edges = SensorNoise(disparity_step_px=0, axial_scale=0, grazing_angle_deg=90, hole_share=0, edge_dropout=0.5)
    lost = apply_noise(depth, facing, edges, generator) == 0
    assert lost[:, 99:101].mean() == pytest.approx(0.5, abs=0.15)
    assert not np.delete(lost, [99, 100], axis=1).any()
    silhouette = np.pad(depth[:, 100:], ((0, 0), (0, 50)))
    lost = apply_noise(silhouette, np.ones_like(silhouette), edges, generator)[:, :100] == 0
    assert lost[:, 99].mean() == pytest.approx(0.5, abs=0.15)
    assert not lost[:, :99].any()

    grazing = SensorNoise(disparity_step_px=0, axial_scale=0, edge_dropout=0, hole_share=0, grazing_angle_deg=75)
    angles = np.broadcast_to(np.linspace(0, 90, 200), (200, 200))
    lost = apply_noise(depth, np.cos(np.radians(angles)), grazing, generator) == 0
    assert not lost[angles < 55].any()
    assert lost[angles > 89].mean() > 0.99
    assert lost[np.abs(angles - 75) < 1].mean() == pytest.approx(0.5, abs=0.1)

    holes = SensorNoise(disparity_step_px=0, axial_scale=0, edge_dropout=0, grazing_angle_deg=90, hole_share=0.05)
    lost = apply_noise(depth, facing, holes, generator) == 0
    assert lost.mean() == pytest.approx(0.05, abs=0.02)
    # Holes are blobs: most lost pixels have a lost neighbour to the right.
    assert (lost[:, :-1] & lost[:, 1:]).sum() > 0.6 * lost.sum()


def test_noise_repeats_with_its_generator():
    depth = np.full((50, 60), 2.0, dtype=np.float32)
    first, again, other = (
        apply_noise(depth, np.ones_like(depth), SensorNoise(), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hole_share": 1.5}, "noise hole_share is 1.5; it is a share. Give a number from 0 to 1."),
        ({"grazing_angle_deg": 0.0}, "noise grazing_angle_deg is 0.0. Give more than 0 and at most 90."),
        ({"axial_scale": float("nan")}, "noise axial_scale is nan. Give 0 (off) or a positive number."),
        ({"edge_jump_m": 0.0}, "noise edge_jump_m is 0.0. Give a positive number."),
    ],
)
def test_senseless_noise_is_refused(settings, message):
    with pytest.raises(InputError) as caught:
        SensorNoise(**settings)
    assert str(caught.value) == message


def test_senseless_camera_is_refused():
    with pytest.raises(InputError, match="distance is 0"):
        orbit_camera(0, 0, 0)
    with pytest.raises(InputError, match="elevation is 90"):
        orbit_camera(0, 90, 1)


def test_missing_ray_caster_names_the_extra(monkeypatch):
    real_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("embreex"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"spam-studio\[synthetic\]"):
        render_depth(*wall(2.0), Camera(8, 8, 8.0, 8.0, 3.5, 3.5))
