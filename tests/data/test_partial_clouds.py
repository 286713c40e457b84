"""Clouds of a bent two-part ellipsoid: labels against geometry, the upright frame against its invariances."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from spams_core.data.partial_clouds import ViewSettings, observe_cloud, to_upright, upright_frame, write_clouds
from spams_core.data.subjects import SPLITS, Subjects, read_subjects, subjects_writer
from spams_core.data.virtual_camera import EXACT, SensorNoise, orbit_camera
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.camera import Camera
from spams_core.io.archive import read_archive
from spams_core.progress import run_to_end

pytest.importorskip("embreex")


@pytest.fixture(scope="module")
def subjects(tmp_path_factory) -> Subjects:
    """Three ellipsoids of different girth, one per split, lower half = part 0, upper half = part 1; posed = bent."""
    sphere = trimesh.creation.icosphere(4, 1.0)
    upright = np.asarray(sphere.vertices) * [0.25, 0.8, 0.25]
    upper = 1 / (1 + np.exp(-40 * upright[:, 1]))
    canonical = np.stack([upright * [girth, 1, girth] * CANONICAL_PER_METRE for girth in (0.8, 1.0, 1.2)])
    bend = Rotation.from_rotvec(np.outer(0.6 * upper, [1, 0, 0])).as_matrix()
    posed = np.concatenate([canonical, np.einsum("vij,kvj->kvi", bend, canonical)])
    path = tmp_path_factory.mktemp("subjects") / "ellipsoids"
    with subjects_writer(path) as writer:
        writer.append(posed)
        writer.finish(
            {"part_names": ["lower", "upper"]},
            {
                "faces": np.asarray(sphere.faces).astype(np.int32),
                "part_weights": np.stack([1 - upper, upper], axis=1).astype(np.float32),
                "canonical": canonical.astype(np.float32),
                "identity_split": np.arange(3, dtype=np.uint8),
                "posed_identity": np.array([0, 1, 2, 0, 1, 2], dtype=np.int32),
            },
        )
    return read_subjects(path)


@pytest.fixture(scope="module")
def clouds(subjects, tmp_path_factory):
    out = tmp_path_factory.mktemp("clouds") / "clouds"
    return run_to_end(write_clouds(subjects, out, views_per_instance=10, seed=3, limits=(20, 7, 5)))


def test_upright_frame_axes_and_centre():
    camera = orbit_camera(90, 25, 3.0, (0.0, 1.0, 0.0))
    points = np.random.default_rng(0).normal(0, 0.2, (501, 3)) * [1, 2, 1] + [0, 1, 0]
    rotation, centre = upright_frame(points, camera)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation[1], [0, 1, 0], atol=1e-12)
    towards = camera.world_from_camera[:3, 3] - points.mean(0)
    np.testing.assert_allclose(rotation[2], [towards[0], 0, towards[2]] / np.hypot(towards[0], towards[2]), atol=1e-12)
    # x points to the right of the image.
    assert rotation[0] @ camera.world_from_camera[:3, 0] > 0.99
    upright = to_upright(points, camera)
    np.testing.assert_allclose(np.median(upright, axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(upright, (points - centre) @ rotation.T * CANONICAL_PER_METRE, atol=1e-6)


def test_upright_points_ignore_where_the_world_is_and_how_it_is_turned():
    camera = orbit_camera(40, 10, 2.5, (0.3, 0.9, -0.2))
    points = np.random.default_rng(1).normal([0.3, 0.9, -0.2], 0.3, (400, 3))
    reference = to_upright(points, camera)
    for yaw, offset in ((0.0, [5, -2, 3]), (1.0, [0, 0, 0]), (-2.5, [-1, 4, 8])):
        moved = np.eye(4)
        moved[:3, :3] = Rotation.from_rotvec([0, yaw, 0]).as_matrix()
        moved[:3, 3] = offset
        there = Camera(320, 288, 252, 252, 159.5, 143.5, moved @ camera.world_from_camera)
        np.testing.assert_allclose(to_upright(points @ moved[:3, :3].T + offset, there), reference, atol=1e-6)


def test_camera_right_above_still_gives_a_frame():
    above = np.eye(4)
    above[:3, :3] = np.stack([[1, 0, 0], [0, 0, 1], [0, -1, 0]], axis=1)  # looks down, image bottom towards +z
    above[:3, 3] = [0, 3, 0]
    points = np.array([[0.1, 0, 0], [-0.1, 0, 0], [0, 1, 0.2], [0, 1, -0.2]])
    rotation, _ = upright_frame(points, Camera(320, 288, 252, 252, 159.5, 143.5, above))
    np.testing.assert_allclose(rotation, np.eye(3), atol=1e-12)


def test_exact_view_lies_on_the_body_and_carries_its_canonical_points(subjects):
    vertices = subjects.canonical(1) / CANONICAL_PER_METRE
    cloud = observe_cloud(
        vertices,
        subjects.faces,
        subjects.part_weights,
        subjects.canonical(1),
        orbit_camera(30, 10, 2.0),
        EXACT,
        np.random.default_rng(0),
    )
    assert len(cloud.points_world) > 5000
    # Seen in the canonical pose without noise, each point is its own canonical point.
    np.testing.assert_allclose(cloud.points_world * CANONICAL_PER_METRE, cloud.canonical, atol=1e-4)
    clear = np.abs(cloud.canonical[:, 1]) > 0.02
    np.testing.assert_array_equal(cloud.labels[clear], cloud.canonical[clear, 1] > 0)


def test_archive_holds_what_it_says(clouds, subjects):
    split = clouds.array("split")
    assert [int((split == index).sum()) for index in range(3)] == [20, 7, 5]
    assert clouds.manifest["clouds"] == dict(zip(SPLITS, (20, 7, 5), strict=True))
    assert clouds.manifest["part_names"] == ["lower", "upper"]
    points, labels, canonical = (clouds.array(name) for name in ("points", "labels", "canonical"))
    assert points.shape == canonical.shape == (32, 2048, 3)
    assert labels.shape == (32, 2048)
    assert points.dtype == canonical.dtype == np.float16
    np.testing.assert_array_equal(subjects.identity_split[subjects.posed_identity[clouds.array("instance")]], split)
    # Centred on the median of the points that the subset was taken from, and facing the camera: nothing behind hides.
    assert np.abs(np.median(points.astype(np.float32), axis=1)).max() < 0.05


def test_labels_agree_with_the_canonical_body(clouds, subjects):
    parts = subjects.part_weights.argmax(1)
    for row, instance in enumerate(clouds.array("instance")):
        body = subjects.canonical(int(subjects.posed_identity[instance]))
        distance, nearest = cKDTree(body).query(clouds.rows("canonical", row, row + 1)[0].astype(np.float32))
        assert distance.max() < 0.05  # on the body, within its edges' length
        labels = clouds.rows("labels", row, row + 1)[0]
        clear = subjects.part_weights[nearest].max(1) > 0.95  # not between two parts
        np.testing.assert_array_equal(labels[clear], parts[nearest][clear])
        assert clear.mean() > 0.7


def test_clouds_repeat_with_their_seed(subjects, clouds, tmp_path):
    again = run_to_end(write_clouds(subjects, tmp_path / "again", views_per_instance=10, seed=3, limits=(5, 7, 0)))
    # Fewer clouds of one split leave the others as they were.
    np.testing.assert_array_equal(again.array("points"), clouds.array("points")[[0, 1, 2, 3, 4, *range(20, 27)]])
    other = run_to_end(write_clouds(subjects, tmp_path / "other", views_per_instance=10, seed=4, limits=(5, 7, 0)))
    assert (other.array("points") != again.array("points")).any()


def test_far_bodies_with_too_few_points_are_refused_with_advice(subjects, tmp_path):
    far = ViewSettings(distance_m=(60.0, 60.0), noise=SensorNoise(disparity_step_px=0, axial_scale=0))
    with pytest.raises(InputError, match="fewer than 300 points in 50 views"):
        run_to_end(write_clouds(subjects, tmp_path / "far", settings=far))
    assert not (tmp_path / "far").exists()


def test_senseless_requests_are_refused(subjects, clouds, tmp_path):
    with pytest.raises(InputError, match="exists already"):
        run_to_end(write_clouds(subjects, clouds.path))
    with pytest.raises(InputError, match="views_per_instance is 0"):
        run_to_end(write_clouds(subjects, tmp_path / "none", views_per_instance=0))
    with pytest.raises(InputError, match="rising range"):
        ViewSettings(distance_m=(3.0, 2.0))
    assert read_archive(clouds.path, "clouds").kind == "clouds"
