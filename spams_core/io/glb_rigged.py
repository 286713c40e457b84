"""GLB: a skin on a skeleton that keyframes turn (glTF 2.0, §3.7.3 and §3.11), metres and +y up."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from spams_core.geometry.mesh import vertex_normals
from spams_core.geometry.rig import Rig, RigMotion, local_rotations, quaternions
from spams_core.io.glb import linear_colors
from spams_core.io.glb_buffer import (
    FLOAT,
    INDICES,
    MATERIAL,
    UBYTE,
    UINT,
    USHORT,
    VERTICES,
    GlbBuffer,
    asset,
    unit_normals,
    write_glb_file,
)

__all__ = ["write_rigged_glb"]


def write_rigged_glb(
    path: Path,
    rig: Rig,
    motion: RigMotion,
    seconds: Float[np.ndarray, "T"],
    faces: Int[np.ndarray, "F 3"],
    vertex_parts: Int[np.ndarray, "V"],
    part_rgb: UInt8[np.ndarray, "Q 3"],
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write a rig at rest and its poses as keyframes: rotations of all bones, the place of the root, linear in between.

    The node `body` carries the skin; each bone is a node of its name below the root's.

    Args:
        path: File to write.
        rig: In metres, +y up.
        motion: Its poses.
        seconds: When each pose is shown, ascending.
        faces: Triangles of the skin.
        vertex_parts: Kept as the vertex attribute `_PART`.
        part_rgb: sRGB colour of each part, 0..255; becomes the colour of its vertices.
        extras: JSON-able data for `asset.extras`.
    """
    assert len(motion) == len(seconds)
    vertices = np.ascontiguousarray(rig.vertices, dtype="<f4")
    triangles = torch.from_numpy(np.asarray(faces, dtype=np.int64))
    normals = unit_normals(vertex_normals(torch.from_numpy(vertices), triangles).numpy())
    narrow = len(rig.names) <= 256
    with tempfile.TemporaryFile(dir=Path(path).parent) as file:
        buffer = GlbBuffer(file)
        indices = buffer.add(np.asarray(faces, dtype="<u4").ravel(), UINT, INDICES)
        attributes = {
            "POSITION": buffer.add(vertices, FLOAT, VERTICES, bounds=True),
            "NORMAL": buffer.add(normals, FLOAT, VERTICES),
            "COLOR_0": buffer.add(linear_colors(part_rgb)[vertex_parts], UBYTE, VERTICES, normalized=True),
            "JOINTS_0": buffer.add(rig.bones.astype("u1" if narrow else "<u2"), UBYTE if narrow else USHORT, VERTICES),
            "WEIGHTS_0": buffer.add(rig.weights.astype("<f4"), FLOAT, VERTICES),
            "_PART": buffer.add(vertex_parts.astype("<f4"), FLOAT, VERTICES),
        }
        from_world = np.tile(np.eye(4, dtype="<f4"), (len(rig.names), 1, 1))
        from_world[:, :3, 3] = -rig.joints
        inverse = buffer.add(from_world.transpose(0, 2, 1).reshape(-1, 16), FLOAT)  # glTF stores columns
        times = buffer.add(np.asarray(seconds, dtype="<f4"), FLOAT, bounds=True)
        turns = quaternions(local_rotations(rig, motion)).astype("<f4")
        samplers = [
            {"input": times, "output": buffer.add(turns[:, bone], FLOAT), "interpolation": "LINEAR"}
            for bone in range(len(rig.names))
        ]
        samplers.append(
            {"input": times, "output": buffer.add(motion.root_place.astype("<f4"), FLOAT), "interpolation": "LINEAR"}
        )
        first = 1  # the skin's own node stands before the bones'
        bones: list[dict[str, Any]] = [
            {"name": name, "translation": offset.tolist()} for name, offset in zip(rig.names, rig.offsets, strict=True)
        ]
        for bone, parent in enumerate(rig.parents):
            if parent >= 0:
                bones[parent].setdefault("children", []).append(first + bone)
        channels = [
            {"sampler": bone, "target": {"node": first + bone, "path": "rotation"}} for bone in range(len(bones))
        ]
        channels.append({"sampler": len(bones), "target": {"node": first, "path": "translation"}})
        tree = {
            "asset": asset(extras),
            "scene": 0,
            "scenes": [{"nodes": [0, first]}],
            "nodes": [{"name": "body", "mesh": 0, "skin": 0}, *bones],
            "meshes": [{"name": "body", "primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}],
            "skins": [
                {
                    "name": "parts",
                    "inverseBindMatrices": inverse,
                    "skeleton": first,
                    "joints": [first + bone for bone in range(len(bones))],
                }
            ],
            "materials": [MATERIAL],
            "animations": [{"name": "body", "samplers": samplers, "channels": channels}],
        }
        write_glb_file(path, tree, buffer)
