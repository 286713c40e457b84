"""Points on and around training surfaces, with their parts, for the losses of the decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import igl
import numpy as np
from jaxtyping import Float, Int

from spams_core.data.subjects import Subjects
from spams_core.geometry.mesh import Mesh, sample_surface

__all__ = ["OffSurface", "SurfaceBinding", "bind_surface", "part_targets", "sample_off_surface"]


def part_targets(weights: Float[np.ndarray, "*batch Q"]) -> Float[np.ndarray, "*batch Q"]:
    """Confidence that a point belongs to each part: min(1, 2 w).

    Both sides of a boundary, where two weights are near a half, belong to both parts.
    """
    result: np.ndarray = np.minimum(1.0, 2.0 * weights).astype(np.float32)
    return result


@dataclass(frozen=True)
class SurfaceBinding:
    """Fixed surface samples that exist on every mesh of one topology.

    Attributes:
        vertices: [N, 3] the corner vertices of each sample's triangle.
        barycentric: [N, 3].
        targets: [N, Q] part confidences.
        of_part: Q arrays of sample indices that belong to a part.
    """

    vertices: Int[np.ndarray, "N 3"]
    barycentric: Float[np.ndarray, "N 3"]
    targets: Float[np.ndarray, "N Q"]
    of_part: tuple[Int[np.ndarray, "M"], ...]


def bind_surface(subjects: Subjects, count: int, generator: np.random.Generator) -> SurfaceBinding:
    """Draw area-uniform samples on the first identity and bind them to the topology."""
    mesh = Mesh(subjects.canonical(0), subjects.faces)
    _, face, barycentric = sample_surface(mesh, count, generator)
    corners = subjects.faces[face]
    weights = (subjects.part_weights[corners] * barycentric[..., None]).sum(1)
    targets = part_targets(weights)
    of_part = tuple(np.nonzero(targets[:, q] > 0)[0] for q in range(targets.shape[1]))
    return SurfaceBinding(corners.astype(np.int64), barycentric.astype(np.float32), targets, of_part)


@dataclass(frozen=True)
class OffSurface:
    """Points of one identity off its surface.

    Attributes:
        points: [N, 3] canonical frame.
        distance: [N] signed distance, negative inside.
        targets: [N, Q] part confidences of the nearest surface point.
    """

    points: Float[np.ndarray, "N 3"]
    distance: Float[np.ndarray, "N"]
    targets: Float[np.ndarray, "N Q"]


def sample_off_surface(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    part_weights: Float[np.ndarray, "V Q"],
    count: int,
    generator: np.random.Generator,
) -> OffSurface:
    """Half the points close to the surface (σ 0.015), three tenths around it (σ 0.08), the rest uniform in the box."""
    near, around = count // 2, count * 3 // 10
    surface, _, _ = sample_surface(Mesh(vertices, faces), near + around, generator)
    spread = np.concatenate([np.full(near, 0.015), np.full(around, 0.08)])
    points = np.concatenate(
        [
            surface + spread[:, None] * generator.standard_normal(surface.shape),
            generator.uniform(-1, 1, (count - near - around, 3)),
        ]
    )
    signed, face, closest, _ = _signed_distance(points, vertices, faces)
    # libigl scales the distance by the fast winding number, which is near ±1 only; its sign is what counts.
    distance = np.copysign(np.linalg.norm(points - closest, axis=1), signed)
    corners = faces[face]
    barycentric = igl.barycentric_coordinates(
        closest, *(np.ascontiguousarray(vertices[corners[:, k]], dtype=np.float64) for k in range(3))
    )
    weights = (part_weights[corners] * barycentric[..., None]).sum(1)
    return OffSurface(points.astype(np.float32), distance.astype(np.float32), part_targets(weights))


def _signed_distance(
    points: np.ndarray[Any, Any], vertices: np.ndarray[Any, Any], faces: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], ...]:
    result: tuple[np.ndarray[Any, Any], ...] = igl.signed_distance(
        points.astype(np.float64),
        vertices.astype(np.float64),
        faces.astype(np.int64),
        sign_type=igl.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER,
    )
    return result
