"""PLY: one mesh per file, binary, with part labels, part colours and comments (Turk 1994)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from trimesh.exchange.ply import load_ply

from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh, vertex_normals

__all__ = ["read_ply", "read_ply_face_parts", "read_ply_points", "write_ply"]

_LONGEST_HEAD = 1 << 16


def write_ply(
    path: Path,
    mesh: Mesh,
    part_rgb: UInt8[np.ndarray, "Q 3"] | None = None,
    comments: Sequence[str] = (),
    *,
    normals: bool = False,
) -> None:
    """Write a mesh as little-endian binary PLY, vertices as float32 in the mesh's own frame and unit.

    Args:
        path: File to write.
        mesh: Where it has part labels, each vertex carries its own as the property `part`.
        part_rgb: Colour of each part, 0..255; vertices of a labelled mesh then carry red, green and blue.
        comments: Lines of text for the header.
        normals: Whether each vertex carries its unit normal; without them some programs show flat triangles.
    """
    columns: list[tuple[str, str, str, np.ndarray[Any, Any]]] = [
        (axis, "float", "<f4", mesh.vertices[:, k]) for k, axis in enumerate("xyz")
    ]
    if normals:
        corners = torch.from_numpy(np.asarray(mesh.faces, dtype=np.int64))
        directions = vertex_normals(torch.from_numpy(np.asarray(mesh.vertices)), corners).numpy()
        columns += [(name, "float", "<f4", directions[:, k]) for k, name in enumerate(("nx", "ny", "nz"))]
    if mesh.vertex_parts is not None:
        if part_rgb is not None:
            rgb = part_rgb[mesh.vertex_parts]
            columns += [(name, "uchar", "u1", rgb[:, k]) for k, name in enumerate(("red", "green", "blue"))]
        columns.append(("part", "uchar", "u1", mesh.vertex_parts))
    vertices = np.empty(len(mesh.vertices), dtype=[(name, kind) for name, _, kind, _ in columns])
    for name, _, _, values in columns:
        vertices[name] = values
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("indices", "<i4", (3,))])
    faces["count"], faces["indices"] = 3, mesh.faces
    header = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {line}" for comment in comments for line in comment.splitlines()),
        f"element vertex {len(vertices)}",
        *(f"property {kind} {name}" for name, kind, _, _ in columns),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    with Path(path).open("wb") as file:
        file.write("\n".join(header).encode())
        file.write(vertices.tobytes())
        file.write(faces.tobytes())


def read_ply(path: Path) -> Mesh:
    """Read a triangle mesh, ASCII or binary, and its part labels where it has the vertex property `part`.

    Raises:
        InputError: The file is missing, truncated, no PLY, without triangles, or refers to vertices it lacks.
    """
    path = Path(path)
    content = _load(path)
    vertices, faces = content.get("vertices"), content.get("faces")
    if vertices is None or faces is None or len(faces) == 0:
        raise InputError(f"{path} holds no triangles; a surface is needed. Export it with its faces.")
    vertices, faces = _table(path, vertices, np.float64, 3), _table(path, faces, np.int64, 3)
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a face refers to vertex {faces.max()} of {len(vertices)}. Export it again.")
    if not np.isfinite(vertices).all():
        raise InputError(f"{path} has vertices that are not finite. Export it again.")
    raw = content["metadata"]["_ply_raw"]["vertex"]
    labels = _table(path, raw["data"]["part"], np.int64, 1)[:, 0] if "part" in raw["properties"] else None
    if labels is not None and len(labels) != len(vertices):
        raise InputError(f"{path} has {len(labels)} part labels for {len(vertices)} vertices. Export it again.")
    return Mesh(vertices, faces, labels)


def read_ply_face_parts(path: Path) -> Int[np.ndarray, "F"] | None:
    """The face property `part` of a triangle mesh, ASCII or binary; None where it has none.

    Raises:
        InputError: The file is missing, truncated or no PLY.
    """
    raw = _load(Path(path))["metadata"]["_ply_raw"].get("face")
    if raw is None or "part" not in raw["properties"]:
        return None
    return np.asarray(raw["data"]["part"]).astype(np.int64).ravel()


def read_ply_points(path: Path) -> Float[np.ndarray, "N 3"]:
    """The vertices alone, ASCII or binary; they may be no finite numbers.

    Raises:
        InputError: The file is missing, truncated or no PLY.
    """
    vertices = _load(Path(path)).get("vertices")
    if vertices is None:
        raise InputError(f"{path} holds no vertices. Export it again.")
    return _table(Path(path), vertices, np.float64, 3)


def _table(path: Path, values: Any, kind: type[np.generic], columns: int) -> np.ndarray[Any, Any]:
    """Values as rows of so many numbers; whole numbers that were none become ones out of range."""
    try:
        with np.errstate(invalid="ignore"):
            table = np.asarray(values).astype(kind)
        if table.size != len(table) * columns:
            raise ValueError
        return table.reshape(-1, columns)
    except (ValueError, TypeError, OverflowError) as error:  # lines of different lengths
        raise InputError(f"{path} is truncated or no PLY file. Export it again.") from error


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            head = file.read(_LONGEST_HEAD).partition(b"end_header")[0]
            # An element takes a byte at least; what claims more would only take memory before it fails.
            claimed = [int(digits) for digits in re.findall(rb"element +\S+ +([0-9]{1,18})", head)]
            if not head.startswith(b"ply") or sum(claimed) > path.stat().st_size:
                raise ValueError
            file.seek(0)
            content: dict[str, Any] = load_ply(file, skip_materials=True)
            return content
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Put the file there.") from error
    except Exception as error:  # a foreign parser on broken bytes raises whatever comes
        raise InputError(f"{path} is truncated or no PLY file. Export it again.") from error
