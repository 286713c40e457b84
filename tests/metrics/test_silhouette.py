from __future__ import annotations

import numpy as np
import pytest
import trimesh

from spams_core.frames import transform_points
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.metrics.silhouette import mesh_silhouette, silhouette_iou

CAMERA = Camera(160, 120, 150.0, 140.0, 79.5, 59.5)


def world(points_camera: np.ndarray, camera: Camera = CAMERA) -> np.ndarray:
    return transform_points(camera.world_from_camera, np.asarray(points_camera, dtype=np.float64))


def rays(camera: Camera) -> np.ndarray:
    """[H, W, 3] unit directions through the pixel centres, camera frame."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    ways = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    return ways / np.linalg.norm(ways, axis=-1, keepdims=True)


@pytest.mark.parametrize("center", [(0.0, 0.0, 2.5), (0.7, -0.4, 2.0), (-1.0, 0.6, 2.0)])
def test_silhouette_of_a_sphere_is_the_cone_of_rays_that_meet_it(center: tuple[float, float, float]) -> None:
    """The mesh has its corners on one sphere and encloses a slightly smaller one; so must the silhouettes."""
    made, radius = trimesh.creation.icosphere(4, 0.5), 0.5
    inner = (made.face_normals * made.triangles[:, 0]).sum(1).min()
    seen = mesh_silhouette(Mesh(world(np.asarray(made.vertices) + center), np.asarray(made.faces)), CAMERA)
    aside = np.linalg.norm(np.cross(rays(CAMERA), np.array(center)), axis=-1)
    assert not (seen & (aside > radius)).any()
    assert (seen | (aside > inner)).all()
    assert seen.sum() == pytest.approx((aside <= radius).sum(), rel=0.005)


def test_rays_decide_for_any_triangles_also_through_the_camera_plane() -> None:
    """A pixel is covered where its ray meets a triangle in front of the camera (Möller & Trumbore 1997)."""
    corners = np.random.default_rng(3).uniform((-2, -2, -1.5), (2, 2, 3.0), (300, 3, 3))
    assert ((corners[..., 2] < 0).sum(1) % 3 > 0).sum() > 50  # triangles that cross the camera's plane
    for triangle in corners:
        seen = mesh_silhouette(Mesh(world(triangle), np.array([[0, 1, 2]])), CAMERA)
        a, b, c = triangle
        d = rays(CAMERA)
        p, s = np.cross(d, c - a), -a
        scale = p @ (b - a)
        first, second = (p @ s) / scale, (d @ np.cross(s, b - a)) / scale
        depth_m = (c - a) @ np.cross(s, b - a) / scale * d[..., 2]
        inside = np.minimum(np.minimum(first, second), 1 - first - second)
        sure = (np.abs(inside) > 1e-4) & (np.abs(depth_m - 0.01) > 1e-4)
        assert np.array_equal(seen[sure], ((inside > 0) & (depth_m > 0.01))[sure])


def test_pixel_centres_lie_at_integers_and_edges_count() -> None:
    """A square over columns 10 to 13 and rows 20 to 22, edges on pixel centres, as two triangles of either winding."""
    u, v = np.array([10.0, 13, 13, 10]), np.array([20.0, 20, 22, 22])
    corners = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(4)], axis=-1) * 2
    expected = np.zeros((120, 160), dtype=bool)
    expected[20:23, 10:14] = True
    for faces in ([[0, 1, 2], [0, 2, 3]], [[2, 1, 0], [3, 2, 0]]):
        assert np.array_equal(mesh_silhouette(Mesh(world(corners), np.array(faces)), CAMERA), expected)


def test_no_crack_between_neighbouring_triangles() -> None:
    """A finely divided square, whose inner edges and corners fall on pixel centres, is covered whole."""
    columns, rows = np.meshgrid(np.arange(20.0, 61), np.arange(30.0, 71))
    corners = np.stack([(columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy, np.ones(rows.shape)], -1)
    place = np.arange(41 * 41).reshape(41, 41)
    a, b, c, d = (part.ravel() for part in (place[:-1, :-1], place[:-1, 1:], place[1:, 1:], place[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    seen = mesh_silhouette(Mesh(world(3.7 * corners.reshape(-1, 3)), faces), CAMERA)
    expected = np.zeros((120, 160), dtype=bool)
    expected[30:71, 20:61] = True
    assert np.array_equal(seen, expected)


def test_nothing_behind_the_camera_is_seen_and_what_surrounds_it_fills_the_image() -> None:
    made = trimesh.creation.icosphere(3, 0.5)
    vertices, faces = np.asarray(made.vertices), np.asarray(made.faces)
    assert not mesh_silhouette(Mesh(world(vertices - [0, 0, 2.0]), faces), CAMERA).any()
    assert mesh_silhouette(Mesh(world(vertices), faces), CAMERA).all()


def test_camera_elsewhere_sees_the_same() -> None:
    made = trimesh.creation.icosphere(3, 0.4)
    points, faces = np.asarray(made.vertices) + np.array([0.2, 0.1, 2.0]), np.asarray(made.faces)
    pose = trimesh.transformations.rotation_matrix(0.8, [1, 2, 3])
    pose[:3, 3] = (1.0, -2.0, 0.5)
    elsewhere = Camera(160, 120, 150.0, 140.0, 79.5, 59.5, pose)
    here, there = (mesh_silhouette(Mesh(world(points, camera), faces), camera) for camera in (CAMERA, elsewhere))
    assert (here != there).sum() <= 1  # a centre on the outline


def test_iou_counts_pixels() -> None:
    u, v = np.array([10.0, 19, 19, 10]), np.array([20.0, 20, 29, 29])
    corners = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(4)], axis=-1)
    mesh = Mesh(world(corners), np.array([[0, 1, 2], [0, 2, 3]]))
    subject = np.zeros((120, 160), dtype=bool)
    assert silhouette_iou(mesh, subject, CAMERA) == 0.0
    subject[20:30, 15:25] = True
    assert silhouette_iou(mesh, subject, CAMERA) == pytest.approx(50 / 150)
    nothing = Mesh(mesh.vertices, mesh.faces[:0])
    assert silhouette_iou(nothing, subject, CAMERA) == 0.0
    assert silhouette_iou(nothing, np.zeros_like(subject), CAMERA) is None
