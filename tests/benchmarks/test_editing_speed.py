"""Times of what a slider waits for: moved vertices, a coarse new shape, the fine one after release."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spams_core.tasks.edit import Workbench, open_workbench


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return open_workbench()


@pytest.mark.parametrize("resolution", [64, 128])
def test_pose_slider_to_moved_vertices(benchmark: BenchmarkFixture, bench: Workbench, resolution: int) -> None:
    mesh = bench.canonical_mesh(bench.mean_shape, resolution)
    codes = bench.mean_pose + bench.pose_directions[:, 0]
    moved = benchmark(bench.pose_vertices, mesh.vertices, bench.mean_shape, codes)
    assert np.isfinite(moved).all()


@pytest.mark.parametrize("resolution", [64, 128])
def test_shape_slider_to_mesh(benchmark: BenchmarkFixture, bench: Workbench, resolution: int) -> None:
    codes, mean = bench.mean_shape + bench.shape_directions[:, 0], bench.canonical_mesh(bench.mean_shape, 128)
    mesh = benchmark.pedantic(bench.canonical_mesh, (codes, resolution, mean), rounds=5)
    assert len(mesh.faces) > 1000
