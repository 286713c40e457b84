"""VTU and PVD: unstructured grids in XML with raw appended data, and the list of a series, for ParaView."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from spams_core.geometry.mesh import Mesh

__all__ = ["write_pvd", "write_vtu"]

_TRIANGLE = 5
_TYPES = {"<f4": "Float32", "<i4": "Int32", "<i8": "Int64", "|u1": "UInt8"}


def write_vtu(
    path: Path,
    mesh: Mesh,
    vertex_data: Mapping[str, np.ndarray[Any, Any]] | None = None,
    time_s: float = 0.0,
    provenance: str = "",
) -> None:
    """Write one frame.

    Args:
        path: File to write.
        mesh: Its part labels, where it has some, become the point data `part`.
        vertex_data: Further arrays [V] or [V, K], in float32, int32 or uint8.
        time_s: The frame's time, kept as field data.
        provenance: Text, kept as a comment.
    """
    blocks: list[np.ndarray[Any, Any]] = []
    offset = 0

    def array(name: str, values: np.ndarray[Any, Any], extra: str = "") -> str:
        nonlocal offset
        data = np.ascontiguousarray(values)
        width = f' NumberOfComponents="{data.shape[1]}"' if data.ndim == 2 else ""
        head = f'<DataArray type="{_TYPES[data.dtype.str]}" Name={quoteattr(name)}{width}{extra}'
        blocks.append(data)
        offset += 8 + data.nbytes
        return f'{head} format="appended" offset="{offset - 8 - data.nbytes}"/>'

    faces = np.asarray(mesh.faces, "<i8")
    labels = {} if mesh.vertex_parts is None else {"part": np.asarray(mesh.vertex_parts, "<i4")}
    lines = [
        '<?xml version="1.0"?>',
        f"<!-- {escape(provenance).replace('--', '- -')} -->",
        '<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" header_type="UInt64">',
        "<UnstructuredGrid>",
        "<FieldData>",
        array("TimeValue", np.array([time_s], "<f4"), ' NumberOfTuples="1"'),
        "</FieldData>",
        f'<Piece NumberOfPoints="{len(mesh.vertices)}" NumberOfCells="{len(faces)}">',
        "<PointData>",
        *(array(name, values) for name, values in {**labels, **(vertex_data or {})}.items()),
        "</PointData>",
        "<Points>",
        array("Points", np.asarray(mesh.vertices, "<f4")),
        "</Points>",
        "<Cells>",
        array("connectivity", faces.ravel()),
        array("offsets", 3 * np.arange(1, len(faces) + 1, dtype="<i8")),
        array("types", np.full(len(faces), _TRIANGLE, "u1")),
        "</Cells>",
        "</Piece>",
        "</UnstructuredGrid>",
        '<AppendedData encoding="raw">',
    ]
    with Path(path).open("wb") as file:
        file.write("\n".join(lines).encode() + b"\n_")
        for block in blocks:
            file.write(np.uint64(block.nbytes).astype("<u8").tobytes())
            file.write(block.tobytes())
        file.write(b"\n</AppendedData>\n</VTKFile>\n")


def write_pvd(path: Path, names: Sequence[str], seconds: Sequence[float]) -> None:
    """Write the list of a series: which file is shown when.

    Args:
        path: File to write.
        names: Files, relative to it.
        seconds: Time of each.
    """
    entries = [
        f'<DataSet timestep="{time:.9g}" group="" part="0" file={quoteattr(name)}/>'
        for name, time in zip(names, seconds, strict=True)
    ]
    head = ['<?xml version="1.0"?>', '<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">']
    lines = [*head, "<Collection>", *entries, "</Collection>", "</VTKFile>", ""]
    Path(path).write_text("\n".join(lines), encoding="utf-8")
