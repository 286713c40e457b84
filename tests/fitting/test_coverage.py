"""Which observed points a surface leaves uncovered in the image, and how far it falls short of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spams_core.fitting.coverage import Coverage
from spams_core.fitting.observation import Samples
from spams_core.fitting.surface import CanonicalSurface
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.tsdf import SILHOUETTE_TOLERANCE_PX
from spams_core.metrics.silhouette import mesh_silhouette

CAMERA = Camera(64, 48, 80.0, 60.0, 31.5, 23.5)
SIDE = 0.2
"""Of a cube whose middle lies 2 m in front of the camera; it is one part, and one vertex far away is the other."""


def cube(middle: list[float], frames: int = 2) -> tuple[CanonicalSurface, torch.Tensor]:
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]) * SIDE / 2
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = torch.tensor([[q[0], q[k], q[k + 1]] for q in quads for k in (1, 2)])
    vertices = torch.cat([corners + torch.tensor(middle), torch.tensor([[5.0, 5.0, -2.0]])])
    owner = torch.tensor([0] * 8 + [1])
    surface = CanonicalSurface(
        vertices, faces, torch.zeros_like(vertices), torch.nn.functional.one_hot(owner).float(), owner,
        (torch.arange(8), torch.tensor([8])),
    )  # fmt: skip
    return surface, vertices.expand(frames, -1, -1)


def seen_at(*points: list[float]) -> Samples:
    """The same points for both parts in both frames."""
    place = torch.tensor(points).expand(2, 2, -1, -1)
    return Samples(place, place, place, torch.ones(place.shape[:3]), torch.ones(place.shape[:3]))


def test_the_subject_beside_the_surface_is_uncovered_and_the_rest_is_not():
    surface, world = cube([0.0, 0.0, -2.0])
    drawn = Coverage.of(surface, world, CAMERA)
    found = drawn.uncovered(seen_at([0.0, 0.0, -1.9], [0.05, 0.02, -1.5], [0.3, 0.1, -2.0]), surface.of_part)
    # Half of the weight is the other part's, which has a vertex out of sight alone.
    assert found.weights[0].tolist() == [[0.0, 0.0, pytest.approx(1 / 6)]] * 2
    one = found.vertex[0, 0, 2]
    assert world[0, one][0] == SIDE / 2
    way = found.target[0, 0, 2] - world[0, one]
    assert way[2].abs() < 1e-6, "the way leads aside, at the vertex's depth"
    assert torch.allclose(way / way.norm(), found.direction[0, 0, 2], atol=1e-5)
    # Its end lies as many pixels short of the point as the outline is unsure by.
    places = (found.target[0, 0, 2].tolist(), (0.3, 0.1, -2.0))
    end, point = (np.array([CAMERA.fx * x / -z, -CAMERA.fy * y / -z]) for x, y, z in places)
    assert np.linalg.norm(end - point) == pytest.approx(SILHOUETTE_TOLERANCE_PX, rel=1e-4)


def test_depth_says_nothing_of_what_is_covered():
    surface, world = cube([0.0, 0.0, -2.0])
    drawn = Coverage.of(surface, world, CAMERA)
    for depth in (-0.5, -4.0):
        behind = seen_at([0.04 * -depth / 2, 0.0, depth], [0.5 * -depth / 2, 0.0, depth])
        assert (drawn.uncovered(behind, surface.of_part).weights[0] > 0).tolist() == [[False, True]] * 2


def test_one_side_of_a_closed_surface_covers_what_the_whole_covers():
    surface, world = cube([0.25, -0.1, -1.2])
    drawn = Coverage.of(surface, world, CAMERA)
    whole = mesh_silhouette(Mesh(world[0].numpy(), surface.faces.numpy().astype(np.int32)), CAMERA)
    assert whole.sum() > 100
    assert np.array_equal(drawn.covered[0].numpy(), whole)
    assert np.array_equal(drawn.of_frames(torch.tensor([1])).covered[0].numpy(), whole)
