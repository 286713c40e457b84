"""The observed distance of a plane, a silhouette, a missing reading, and its gradient."""

import numpy as np
import pytest
import torch

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.geometry.tsdf import observe_distance

CAMERA = Camera(160, 120, 150.0, 150.0, 79.5, 59.5)
DEPTH = 2.0
CPU = torch.device("cpu")


def plane() -> tuple[np.ndarray, np.ndarray]:
    """A square of 60 × 60 pixels two metres in front of the camera."""
    mask = np.zeros((120, 160), dtype=bool)
    mask[30:90, 50:110] = True
    return np.where(mask, DEPTH, 0.0).astype(np.float32), mask


def world(x: float, y: float, z: float) -> list[float]:
    """Camera coordinates to the upright default world."""
    return [x, -y, -z]


def test_distance_to_a_plane_is_exact_and_signed_towards_the_camera():
    depth, mask = plane()
    seen = observe_distance(depth, mask, CAMERA, np.zeros(depth.shape, dtype=np.int8), CPU)
    points = torch.tensor([world(0, 0, 1.98), world(0.1, -0.1, 2.015), world(0, 0, 2.3), world(0, 0, 1.7)])
    found = seen.query(points, 0.03)
    assert torch.allclose(found.distance_m[:2], torch.tensor([0.02, -0.015]), atol=2e-3)
    assert found.known.tolist() == [True, True, False, False]
    # Behind the surface nothing is known; in front of it there is no body.
    assert found.free.tolist() == [False, False, False, True]
    assert found.distance_m[3].item() == pytest.approx(0.3, abs=2e-3)


def test_outside_the_silhouette_the_bound_is_the_way_to_its_edge():
    depth, mask = plane()
    seen = observe_distance(depth, mask, CAMERA, np.zeros(depth.shape, dtype=np.int8), CPU)
    edge_px, aside_px = 109, 20
    x = (edge_px + aside_px - CAMERA.cx) / CAMERA.fx * DEPTH
    found = seen.query(torch.tensor([world(x, 0, DEPTH)]), 0.03)
    assert found.free.item()
    assert not found.known.item()
    # Three quarters of a pixel of tolerance at the edge.
    assert found.distance_m.item() == pytest.approx((aside_px - 0.75) * DEPTH / CAMERA.fx, abs=0.5 * DEPTH / CAMERA.fx)


def test_gradient_is_the_normal_of_the_seen_surface():
    depth, mask = plane()
    seen = observe_distance(depth, mask, CAMERA, np.zeros(depth.shape, dtype=np.int8), CPU)
    points = torch.tensor([world(0, 0, 1.99), world(0.05, 0.02, 2.01)], requires_grad=True)
    seen.query(points, 0.03).distance_m.sum().backward()
    assert torch.allclose(points.grad, torch.tensor([[0.0, 0.0, 1.0]]).expand(2, 3), atol=1e-3)


def test_holes_are_neither_known_nor_free():
    depth, mask = plane()
    depth[55:65, 75:85] = 0
    seen = observe_distance(depth, mask, CAMERA, np.zeros(depth.shape, dtype=np.int8), CPU)
    found = seen.query(torch.tensor([world(0, 0, 1.99), world(0, 0, 1.5)]), 0.03)
    assert not found.known.any()
    assert not found.free.any()


def test_parts_are_those_of_the_pixel():
    depth, mask = plane()
    parts = np.full(depth.shape, -1, dtype=np.int8)
    parts[:, 50:80], parts[:, 80:110] = 1, 4
    seen = observe_distance(depth, mask, CAMERA, parts, CPU)
    found = seen.query(torch.tensor([world(-0.2, 0, 2.0), world(0.2, 0, 2.0)]), 0.03)
    assert found.part.tolist() == [1, 4]


def test_memory_is_fifteen_bytes_a_pixel_of_the_surroundings():
    depth, mask = plane()
    seen = observe_distance(depth, mask, CAMERA, np.zeros(depth.shape, dtype=np.int8), CPU)
    height, width = seen.depth_m.shape
    assert (height, width) == (120, 156)  # 60 and 48 on each side, cut at the image's edges
    assert seen.bytes == 15 * height * width


def test_a_frame_without_a_subject_is_refused():
    depth, mask = plane()
    with pytest.raises(InputError, match="no subject"):
        observe_distance(np.zeros_like(depth), mask, CAMERA, np.zeros(depth.shape, dtype=np.int8), CPU)
