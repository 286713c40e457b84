"""What Blender makes of a file, told in JSON and arrays. Run by a Python that has `bpy`, which brings its own NumPy:

    BLENDER_PYTHON tests/blender_reader.py JOBS.json OUT

A job is a file (`path`), the importer's `options` that differ from its defaults, the scene's `fps` before the import
(by default Blender's 24), for a point cache the settings of its modifier (`cache`), and the `frames` to look at. OUT
gets `told.json`, a list with an answer per job, and `N.npz` for job N. It imports nothing of this project.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np

IMPORTERS = {
    "abc": bpy.ops.wm.alembic_import,
    "bvh": bpy.ops.import_anim.bvh,
    "glb": bpy.ops.import_scene.gltf,
    "obj": bpy.ops.wm.obj_import,
    "ply": bpy.ops.wm.ply_import,
    "stl": bpy.ops.wm.stl_import,
    "usd": bpy.ops.wm.usd_import,
    "usdz": bpy.ops.wm.usd_import,
}
"""Suffix → what the entry of the menu *File › Import* runs."""


def look(job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Import one file into an empty scene and look at it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    if job.get("fps"):
        scene.render.fps = math.ceil(job["fps"])
        scene.render.fps_base = math.ceil(job["fps"]) / job["fps"]
    path = Path(job["path"])
    done = IMPORTERS[path.suffix[1:]](filepath=str(path), **job.get("options", {}))
    assert done == {"FINISHED"}, done
    # Importers of armatures bring shapes of their own for bones to be drawn with.
    shapes = {bone.custom_shape for item in scene.objects if item.pose for bone in item.pose.bones}
    items = [item for item in scene.objects if item not in shapes]
    if "cache" in job:
        (item,) = items
        modifier = item.modifiers.new("Cache", "MESH_CACHE")
        for name, value in job["cache"].items():
            setattr(modifier, name, value)
    told: dict[str, Any] = {
        "blender": bpy.app.version_string,
        "fps": scene.render.fps / scene.render.fps_base,
        "range": [scene.frame_start, scene.frame_end],
        "objects": {item.name: item.type for item in items},
        "actions": sorted(list(action.frame_range) for action in bpy.data.actions),
    }
    arrays: dict[str, np.ndarray] = {}
    for item in items:
        if item.type == "MESH":
            told["mesh"] = _mesh(item, arrays)
            shown = [_shown(item, frame) for frame in job["frames"]]
            arrays["points"], arrays["normals"] = (np.stack(each) for each in zip(*shown, strict=True))
        elif item.type == "ARMATURE":
            told["bones"] = {bone.name: bone.parent and bone.parent.name for bone in item.data.bones}
            arrays["heads"] = np.stack([_heads(item, frame) for frame in job["frames"]])
    return told, arrays


def _mesh(item: Any, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    mesh = item.data
    arrays["faces"] = _values(mesh.loops, "vertex_index", 1, np.int32).reshape(-1, 3)
    arrays["face_materials"] = _values(mesh.polygons, "material_index", 1, np.int32)[:, 0]
    colors = mesh.color_attributes
    if len(colors):
        values = _values(colors[0].data, "color", 4, np.float32)[:, :3]  # linear, whatever the file has
        corners = arrays["faces"].ravel()
        arrays["colors"] = values if colors[0].domain == "POINT" else _by_vertex(values, corners, len(mesh.vertices))
    part = mesh.attributes.get("part") or mesh.attributes.get("_PART")
    if part:
        arrays["parts"] = _values(part.data, "value", 1, np.int32 if part.data_type == "INT" else np.float32)[:, 0]
    groups = {group.name: np.zeros(len(mesh.vertices), np.float32) for group in item.vertex_groups}
    names = [group.name for group in item.vertex_groups]
    for vertex in mesh.vertices if groups else ():
        for member in vertex.groups:
            groups[names[member.group]][vertex.index] = member.weight
    arrays["weights"] = np.stack(list(groups.values())) if groups else np.zeros((0, len(mesh.vertices)))
    return {
        "name": mesh.name,
        "materials": {material.name: _base_color(material) for material in mesh.materials},
        "groups": names,
        "modifiers": [modifier.type for modifier in item.modifiers],
    }


def _base_color(material: Any) -> list[float] | str:
    """Linear colour of the surface; the name of the attribute where one is linked to it."""
    shaders = (
        [node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED"] if material.node_tree else []
    )
    if not shaders:
        return list(material.diffuse_color)[:3]
    socket = shaders[0].inputs["Base Color"]
    if socket.links:
        return "attribute"
    return list(socket.default_value)[:3]


def _shown(item: Any, frame: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of the scene at a frame, modifiers applied, and their normals."""
    _go(frame)
    seen = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = seen.to_mesh()
    place = np.array(seen.matrix_world, float)
    points = _values(mesh.vertices, "co", 3, np.float32).astype(float)
    corners = _values(mesh.loops, "vertex_index", 1, np.int32)[:, 0]
    normals = _by_vertex(_values(mesh.corner_normals, "vector", 3, np.float32), corners, len(points))
    seen.to_mesh_clear()
    return points @ place[:3, :3].T + place[:3, 3], normals @ place[:3, :3].T


def _heads(item: Any, frame: float) -> np.ndarray:
    """[B, 3] where the bones begin in the scene at a frame."""
    _go(frame)
    seen = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([seen.matrix_world @ bone.head for bone in seen.pose.bones], float)


def _go(frame: float) -> None:
    bpy.context.scene.frame_set(math.floor(frame), subframe=frame - math.floor(frame))


def _by_vertex(values: np.ndarray, corners: np.ndarray, count: int) -> np.ndarray:
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, corners, values)
    return total / np.maximum(np.bincount(corners, minlength=count), 1)[:, None]


def _values(collection: Any, name: str, width: int, kind: type) -> np.ndarray:
    values = np.empty(len(collection) * width, kind)
    collection.foreach_get(name, values)
    return values.reshape(-1, width)


def main(jobs: Path, out: Path) -> None:
    answers = []
    for number, job in enumerate(json.loads(jobs.read_text())):
        told, arrays = look(job)
        np.savez(out / f"{number}.npz", **arrays)
        answers.append(told)
    (out / "told.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
