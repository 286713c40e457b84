"""A triangle mesh with optional per-vertex parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import trimesh
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Mesh", "sample_surface", "vertex_normals"]


@dataclass(frozen=True)
class Mesh:
    """Vertices and triangles; the caller's names say frame and unit.

    Attributes:
        vertices: [V, 3].
        faces: [F, 3] vertex indices, counter-clockwise seen from outside.
        vertex_parts: [V] part label of each vertex, or None.
    """

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    vertex_parts: Int[np.ndarray, "V"] | None = None

    def trimesh(self) -> trimesh.Trimesh:
        """The same mesh for trimesh, nothing merged or dropped."""
        return trimesh.Trimesh(self.vertices, self.faces, process=False)


def sample_surface(
    mesh: Mesh, count: int, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "N 3"], Int[np.ndarray, "N"], Float[np.ndarray, "N 3"]]:
    """Area-uniform surface samples as points, face indices and barycentric coordinates."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    face: np.ndarray[Any, Any] = generator.choice(len(area), size=count, p=area / area.sum())
    # Square root on the first number makes the triangle's density uniform (Osada et al. 2002, eq. 1).
    r = generator.random((count, 2))
    root = np.sqrt(r[:, :1])
    barycentric = np.concatenate([1 - root, root * (1 - r[:, 1:]), root * r[:, 1:]], axis=1)
    points = (mesh.vertices[mesh.faces[face]] * barycentric[..., None]).sum(1)
    return points, face, barycentric


def vertex_normals(vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "*batch V 3"]:
    """Area-weighted unit normals of one topology in any number of poses; zero where no face touches a vertex."""
    a, b, c = (vertices[..., faces[:, k], :] for k in range(3))
    normal = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for k in range(3):
        total.index_add_(-2, faces[:, k], normal)
    return torch.nn.functional.normalize(total, dim=-1, eps=1e-12)
