"""What the writers of binary glTF 2.0 share: the buffer as it grows, the material, and the container."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Float

from spams_core import __version__

__all__ = [
    "FLOAT",
    "INDICES",
    "MATERIAL",
    "UBYTE",
    "UINT",
    "USHORT",
    "VERTICES",
    "GlbBuffer",
    "asset",
    "read_glb_extras",
    "unit_normals",
    "write_glb_file",
]

FLOAT, UINT, USHORT, UBYTE = 5126, 5125, 5123, 5121
"""Component types of accessors (glTF 2.0, §3.6.2.2)."""

VERTICES, INDICES = 34962, 34963
"""What a buffer view is for."""

MATERIAL: Mapping[str, Any] = {
    "name": "body", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8}
}  # fmt: skip
"""Without a material, viewers assume polished metal."""

_SHAPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class GlbBuffer:
    """The binary chunk as it grows in a file, and what describes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size = file, 0
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(
        self,
        values: np.ndarray[Any, Any],
        component: int,
        target: int | None = None,
        *,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Append an array, a row per element; the number of its accessor."""
        data = np.ascontiguousarray(values)
        view = {"buffer": 0, "byteOffset": self.size, "byteLength": data.nbytes}
        accessor: dict[str, Any] = {
            "bufferView": len(self.views), "componentType": component, "count": len(data),
            "type": _SHAPES[1 if data.ndim == 1 else data.shape[1]],
        }  # fmt: skip
        if target is not None:
            view["target"] = target
        if bounds:
            flat = data.reshape(len(data), -1)
            accessor |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        if normalized:
            accessor["normalized"] = True
        self.file.write(data.tobytes())
        padding = -data.nbytes % 4
        self.file.write(b"\0" * padding)
        self.size += data.nbytes + padding
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def asset(extras: Mapping[str, Any] | None) -> dict[str, Any]:
    """The document's account of itself."""
    return {"version": "2.0", "generator": f"spams {__version__}", "extras": dict(extras or {})}


def read_glb_extras(path: Path) -> dict[str, Any]:
    """What a file that was written here tells of itself in `asset.extras`."""
    with Path(path).open("rb") as file:
        *_, length, kind = struct.unpack("<4sIII4s", file.read(20))
        assert kind == b"JSON"
        extras: dict[str, Any] = json.loads(file.read(length))["asset"]["extras"]
    return extras


def unit_normals(normals: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, "V 3"]:
    """Vertices without a triangle get some direction: glTF allows unit normals only."""
    lost = np.linalg.norm(normals, axis=1) < 0.5
    result = normals.copy()
    result[lost] = (0.0, 1.0, 0.0)
    return result


def write_glb_file(path: Path, tree: Mapping[str, Any], buffer: GlbBuffer) -> None:
    """Header, JSON chunk, binary chunk (glTF 2.0, §4.4); the buffer's description joins the tree."""
    whole = {
        **tree, "buffers": [{"byteLength": buffer.size}], "bufferViews": buffer.views, "accessors": buffer.accessors,
    }  # fmt: skip
    text = json.dumps(whole, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    buffer.file.seek(0)
    with Path(path).open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + buffer.size))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", buffer.size, b"BIN\0"))
        shutil.copyfileobj(buffer.file, file, 1 << 20)
