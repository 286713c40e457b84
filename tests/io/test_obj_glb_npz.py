"""OBJ, GLB and NPZ as other programs read them."""

from __future__ import annotations

import numpy as np
import pygltflib
import pytest
import trimesh

from spams_core.geometry.mesh import Mesh
from spams_core.io.glb import write_glb
from spams_core.io.npz import write_npz
from spams_core.io.obj import face_parts, write_obj


@pytest.fixture
def ball() -> Mesh:
    sphere = trimesh.creation.icosphere(2)
    vertices = sphere.vertices + np.array([1.0, 2.0, -3.0])
    return Mesh(vertices.astype(np.float32), np.asarray(sphere.faces), (sphere.vertices[:, 1] > 0).astype(np.int32))


def test_a_triangle_belongs_to_the_part_of_most_corners():
    faces = np.array([[0, 1, 2], [0, 1, 3], [3, 0, 1], [0, 3, 1], [0, 3, 4]])
    assert face_parts(faces, np.array([5, 5, 5, 7, 9])).tolist() == [5, 5, 5, 5, 5]
    assert face_parts(np.array([[3, 0, 1], [3, 4, 0]]), np.array([5, 5, 5, 7, 9])).tolist() == [5, 7]


def test_obj_keeps_vertices_and_groups_faces_by_part(ball, tmp_path):
    write_obj(tmp_path / "ball.obj", ball, ["lower", "upper"], ["hello\nworld"])
    lines = (tmp_path / "ball.obj").read_text().splitlines()
    assert lines[:2] == ["# hello", "# world"]
    # One smoothing group, stated before the first face: Blender shows flat triangles without it.
    assert next(line for line in lines if line.startswith(("s ", "g ", "f "))) == "s 1"
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], dtype=float)
    assert np.abs(vertices - ball.vertices).max() <= 0.5e-6 + 1e-12
    groups: dict[str, list[list[int]]] = {}
    for line in lines:
        if line.startswith("g "):
            current = groups.setdefault(line[2:], [])
        elif line.startswith("f "):
            current.append([int(index) - 1 for index in line.split()[1:]])
    parts = face_parts(ball.faces, ball.vertex_parts)
    assert {name: np.array(faces).tolist() for name, faces in groups.items()} == {
        "lower": ball.faces[parts == 0].tolist(),
        "upper": ball.faces[parts == 1].tolist(),
    }


def test_obj_without_parts_reads_back_in_trimesh(ball, tmp_path):
    write_obj(tmp_path / "ball.obj", Mesh(ball.vertices, ball.faces))
    seen = trimesh.load(tmp_path / "ball.obj", process=False, maintain_order=True)
    assert np.allclose(seen.vertices, ball.vertices, atol=1e-6)
    assert np.array_equal(seen.faces, ball.faces)


def test_glb_is_the_same_mesh_with_linear_colors_and_provenance(ball, tmp_path):
    colors = np.array([[0, 128, 255], [255, 64, 0]], dtype=np.uint8)
    write_glb(tmp_path / "ball.glb", ball, colors, {"made": {"by": "test"}})
    seen = trimesh.load(tmp_path / "ball.glb", force="mesh", process=False)
    assert np.array_equal(seen.vertices.astype(np.float32), ball.vertices)
    assert np.array_equal(seen.faces, ball.faces)

    document = pygltflib.GLTF2().load(str(tmp_path / "ball.glb"))
    assert document.asset.extras == {"made": {"by": "test"}}
    assert document.materials[0].pbrMetallicRoughness.metallicFactor == 0
    (primitive,) = document.meshes[0].primitives
    assert primitive.material == 0

    def accessor(index: int, kind: str, width: int) -> np.ndarray:
        entry = document.accessors[index]
        view = document.bufferViews[entry.bufferView]
        start = (view.byteOffset or 0) + (entry.byteOffset or 0)
        return np.frombuffer(document.binary_blob(), kind, entry.count * width, start).reshape(-1, width)

    assert np.array_equal(accessor(primitive.attributes.POSITION, "<f4", 3), ball.vertices)
    assert np.array_equal(accessor(primitive.attributes._PART, "<f4", 1)[:, 0], ball.vertex_parts)
    centred = ball.vertices - [1.0, 2.0, -3.0]
    assert (accessor(primitive.attributes.NORMAL, "<f4", 3) * centred).sum(1).min() > 0.99
    # sRGB 128 is 0.2159 of full light, 64 is 0.0513 (IEC 61966-2-1).
    linear = np.array([[0, 55, 255, 255], [255, 13, 0, 255]])
    assert np.array_equal(accessor(primitive.attributes.COLOR_0, "u1", 4), linear[ball.vertex_parts])


def test_npz_streams_what_savez_would_store(tmp_path):
    frames = np.random.default_rng(0).random((5, 7, 3))
    names = np.array(["head", "torso"])
    write_npz(tmp_path / "a.npz", {"names": names, "fps": np.array(30.0)}, "vertices", iter(frames), frames.shape)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as seen:
        assert sorted(seen.files) == ["fps", "names", "vertices"]
        assert np.array_equal(seen["vertices"], frames.astype(np.float32))
        assert seen["names"].tolist() == ["head", "torso"]
        assert seen["fps"].shape == ()
        assert seen["fps"] == 30.0
