"""What triangles have in common: borders, holes and how to close them, and triangles that cut each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["Edges", "Holes", "find_edges", "find_holes", "self_intersections", "surface_pieces"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Edges:
    """The edges of a triangle mesh by how many triangles they have.

    Attributes:
        border: [B, 2] directed edges of one triangle only, in its direction.
        crowded: Edges with three or more triangles.
        opposed: Edges whose two triangles face opposite ways: both run along it in the same direction.
    """

    border: Int[np.ndarray, "B 2"]
    crowded: int
    opposed: int


def find_edges(faces: Int[np.ndarray, "F 3"]) -> Edges:
    """Sort the edges of a mesh."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    key = directed.min(1) * (int(faces.max()) + 1) + directed.max(1)
    _, first, group, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    forward = np.bincount(group, directed[:, 0] < directed[:, 1])
    opposed = (counts == 2) & (forward != 1)
    return Edges(directed[first[counts == 1]], int((counts > 2).sum()), int(opposed.sum()))


@dataclass(frozen=True)
class Holes:
    """The holes of a mesh of V vertices, and a fan of triangles over each.

    Attributes:
        rims: Per hole the vertices around it.
        faces: [B, 3] triangles that close them; hole k gets the new vertex V + k in its middle.
    """

    rims: tuple[Int[np.ndarray, "n"], ...]
    faces: Int[np.ndarray, "B 3"]

    def middles(self, values: Float[np.ndarray, "*batch V K"]) -> Float[np.ndarray, "*batch H K"]:
        """Values of the new vertices: the mean around each hole."""
        shape = (*values.shape[:-2], 0, values.shape[-1])
        each = [values[..., rim, :].mean(-2, keepdims=True) for rim in self.rims]
        joined: Array = np.concatenate([np.empty(shape, values.dtype), *each], axis=-2)
        return joined

    def closed(self, values: Float[np.ndarray, "*batch V K"]) -> Float[np.ndarray, "*batch W K"]:
        """Values of all vertices, those in the holes behind the others."""
        joined: Array = np.concatenate([values, self.middles(values)], axis=-2)
        return joined


def find_holes(faces: Int[np.ndarray, "F 3"], vertex_count: int) -> Holes:
    """Connected runs of border edges, each with a fan around its middle, facing as the triangles beside it."""
    border = find_edges(faces).border
    if len(border) == 0:
        return Holes((), np.empty((0, 3), dtype=faces.dtype))
    graph = coo_array((np.ones(len(border)), (border[:, 0], border[:, 1])), shape=(vertex_count, vertex_count))
    _, label = connected_components(graph, directed=False)
    found, hole = np.unique(label[border[:, 0]], return_inverse=True)
    rims = tuple(np.unique(border[hole == k]) for k in range(len(found)))
    fan = np.stack([border[:, 1], border[:, 0], vertex_count + hole], axis=1).astype(faces.dtype)
    return Holes(rims, fan)


