"""Frames: the converters do what their names say, and one constant says how long a metre is."""

import numpy as np
import torch

from spams_core.frames import CANONICAL_PER_METRE, posed_from_world, transform_points, world_from_posed
from spams_core.geometry.rigid import rotation_from_vector


def test_posed_to_world_is_a_rotation_a_scale_and_a_shift():
    points = torch.randn(2, 7, 3, dtype=torch.float64)
    rotation = rotation_from_vector(torch.randn(2, 3, dtype=torch.float64))
    shift = torch.randn(2, 3, dtype=torch.float64)
    world = world_from_posed(points, rotation, shift)
    for k in range(2):
        for n in range(7):
            assert torch.allclose(world[k, n], rotation[k] @ points[k, n] / CANONICAL_PER_METRE + shift[k])


def test_a_canonical_unit_is_a_known_length():
    one = world_from_posed(torch.tensor([[1.0, 0.0, 0.0]]), torch.eye(3), torch.zeros(3))
    assert one[0, 0].item() == 1.25 == 1 / CANONICAL_PER_METRE


def test_transform_reads_as_its_name():
    b_from_a = np.eye(4)
    b_from_a[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    b_from_a[:3, 3] = [10, 20, 30]
    assert np.allclose(transform_points(b_from_a, np.array([[1.0, 2.0, 3.0]])), [[8, 21, 33]])


def test_world_to_posed_is_the_way_back():
    points, shift = torch.randn(7, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    rotation = rotation_from_vector(torch.randn(3, dtype=torch.float64))
    world = world_from_posed(points, rotation, shift)
    np.testing.assert_allclose(posed_from_world(*(x.numpy() for x in (world, rotation, shift))), points.numpy())
