"""Write one mesh that is at hand, such as the body on screen with its edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from spams_core import __version__
from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import new_file
from spams_core.io.glb import write_glb
from spams_core.io.obj import write_obj
from spams_core.io.ply import write_ply
from spams_core.io.stl import write_stl
from spams_core.progress import Progress, Task
from spams_core.resources import part_colors

__all__ = ["MESH_SUFFIXES", "export_mesh"]

_TOLD = f"spams {__version__}, metres, world frame, +y up"

_WRITERS: Mapping[str, Callable[[Path, Mesh, Sequence[str]], None]] = {
    "ply": lambda path, mesh, names: write_ply(path, mesh, part_colors(names), [_TOLD], normals=True),
    "obj": lambda path, mesh, names: write_obj(path, mesh, names, [_TOLD]),
    "glb": lambda path, mesh, names: write_glb(path, mesh, part_colors(names)),
    "stl": lambda path, mesh, names: write_stl(path, mesh, _TOLD),
}

MESH_SUFFIXES = tuple(_WRITERS)
"""What a mesh can be written as; the suffix of its file."""


def export_mesh(mesh_world: Mesh, part_names: Sequence[str], path: Path, *, replace: bool = False) -> Task[Path]:
    """Write a mesh as its name's suffix says, whole or not at all.

    Args:
        mesh_world: Metres, +y up.
        part_names: Names of its parts; empty where it has none.
        path: File to write.
        replace: Whether a file that is there may be replaced.

    Raises:
        InputError: The suffix is none of `MESH_SUFFIXES`, or the file exists or cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in _WRITERS:
        *most, last = (f".{suffix}" for suffix in MESH_SUFFIXES)
        raise InputError(f"{path.name}: the name must end in {', '.join(most)} or {last}. Choose another name.")
    yield Progress(0, 1, f"Write {path.name}")
    parts = mesh_world.vertex_parts if part_names else None
    with new_file(path, replace=replace) as work:
        _WRITERS[kind](work, Mesh(mesh_world.vertices, mesh_world.faces, parts), part_names)
    yield Progress(1, 1, f"Wrote {path.name}")
    return path
