"""Wavefront OBJ: one mesh per file, its triangles grouped by part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from spams_core.geometry.mesh import Mesh

__all__ = ["face_parts", "write_obj"]


def face_parts(faces: Int[np.ndarray, "F 3"], vertex_parts: Int[np.ndarray, "V"]) -> Int[np.ndarray, "F"]:
    """Part of each triangle: the one that two of its corners share, else that of its first corner."""
    a, b, c = vertex_parts[faces].T
    result: np.ndarray = np.where(b == c, b, a)
    return result


def write_obj(path: Path, mesh: Mesh, part_names: Sequence[str] = (), comments: Sequence[str] = ()) -> None:
    """Write a mesh as OBJ in its own frame and unit, with six decimals: micrometres where the unit is the metre.

    Args:
        path: File to write.
        mesh: Vertices keep their order; triangles are sorted by part, each part a group `g`.
        part_names: Names of the groups; a mesh without part labels is one unnamed group.
        comments: Lines of text for the head of the file.
    """
    faces = mesh.faces + 1  # OBJ counts from 1
    if mesh.vertex_parts is None:
        groups = [("", faces)]
    else:
        parts = face_parts(mesh.faces, mesh.vertex_parts)
        groups = [(f"g {name}\n", faces[parts == part]) for part, name in enumerate(part_names)]
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"# {line}\n" for comment in comments for line in comment.splitlines())
        file.write("v %.6f %.6f %.6f\n" * len(mesh.vertices) % tuple(mesh.vertices.ravel().tolist()))
        for head, members in groups:
            if len(members):
                file.write(head + "f %d %d %d\n" * len(members) % tuple(members.ravel().tolist()))
