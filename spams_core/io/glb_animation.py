"""GLB: an animation as one mesh with a morph target per frame (glTF 2.0, §3.7.2.2), metres and +y up."""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from spams_core import __version__
from spams_core.geometry.mesh import vertex_normals
from spams_core.io.glb import linear_colors

__all__ = ["write_animated_glb"]

_FLOAT, _UINT, _BYTE = 5126, 5125, 5121
_VERTICES, _INDICES = 34962, 34963


class _Buffer:
    """The binary chunk as it grows, and what describes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.size = file, 0
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(
        self, values: np.ndarray[Any, Any], component: int, target: int | None = None, *, bounds: bool = False
    ) -> int:
        """Append an array; the number of its accessor."""
        shapes = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
        data = np.ascontiguousarray(values)
        view = {"buffer": 0, "byteOffset": self.size, "byteLength": data.nbytes}
        accessor: dict[str, Any] = {
            "bufferView": len(self.views), "componentType": component, "count": len(data),
            "type": shapes[1 if data.ndim == 1 else data.shape[1]],
        }  # fmt: skip
        if target is not None:
            view["target"] = target
        if bounds:
            flat = data.reshape(len(data), -1)
            accessor |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        if component == _BYTE:
            accessor["normalized"] = True
        self._file.write(data.tobytes())
        padding = -data.nbytes % 4
        self._file.write(b"\0" * padding)
        self.size += data.nbytes + padding
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def write_animated_glb(
    path: Path,
    frames: Iterable[Float[np.ndarray, "V 3"]],
    seconds: Float[np.ndarray, "T"],
    faces: Int[np.ndarray, "F 3"],
    vertex_parts: Int[np.ndarray, "V"],
    part_rgb: UInt8[np.ndarray, "Q 3"],
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write one topology whose vertices move: at each keyframe exactly one frame's shape, linear in between.

    Normals move too. The file grows by 24 bytes per vertex and frame.

    Args:
        path: File to write.
        frames: Vertices of the world frame (metres, +y up), taken one by one.
        seconds: When each frame is shown, ascending.
        faces: Triangles of all frames.
        vertex_parts: Kept as the vertex attribute `_PART`.
        part_rgb: sRGB colour of each part, 0..255; becomes the colour of its vertices.
        extras: JSON-able data for `asset.extras`.
    """
    triangles = torch.from_numpy(np.asarray(faces, dtype=np.int64))
    with tempfile.TemporaryFile(dir=Path(path).parent) as file:
        buffer = _Buffer(file)
        base, base_normals = np.empty(0), np.empty(0)
        attributes: dict[str, int] = {}
        targets: list[dict[str, int]] = []
        indices, count = 0, 0
        for count, frame in enumerate(frames, 1):
            vertices = np.ascontiguousarray(frame, dtype="<f4")
            normals = vertex_normals(torch.from_numpy(vertices), triangles).numpy()
            if count == 1:
                base, base_normals = vertices, normals
                indices = buffer.add(np.asarray(faces, dtype="<u4").ravel(), _UINT, _INDICES)
                attributes = {
                    "POSITION": buffer.add(vertices, _FLOAT, _VERTICES, bounds=True),
                    "NORMAL": buffer.add(_unit(normals), _FLOAT, _VERTICES),
                    "COLOR_0": buffer.add(linear_colors(part_rgb)[vertex_parts], _BYTE, _VERTICES),
                    "_PART": buffer.add(vertex_parts.astype("<f4"), _FLOAT, _VERTICES),
                }
            else:
                moved = buffer.add(vertices - base, _FLOAT, _VERTICES, bounds=True)
                turned = buffer.add(normals - base_normals, _FLOAT, _VERTICES)
                targets.append({"POSITION": moved, "NORMAL": turned})
        assert count == len(seconds)
        primitive: dict[str, Any] = {"attributes": attributes, "indices": indices, "material": 0}
        mesh: dict[str, Any] = {"name": "body", "primitives": [primitive]}
        tree: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": f"spams {__version__}", "extras": dict(extras or {})},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"name": "body", "mesh": 0}],
            "meshes": [mesh],
            # Without a material, viewers assume polished metal.
            "materials": [{"name": "body", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8}}],
        }
        if targets:
            primitive["targets"] = targets
            mesh["weights"] = [0.0] * len(targets)
            times = buffer.add(np.asarray(seconds, dtype="<f4"), _FLOAT, bounds=True)
            weights = buffer.add(np.eye(count, dtype="<f4")[:, 1:].ravel(), _FLOAT)
            tree["animations"] = [
                {
                    "name": "body",
                    "samplers": [{"input": times, "output": weights, "interpolation": "LINEAR"}],
                    "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
                }
            ]
        tree |= {
            "buffers": [{"byteLength": buffer.size}], "bufferViews": buffer.views, "accessors": buffer.accessors,
        }  # fmt: skip
        _assemble(path, tree, file, buffer.size)


def _unit(normals: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Vertices without a triangle get some direction: glTF allows unit normals only."""
    lost = np.linalg.norm(normals, axis=1) < 0.5
    result = normals.copy()
    result[lost] = (0.0, 1.0, 0.0)
    return result


def _assemble(path: Path, tree: Mapping[str, Any], binary: IO[bytes], size: int) -> None:
    """Header, JSON chunk, binary chunk (glTF 2.0, §4.4)."""
    text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary.seek(0)
    with Path(path).open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + size))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", size, b"BIN\0"))
        shutil.copyfileobj(binary, file, 1 << 20)
