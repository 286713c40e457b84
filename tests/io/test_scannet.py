from __future__ import annotations

import pickle
import struct
import zlib

import numpy as np
import pytest
from foreign_recordings import CX, CY, FRAMES, FX, FY, HEIGHT, WIDTH, scene_m, write_sens
from hypothesis import given, settings
from mutations import MUTATIONS, mutate, read_or_refuse

from spams_core.data.recording import ReadingSettings, open_source, read_sequence
from spams_core.errors import InputError

POSE_AT = 12 + 6 + 64 * 4 + 8 + 16 + 4 + 8
"""Where the first frame's pose begins."""


@pytest.mark.parametrize("compression", [0, 1])
def test_depth_intrinsics_times_and_pose(compression, tmp_path):
    source = open_source(write_sens(tmp_path / "scene.sens", compression=compression), ReadingSettings())
    assert (source.format, source.depth_scale, source.scale_from) == (
        "ScanNet .sens", pytest.approx(0.001), "the file's 1000 units per metre"
    )  # fmt: skip
    for t in range(FRAMES):
        assert np.abs(source.depth_m(t) - scene_m(t)).max() < 1e-6
    camera = source.camera
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy) == (WIDTH, HEIGHT, FX, FY, CX, CY)
    assert source.fps == pytest.approx(25)
    wanted = [[1, 0, 0, 0.5], [0, -1, 0, 1.5], [0, 0, -1, -0.25], [0, 0, 0, 1]]
    assert np.allclose(camera.world_from_camera, wanted, atol=1e-6)
    sequence = pickle.loads(pickle.dumps(read_sequence(tmp_path / "scene.sens")))
    assert sequence.name == "scene"
    assert np.array_equal(sequence.read_mask(1), scene_m(1) > 0)


def _pack(offset, layout, *values):
    def change(path):
        data = bytearray(path.read_bytes())
        struct.pack_into(layout, data, offset, *values)
        path.write_bytes(data)

    return change


def _bomb(path):
    """A first frame that inflates to 200 MB."""
    data = path.read_bytes()
    depth = zlib.compress(bytes(200_000_000))
    (old,) = struct.unpack_from("<Q", data, POSE_AT + 64 + 24)
    start = POSE_AT + 96 + 4
    path.write_bytes(
        data[: POSE_AT + 64 + 24]
        + struct.pack("<Q", len(depth))
        + data[start - 4 : start]
        + depth
        + data[start + old :]
    )


FAULTS = {
    "other magic": (_pack(0, "<I", 5), "is no recording of a known format"),
    "empty": (lambda path: path.write_bytes(b""), "is no recording of a known format"),
    "cut in the head": (lambda path: path.write_bytes(path.read_bytes()[:100]), r"scene\.sens is truncated"),
    "cut in a frame": (lambda path: path.write_bytes(path.read_bytes()[:-60]), r"is truncated after 3 of 4 frames"),
    "no frames": (_pack(POSE_AT - 8, "<Q", 0), "claims 0 frames"),
    "absurd count": (_pack(POSE_AT - 8, "<Q", 2**63), "claims 9223372036854775808 frames"),
    "more frames than there are": (_pack(POSE_AT - 8, "<Q", 900_000), r"is truncated"),
    "absurd size": (_pack(POSE_AT - 20, "<I", 2**31), "claims 2147483648×24 pixels"),
    "other size": (_pack(POSE_AT - 20, "<I", 31), "frame 0 is not of 31×24 pixels"),
    "shift": (_pack(POSE_AT - 12, "<f", np.nan), "nan depth units per metre"),
    "compression": (_pack(POSE_AT - 32, "<i", 2), r"compressed in a way \(2\) that is not read"),
    "intrinsics": (_pack(12 + 6 + 32 * 4, "<f", np.inf), "no usable intrinsics"),
    "pose": (_pack(POSE_AT, "<f", 3.0), "a camera pose is no rotation"),
    "absurd length": (_pack(POSE_AT + 64 + 16, "<Q", 2**64 - 1), r"truncated after 0 of 4"),
    "bomb": (_bomb, "frame 0 is not of 32×24 pixels"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(fault, tmp_path):
    path = write_sens(tmp_path / "scene.sens")
    breaks, message = FAULTS[fault]
    breaks(path)
    with pytest.raises(InputError, match=message) as caught:
        open_source(path, ReadingSettings()).depth_m(0)
    assert "\n" not in str(caught.value)


def test_a_lost_pose_is_passed_over(tmp_path):
    path = write_sens(tmp_path / "scene.sens")
    _pack(POSE_AT, "<16f", *[-np.inf] * 16)(path)
    assert open_source(path, ReadingSettings()).camera.world_from_camera[1, 3] == pytest.approx(1.5)


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    path = tmp_path_factory.mktemp("seed") / "scene.sens"
    return path, write_sens(path).read_bytes()


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(mutation=MUTATIONS)
def test_mutated_files_are_read_or_refused(seed, mutation):
    path, data = seed
    path.write_bytes(mutate(data, mutation))
    read_or_refuse(path)
