"""STL: bare triangles, binary; without colours, parts or shared vertices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spams_core.geometry.mesh import Mesh

__all__ = ["write_stl"]


def write_stl(path: Path, mesh: Mesh, title: str = "") -> None:
    """Write a mesh in its own frame and unit: an 80-byte header, and 50 bytes per triangle with its normal.

    Args:
        path: File to write.
        mesh: Its vertices are written as float32.
        title: Text of the header, cut at 80 bytes; it must not begin with "solid", which marks the text variant.
    """
    corners = np.asarray(mesh.vertices, dtype="<f4")[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    rows = np.zeros(len(corners), dtype=[("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    rows["normal"] = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    rows["corners"] = corners
    with Path(path).open("wb") as file:
        file.write(title.encode("ascii", errors="replace")[:80].ljust(80, b"\0"))
        file.write(np.uint32(len(rows)).astype("<u4").tobytes())
        file.write(rows.tobytes())
