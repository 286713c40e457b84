"""How long 300 frames of a fitted body take to be written; `make benchmark` prints it."""

from __future__ import annotations

import time

import numpy as np
import pytest
import trimesh

from spams_core.io.glb_animation import write_animated_glb
from spams_core.io.usd import write_usd

FRAMES = 300
LIMIT_S = 20.0


@pytest.fixture(scope="module")
def body():
    sphere = trimesh.creation.icosphere(5)
    vertices = np.asarray(sphere.vertices, np.float32)
    assert len(vertices) > 10_000
    return vertices, np.asarray(sphere.faces, np.int32), (vertices[:, 1] > 0).astype(np.int32)


def frames(vertices):
    for t in range(FRAMES):
        yield vertices * np.float32(1 + 0.001 * t)


def test_animated_glb(benchmark, body, tmp_path):
    vertices, faces, parts = body

    def write():
        begin = time.perf_counter()
        colors, seconds = np.zeros((2, 3), np.uint8), np.arange(FRAMES) / 30
        write_animated_glb(tmp_path / "a.glb", frames(vertices), seconds, faces, parts, colors)
        return time.perf_counter() - begin

    assert benchmark.pedantic(write, rounds=1) < LIMIT_S


def test_usd(benchmark, body, tmp_path):
    pytest.importorskip("pxr", reason="needs the extra usd")
    vertices, faces, parts = body

    def write():
        begin = time.perf_counter()
        colors, names = np.zeros((2, 3), np.uint8), ["lower", "upper"]
        write_usd(tmp_path / "a.usd", frames(vertices), np.arange(FRAMES), 30.0, faces, parts, names, colors)
        return time.perf_counter() - begin

    assert benchmark.pedantic(write, rounds=1) < LIMIT_S
