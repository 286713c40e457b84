"""The identity's surface in the canonical frame and in its poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spams_core.errors import InputError
from spams_core.geometry.isosurface import extract_isosurface
from spams_core.geometry.mesh import vertex_normals
from spams_core.models.spam import Spam

__all__ = ["CanonicalSurface", "canonical_surface", "posed_vertices", "weighted_surface"]


@dataclass(frozen=True)
class CanonicalSurface:
    """The identity's surface in the canonical frame.

    Attributes:
        vertices: [V, 3] canonical units.
        faces: [F, 3].
        normals: [V, 3] unit normals.
        weights: [V, Q] blending weights of the parts.
        parts: [V] most confident part.
        of_part: Q index arrays: the vertices where a part counts for at least a third.
    """

    vertices: Float[Tensor, "V 3"]
    faces: Int[Tensor, "F 3"]
    normals: Float[Tensor, "V 3"]
    weights: Float[Tensor, "V Q"]
    parts: Int[Tensor, "V"]
    of_part: tuple[Int[Tensor, "M"], ...]


def canonical_surface(
    spam: Spam,
    shape_codes: Float[Tensor, "Q Ds"],
    resolution: int,
    near: Float[np.ndarray, "M 3"] | None = None,
) -> CanonicalSurface:
    """Isosurface of an identity, with part weights at its vertices.

    Args:
        near: Vertices of a similar identity, around which the surface is looked for; see `extract_isosurface`.

    Raises:
        InputError: The codes give no surface.
    """
    device = shape_codes.device
    mesh = extract_isosurface(
        lambda points: spam.signed_distance(points, shape_codes),
        resolution,
        largest_component=True,
        near=near,
        device=device,
    )
    if len(mesh.faces) == 0:
        raise InputError("These shape codes give no surface. Move them closer to the training codes.")
    vertices = torch.from_numpy(np.asarray(mesh.vertices, dtype=np.float32)).to(device)
    faces = torch.from_numpy(np.asarray(mesh.faces, dtype=np.int64)).to(device)
    return weighted_surface(spam, vertices, faces, shape_codes)


@torch.no_grad()
def weighted_surface(
    spam: Spam, vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], shape_codes: Float[Tensor, "Q Ds"]
) -> CanonicalSurface:
    """A mesh of an identity's surface with the part weights at its vertices."""
    weights = spam.confidences(vertices, shape_codes)
    of_part = tuple(torch.nonzero(weights[:, q] > 1 / 3)[:, 0] for q in range(spam.part_count))
    return CanonicalSurface(vertices, faces, vertex_normals(vertices, faces), weights, weights.argmax(-1), of_part)


@torch.no_grad()
def posed_vertices(
    spam: Spam,
    surface: CanonicalSurface,
    shape_codes: Float[Tensor, "Q Ds"],
    pose_codes: Float[Tensor, "T Q Dp"],
    chunk: int = 16,
) -> Float[Tensor, "T V 3"]:
    """Vertices of the canonical surface in T poses; posed frame, canonical units."""
    flows = [
        spam.flow(surface.vertices, shape_codes, pose_codes[start : start + chunk], surface.weights)
        for start in range(0, len(pose_codes), chunk)
    ]
    return surface.vertices + torch.cat(flows)
