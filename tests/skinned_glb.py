"""A skinned GLB as pygltflib reads it, posed by the glTF specification's own formula."""

from __future__ import annotations

import numpy as np
import pygltflib
from scipy.spatial.transform import Rotation


def accessor(document: pygltflib.GLTF2, index: int) -> np.ndarray:
    entry = document.accessors[index]
    view = document.bufferViews[entry.bufferView]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[entry.type]
    kind = {5126: "<f4", 5125: "<u4", 5123: "<u2", 5121: "u1"}[entry.componentType]
    values = np.frombuffer(document.binary_blob(), kind, entry.count * width, view.byteOffset or 0)
    return values.reshape(-1, width)


def skinned(document: pygltflib.GLTF2, key: int) -> np.ndarray:
    """The skin at a keyframe by the glTF specification's own formula, node by node."""
    local = {}
    for number, node in enumerate(document.nodes):
        local[number] = {"translation": node.translation or [0, 0, 0], "rotation": node.rotation or [0, 0, 0, 1]}
    (animation,) = document.animations
    for channel in animation.channels:
        sampler = animation.samplers[channel.sampler]
        local[channel.target.node][channel.target.path] = accessor(document, sampler.output)[key]
    parent = {child: number for number, node in enumerate(document.nodes) for child in node.children or []}

    def world(number: int) -> np.ndarray:
        own = np.eye(4)
        own[:3, :3] = Rotation.from_quat(local[number]["rotation"]).as_matrix()
        own[:3, 3] = local[number]["translation"]
        return world(parent[number]) @ own if number in parent else own

    (skin,), (mesh,) = document.skins, document.meshes
    inverse = accessor(document, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    matrices = np.stack([world(joint) @ bind for joint, bind in zip(skin.joints, inverse, strict=True)])
    at = mesh.primitives[0].attributes
    points = accessor(document, at.POSITION).astype(float)
    blend = np.einsum("vk,vkij->vij", accessor(document, at.WEIGHTS_0), matrices[accessor(document, at.JOINTS_0)])
    return np.einsum("vij,vj->vi", blend[:, :3, :3], points) + blend[:, :3, 3]
