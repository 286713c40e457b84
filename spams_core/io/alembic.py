"""Alembic: one mesh whose points are sampled at even times, as film and game tools cache geometry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from spams_core import __version__
from spams_core.errors import InputError
from spams_core.io.obj import face_parts

__all__ = ["require_alembic", "write_alembic"]


def require_alembic() -> None:
    """Find out early whether Alembic can be written.

    Raises:
        InputError: The extra `alembic` is not installed.
    """
    try:
        import alembic3d  # noqa: F401
    except ImportError as error:
        raise InputError(
            "Alembic needs the extra 'alembic': pip install 'spam-studio[alembic]'. Or choose usd or pc2."
        ) from error


def write_alembic(
    path: Path,
    frames: Iterable[Float[np.ndarray, "V 3"]],
    seconds_each: float,
    faces: Int[np.ndarray, "F 3"],
    vertex_parts: Int[np.ndarray, "V"],
    part_names: Sequence[str],
    part_rgb: UInt8[np.ndarray, "Q 3"],
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write the polygon mesh `/body`: a sample of its points per frame, colours `Cd`, and a face set per part.

    Args:
        path: File to write, an Ogawa archive.
        frames: Vertices, taken one by one; the format knows no unit and no vertical axis.
        seconds_each: From one frame to the next; the first one is at 0.
        faces: Triangles of all frames, counter-clockwise seen from outside; Alembic has them clockwise.
        vertex_parts: Part of each vertex.
        part_names: Names of the parts.
        part_rgb: sRGB colour of each part, 0..255. Alembic does not say what its colours are; Blender writes and reads
            them as sRGB, 0..1, and so does this.
        extras: JSON-able data, kept as text in the archive's description.

    Raises:
        InputError: The extra `alembic` is not installed.
    """
    require_alembic()
    import imath
    from alembic3d import Abc, AbcCoreAbstract, AbcGeom

    told = json.dumps(dict(extras or {}), sort_keys=True)
    archive = Abc.CreateArchiveWithInfo(str(path), 1 / seconds_each, f"spams {__version__}", told)
    times = archive.addTimeSampling(AbcCoreAbstract.TimeSampling(seconds_each, 0.0))
    mesh = AbcGeom.OPolyMesh(archive.getTop(), "body", times)
    schema = mesh.getSchema()
    corners = imath.IntArrayFromBuffer(np.ascontiguousarray(faces[:, ::-1], np.int32).ravel())
    counts = imath.IntArrayFromBuffer(np.full(len(faces), 3, np.int32))
    for frame in frames:
        points = imath.V3fArrayFromBuffer(np.ascontiguousarray(frame, np.float32))
        # Samples that equal the one before are stored once.
        schema.set(AbcGeom.OPolyMeshSchemaSample(points, corners, counts))
    colors = imath.C3fArray(len(vertex_parts))
    for part, rgb in enumerate(part_rgb):
        members = imath.IntArrayFromBuffer(np.ascontiguousarray(vertex_parts == part, np.int32))
        colors[members] = imath.Color3f(*(rgb / 255).tolist())
    scope = AbcGeom.GeometryScope.kVertexScope
    attribute = AbcGeom.OC3fGeomParam(schema.getArbGeomParams(), "Cd", False, scope, 1)
    attribute.set(AbcGeom.OC3fGeomParamSample(colors, scope))
    owners = face_parts(faces, vertex_parts)
    for part, name in enumerate(part_names):
        members = np.ascontiguousarray(np.flatnonzero(owners == part), np.int32)
        if len(members):
            group = schema.createFaceSet(name)
            group.getSchema().set(AbcGeom.OFaceSetSchemaSample(imath.IntArrayFromBuffer(members)))
