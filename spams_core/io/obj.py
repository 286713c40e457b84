"""Wavefront OBJ: one mesh per file, its triangles grouped by part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh

__all__ = ["face_parts", "read_obj", "write_obj"]

_LONGEST = 1 << 30


def face_parts(faces: Int[np.ndarray, "F 3"], vertex_parts: Int[np.ndarray, "V"]) -> Int[np.ndarray, "F"]:
    """Part of each triangle: the one that two of its corners share, else that of its first corner."""
    a, b, c = vertex_parts[faces].T
    result: np.ndarray = np.where(b == c, b, a)
    return result


def write_obj(path: Path, mesh: Mesh, part_names: Sequence[str] = (), comments: Sequence[str] = ()) -> None:
    """Write a mesh as OBJ in its own frame and unit, with six decimals: micrometres where the unit is the metre.

    All of it is one smoothing group, so programs that make normals themselves show a smooth surface.

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
        file.write("s 1\n")
        for head, members in groups:
            if len(members):
                file.write(head + "f %d %d %d\n" * len(members) % tuple(members.ravel().tolist()))


def read_obj(path: Path) -> Mesh:
    """Vertices and triangles in the order of the file, nothing merged; polygons become fans, the rest is passed over.

    Raises:
        InputError: The file is missing, no OBJ, without triangles, or refers to vertices it lacks.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LONGEST:
            raise InputError(f"{path} is larger than a gigabyte. Reduce the mesh.")
        lines = path.read_bytes().splitlines()
        vertices = np.array([line.split()[1:4] for line in lines if line.startswith(b"v ")], dtype=np.float64)
        corners = [
            [int(word.partition(b"/")[0]) for word in line.split()[1:]] for line in lines if line.startswith(b"f ")
        ]
        faces = np.array([(c[0], c[k], c[k + 1]) for c in corners for k in range(1, len(c) - 1)], dtype=np.int64)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Put the file there.") from error
    except (ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{path} is truncated or no OBJ file. Export it again.") from error
    if len(faces) == 0 or vertices.ndim != 2 or vertices.shape[1] != 3:
        raise InputError(f"{path} holds no triangles; a surface is needed. Export it with its faces.")
    # OBJ counts from 1, and from −1 backwards.
    faces = np.where(faces < 0, faces + len(vertices), faces - 1)
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a face refers to a vertex that is not there. Export it again.")
    if not np.isfinite(vertices).all():
        raise InputError(f"{path} has vertices that are not finite. Export it again.")
    return Mesh(vertices, faces)
