from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from mutations import MUTATIONS, mutate, read_or_refuse

from spams_core.data.recording import ReadingSettings, open_source, read_sequence, read_subject
from spams_core.errors import InputError
from spams_core.geometry.camera import back_project
from spams_core.geometry.mesh import Mesh
from spams_core.io.obj import read_obj, write_obj
from spams_core.io.ply import write_ply

HEIGHT_M = 1.7
AS_IT_IS = np.eye(4)


def pillar(t: int) -> Mesh:
    """An upright pillar that is a person's size and moves 5 cm along +x per frame."""
    made = trimesh.creation.capsule(HEIGHT_M - 0.4, 0.2, count=[24, 24])
    vertices = np.asarray(made.vertices)[:, [1, 2, 0]]
    vertices = vertices - vertices.mean(0) + [0.05 * t, 0.85, 0.3]
    return Mesh(vertices.astype(np.float32), np.asarray(made.faces, np.int32))


def off_axis(points: np.ndarray, t: int) -> np.ndarray:
    """Distance to the pillar's axis in the plane, for points of its middle."""
    middle = points[np.abs(points[:, 1] - 0.85) < 0.5]
    assert len(middle) > 100
    return np.hypot(middle[:, 0] - 0.05 * t, middle[:, 2] - 0.3)


def write_ply_mesh(path, t, turn=AS_IT_IS[:3, :3], unit=1.0):
    mesh = pillar(t)
    write_ply(path / f"frame_{t}.ply", Mesh((mesh.vertices @ turn.T / unit).astype(np.float32), mesh.faces))


def write_pc2(path, frames=3):
    write_obj(path / "body.obj", pillar(0))
    vertices = [pillar(t).vertices.astype("<f4").tobytes() for t in range(frames)]
    head = struct.pack("<12siiffi", b"POINTCACHE2\0", 1, len(pillar(0).vertices), 0.0, 1.0, frames)
    (path / "body.pc2").write_bytes(head + b"".join(vertices))


@pytest.mark.parametrize("kind", ["ply", "ply in millimetres", "ply with z up", "obj", "pc2", "pc2 file"])
def test_meshes_are_seen_where_they_are(kind, tmp_path):
    path = tmp_path
    if kind.startswith("pc2"):
        write_pc2(tmp_path)
        path = tmp_path / "body.pc2" if kind == "pc2 file" else tmp_path
    for t in range(3):
        if kind == "obj":
            write_obj(tmp_path / f"{t}.obj", pillar(t))
        elif kind.startswith("ply"):
            turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) if "z up" in kind else np.eye(3)
            write_ply_mesh(tmp_path, t, turn, 0.001 if "milli" in kind else 1.0)
    sequence = pickle.loads(pickle.dumps(read_sequence(path)))
    assert sequence.frame_count == 3
    for t in (0, 2):
        points = read_subject(sequence, t).points_world
        # Chords of a 24-gon lie up to 1 - cos(π/24) of the radius inside.
        assert np.abs(off_axis(points, t) - 0.2).max() < 0.003
        assert np.ptp(points[:, 1]) == pytest.approx(HEIGHT_M, abs=0.05)
        truth = sequence.read_ground_truth(t)
        assert np.allclose(truth.vertices, pillar(t).vertices, atol=1e-5)


def write_clouds(path, suffix, origin=None, frame=AS_IT_IS):
    """The half of the pillar that a sensor at +z sees."""
    for t in range(3):
        samples, index = trimesh.sample.sample_surface(pillar(t).trimesh(), 20_000, seed=0)
        samples = np.asarray(samples)[pillar(t).trimesh().face_normals[index][:, 2] > 0.1]
        points = (samples @ frame[:3, :3].T + frame[:3, 3]).astype(np.float32)
        if suffix == ".npz":
            extra = {} if origin is None else {"sensor_origin": np.array(origin)}
            np.savez(path / f"{t}.npz", points=points, **extra)
        elif suffix == ".ply":
            head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
            head += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
            (path / f"{t}.ply").write_bytes(head.encode() + points.astype("<f4").tobytes())
        else:
            view = " ".join(map(str, [*(origin or (0, 0, 0)), 1, 0, 0, 0]))
            kind = "ascii" if suffix == ".ascii" else "binary"
            head = (
                "# .PCD v0.7\nVERSION 0.7\nFIELDS rgb x y z\nSIZE 4 4 4 4\nTYPE U F F F\nCOUNT 1 1 1 1\n"
                f"WIDTH {len(points)}\nHEIGHT 1\nVIEWPOINT {view}\nPOINTS {len(points)}\nDATA {kind}\n"
            )
            table = np.zeros(len(points), dtype=[("rgb", "<u4"), ("xyz", "<f4", (3,))])
            table["xyz"] = points
            text = "\n".join("7 " + " ".join(f"{value:.6f}" for value in row) for row in points)
            (path / f"{t}.pcd").write_bytes(head.encode() + (text.encode() if kind == "ascii" else table.tobytes()))


