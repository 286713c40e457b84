"""GLB: one mesh as binary glTF 2.0, metres and +y up as glTF demands, part colours on the vertices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import UInt8
from trimesh.visual import ColorVisuals

from spams_core.geometry.mesh import Mesh

__all__ = ["linear_colors", "write_glb"]


def linear_colors(rgb: UInt8[np.ndarray, "Q 3"]) -> UInt8[np.ndarray, "Q 4"]:
    """sRGB as linear light, 0..255, opaque (IEC 61966-2-1)."""
    srgb = rgb / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    opaque = np.ones((len(rgb), 1))
    result: np.ndarray = np.rint(255 * np.concatenate([linear, opaque], axis=1)).astype(np.uint8)
    return result


def write_glb(
    path: Path,
    mesh_world: Mesh,
    part_rgb: UInt8[np.ndarray, "Q 3"] | None = None,
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write a mesh of the world frame (metres, +y up), with vertex normals.

    Args:
        path: File to write.
        mesh_world: Where it has part labels, the vertex attribute `_PART` holds them.
        part_rgb: sRGB colour of each part, 0..255; glTF stores vertex colours linearly (glTF 2.0, §3.9.2).
        extras: JSON-able data for `asset.extras`.
    """
    mesh = mesh_world.trimesh()
    if mesh_world.vertex_parts is not None:
        mesh.vertex_attributes["_PART"] = mesh_world.vertex_parts.astype(np.float32)
        if part_rgb is not None:
            colors = linear_colors(part_rgb)[mesh_world.vertex_parts]
            mesh.visual = ColorVisuals(mesh, vertex_colors=colors)

    def complete(tree: dict[str, Any]) -> None:
        tree["asset"]["extras"] = dict(extras or {})
        # Without a material, viewers assume polished metal.
        tree["materials"] = [{"name": "body", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8}}]
        for item in tree["meshes"]:
            for primitive in item["primitives"]:
                primitive["material"] = 0

    scene = trimesh.Scene()
    scene.add_geometry(mesh, node_name="body", geom_name="body")
    content = scene.export(file_type="glb", include_normals=True, tree_postprocessor=complete)  # type: ignore[no-untyped-call]
    assert isinstance(content, bytes)
    Path(path).write_bytes(content)
