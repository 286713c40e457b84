from __future__ import annotations

import builtins
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from foreign_recordings import CX, CY, FRAMES, FX, FY, HEIGHT, WIDTH, scene_m, write_r3d
from hypothesis import given, settings
from mutations import MUTATIONS, mutate, read_or_refuse

from spams_core.data.recording import ReadingSettings, open_source, read_sequence
from spams_core.errors import InputError

lzfse = pytest.importorskip("lzfse", reason="Record3D needs the extra `record3d`")


@pytest.mark.parametrize("zipped", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("compress", [lzfse.compress, bytes])
def test_depth_intrinsics_times_and_pose(zipped, compress, tmp_path):
    source = open_source(write_r3d(tmp_path / "walk.r3d", compress=compress, zipped=zipped), ReadingSettings())
    assert source.format == "Record3D .r3d"
    for t in range(FRAMES):
        assert np.abs(source.depth_m(t) - scene_m(t)).max() < 1e-6
    camera = source.camera
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy) == (WIDTH, HEIGHT, FX, FY, CX, CY)
    assert source.fps == 30
    assert len(source.times_s) == FRAMES
    # Image right = away along the world's -z, image down = -y, view = -x.
    wanted = [[0, 0, -1, 0.5], [0, -1, 0, 1.5], [-1, 0, 0, 0.25], [0, 0, 0, 1]]
    assert np.allclose(camera.world_from_camera, wanted, atol=1e-6)
    assert pickle.loads(pickle.dumps(read_sequence(tmp_path / "walk.r3d"))).read_mask(1).sum() == (scene_m(1) > 0).sum()


def test_frames_are_in_the_order_of_their_numbers_and_the_size_may_be_missing(tmp_path):
    path = write_r3d(tmp_path / "walk.r3d", compress=lzfse.compress, dw=..., dh=..., frameTimestamps=...)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("rgbd/10.depth", lzfse.compress(scene_m(7).astype("<f4").tobytes()))
        archive.writestr("../../rgbd/11.depth", b"")
    source = open_source(path, ReadingSettings())
    assert source.frame_names == ("0", "1", "2", "3", "10")
    assert np.abs(source.depth_m(4) - scene_m(7)).max() < 1e-6
    assert (source.camera.width, source.camera.height) == (WIDTH, HEIGHT)


def test_a_frame_that_is_there_twice_is_refused(tmp_path):
    path = write_r3d(tmp_path / "walk.r3d", compress=bytes)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("rgbd/01.depth", scene_m(7).astype("<f4").tobytes())
    with pytest.raises(InputError, match="holds a frame twice"):
        open_source(path, ReadingSettings())


def test_intrinsics_per_frame_come_before_the_common_ones(tmp_path):
    rows = [[100.0, 101.0, 31.0, 23.0]] * FRAMES
    path = write_r3d(tmp_path / "walk.r3d", compress=bytes, perFrameIntrinsicCoeffs=rows)
    assert open_source(path, ReadingSettings()).camera.fx == 50


def _claim(data: bytes, length: int) -> bytes:
    return data[:4] + struct.pack("<I", length) + data[8:]


FAULTS = {
    "no metadata": (lambda: {"w": ...}, "lacks the size w, h|no usable intrinsics"),
    "no intrinsics": (lambda: {"K": ...}, "lacks the intrinsics K"),
    "intrinsics NaN": (lambda: {"K": [float("nan")] * 9}, "lacks the intrinsics K"),
    "negative focal length": (lambda: {"K": [-1.0] * 9}, "no usable intrinsics"),
    "absurd size": (lambda: {"dw": 10**8, "dh": 10**8}, "claims 100000000×100000000 pixels"),
    "other shape": (lambda: {"dw": HEIGHT, "dh": WIDTH}, "does not go with intrinsics"),
    "other size": (lambda: {"dw": 16, "dh": 12}, "frame 0 is truncated or corrupted|frame 0 is not of 16×12"),
    "no quaternion": (lambda: {"poses": [[0, 0, 0, 0, 1, 1, 1]]}, "no position and unit quaternion"),
    "no LZFSE": (lambda: {"compress": lambda data: b"bvx2" + data}, "frame 0 is truncated or corrupted"),
    "claims gigabytes": (
        lambda: {"compress": lambda data: _claim(lzfse.compress(data), 2**32 - 1)}, "frame 0 is truncated or corr"),
    "bomb": (lambda: {"compress": lambda data: lzfse.compress(bytes(4_000_000))}, "frame 0 is truncated or corrupted"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(fault, tmp_path):
    changes, message = FAULTS[fault]
    with pytest.raises(InputError, match=message) as caught:
        open_source(
            write_r3d(tmp_path / "walk.r3d", **({"compress": lzfse.compress} | changes())), ReadingSettings()
        ).depth_m(0)
    assert "\n" not in str(caught.value)
    assert "walk.r3d" in str(caught.value)


def test_archives_without_frames_and_cut_ones(tmp_path):
    path = tmp_path / "walk.r3d"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata", json.dumps({"w": 1, "h": 1}))
    with pytest.raises(InputError, match="holds no depth frames"):
        open_source(path, ReadingSettings())
    write_r3d(path, compress=lzfse.compress)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"walk\.r3d is truncated or no ZIP archive"):
        open_source(path, ReadingSettings())


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    path = write_r3d(tmp_path / "walk.r3d", compress=lzfse.compress)
    real = builtins.__import__

    def absent(name, *rest):
        if name == "lzfse":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        InputError, match=r"needs the extra record3d\. Install it: pip install 'spam-studio\[record3d\]'\."
    ):
        open_source(path, ReadingSettings()).depth_m(0)


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    path = tmp_path_factory.mktemp("seed") / "walk.r3d"
    return path, write_r3d(path, compress=lzfse.compress).read_bytes()


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(mutation=MUTATIONS)
def test_mutated_files_are_read_or_refused(seed, mutation):
    path, data = seed
    path.write_bytes(mutate(data, mutation))
    read_or_refuse(path)


def test_a_first_pose_that_is_none_tells_no_tilt(tmp_path):
    lost = "Its poses begin at the first frame's own, so nothing tells how the camera was tilted."
    path = write_r3d(tmp_path / "own.r3d", compress=bytes, poses=[[0, 0, 0, 1, 0, 0, 0]] * 4)
    source = open_source(path, ReadingSettings())
    assert source.notes == (lost,)
    assert np.array_equal(source.camera.world_from_camera, np.diag([1, -1, -1, 1]))
    assert lost not in open_source(write_r3d(tmp_path / "world.r3d", compress=bytes), ReadingSettings()).notes


def test_given_intrinsics_count(tmp_path):
    path = write_r3d(tmp_path / "walk.r3d", compress=bytes)
    with pytest.raises(InputError, match="its images are 32×24, but those of kinect_v1"):
        open_source(path, ReadingSettings(sensor="kinect_v1"))
    assert open_source(path, ReadingSettings(fx=9, fy=8, cx=7, cy=6)).camera.fy == 8
