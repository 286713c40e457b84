"""Folders of registered meshes of bending bars, for tests of users' own subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from figure import bend, subdivided_bar

from spams_core.data.mesh_folder import MeshPart, write_identity, write_parts
from spams_core.geometry.mesh import Mesh

__all__ = ["PARTS", "bar_labels", "write_bar_folder"]

PARTS = (MeshPart("lower", "Lower half", "#123456"), MeshPart("upper"))


def bar_labels(vertices: np.ndarray) -> np.ndarray:
    """0 below the bar's middle, 1 above."""
    return (vertices[:, 1] > 0).astype(np.int64)


def write_bar_folder(
    path: Path, *, identities: int = 5, poses: int = 3, size_m: float = 0.2, opened: bool = True, ending: str = ".ply"
) -> None:
    """Bars about `size_m` long, open at the lower end unless told otherwise, moved about rigidly as scans are."""
    generator = np.random.default_rng(0)
    path.mkdir(parents=True)
    write_parts(path, PARTS, root="lower")
    for number in range(identities):
        vertices, faces = subdivided_bar(generator.uniform(0.7, 1.0), generator.uniform(0.12, 0.18))
        if opened:
            lowest = np.argsort(vertices[:, 1])[:3]
            faces = faces[~np.isin(faces, lowest).any(1)]
        labels = bar_labels(vertices)
        posed = []
        for angle in np.linspace(-0.8, 0.9, poses):
            turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
            turn *= np.sign(np.linalg.det(turn))
            posed.append(Mesh((bend(vertices, angle) @ turn.T + generator.normal(size=3)) * size_m, faces))
        write_identity(path / f"bar_{number}", Mesh(vertices * size_m, faces, labels), posed, ending)
