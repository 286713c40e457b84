"""How long it takes to bring one frame in and out; `make benchmark` prints it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from PIL import Image

from spams_core.data.recording import read_sequence, read_subject
from spams_core.data.sequence import subject_points
from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import nearest_within
from spams_core.geometry.normals import pixel_normals
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


def least_cpu_s(*functions: Callable[[], object]) -> list[float]:
    """Processor time of each; they take turns, so that other programs on the machine disturb all of them alike."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(5):
        for function, taken in zip(functions, times, strict=True):
            started = time.process_time()
            function()
            taken.append(time.process_time() - started)
    return [min(taken) for taken in times]


def wall() -> tuple[np.ndarray, Camera]:
    """A wall of 640 × 480 pixels that waves, metres."""
    u, v = np.meshgrid(np.arange(640), np.arange(480))
    return (2 + 0.2 * np.sin(u / 90) * np.cos(v / 70)).astype(np.float32), Camera(640, 480, 600, 600, 319.5, 239.5)


def test_normals_of_a_vga_frame(benchmark, monkeypatch):
    depth_m, camera = wall()
    points, valid = back_project(depth_m, camera), depth_m > 0

    def in_one() -> np.ndarray:
        with monkeypatch.context() as patch:
            patch.setattr("spams_core.geometry.normals._BAND_PIXELS", depth_m.size)
            return pixel_normals(points, valid)

    np.testing.assert_allclose(benchmark(pixel_normals, points, valid), in_one(), atol=1e-9)
    if not benchmark.disabled:
        banded, whole = least_cpu_s(lambda: pixel_normals(points, valid), in_one)
        assert banded < 0.75 * whole  # half, where the cache is small


def test_labels_of_a_vga_frame(benchmark):
    """300,000 points take the parts of the 5,000 that a fit kept."""
    depth_m, camera = wall()
    subject = subject_points(depth_m, depth_m > 0, camera)
    known = np.random.default_rng(0).permutation(subject.points_world)[:5000]
    arguments = subject.points_world, known, 0.03
    nearest = benchmark(nearest_within, *arguments, subject.pixels)
    assert np.array_equal(nearest, nearest_within(*arguments))
    if not benchmark.disabled:
        together, one_by_one = least_cpu_s(
            lambda: nearest_within(*arguments, subject.pixels), lambda: nearest_within(*arguments)
        )
        assert together < 0.75 * one_by_one


def test_write_ply(benchmark, body, tmp_path):
    benchmark(write_ply, tmp_path / "body.ply", body, np.zeros((2, 3), np.uint8))
    assert np.array_equal(read_ply(tmp_path / "body.ply").vertices, body.vertices)


def test_write_obj(benchmark, body, tmp_path):
    benchmark(write_obj, tmp_path / "body.obj", body, ["lower", "upper"])
    assert (tmp_path / "body.obj").stat().st_size > 500_000


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """300 depth images of a Kinect, and 3,000 names for them."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "few").mkdir()
    (folder / "many").mkdir()
    depth = np.random.default_rng(0).normal(2500, 3, (480, 640)).astype(np.uint16)
    depth[:, :200] = 0
    for t in range(300):
        Image.fromarray(np.roll(depth, t, axis=1)).save(folder / "few" / f"{t}.png", compress_level=1)
    for t in range(3000):
        (folder / "many" / f"{t}.png").hardlink_to(folder / "few" / f"{t % 300}.png")
    return folder


def test_300_images_into_clouds(benchmark, foreign):
    sequence = read_sequence(foreign / "few")

    def clouds() -> int:
        return sum(
            int((back_project(sequence.read_depth_m(t), sequence.camera)[..., 2] > 0).sum())
            for t in range(sequence.frame_count)
        )

    started = time.process_time()
    assert benchmark.pedantic(clouds, rounds=1) > 300 * 200_000
    assert time.process_time() - started < 6


def test_opening_3000_images(benchmark, foreign):
    started = time.process_time()
    assert benchmark.pedantic(read_sequence, (foreign / "many",), rounds=1).frame_count == 3000
    assert time.process_time() - started < 1
