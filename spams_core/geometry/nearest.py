"""Nearest points, nearest places on a surface, and which points a surface encloses."""

from __future__ import annotations

from typing import Any

import igl
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from spams_core.geometry.mesh import Mesh

__all__ = ["closest_on_surface", "contains", "nearest_points", "nearest_within", "signed_distance"]


def nearest_points(
    query: Float[np.ndarray, "N 3"], points: Float[np.ndarray, "M 3"]
) -> tuple[Float[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """Distance to, and row of, the nearest of `points` for every query point."""
    # On surface samples, large leaves halve the time; asking in the order of a tree of the queries, so that
    # neighbours follow each other and find their leaves in the cache, saves another third.
    order = cKDTree(query, balanced_tree=False, leafsize=64).indices
    distance, index = np.empty(len(query)), np.empty(len(query), dtype=np.int64)
    distance[order], index[order] = cKDTree(points, balanced_tree=False, leafsize=64).query(query[order])
    return distance, index


def nearest_within(
    query: Float[np.ndarray, "N 3"], points: Float[np.ndarray, "M 3"], within: float
) -> tuple[Float[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """`nearest_points` of a depth image's points, where only those nearer than `within` matter; on all cores.

    Returns:
        Distance and row; infinity and -1 where no point is near enough.
    """
    # Pixels follow each other in space as they come, and the limit spares half of the search.
    tree = cKDTree(points, balanced_tree=False, leafsize=16)
    distance, index = tree.query(query, distance_upper_bound=within, workers=-1)
    index[index == len(points)] = -1
    return distance, index


def closest_on_surface(
    points: Float[np.ndarray, "N 3"], mesh: Mesh
) -> tuple[Float[np.ndarray, "N"], Int[np.ndarray, "N"], Float[np.ndarray, "N 3"]]:
    """The nearest place of a surface for every point.

    Returns:
        Distance in the mesh's unit, face, and the place's barycentric coordinates in that face.
    """
    vertices, faces = _as_igl(mesh)
    squared, face, places = igl.point_mesh_squared_distance(_doubles(points), vertices, faces)
    a, b, c = (np.ascontiguousarray(vertices[faces[face, k]]) for k in range(3))
    barycentric = igl.barycentric_coordinates(places, a, b, c)
    # A triangle without area has no barycentric coordinates; its first corner is as near as any.
    barycentric[~np.isfinite(barycentric).all(1)] = (1.0, 0.0, 0.0)
    return np.sqrt(squared), face, barycentric


def contains(points: Float[np.ndarray, "N 3"], mesh: Mesh) -> Bool[np.ndarray, "N"]:
    """Whether a surface encloses each point: generalised winding number > ½ (Jacobson et al. 2013, §4).

    The winding number degrades gracefully where the surface has holes or crosses itself. It is computed with a
    hierarchy (Barill et al. 2018).
    """
    if not len(mesh.faces) or not len(points):
        return np.zeros(len(points), dtype=bool)
    inside: np.ndarray[Any, Any] = igl.fast_winding_number(*_as_igl(mesh), _doubles(points)) > 0.5
    return inside


def signed_distance(points: Float[np.ndarray, "N 3"], mesh: Mesh) -> Float[np.ndarray, "N"]:
    """Distance to a surface in the mesh's unit, negative inside; inside as in `contains`."""
    squared, _, _ = igl.point_mesh_squared_distance(_doubles(points), *_as_igl(mesh))
    signed: np.ndarray[Any, Any] = np.where(contains(points, mesh), -np.sqrt(squared), np.sqrt(squared))
    return signed


def _doubles(points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    return np.ascontiguousarray(points, dtype=np.float64)


def _as_igl(mesh: Mesh) -> tuple[Float[np.ndarray, "V 3"], Int[np.ndarray, "F 3"]]:
    return _doubles(mesh.vertices), np.ascontiguousarray(mesh.faces, dtype=np.int64)
