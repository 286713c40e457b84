from __future__ import annotations

import numpy as np
import pytest
import trimesh

from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.io.ply import read_ply, read_ply_points, write_ply


@pytest.fixture
def ball() -> Mesh:
    sphere = trimesh.creation.icosphere(2)
    vertices = np.asarray(sphere.vertices, dtype=np.float32)
    return Mesh(vertices, np.asarray(sphere.faces), (vertices[:, 1] > 0).astype(np.int32))


def test_round_trip_keeps_every_vertex_face_and_label(ball, tmp_path):
    write_ply(tmp_path / "ball.ply", ball, np.array([[1, 2, 3], [40, 50, 60]], dtype=np.uint8), ["a\nb", "c"])
    back = read_ply(tmp_path / "ball.ply")
    assert np.array_equal(back.vertices, ball.vertices)
    assert np.array_equal(back.faces, ball.faces)
    assert np.array_equal(back.vertex_parts, ball.vertex_parts)
    head = (tmp_path / "ball.ply").read_bytes().partition(b"end_header")[0].decode().splitlines()
    assert head[2:5] == ["comment a", "comment b", "comment c"]


def test_trimesh_reads_the_same_mesh_and_its_colors(ball, tmp_path):
    write_ply(tmp_path / "ball.ply", ball, np.array([[1, 2, 3], [40, 50, 60]], dtype=np.uint8))
    seen = trimesh.load(tmp_path / "ball.ply", process=False)
    assert np.array_equal(seen.vertices, ball.vertices)
    assert np.array_equal(seen.faces, ball.faces)
    assert (seen.visual.vertex_colors[ball.vertex_parts == 1, :3] == [40, 50, 60]).all()
    assert (seen.visual.vertex_colors[ball.vertex_parts == 0, :3] == [1, 2, 3]).all()


def test_normals_point_out_of_a_ball_and_are_passed_over_when_read(ball, tmp_path):
    write_ply(tmp_path / "ball.ply", ball, np.array([[1, 2, 3], [40, 50, 60]], dtype=np.uint8), normals=True)
    seen = trimesh.load(tmp_path / "ball.ply", process=False)
    # Stored ones, not those that trimesh would make: of a ball about the origin they are its vertices.
    raw = seen.metadata["_ply_raw"]["vertex"]["data"]
    stored = np.column_stack([raw[name] for name in ("nx", "ny", "nz")])
    assert np.abs(np.linalg.norm(stored, axis=1) - 1).max() < 1e-6
    assert (stored * ball.vertices).sum(1).min() > 0.999
    back = read_ply(tmp_path / "ball.ply")
    assert np.array_equal(back.vertices, ball.vertices)
    assert np.array_equal(back.vertex_parts, ball.vertex_parts)


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_reads_what_trimesh_writes(ball, tmp_path, encoding):
    ball.trimesh().export(tmp_path / "ball.ply", encoding=encoding)
    back = read_ply(tmp_path / "ball.ply")
    assert np.allclose(back.vertices, ball.vertices, atol=1e-7)
    assert np.array_equal(back.faces, ball.faces)
    assert back.vertex_parts is None


def test_every_truncation_is_one_clear_line(ball, tmp_path):
    whole = tmp_path / "whole.ply"
    write_ply(whole, ball)
    content = whole.read_bytes()
    cut = tmp_path / "cut.ply"
    for length in range(0, len(content), 997):
        cut.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"cut\.ply (is truncated|holds no triangles)"):
            read_ply(cut)


@pytest.mark.parametrize("line", ["0 0.5", "x y z", ""])
def test_lines_of_different_lengths_are_refused(tmp_path, line):
    head = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    faces = "element face 1\nproperty list uchar int vertex_indices\n"
    (tmp_path / "cloud.ply").write_text(f"{head}end_header\n0 0 0\n{line}\n0 1 0\n")
    with pytest.raises(InputError, match=r"cloud\.ply is truncated or no PLY"):
        read_ply_points(tmp_path / "cloud.ply")
    (tmp_path / "mesh.ply").write_text(f"{head}{faces}end_header\n0 0 0\n{line}\n0 1 0\n3 0 1 2\n")
    with pytest.raises(InputError, match=r"mesh\.ply is truncated or no PLY"):
        read_ply(tmp_path / "mesh.ply")


def test_faults_name_file_and_remedy(ball, tmp_path):
    with pytest.raises(
        InputError, match=r"none\.ply cannot be read \(No such file or directory\)\. Put the file there"
    ):
        read_ply(tmp_path / "none.ply")
    write_ply(tmp_path / "points.ply", Mesh(ball.vertices, ball.faces[:0]))
    with pytest.raises(InputError, match=r"points\.ply holds no triangles"):
        read_ply(tmp_path / "points.ply")
    write_ply(tmp_path / "beyond.ply", Mesh(ball.vertices[:10], ball.faces))
    with pytest.raises(InputError, match=r"refers to vertex 161 of 10"):
        read_ply(tmp_path / "beyond.ply")
    write_ply(tmp_path / "nan.ply", Mesh(ball.vertices * np.nan, ball.faces))
    with pytest.raises(InputError, match="not finite"):
        read_ply(tmp_path / "nan.ply")
