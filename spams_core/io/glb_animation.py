"""GLB: an animation as one mesh with a morph target per frame (glTF 2.0, §3.7.2.2), metres and +y up."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from spams_core.geometry.mesh import vertex_normals
from spams_core.io.glb import linear_colors
from spams_core.io.glb_buffer import (
    FLOAT,
    INDICES,
    MATERIAL,
    UBYTE,
    UINT,
    VERTICES,
    GlbBuffer,
    asset,
    unit_normals,
    write_glb_file,
)

__all__ = ["write_animated_glb"]


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
        buffer = GlbBuffer(file)
        base, base_normals = np.empty(0), np.empty(0)
        attributes: dict[str, int] = {}
        targets: list[dict[str, int]] = []
        indices, count = 0, 0
        for count, frame in enumerate(frames, 1):
            vertices = np.ascontiguousarray(frame, dtype="<f4")
            normals = vertex_normals(torch.from_numpy(vertices), triangles).numpy()
            if count == 1:
                base, base_normals = vertices, normals
                indices = buffer.add(np.asarray(faces, dtype="<u4").ravel(), UINT, INDICES)
                attributes = {
                    "POSITION": buffer.add(vertices, FLOAT, VERTICES, bounds=True),
                    "NORMAL": buffer.add(unit_normals(normals), FLOAT, VERTICES),
                    "COLOR_0": buffer.add(linear_colors(part_rgb)[vertex_parts], UBYTE, VERTICES, normalized=True),
                    "_PART": buffer.add(vertex_parts.astype("<f4"), FLOAT, VERTICES),
                }
            else:
                moved = buffer.add(vertices - base, FLOAT, VERTICES, bounds=True)
                turned = buffer.add(normals - base_normals, FLOAT, VERTICES)
                targets.append({"POSITION": moved, "NORMAL": turned})
        assert count == len(seconds)
        primitive: dict[str, Any] = {"attributes": attributes, "indices": indices, "material": 0}
        mesh: dict[str, Any] = {"name": "body", "primitives": [primitive]}
        tree: dict[str, Any] = {
            "asset": asset(extras),
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"name": "body", "mesh": 0}],
            "meshes": [mesh],
            "materials": [MATERIAL],
        }
        if targets:
            primitive["targets"] = targets
            mesh["weights"] = [0.0] * len(targets)
            times = buffer.add(np.asarray(seconds, dtype="<f4"), FLOAT, bounds=True)
            weights = buffer.add(np.eye(count, dtype="<f4")[:, 1:].ravel(), FLOAT)
            tree["animations"] = [
                {
                    "name": "body",
                    "samplers": [{"input": times, "output": weights, "interpolation": "LINEAR"}],
                    "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
                }
            ]
        write_glb_file(path, tree, buffer)