def surface_pieces(faces: Int[np.ndarray, "F 3"], vertex_count: int) -> Int[np.ndarray, "F"]:
    """Number of the connected piece that each triangle belongs to, 0 for the piece with most triangles."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(vertex_count, vertex_count))
    _, label = connected_components(graph, directed=False)
    _, piece, counts = np.unique(label[faces[:, 0]], return_inverse=True, return_counts=True)
    rank: Array = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    numbered: Array = rank[piece]
    return numbered


_CHUNK = 200_000


def self_intersections(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Int[np.ndarray, "N 2"]:
    """Pairs of triangles without a common vertex that cut each other, the smaller number first.

    A pair cuts where an edge of one passes through the inside of the other (Möller and Trumbore 1997); triangles in one
    plane do not count.
    """
    pairs = _close_pairs(vertices, faces)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(pairs), _CHUNK):
        some = pairs[start : start + _CHUNK]
        a, b = vertices[faces[some[:, 0]]].astype(np.float64), vertices[faces[some[:, 1]]].astype(np.float64)
        cuts = np.zeros(len(some), dtype=bool)
        for k in range(3):
            cuts |= _pierces(a[:, k], a[:, (k + 1) % 3], b) | _pierces(b[:, k], b[:, (k + 1) % 3], a)
        found.append(some[cuts])
    return np.concatenate(found)


def _close_pairs(vertices: Array, faces: Array) -> Array:
    """Pairs of triangles whose boxes overlap and that share no vertex: a tree of boxes against itself."""
    corners = vertices[faces].astype(np.float64)
    low, high = corners.min(1), corners.max(1)
    order = _tree_order((low + high) / 2)
    there = order >= 0
    lows, highs = [np.full((len(order), 3), np.inf)], [np.full((len(order), 3), -np.inf)]
    lows[0][there], highs[0][there] = low[order[there]], high[order[there]]
    while len(lows[-1]) > 1:
        lows.append(lows[-1].reshape(-1, 2, 3).min(1))
        highs.append(highs[-1].reshape(-1, 2, 3).max(1))
    pairs = np.zeros((1, 2), dtype=np.int64)
    for level in range(len(lows) - 2, -1, -1):
        one, two = (2 * pairs[:, :1] + [0, 0, 1, 1]).ravel(), (2 * pairs[:, 1:] + [0, 1, 0, 1]).ravel()
        # Within a box each pair of halves counts once; a triangle meets itself at the bottom, and is dropped there.
        keep = one <= two if level else one < two
        one, two = one[keep], two[keep]
        lower, upper = lows[level], highs[level]
        touching = (lower[one] <= upper[two]).all(1) & (lower[two] <= upper[one]).all(1)
        pairs = np.stack([one[touching], two[touching]], axis=1)
    pairs = np.sort(order[pairs], axis=1)
    shared = (faces[pairs[:, 0], :, None] == faces[pairs[:, 1], None, :]).any((1, 2))
    kept: Array = pairs[~shared]
    return kept


def _tree_order(middle: Array) -> Array:
    """Triangles in the order of a balanced tree's leaves, filled up with −1 to a power of two."""
    depth = max(1, int(np.ceil(np.log2(max(len(middle), 2)))))
    order = np.full(1 << depth, -1)
    order[: len(middle)] = np.arange(len(middle))
    place = np.full((len(order), 3), np.inf)
    place[: len(middle)] = middle
    for level in range(depth):
        group = order.reshape(1 << level, -1)
        here = np.where((group >= 0)[..., None], place[group], np.nan)
        empty = (group < 0).all(1)
        here[empty] = 0.0
        extent = np.nanmax(here, axis=1) - np.nanmin(here, axis=1)
        along = np.take_along_axis(here, extent.argmax(1)[:, None, None], axis=2)[..., 0]
        rank = np.argsort(np.where(np.isnan(along), np.inf, along), axis=1, kind="stable")
        order = np.take_along_axis(group, rank, axis=1).ravel()
    return order


def _pierces(start: Array, end: Array, triangle: Array) -> Array:
    """Whether segments pass through the inside of triangles, row by row."""
    way, origin = end - start, triangle[:, 0]
    one, two = triangle[:, 1] - origin, triangle[:, 2] - origin
    across = np.cross(way, two)
    determinant = (one * across).sum(1)
    scale = np.linalg.norm(way, axis=1) * np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    parallel = np.abs(determinant) <= 1e-9 * np.maximum(scale, 1e-300)
    safe = np.where(parallel, 1.0, determinant)
    offset = start - origin
    u = (offset * across).sum(1) / safe
    turned = np.cross(offset, one)
    v = (way * turned).sum(1) / safe
    along = (two * turned).sum(1) / safe
    inside: Array = ~parallel & (u > 0) & (v > 0) & (u + v < 1) & (along > 0) & (along < 1)
    return inside
