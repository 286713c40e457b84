"""How well one surface agrees with another: IoU, Chamfer-ℓ2, normal consistency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from spams_core.geometry.mesh import Mesh, sample_surface
from spams_core.geometry.nearest import contains, nearest_points

__all__ = ["SurfaceAgreement", "compare_surfaces", "intersection_over_union"]


@dataclass(frozen=True)
class SurfaceAgreement:
    """Distances and normals between surface samples, each direction by itself; every sample counts.

    Attributes:
        accuracy: Mean squared distance from a predicted sample to the nearest true one, squared units of the meshes.
        completeness: Mean squared distance from a true sample to the nearest predicted one.
        normal_accuracy: Mean of n · n' over the pairs of `accuracy`, in [-1, 1]. The sign counts: surfaces that face
            each other, like the two sides of a thin hand, disagree.
        normal_completeness: The same over the pairs of `completeness`.
    """

    accuracy: float
    completeness: float
    normal_accuracy: float
    normal_completeness: float

    @property
    def chamfer_l2(self) -> float:
        """Mean of the two mean squared distances."""
        return (self.accuracy + self.completeness) / 2

    @property
    def normal_consistency(self) -> float:
        """Mean of both directions."""
        return (self.normal_accuracy + self.normal_completeness) / 2


def compare_surfaces(
    predicted: Mesh, truth: Mesh, generator: np.random.Generator, count: int = 100_000
) -> SurfaceAgreement:
    """Compare two surfaces by area-uniform samples of each, with the normals of the triangles they lie on.

    The samples' own spacing keeps the distances of two equal surfaces of area A above 0: they come out near A / (π N).

    Args:
        predicted, truth: In one frame and unit.
        generator: Draws the samples.
        count: N, samples per surface.
    """
    predicted_points, predicted_face, _ = sample_surface(predicted, count, generator)
    truth_points, truth_face, _ = sample_surface(truth, count, generator)
    predicted_normals = _normals(predicted, predicted_face)
    truth_normals = _normals(truth, truth_face)
    to_truth, nearest_truth = nearest_points(predicted_points, truth_points)
    to_predicted, nearest_predicted = nearest_points(truth_points, predicted_points)
    return SurfaceAgreement(
        accuracy=float(np.square(to_truth).mean()),
        completeness=float(np.square(to_predicted).mean()),
        normal_accuracy=float((predicted_normals * truth_normals[nearest_truth]).sum(1).mean()),
        normal_completeness=float((truth_normals * predicted_normals[nearest_predicted]).sum(1).mean()),
    )


def intersection_over_union(
    predicted: Mesh, truth: Mesh, generator: np.random.Generator, count: int = 1_000_000, bound: float = 1.0
) -> float:
    """Volume of the intersection over volume of the union, by uniform points in [-bound, bound]³.

    A point is inside a surface whose winding number there exceeds ½, which holes and crossings hardly disturb. Points
    outside both bounding boxes count in neither volume and are not looked at.

    Args:
        predicted, truth: In one frame and unit.
        generator: Draws the points.
        count: Points in the whole box.
        bound: Half the edge of the box; what lies outside is not compared.

    Returns:
        In [0, 1]; 0 where no point is inside either surface.
    """
    points = generator.uniform(-bound, bound, (count, 3))
    near = points[_in_bounding_box(points, predicted) | _in_bounding_box(points, truth)]
    inside_predicted, inside_truth = _inside(near, predicted), _inside(near, truth)
    union = int((inside_predicted | inside_truth).sum())
    return int((inside_predicted & inside_truth).sum()) / union if union else 0.0


def _inside(points: Float[np.ndarray, "N 3"], mesh: Mesh) -> np.ndarray[Any, Any]:
    """[N] bool."""
    inside = _in_bounding_box(points, mesh)
    inside[inside] = contains(points[inside], mesh)
    return inside


def _in_bounding_box(points: Float[np.ndarray, "N 3"], mesh: Mesh) -> np.ndarray[Any, Any]:
    """[N] bool."""
    if not len(mesh.vertices):
        return np.zeros(len(points), dtype=bool)
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    within: np.ndarray[Any, Any] = np.ones(len(points), dtype=bool)
    for k in range(3):  # one axis after the other takes a quarter of the time of .all(1)
        within &= (points[:, k] >= low[k]) & (points[:, k] <= high[k])
    return within


def _normals(mesh: Mesh, faces: Int[np.ndarray, "N"]) -> Float[np.ndarray, "N 3"]:
    """Unit normals of some triangles, outward; none of them is without area."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)[faces]
    unit: np.ndarray[Any, Any] = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return unit
