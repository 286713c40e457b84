"""How long it takes to bring one frame in and out; `make benchmark` prints it."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from PIL import Image

from spams_core.data.recording import read_sequence, read_subject
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.io.native_sequence import sequence_writer
from spams_core.io.obj import write_obj
from spams_core.io.ply import read_ply, write_ply


@pytest.fixture(scope="module")
def body() -> Mesh:
    """About as many vertices as a fitted body."""
    sphere = trimesh.creation.icosphere(5)
    vertices = np.asarray(sphere.vertices, dtype=np.float32)
    return Mesh(vertices, np.asarray(sphere.faces), (vertices[:, 1] > 0).astype(np.int32))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "wall"
    depth = 2 + 0.3 * np.random.default_rng(0).random((48, 64))
    smooth = np.asarray(Image.fromarray(depth.astype(np.float32)).resize((640, 480), Image.Resampling.BICUBIC))
    with sequence_writer(path, Camera(640, 480, 525, 525, 319.5, 239.5), 30) as append:
        append(smooth, smooth > 2.1, None)
    return read_sequence(path)


def test_subject_of_a_vga_frame(benchmark, recording):
    points = benchmark(read_subject, recording, 0)
    assert len(points.points_world) > 100_000


def test_write_ply(benchmark, body, tmp_path):
    benchmark(write_ply, tmp_path / "body.ply", body, np.zeros((2, 3), np.uint8))
    assert np.array_equal(read_ply(tmp_path / "body.ply").vertices, body.vertices)


def test_write_obj(benchmark, body, tmp_path):
    benchmark(write_obj, tmp_path / "body.obj", body, ["lower", "upper"])
    assert (tmp_path / "body.obj").stat().st_size > 500_000
