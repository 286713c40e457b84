"""Surface samples and normals against closed forms."""

import numpy as np
import torch
import trimesh

from spams_core.geometry.mesh import Mesh, sample_surface, vertex_normals
from spams_core.geometry.rigid import rotation_from_vector


def test_surface_samples_are_area_uniform_and_lie_on_their_faces():
    # Two triangles, one three times as large as the other.
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [8, 0, 0], [5, 1, 0]], dtype=float)
    mesh = Mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    points, face, barycentric = sample_surface(mesh, 20_000, np.random.default_rng(0))
    assert np.allclose(barycentric.sum(1), 1)
    assert (barycentric >= 0).all()
    assert np.allclose((vertices[mesh.faces[face]] * barycentric[..., None]).sum(1), points)
    # Standard deviation of the share is sqrt(3/16 / 20000) = 0.003; the mean of uniform samples is the centroid.
    assert abs((face == 1).mean() - 0.75) < 0.015
    assert np.abs(points[face == 0].mean(0) - [1 / 3, 1 / 3, 0]).max() < 0.015


def test_vertex_normals_of_a_sphere_point_outward_in_every_pose():
    sphere = trimesh.creation.icosphere(3, 0.5)
    vertices = torch.from_numpy(np.asarray(sphere.vertices)).float()
    faces = torch.from_numpy(np.asarray(sphere.faces)).long()
    turned = vertices @ rotation_from_vector(torch.tensor([0.3, -1.0, 0.2])).mT
    both = torch.stack([vertices, turned + 2.0])
    outward = torch.nn.functional.normalize(torch.stack([vertices, turned]), dim=-1)
    # The mean of a vertex's face normals leaves the radius by less than an edge's share of the radius, squared.
    assert ((vertex_normals(both, faces) * outward).sum(-1) > 1 - (sphere.edges_unique_length.max() / 0.5) ** 2).all()
