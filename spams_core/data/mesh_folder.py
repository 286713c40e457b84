"""A folder of registered meshes of several identities in several poses: what users' own subjects are made from.

    DIR/parts.json               {"unit_m": 1.0, "root": "palm", "parts": [{"name", "title"?, "color"?}, …]}
    DIR/labels.npy               part of each vertex or of each face, or
    DIR/NAME/labels.npy          the same for one identity, or the property `part` in NAME/canonical.ply
    DIR/NAME/canonical.ply       the identity in the pose that all identities share (.ply or .obj)
    DIR/NAME/poses/000.ply, …    the identity in other poses

All meshes have the same triangles over the same vertices. Labels count the parts of parts.json from 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.io.obj import read_obj, write_obj
from spams_core.io.ply import read_ply, read_ply_face_parts, write_ply

__all__ = ["LABELS_FILE", "PARTS_FILE", "MeshFolder", "MeshIdentity", "MeshPart", "open_mesh_folder", "read_labels",
           "read_mesh", "write_identity", "write_parts"]  # fmt: skip

PARTS_FILE = "parts.json"
LABELS_FILE = "labels.npy"
_ENDINGS = (".ply", ".obj")
_KEYS = {"unit_m", "root", "parts", "about"}


@dataclass(frozen=True)
class MeshPart:
    """A part: its name in files and commands, its title for people, and its colour as #rrggbb; "" takes a default."""

    name: str
    title: str = ""
    color: str = ""


@dataclass(frozen=True)
class MeshIdentity:
    """One identity's files.

    Attributes:
        name: Its folder.
        canonical: The mesh in the pose that all identities share; None where it is missing.
        poses: Its other poses, in the order of their names.
    """

    name: str
    canonical: Path | None
    poses: tuple[Path, ...]


