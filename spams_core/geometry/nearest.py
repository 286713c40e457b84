"""Nearest points, nearest places on a surface, and which points a surface encloses."""

from __future__ import annotations

from typing import Any

import igl
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from spams_core.geometry.cores import for_each_piece
from spams_core.geometry.mesh import Mesh

__all__ = ["closest_on_surface", "contains", "nearest_points", "nearest_within", "signed_distance"]

_UNKNOWN = -2
_CANDIDATES = 8
"""Points that a square of pixels looks at; some two thirds of a point lie within it."""
_POINTS_PER_SQUARE = 0.6
_LEAST_EDGE, _MOST_EDGE = 3, 8
"""Pixels along a square's edge; smaller ones spare too little."""
_SQUARES_AT_ONCE = 1000
_FAR, _ROUNDING = 1e3, 1e-9


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
    query: Float[np.ndarray, "N 3"],
    points: Float[np.ndarray, "M 3"],
    within: float,
    pixels: Int[np.ndarray, "N 2"] | None = None,
) -> Int[np.ndarray, "N"]:
    """Row of the nearest of `points` for every point of a depth image, where only those nearer than `within` matter.

    Works on all cores.

    Args:
        pixels: (u, v) of the queries, no two alike. Where points are few for them, neighbours share the search: half
            the time.

    Returns:
        Rows; -1 where no point is near enough.
    """
    # Pixels follow each other in space as they come, and the limit spares half of the search.
    tree = cKDTree(points, balanced_tree=False, leafsize=16)
    edge = 0 if pixels is None else min(int(np.sqrt(_POINTS_PER_SQUARE * len(query) / max(len(points), 1))), _MOST_EDGE)
    if pixels is None or edge < _LEAST_EDGE:
        nearest = np.full(len(query), _UNKNOWN)
    else:
        nearest = _nearest_in_squares(tree, query, pixels, within, edge)
    rest = np.flatnonzero(nearest == _UNKNOWN)
    _, found = tree.query(query[rest], distance_upper_bound=within, workers=-1)
    nearest[rest] = np.where(found == len(points), -1, found)
    return nearest


def _nearest_in_squares(
    tree: cKDTree, query: Float[np.ndarray, "N 3"], pixels: Int[np.ndarray, "N 2"], within: float, edge: int
) -> Int[np.ndarray, "N"]:
    """As `nearest_within`, but for points of which it is `_UNKNOWN`.

    The tree is asked once per square of pixels, for the few points nearest to the pixel in its middle. Every other
    point is at least as far from the middle as the last of them, hence from a pixel at least that less the pixel's own
    distance to the middle: one of the few that is nearer still is the nearest.
    """
    u, v = (pixels[:, axis] - pixels[:, axis].min() for axis in (0, 1))
    columns, rows = int(u.max()) // edge + 1, int(v.max()) // edge + 1
    place = v * (columns * edge) + u
    image = np.full(rows * columns * edge**2, -1, dtype=np.int64)
    image[place] = np.arange(len(query))
    # One row per place within a square, so that what belongs to the square is the same along a row's whole length.
    squares = image.reshape(rows, edge, columns, edge).transpose(1, 3, 0, 2).reshape(edge**2, -1)
    used = np.flatnonzero((squares >= 0).any(axis=0))
    full = len(used) == squares.shape[1]
    members = squares if full else squares[:, used]
    from_middle = np.arange(edge) - (edge - 1) / 2
    outwards = np.argsort(np.add.outer(from_middle**2, from_middle**2).ravel(), kind="stable")
    middle = np.full(len(used), outwards[0])
    bare = np.flatnonzero(members[outwards[0]] < 0)
    middle[bare] = outwards[(members[outwards[:, None], bare] >= 0).argmax(axis=0)]
    middles = query[members[middle, np.arange(len(used))]].astype(np.float64)
    distance, candidates = tree.query(middles, k=_CANDIDATES, distance_upper_bound=2 * within, workers=-1)
    known = np.minimum(distance[:, -1], 2 * within) - _ROUNDING
    points = np.concatenate([tree.data, [[_FAR] * 3]])  # the last one where there are fewer candidates

    def compare(start: int) -> None:
        some = slice(start, start + _SQUARES_AT_ONCE)
        asked, few = members[:, some], candidates[some].T
        at = [query[:, k].take(asked) - middles[some, k] for k in range(3)]
        near = [points[:, k].take(few) - middles[some, k] for k in range(3)]
        # |a - b|² = |a|² + |b|² - 2 a · b, from the middle of the square, where little is lost.
        squared = sum(part * part for part in near)
        near = [2 * part for part in near]
        best, which = np.full(asked.shape, np.inf), np.zeros(asked.shape, dtype=np.int8)
        for j in range(_CANDIDATES):
            other = squared[j] - at[0] * near[0][j]
            other -= at[1] * near[1][j]
            other -= at[2] * near[2][j]
            np.copyto(which, j, where=other < best)
            np.minimum(best, other, out=best)
        own = sum(part * part for part in at)
        best += own
        best = np.sqrt(np.maximum(best, 0.0, out=best), out=best)
        found = np.where(best < within, np.take_along_axis(few, which.astype(np.intp), axis=0), -1)
        found[np.minimum(best, within) + np.sqrt(own) > known[some]] = _UNKNOWN
        members[:, some] = found

    for_each_piece(compare, range(0, len(used), _SQUARES_AT_ONCE))
    if not full:
        squares[:, used] = members
    nearest: np.ndarray[Any, Any] = squares.reshape(edge, edge, rows, columns).transpose(2, 0, 3, 1).ravel()[place]
    return nearest


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