@pytest.mark.parametrize("suffix", [".npz", ".ply", ".pcd", ".ascii"])
@pytest.mark.parametrize("origin", [None, (0.4, 1.0, 3.0)])
def test_clouds_are_seen_where_they_are(suffix, origin, tmp_path):
    if suffix == ".ply" and origin is not None:
        pytest.skip("PLY has no place for the origin")
    write_clouds(tmp_path, suffix, origin)
    source = open_source(tmp_path, ReadingSettings())
    assert source.format == "point clouds"
    if origin is not None:
        assert np.allclose(source.camera.world_from_camera[:3, 3], origin, atol=1e-6)
    assert any("Nothing tells where the sensor stood" in note for note in source.notes) == (origin is None)
    for t in (0, 2):
        depth = source.depth_m(t)
        points = back_project(depth, source.camera)[depth > 0]
        pose = source.camera.world_from_camera
        # A pixel is up to 1 cm wide there, and the nearest of its points counts.
        assert np.percentile(np.abs(off_axis(points @ pose[:3, :3].T + pose[:3, 3], t) - 0.2), 95) < 0.012


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_clouds_in_the_cameras_frame_stay_there(sign, tmp_path):
    """OpenCV's frame (+y down, +z ahead) and OpenGL's (+y up, −z ahead) come out the same in the world."""
    into_opengl = np.eye(4)
    into_opengl[:3, 3] = [0, -0.85, -2.8]
    frame = np.diag([1.0, -sign, -sign, 1.0]) @ into_opengl if sign > 0 else into_opengl
    write_clouds(tmp_path, ".npz", None, frame)
    source = open_source(tmp_path, ReadingSettings())
    assert np.array_equal(source.camera.world_from_camera, np.diag([1.0, -1.0, -1.0, 1.0]))
    depth = source.depth_m(1)
    points = back_project(depth, source.camera)[depth > 0] * [1, -1, -1] + [0, 0.85, 2.8]
    assert np.percentile(np.abs(off_axis(points, 1) - 0.2), 95) < 0.012


def _text(name, content):
    return lambda path: (path / name).write_text(content) and None