@dataclass(frozen=True)
class MeshFolder:
    """What a folder of meshes says of itself.

    Attributes:
        path: The folder.
        parts: The Q parts, in the order of their labels.
        root: Name of the part whose motion is the subject's own; None takes the one in the middle.
        unit_m: Metres per unit of the files.
        identities: In the order of their names.
    """

    path: Path
    parts: tuple[MeshPart, ...]
    root: str | None
    unit_m: float
    identities: tuple[MeshIdentity, ...]

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the Q parts."""
        return tuple(part.name for part in self.parts)


def open_mesh_folder(path: Path) -> MeshFolder:
    """Read parts.json and list the identities; no mesh is read yet.

    Raises:
        InputError: The folder or parts.json is missing, or says something impossible.
    """
    if not path.is_dir():
        raise InputError(f"{path} is no folder. Give the folder of the meshes, with {PARTS_FILE} in it.")
    parts, root, unit_m = _read_parts(path / PARTS_FILE)
    identities = []
    for folder in sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith(".")):
        canonical = [folder / f"canonical{ending}" for ending in _ENDINGS]
        poses = folder / "poses"
        if not poses.is_dir() and not any(file.exists() for file in canonical):
            continue  # something else that lies there
        files = (file for file in poses.iterdir() if file.suffix.lower() in _ENDINGS) if poses.is_dir() else ()
        found = next((file for file in canonical if file.exists()), None)
        identities.append(MeshIdentity(folder.name, found, tuple(sorted(files))))
    if not identities:
        raise InputError(
            f"{path} holds no identity. Put each identity's meshes into a folder of its own: NAME/canonical.ply and "
            "NAME/poses/000.ply, 001.ply, …"
        )
    return MeshFolder(path, parts, root, unit_m, tuple(identities))


def _read_parts(path: Path) -> tuple[tuple[MeshPart, ...], str | None, float]:
    example = '{"unit_m": 1.0, "parts": [{"name": "palm"}, {"name": "thumb"}]}'
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} is missing: it names the parts. Write it, such as {example}.") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}). Write it such as {example}.") from error
    if not isinstance(told, Mapping) or not isinstance(told.get("parts"), list) or not told["parts"]:
        raise InputError(f"{path} lists no parts. Write it such as {example}.")
    unknown = sorted(set(told) - _KEYS)
    if unknown:
        raise InputError(f"{path} has the unknown entry {unknown[0]!r}. It may have: {', '.join(sorted(_KEYS))}.")
    parts = tuple(_part(path, row) for row in told["parts"])
    names = [part.name for part in parts]
    if len(set(names)) < len(names):
        raise InputError(f"{path} names a part twice. Give every part a name of its own.")
    for name in names:
        opposite = {"left_": "right_", "right_": "left_"}
        side = next((side for side in opposite if name.startswith(side)), None)
        if side is not None and opposite[side] + name.removeprefix(side) not in names:
            raise InputError(
                f"{path}: {name} has no part {opposite[side]}{name.removeprefix(side)} beside it, but left_ and right_ "
                "mark pairs that mirror each other. Add it, or choose another name."
            )
    if len(parts) > 64:
        raise InputError(f"{path} names {len(parts)} parts. Join some: 64 is the most.")
    root, unit_m = told.get("root"), told.get("unit_m", 1.0)
    if root is not None and root not in names:
        raise InputError(f"{path}: root is {root!r}, which is no part. Choose one of: {', '.join(names)}.")
    if isinstance(unit_m, bool) or not isinstance(unit_m, (int, float)) or not 0 < unit_m < 1e6:
        raise InputError(f"{path}: unit_m is {unit_m!r}. Give the metres per unit, such as 0.001 for millimetres.")
    return parts, root, float(unit_m)


def _part(path: Path, row: Any) -> MeshPart:
    if isinstance(row, str):
        row = {"name": row}
    if not isinstance(row, Mapping) or not set(row) <= {"name", "title", "color"}:
        raise InputError(f"{path}: a part has other entries than name, title and color. Correct it.")
    name, title, color = (row.get(key, "") for key in ("name", "title", "color"))
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InputError(f"{path}: {name!r} is no part name. Use letters, digits and _, beginning with a letter.")
    if not isinstance(title, str) or not isinstance(color, str):
        raise InputError(f"{path}: title and color of {name} must be text.")
    if color and not re.fullmatch(r"#[0-9A-Fa-f]{6}", color):
        raise InputError(f"{path}: the colour of {name} is {color!r}. Write it as #rrggbb, such as #e39a08.")
    return MeshPart(name, title, color)


def read_mesh(path: Path) -> Mesh:
    """A PLY or OBJ mesh in its own unit.

    Raises:
        InputError: As `read_ply` and `read_obj`.
    """
    return read_obj(path) if path.suffix.lower() == ".obj" else read_ply(path)


def read_labels(folder: MeshFolder, identity: MeshIdentity) -> tuple[Path, Int[np.ndarray, "N"]] | None:
    """Where an identity's labels lie and the labels themselves, per vertex or per face; None where it has none.

    Its own labels.npy goes before the property `part` in its canonical mesh, that before the labels.npy of all.

    Raises:
        InputError: The file is no array of whole numbers, or the mesh is broken.
    """
    own = folder.path / identity.name / LABELS_FILE
    if own.exists():
        return own, _read_array(own)
    if identity.canonical is not None and identity.canonical.suffix.lower() == ".ply":
        labels = read_ply(identity.canonical).vertex_parts
        if labels is None:
            labels = read_ply_face_parts(identity.canonical)
        if labels is not None:
            return identity.canonical, labels
    shared = folder.path / LABELS_FILE
    return (shared, _read_array(shared)) if shared.exists() else None


def _read_array(path: Path) -> Int[np.ndarray, "N"]:
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no NumPy array. Save it with numpy.save.") from error
    whole = isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iuf"
    if not whole or (labels != np.floor(labels)).any():
        raise InputError(f"{path} must hold one whole number per vertex or per face. Save it anew.")
    return np.asarray(labels, dtype=np.int64)


def write_parts(path: Path, parts: Sequence[MeshPart], *, root: str | None = None, about: str = "") -> None:
    """Write parts.json into a folder of meshes in metres."""
    rows = [{key: value for key, value in vars(part).items() if value} for part in parts]
    told: dict[str, Any] = {"unit_m": 1.0, **({"root": root} if root else {}), "parts": rows}
    if about:
        told["about"] = about
    (path / PARTS_FILE).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def write_identity(path: Path, canonical: Mesh, poses: Sequence[Mesh], ending: str = ".ply") -> None:
    """Write one identity's folder; labels of a PLY mesh go into the file, those of an OBJ mesh beside it."""
    write = write_ply if ending == ".ply" else write_obj
    (path / "poses").mkdir(parents=True)
    if ending != ".ply" and canonical.vertex_parts is not None:
        np.save(path / LABELS_FILE, canonical.vertex_parts)
        canonical = replace(canonical, vertex_parts=None)
    write(path / f"canonical{ending}", canonical)
    for number, mesh in enumerate(poses):
        write(path / "poses" / f"{number:03d}{ending}", mesh)
