from __future__ import annotations

import builtins
import pickle
import struct

import numpy as np
import pytest
from foreign_recordings import CX, CY, FRAMES, FX, FY, HEIGHT, WIDTH, scene_m, write_bag
from hypothesis import given, settings
from mutations import MUTATIONS, mutate, read_or_refuse

from spams_core.data.recording import ReadingSettings, open_source, read_sequence
from spams_core.errors import InputError

pytest.importorskip("rosbags", reason="bags need the extra `bag`")


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_a_bag_of_the_realsense_sdk(compression, tmp_path):
    source = open_source(write_bag(tmp_path / "walk.bag", compression=compression), ReadingSettings())
    assert (source.format, source.scale_from) == ("RealSense .bag", "the file's Depth Units")
    assert source.depth_scale == pytest.approx(0.0005)
    for t in range(FRAMES):
        assert np.abs(source.depth_m(t) - scene_m(t)).max() < 1e-6
    camera = source.camera
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy) == (WIDTH, HEIGHT, FX, FY, CX, CY)
    assert source.fps == pytest.approx(25)
    assert pickle.loads(pickle.dumps(read_sequence(tmp_path / "walk.bag"))).read_mask(1).sum() == (scene_m(1) > 0).sum()


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_a_bag_of_a_ros_driver(encoding, tmp_path):
    source = open_source(write_bag(tmp_path / "walk.bag", sdk=False, encoding=encoding), ReadingSettings())
    assert source.format == "ROS bag"
    assert source.depth_scale == (1.0 if encoding == "32FC1" else 0.001)
    assert np.abs(source.depth_m(3) - scene_m(3)).max() < 1e-6


def test_frames_come_in_the_order_of_time_and_repeated_times_stay(tmp_path):
    path = write_bag(tmp_path / "walk.bag", times_s=(0.08, 0.0, 0.04, 0.04))
    source = open_source(path, ReadingSettings())
    assert np.round(np.diff(source.times_s), 6).tolist() == [0.04, 0, 0.04]
    assert np.abs(source.depth_m(0) - scene_m(1)).max() < 1e-6
    assert np.abs(source.depth_m(3) - scene_m(0)).max() < 1e-6


def test_faults_are_one_line(tmp_path):
    path = write_bag(tmp_path / "walk.bag", info_size=(640, 480))
    with pytest.raises(InputError, match=r"intrinsics are for 640×480, its depth is 32×24\. Give fx"):
        open_source(path, ReadingSettings())
    assert open_source(path, ReadingSettings(fx=9, fy=9, cx=1, cy=1)).camera.fx == 9
    for unit in (np.nan, 0.0, -1.0, 5.0):
        with pytest.raises(InputError, match="metres per depth unit cannot be"):
            open_source(_with_unit(write_bag(tmp_path / f"{unit}.bag"), unit), ReadingSettings())
    with pytest.raises(InputError, match="frame 0 is 'rgb8', no depth"):
        open_source(write_bag(tmp_path / "color.bag", encoding="rgb8"), ReadingSettings())
    data = write_bag(tmp_path / "whole.bag").read_bytes()
    for name, broken, message in (
        ("cut", data[:-40], "is truncated or corrupted"),
        ("short", data[:9], "is truncated or corrupted"),
        ("version", data.replace(b"V2.0", b"V1.2", 1), "is truncated or corrupted"),
    ):
        (tmp_path / f"{name}.bag").write_bytes(broken)
        with pytest.raises(InputError, match=message):
            open_source(tmp_path / f"{name}.bag", ReadingSettings())
    with pytest.raises(InputError, match="has no depth images"):
        open_source(write_bag(tmp_path / "none.bag", times_s=()), ReadingSettings())


def _with_unit(path, unit):
    data = path.read_bytes()
    old, new = struct.pack("<f", 0.0005), struct.pack("<f", unit)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    return path


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "walk.bag")
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("rosbags"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match=r"needs the extra bag\. Install it"):
        open_source(path, ReadingSettings())


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    path = tmp_path_factory.mktemp("seed") / "walk.bag"
    kinds = [write_bag(path.with_name(f"{kind}.bag"), compression=kind).read_bytes() for kind in ("none", "bz2", "lz4")]
    return path, kinds


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(mutation=MUTATIONS)
def test_mutated_files_are_read_or_refused(seeds, mutation):
    path, kinds = seeds
    path.write_bytes(mutate(kinds[mutation % len(kinds)], mutation))
    read_or_refuse(path)