FAULTS = {
    "ply cut": (
        "meshes",
        lambda p: (p / "frame_0.ply").write_bytes((p / "frame_0.ply").read_bytes()[:900]),
        "truncated or no",
    ),
    "ply claims much": (
        "meshes",
        lambda p: (p / "frame_0.ply").write_bytes(
            b"ply\nformat binary_little_endian 1.0\nelement vertex 99999999999\nproperty float x\nelement face 1\n"
            b"property list uchar int vertex_indices\nend_header\n"
        ),
        "truncated or no PLY",
    ),
    "mixed": ("meshes", lambda p: write_obj(p / "a.obj", pillar(0)), r"holds \.obj and \.ply files"),
    "pc2 magic": ("pc2", lambda p: (p / "body.pc2").write_bytes(b"x" * 99), "truncated or no PC2"),
    "pc2 cut": (
        "pc2",
        lambda p: (p / "body.pc2").write_bytes((p / "body.pc2").read_bytes()[:-4]),
        "lacks some of its 3",
    ),
    "pc2 without frames": (
        "pc2",
        lambda p: (p / "body.pc2").write_bytes(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 9, 0, 1, 0)),
        "in 0 frames",
    ),
    "pc2 without mesh": ("pc2", lambda p: (p / "body.obj").unlink(), "has no mesh beside it. Put the OBJ"),
    "pc2 of another mesh": (
        "pc2",
        lambda p: write_obj(p / "body.obj", Mesh(np.eye(3), np.array([[0, 1, 2]]))),
        "moves .* vertices",
    ),
    "obj without faces": ("pc2", _text("body.obj", "v 0 0 0\n"), "holds no triangles"),
    "obj broken": ("pc2", _text("body.obj", "v 0 0 x\nf 1 2 3\n"), "truncated or no OBJ"),
    "obj refers outside": ("pc2", _text("body.obj", "v 0 0 0\nf 1 2 3\n"), "refers to a vertex that is not there"),
    "pcd compressed": (
        "pcd",
        _text("0.pcd", "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nPOINTS 1\nDATA binary_compressed\n"),
        "binary_compr",
    ),
    "pcd claims much": (
        "pcd",
        _text("0.pcd", "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nPOINTS 9999999\nDATA binary\n"),
        "claims 9999999",
    ),
    "pcd of NaN": (
        "pcd",
        _text("0.pcd", "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nPOINTS 1\nDATA ascii\nnan 1 2\n"),
        "no finite",
    ),
    "npz without points": (
        "npz",
        lambda p: np.savez(p / "0.npz", cloud=np.zeros((3, 3)), color=np.zeros(3)),
        "has no array points",
    ),
    "npz of objects": (
        "npz",
        lambda p: np.savez(p / "0.npz", points=np.array([object()])),
        "truncated or no point cloud",
    ),
    "npz without origin": (
        "npz",
        lambda p: np.savez(p / "0.npz", points=np.ones((3, 3)), sensor_origin=[np.nan] * 3),
        "three finite numbers",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(fault, tmp_path):
    kind, breaks, message = FAULTS[fault]
    if kind == "meshes":
        for t in range(3):
            write_ply_mesh(tmp_path, t)
    elif kind == "pc2":
        write_pc2(tmp_path)
    else:
        write_clouds(tmp_path, f".{kind}")
    breaks(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        open_source(tmp_path, ReadingSettings())
    assert "\n" not in str(caught.value)


def test_obj_polygons_become_fans_and_negative_numbers_count_backwards(tmp_path):
    (tmp_path / "a.obj").write_text(
        "# x\nv 0 0 0\nv 1 0 0\nvt 0 0\nv 1 1 0 0.5\nv 0 1 0\nf 1/1 2/1 3/1 4/1\nf -1 -2 -3\n"
    )
    assert read_obj(tmp_path / "a.obj").faces.tolist() == [[0, 1, 2], [0, 2, 3], [3, 2, 1]]


class Seeds(list):
    """Shown by its name alone where a test fails."""

    def __repr__(self):
        return "seeds"


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    points = np.random.default_rng(0).normal([0, 0, 2], 0.3, (30, 3)).astype("<f4")
    head = f"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nPOINTS {len(points)}\nDATA binary\n"
    write_ply(folder / "a.ply", Mesh(points, np.arange(30).reshape(10, 3)))
    (folder / "a.pcd").write_bytes(head.encode() + points.tobytes())
    np.savez(folder / "a.npz", points=points)
    write_obj(folder / "a.obj", Mesh(points, np.arange(30).reshape(10, 3)))
    (folder / "a.pc2").write_bytes(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 30, 0, 1, 2) + points.tobytes() * 2)
    kinds = {}
    for suffix in (".ply", ".pcd", ".npz", ".obj", ".pc2"):
        (folder / suffix[1:]).mkdir()
        kinds[suffix] = folder / suffix[1:] / f"a{suffix}", (folder / f"a{suffix}").read_bytes()
    (folder / "pc2" / "a.obj").write_bytes((folder / "a.obj").read_bytes())
    return Seeds(kinds.values())


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(mutation=MUTATIONS)
def test_mutated_files_are_read_or_refused(seeds, mutation):
    path, data = seeds[mutation % len(seeds)]
    path.write_bytes(mutate(data, mutation))
    read_or_refuse(path.parent)


def test_intrinsics_of_a_sensor_are_refused_for_surfaces(tmp_path):
    write_pc2(tmp_path)
    with pytest.raises(InputError, match="seen by a virtual camera"):
        open_source(tmp_path, ReadingSettings(sensor="kinect_v1"))
