"""Which vertex an observed point is paired with, gate by gate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from spams_core.fitting.observation import Observation, Samples
from spams_core.fitting.pairing import Matcher
from spams_core.fitting.surface import CanonicalSurface
from spams_core.geometry.camera import Camera
from spams_core.geometry.tsdf import observe_distance

# A tetrahedron with its tip (vertex 0) towards the camera, which stands at the origin and looks along −z, and a
# triangle of another part behind it that faces the camera too.
VERTICES = torch.tensor([
    [0.0, 0.0, -1.0], [-0.5, -0.4, -1.3], [0.5, -0.4, -1.3], [0.0, 0.5, -1.3],
    [1.0, 0.0, -2.0], [2.0, 0.0, -2.0], [1.0, 1.0, -2.0],
])  # fmt: skip
FACES = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2], [4, 5, 6]])
FRAMES = 2


@pytest.fixture
def observations() -> list[Observation]:
    camera = Camera(8, 8, 10.0, 10.0, 3.5, 3.5)
    depth, parts = np.full((8, 8), 1.5), np.zeros((8, 8), dtype=np.int8)
    distance = observe_distance(depth, depth > 0, camera, parts, torch.device("cpu"))
    empty = torch.zeros(0, 3)
    return [Observation(empty, empty, torch.zeros(0, dtype=torch.long), empty, torch.zeros(0), distance)] * FRAMES


def matcher(observations: list[Observation], normal_gate_deg: float | None = 60.0, gate_m: float = 10.0) -> Matcher:
    owner = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    surface = CanonicalSurface(
        VERTICES, FACES, torch.zeros_like(VERTICES), torch.nn.functional.one_hot(owner).float(), owner,
        (torch.arange(4), torch.arange(4, 7)),
    )  # fmt: skip
    world = torch.stack([VERTICES, VERTICES + torch.tensor([0.0, 0.0, -0.1])])
    return Matcher.at(surface, world, observations, normal_gate_deg, gate_m)


def samples(point: list[float], normal: list[float]) -> Samples:
    """The same point and normal for both parts in both frames."""
    p, n = (torch.tensor(v).expand(2, FRAMES, 1, 3) for v in (point, normal))
    return Samples(p, n, p, torch.ones(2, FRAMES, 1), torch.full((2, FRAMES, 1), 0.5))


def test_pairs_are_the_nearest_vertices_of_the_part(observations: list[Observation]):
    vertex, weights = matcher(observations).pair(samples([0.0, 0.0, -0.9], [0.0, 0.0, 1.0]))
    assert vertex[..., 0].tolist() == [[0, 0], [4, 4]]
    assert (weights == 0.5).all()


def test_normals_are_unit_and_only_what_the_camera_sees_faces_it(observations: list[Observation]):
    made = matcher(observations)
    torch.testing.assert_close(made.normals.norm(dim=-1), torch.ones(FRAMES, 7))
    torch.testing.assert_close(made.normals[0, 0], torch.tensor([0.0, 0.0, 1.0]), atol=0.2, rtol=0)
    assert made.facing[0].tolist() == [True, False, False, False, True, True, True]
    torch.testing.assert_close(made.normals_at(torch.tensor([[[4], [0]]]))[0, 1, 0], made.normals[1, 0])


def test_a_vertex_whose_normal_differs_too_much_is_no_partner(observations: list[Observation]):
    for degrees, paired in ((50.0, True), (70.0, False)):
        normal = [0.0, math.sin(math.radians(degrees)), math.cos(math.radians(degrees))]
        _, weights = matcher(observations).pair(samples([1.0, 0.0, -1.9], normal))
        assert (weights[1] > 0).all() == paired


def test_the_far_side_is_no_partner_however_near(observations: list[Observation]):
    """The point lies on a vertex of the back, with that vertex's own normal."""
    made = matcher(observations)
    back = samples(VERTICES[1].tolist(), made.normals[0, 1].tolist())
    assert made.pair(back)[1][0, 0, 0] == 0
    seen_too = replace(made, facing=torch.ones_like(made.facing))
    assert seen_too.pair(back)[0][0, 0, 0] == 1


def test_the_longest_pair(observations: list[Observation]):
    point = samples([0.0, 0.0, -0.75], [0.0, 0.0, 1.0])
    # 0.25 m away in the first frame, 0.35 m in the second.
    assert (matcher(observations, gate_m=0.3).pair(point)[1][0, :, 0] > 0).tolist() == [True, False]
    assert (matcher(observations, gate_m=0.4).pair(point)[1][0, :, 0] > 0).all()


def test_without_gates_every_point_has_its_nearest_vertex(observations: list[Observation]):
    vertex, weights = matcher(observations, None, 0.01).pair(samples([-0.5, -0.4, -1.3], [0.0, 0.0, -1.0]))
    assert vertex[0, :, 0].tolist() == [1, 1]
    assert (weights > 0).all()


def test_some_frames_of_a_matcher(observations: list[Observation]):
    made, point = matcher(observations), samples([0.1, 0.1, -1.0], [0.0, 0.0, 1.0])
    second = Samples(**{name: value[:, 1:] for name, value in vars(point).items()})
    for part, whole in zip(made.of(torch.tensor([1])).pair(second), made.pair(point), strict=True):
        assert torch.equal(part, whole[:, 1:])
