"""A skinned GLB as another program reads it: the skin evaluated from the file's own numbers."""

from __future__ import annotations

import numpy as np
import pygltflib
import pytest
import trimesh
from chain import chain_mesh, chain_motion, chain_rig
from skinned_glb import accessor, skinned

from spams_core.geometry.rig import skin
from spams_core.io.glb_rigged import write_rigged_glb

COLORS = np.array([[0, 128, 255], [255, 64, 0], [9, 9, 9]], dtype=np.uint8)
SECONDS = np.array([0.0, 0.1, 0.2, 0.5, 0.6])


@pytest.fixture
def document(tmp_path):
    mesh = chain_mesh()
    rig, motion = chain_rig(mesh, 0.1), chain_motion(len(SECONDS))
    write_rigged_glb(tmp_path / "a.glb", rig, motion, SECONDS, mesh.faces, mesh.vertex_parts, COLORS, {"made": "here"})
    assert list(tmp_path.iterdir()) == [tmp_path / "a.glb"]
    return pygltflib.GLTF2().load(str(tmp_path / "a.glb"))


def test_the_skin_from_the_file_is_the_rigs(document):
    mesh = chain_mesh()
    rig, motion = chain_rig(mesh, 0.1), chain_motion(len(SECONDS))
    for t in range(len(SECONDS)):
        wanted = skin(rig, motion, t)
        assert np.abs(skinned(document, t) - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_times_names_and_tree(document):
    (animation,), (bones,) = document.animations, document.skins
    assert document.asset.extras == {"made": "here"}
    assert [document.nodes[joint].name for joint in bones.joints] == ["middle", "tip", "end"]
    assert document.nodes[bones.skeleton].children == bones.joints[1:]
    assert (document.nodes[0].mesh, document.nodes[0].skin) == (0, 0)
    paths = sorted((channel.target.node, channel.target.path) for channel in animation.channels)
    assert paths == [(1, "rotation"), (1, "translation"), (2, "rotation"), (3, "rotation")]
    for sampler in animation.samplers:
        assert np.allclose(accessor(document, sampler.input)[:, 0], SECONDS, rtol=1e-6)
        assert sampler.interpolation == "LINEAR"


def test_weights_and_normals_keep_the_rules_of_the_format(document):
    at = document.meshes[0].primitives[0].attributes
    weights, joints = accessor(document, at.WEIGHTS_0), accessor(document, at.JOINTS_0)
    assert np.abs(weights.sum(1) - 1).max() < 1e-6
    assert (joints[weights == 0] == 0).all()
    assert np.allclose(np.linalg.norm(accessor(document, at.NORMAL), axis=1), 1, atol=1e-5)


def test_trimesh_reads_the_skin_at_rest(document, tmp_path):
    mesh = chain_mesh()
    document.save(str(tmp_path / "again.glb"))
    seen = trimesh.load(tmp_path / "again.glb", force="mesh", process=False)
    assert np.allclose(seen.vertices, mesh.vertices, atol=1e-6)
    assert np.array_equal(seen.faces, mesh.faces)
