"""The zero surface of a signed distance function, evaluated only near the surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import igl
import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from spams_core.geometry.mesh import Mesh

__all__ = ["extract_isosurface"]

_CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
"""Corners of a cell, in the order of the marching cubes table."""

_MEAN_CORNER_DISTANCE = (3 + 3 * np.sqrt(2) + np.sqrt(3)) / 8
"""Mean distance from the eight corners of the unit cell to its point where that mean is greatest, a corner."""

_SIDES = {(axis, side): np.nonzero(_CORNERS[:, axis] == side)[0] for axis in range(3) for side in (0, 1)}
"""(axis, side) → the four corners of that face of a cell."""


def extract_isosurface(
    sdf: Callable[[Float[Tensor, "N 3"]], Float[Tensor, "N"]],
    resolution: int,
    *,
    bound: float = 1.0,
    coarse: int = 32,
    lipschitz: float = 1.0,
    largest_component: bool = False,
    near: Float[np.ndarray, "M 3"] | None = None,
    chunk: int = 65536,
    device: torch.device | str = "cpu",
) -> Mesh:
    """Triangulate {x : sdf(x) = 0} in [-bound, bound]³, coarse to fine.

    A dense coarse grid is halved level by level down to `resolution` cells per axis, keeping the cells that may hold
    the surface. With f of Lipschitz constant L, a zero at x in a cell with corners c_i and edge h means
    |f(c_i)| ≤ L·|x − c_i|, so that mean |f(c_i)| ≤ 1.12·L·h; cells above that bound without a change of sign are
    dropped. Where f is steeper than L, the surface is followed at the finest level through every face with a change of
    sign, so it has a hole only where it leaves the box. Marching cubes (Lorensen & Cline 1987) then runs on the kept
    cells alone.

    Args:
        sdf: Points in the function's own frame and unit → signed distance, negative inside. Called without gradients.
        resolution: Cells per axis of the finest grid, whose outermost corners lie at ±bound.
        bound: Half the edge of the box, in the function's unit.
        coarse: Least number of cells per axis of the first, dense grid; it is `resolution` halved while it stays
            even and at or above this. If f is a distance, features thinner than a cell are found all the same.
        lipschitz: L, a bound on |∇f|; above 1 for functions that are steeper than a distance.
        largest_component: Keep only the connected component of the largest area.
        near: Points that lie about on the surface, as the vertices of a similar one. The search then begins in their
            cells instead of everywhere: each component that passes through one of them is found whole, others are not.
            Without any there the search begins everywhere after all.
        chunk: Points per call of `sdf`.
        device: Where `sdf` expects its points.

    Returns:
        Vertices in the function's coordinates, faces counter-clockwise seen from outside; empty where there is no
        surface.
    """
    grid = _SparseGrid(sdf, bound, resolution, chunk, device)
    cells = _cells_around(near, bound, resolution) if near is not None else np.zeros((0, 3), dtype=np.int64)
    cells = grid.follow_surface(cells)
    if not len(cells):
        grid, cells = _search_everywhere(sdf, resolution, bound, coarse, lipschitz, chunk, device)

    corners, values = grid.corner_values(cells)
    used, corner_rows = np.unique(corners, return_inverse=True)
    field = np.empty(len(used))
    field[corner_rows] = values
    places = -bound + _unravel(used, resolution + 1) * (2.0 * bound / resolution)
    vertices, faces, _ = igl.marching_cubes(field, places, corner_rows.reshape(-1, 8).astype(np.int64), 0.0)
    mesh = Mesh(vertices.astype(np.float32), faces.astype(np.int32))
    return _largest_component(mesh) if largest_component and len(faces) else mesh


def _search_everywhere(
    sdf: Callable[[Float[Tensor, "N 3"]], Float[Tensor, "N"]],
    resolution: int,
    bound: float,
    coarse: int,
    lipschitz: float,
    chunk: int,
    device: torch.device | str,
) -> tuple[_SparseGrid, Int[np.ndarray, "N 3"]]:
    """The finest grid and its cells with a change of sign, coarse to fine; see `extract_isosurface`."""
    levels = 0
    while resolution >> levels & 1 == 0 and resolution >> (levels + 1) >= coarse:
        levels += 1
    size = resolution >> levels
    grid = _SparseGrid(sdf, bound, size, chunk, device)
    grid.evaluate_all()
    cells = _unravel(np.arange(size**3), size)
    for _ in range(levels):
        cells = cells[grid.may_hold_surface(cells, lipschitz)]
        cells = (2 * cells[:, None] + _CORNERS).reshape(-1, 3)
        grid.refine()
    return grid, grid.follow_surface(cells)


def _cells_around(points: Float[np.ndarray, "M 3"], bound: float, size: int) -> Int[np.ndarray, "N 3"]:
    """The cells that hold the points, and those that share a face with them."""
    own = np.unique(
        _ravel(np.floor((points + bound) * (size / (2.0 * bound))).astype(np.int64).clip(0, size - 1), size)
    )
    steps = np.concatenate([np.zeros((1, 3), dtype=np.int64), np.eye(3, dtype=np.int64), -np.eye(3, dtype=np.int64)])
    around = (_unravel(own, size)[:, None] + steps).reshape(-1, 3).clip(0, size - 1)
    return _unravel(np.unique(_ravel(around, size)), size)


def _ravel(index: Int[np.ndarray, "*batch 3"], size: int) -> Int[np.ndarray, "*batch"]:
    keys: np.ndarray[Any, Any] = (index[..., 0] * size + index[..., 1]) * size + index[..., 2]
    return keys


def _unravel(keys: Int[np.ndarray, "*batch"], size: int) -> Int[np.ndarray, "*batch 3"]:
    return np.stack([keys // size**2, keys // size % size, keys % size], axis=-1)


class _SparseGrid:
    """Corner values of a grid over the box, found when they are first asked for."""

    def __init__(
        self,
        sdf: Callable[[Float[Tensor, "N 3"]], Float[Tensor, "N"]],
        bound: float,
        size: int,
        chunk: int,
        device: torch.device | str,
    ) -> None:
        self.sdf, self.bound, self.size, self.chunk, self.device = sdf, bound, size, chunk, device
        self.keys = np.zeros(0, dtype=np.int64)  # stays sorted
        self.values = np.zeros(0)

    def evaluate_all(self) -> None:
        """Know the values of all corners."""
        self.keys = np.arange((self.size + 1) ** 3)
        self.values = self._evaluate(self.keys)

    def refine(self) -> None:
        """Halve the cells; the corners known so far stay known."""
        index = 2 * _unravel(self.keys, self.size + 1)
        self.size *= 2
        self.keys = _ravel(index, self.size + 1)  # doubling keeps the order

    def corner_values(self, cells: Int[np.ndarray, "N 3"]) -> tuple[Int[np.ndarray, "N 8"], Float[np.ndarray, "N 8"]]:
        """Keys and values of the corners of some cells."""
        corners = _ravel(cells[:, None] + _CORNERS, self.size + 1)
        rows = np.searchsorted(self.keys, corners)
        missing = np.unique(corners[np.append(self.keys, -1)[rows] != corners])
        if len(missing):
            keys = np.concatenate([self.keys, missing])
            order = np.argsort(keys)
            self.keys, self.values = keys[order], np.concatenate([self.values, self._evaluate(missing)])[order]
            rows = np.searchsorted(self.keys, corners)
        return corners, self.values[rows]

    def _evaluate(self, keys: Int[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
        places = -self.bound + _unravel(keys, self.size + 1) * (2.0 * self.bound / self.size)
        points = torch.from_numpy(places.astype(np.float32)).to(self.device)
        with torch.no_grad():
            parts = [self.sdf(part).to("cpu", torch.float64) for part in torch.split(points, self.chunk)]
        return torch.cat(parts).numpy()

    def may_hold_surface(self, cells: Int[np.ndarray, "N 3"], lipschitz: float) -> np.ndarray[Any, Any]:
        """[N] bool; see `extract_isosurface`."""
        _, values = self.corner_values(cells)
        edge = 2.0 * self.bound / self.size
        near = np.abs(values).mean(1) <= _MEAN_CORNER_DISTANCE * lipschitz * edge
        kept: np.ndarray[Any, Any] = near | _mixed(values)
        return kept

    def follow_surface(self, cells: Int[np.ndarray, "N 3"]) -> Int[np.ndarray, "M 3"]:
        """The cells with a change of sign, with those that the surface continues into through a face."""
        seen = np.sort(_ravel(cells, self.size))
        crossed: list[np.ndarray[Any, Any]] = []
        while len(cells):
            _, values = self.corner_values(cells)
            crossing = _mixed(values)
            cells, values = cells[crossing], values[crossing]
            crossed.append(cells)
            beyond = []
            for (axis, side), corners in _SIDES.items():
                neighbours = cells[_mixed(values[:, corners])]
                neighbours[:, axis] += 2 * side - 1
                beyond.append(neighbours[(neighbours[:, axis] >= 0) & (neighbours[:, axis] < self.size)])
            new = np.setdiff1d(_ravel(np.concatenate(beyond), self.size), seen)
            seen = np.union1d(seen, new)
            cells = _unravel(new, self.size)
        return np.concatenate(crossed) if crossed else cells


def _mixed(values: Float[np.ndarray, "N K"]) -> np.ndarray[Any, Any]:
    """[N] bool: some values are positive and some are not, which is where marching cubes puts faces."""
    count = np.count_nonzero(values > 0, axis=1)
    mixed: np.ndarray[Any, Any] = (count > 0) & (count < values.shape[1])
    return mixed


def _largest_component(mesh: Mesh) -> Mesh:
    """The connected component of the largest area, unused vertices removed."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    edges = np.concatenate([mesh.faces[:, :2], mesh.faces[:, 1:]])
    size = len(mesh.vertices)
    graph = coo_array((np.ones(len(edges), dtype=bool), (edges[:, 0], edges[:, 1])), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    face_component = component[mesh.faces[:, 0]]
    faces = mesh.faces[face_component == np.bincount(face_component, weights=area).argmax()]
    used, rows = np.unique(faces, return_inverse=True)
    return Mesh(mesh.vertices[used], rows.reshape(-1, 3).astype(np.int32))
