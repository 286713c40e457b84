"""Recordings of 3,000 frames open within a second, and scrubbing through them takes no more and more memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from spams_core.data.recording import read_sequence, read_subject

FRAMES, DIFFERENT = 3000, 30
WIDTH, HEIGHT, FOCAL = 640, 480, 525.0


def _native(folder: Path, link: Callable[[Path, int], None]) -> None:
    (folder / "depth").mkdir()
    camera = {"width": WIDTH, "height": HEIGHT, "fx": FOCAL, "fy": FOCAL, "cx": 319.5, "cy": 239.5}
    (folder / "camera.json").write_text(json.dumps(camera | {"depth_scale": 0.001, "fps": 30}))
    for t in range(FRAMES):
        link(folder / "depth" / f"{t:06d}.png", t)


def _tum(folder: Path, link: Callable[[Path, int], None]) -> None:
    (folder / "depth").mkdir()
    times = [f"{1305031102 + t / 30:.6f}" for t in range(FRAMES)]
    (folder / "depth.txt").write_text("".join(f"{time} depth/{time}.png\n" for time in times))
    (folder / "groundtruth.txt").write_text("".join(f"{time} 0 0 1.5 -0.7071068 0 0 0.7071068\n" for time in times))
    for t, name in enumerate(times):
        link(folder / "depth" / f"{name}.png", t)


def _images(folder: Path, link: Callable[[Path, int], None]) -> None:
    for t in range(FRAMES):
        link(folder / f"{t}.png", t)


@pytest.fixture(scope="module", params=[_native, _tum, _images], ids=["native", "tum", "png"])
def long(request, tmp_path_factory):
    """3,000 names for 30 depth images of a body-sized board before nothing."""
    folder = tmp_path_factory.mktemp("long")
    (folder / "store").mkdir()
    (folder / "walk").mkdir()
    generator = np.random.default_rng(0)
    for k in range(DIFFERENT):
        depth = np.zeros((HEIGHT, WIDTH), dtype=np.uint16)
        depth[40:440, 250 + k : 370 + k] = generator.normal(2500, 3, (400, 120))
        Image.fromarray(depth).save(folder / "store" / f"{k}.png", compress_level=1)
    request.param(folder / "walk", lambda path, t: path.hardlink_to(folder / "store" / f"{t % DIFFERENT}.png"))
    return folder / "walk"


def test_opening_3000_frames(benchmark, long):
    assert benchmark.pedantic(read_sequence, (long,), rounds=3).frame_count == FRAMES
    started = time.process_time()
    read_sequence(long)
    assert time.process_time() - started < 1


def test_scrubbing_takes_no_more_memory(benchmark, long):
    sequence = read_sequence(long)
    order = np.random.default_rng(0).permutation(FRAMES)

    def scrub(frames: np.ndarray) -> None:
        for t in frames.tolist():
            read_subject(sequence, t)

    scrub(order[:60])  # the store fills, libraries are loaded
    before = psutil.Process().memory_info().rss
    benchmark.pedantic(scrub, (order[60:260],), rounds=1)
    grown = psutil.Process().memory_info().rss - before
    benchmark.extra_info["grown_mb"] = grown / 2**20
    assert grown < 0.01 * before + 4 * HEIGHT * WIDTH * 4  # a few images that are not yet given back
