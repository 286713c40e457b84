"""What the viewports are made of: clouds, meshes and lines whose arrays are replaced in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyvista as pv
import scipy.sparse
from jaxtyping import Float, Int, UInt8
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

__all__ = ["CloudActor", "LinesActor", "MeshActor", "floor_cell_m", "floor_lines"]

_PERSON_M = 0.6
"""Whoever is larger may be a person, or a part of one."""


class _Actor:
    """A VTK actor and the data set it draws; made once, never re-added."""

    def __init__(self) -> None:
        self.data = pv.PolyData()
        self.mapper = vtkPolyDataMapper()
        self.mapper.SetInputData(self.data)
        self.actor = vtkActor()
        self.actor.SetMapper(self.mapper)
        self.actor.SetVisibility(False)

    @property
    def visible(self) -> bool:
        """Whether it is drawn."""
        return bool(self.actor.GetVisibility())

    @visible.setter
    def visible(self, shown: bool) -> None:
        self.actor.SetVisibility(shown and self.data.n_points > 0)

    def _set_normals(self, data: pv.PolyData, normals: Any) -> None:
        data.point_data.set_array(normals, "Normals")
        data.point_data.active_normals_name = "Normals"

    def _swap(self, data: pv.PolyData) -> None:
        """Draw another topology."""
        self.data = data
        self.mapper.SetInputData(data)


class CloudActor(_Actor):
    """Points with one colour each, lit where they have normals."""

    def __init__(self) -> None:
        super().__init__()
        look = self.actor.GetProperty()
        look.SetAmbient(0.5)
        look.SetDiffuse(0.65)

    def update(
        self,
        points: Float[np.ndarray, "N 3"],
        normals: Float[np.ndarray, "N 3"] | None,
        colors: UInt8[np.ndarray, "N 3"],
    ) -> None:
        """Show these points; their number may change."""
        data = pv.PolyData(np.ascontiguousarray(points, dtype=np.float32))
        data.point_data.set_array(colors, "color")
        data.point_data.active_scalars_name = "color"
        if normals is not None:
            self._set_normals(data, np.ascontiguousarray(normals, dtype=np.float32))
        self.actor.GetProperty().SetLighting(normals is not None)
        self._swap(data)

    def recolor(self, colors: UInt8[np.ndarray, "N 3"]) -> None:
        """Give the same points other colours."""
        self.data.point_data.set_array(colors, "color")
        self.data.point_data.active_scalars_name = "color"
        self.data.Modified()


class MeshActor(_Actor):
    """A closed surface with one colour per vertex; a new pose moves its vertices in place."""

    def __init__(self) -> None:
        super().__init__()
        look = self.actor.GetProperty()
        look.SetInterpolationToPhong()
        look.SetAmbient(0.18)
        look.SetDiffuse(0.85)
        look.SetSpecular(0.18)
        look.SetSpecularPower(18.0)
        self._faces: Int[np.ndarray, "F 3"] | None = None
        self._colors: UInt8[np.ndarray, "V 3"] | None = None
        self._corners: scipy.sparse.csr_array | None = None
        self._triangles: tuple[Int[np.ndarray, "F"], ...] = ()

    def update(
        self,
        vertices: Float[np.ndarray, "V 3"],
        faces: Int[np.ndarray, "F 3"],
        colors: UInt8[np.ndarray, "V 3"],
    ) -> None:
        """Show this surface; keeping faces and colours makes it a move of the vertices."""
        vertices = np.ascontiguousarray(vertices, dtype=np.float32)
        if self._faces is None or (self._faces is not faces and not np.array_equal(self._faces, faces)):
            self._swap(pv.PolyData.from_regular_faces(vertices, faces))
            self._colors = None
            # Row v sums the normals of v's triangles: writing normals ourselves keeps them true to moved vertices.
            rows, columns = faces.ravel(), np.repeat(np.arange(len(faces)), 3)
            ones = np.ones(len(rows), dtype=np.float32)
            self._triangles = tuple(np.ascontiguousarray(faces[:, k], dtype=np.intp) for k in range(3))
            self._corners = scipy.sparse.csr_array((ones, (rows, columns)), shape=(len(vertices), len(faces)))
        else:
            self.data.points = vertices
        self._faces = faces
        if self._colors is None or (self._colors is not colors and not np.array_equal(self._colors, colors)):
            self.data.point_data.set_array(colors, "color")
            self.data.point_data.active_scalars_name = "color"
            self._colors = colors
        self._set_normals(self.data, self._normals(vertices))
        self.data.Modified()

    def clear(self) -> None:
        """Show nothing."""
        self.visible = False
        self._swap(pv.PolyData())
        self._faces = self._colors = self._corners = None

    def _normals(self, vertices: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, "V 3"]:
        """Area-weighted vertex normals; a vertex without a triangle gets zeros."""
        a, b, c = (vertices.take(corner, axis=0) for corner in self._triangles)
        summed: np.ndarray = self._corners @ np.cross(b - a, c - a)
        length = np.sqrt(np.einsum("vk,vk->v", summed, summed))[:, None]
        normals: np.ndarray = np.divide(summed, length, out=np.zeros_like(summed), where=length > 0)
        return normals.astype(np.float32, copy=False)


class LinesActor(_Actor):
    """Separate line segments with one colour each."""

    def __init__(self, width: float, opacity: float = 1.0) -> None:
        super().__init__()
        look = self.actor.GetProperty()
        look.SetLineWidth(width)
        look.SetOpacity(opacity)
        look.SetLighting(False)

    def update(
        self,
        starts: Float[np.ndarray, "N 3"],
        ends: Float[np.ndarray, "N 3"],
        colors: UInt8[np.ndarray, "N 3"],
    ) -> None:
        """Show these segments."""
        count = len(starts)
        points = np.stack([starts, ends], axis=1).reshape(-1, 3).astype(np.float32)
        cells = np.empty((count, 3), dtype=np.int64)
        cells[:, 0] = 2
        cells[:, 1:] = np.arange(2 * count).reshape(-1, 2)
        data = pv.PolyData(points, lines=cells.ravel()) if count else pv.PolyData()
        if count:
            data.cell_data.set_array(colors, "color")
            data.cell_data.active_scalars_name = "color"
            self.mapper.SetScalarModeToUseCellData()
        self._swap(data)


def floor_cell_m(extent_m: Float[np.ndarray, "3"]) -> float:
    """Edge of the floor's cells under something of this size: half a metre for people, finer for what is smaller."""
    size = float(max(extent_m))
    if size >= _PERSON_M:
        return 0.5
    fine = 0.25 * max(size, 1e-3)
    decade = 10.0 ** np.floor(np.log10(fine))
    return float(decade * max(step for step in (1, 2, 5) if step * decade <= fine * (1 + 1e-9)))


def floor_lines(
    center: Float[np.ndarray, "3"], cell: float, cells: int
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "N 3"]]:
    """Starts and ends of a square floor grid around a centre at its height, aligned with whole cells."""
    half = cells * cell / 2
    x0, z0 = (np.round(center[k] / cell) * cell for k in (0, 2))
    ticks = np.linspace(-half, half, cells + 1)
    low, high = np.full_like(ticks, -half), np.full_like(ticks, half)
    y = np.full_like(ticks, center[1])
    along_x = (np.stack([x0 + low, y, z0 + ticks], 1), np.stack([x0 + high, y, z0 + ticks], 1))
    along_z = (np.stack([x0 + ticks, y, z0 + low], 1), np.stack([x0 + ticks, y, z0 + high], 1))
    return np.concatenate([along_x[0], along_z[0]]), np.concatenate([along_x[1], along_z[1]])
