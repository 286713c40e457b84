from __future__ import annotations

import json

import numpy as np
import pytest
from foreign_recordings import FX, scene_m, write_images, write_tum

from spams_core.data.recording import ReadingSettings, read_sequence
from spams_core.errors import InputError
from spams_core.progress import run_to_end
from spams_core.tasks.convert import ConvertSettings, convert


def test_a_converted_recording_is_native_and_the_same(tmp_path):
    path = write_tum(tmp_path / "tum")
    result = run_to_end(convert(ConvertSettings(path, tmp_path / "native")))
    assert (result["frames"], result["format"]) == (4, "TUM RGB-D")
    before, after = read_sequence(path), read_sequence(tmp_path / "native")
    assert (tmp_path / "native" / "camera.json").is_file()
    for t in range(4):
        # The images written hold whole millimetres, and so did the ones read.
        assert np.abs(before.read_depth_m(t) - after.read_depth_m(t)).max() < 1e-6
    assert np.array_equal(before.camera.world_from_camera, after.camera.world_from_camera)
    assert after.fps == before.fps
    assert json.loads((tmp_path / "native" / "camera.json").read_text())["notes"]["format"] == "TUM RGB-D"


def test_chosen_frames_and_given_intrinsics(tmp_path):
    path = write_images(tmp_path / "images", intrinsics=False)
    reading = ReadingSettings(fx=FX, fy=FX, cx=15.5, cy=11.5, fps=20)
    run_to_end(convert(ConvertSettings(path, tmp_path / "native", frames="1::2", reading=reading)))
    after = read_sequence(tmp_path / "native")
    assert (after.frame_count, after.fps, after.camera.cx) == (2, 10, 15.5)
    assert np.abs(after.read_depth_m(1) - scene_m(3)).max() < 1e-6


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    path = write_images(tmp_path / "images")
    (path / "depth" / "3.png").write_bytes((path / "depth" / "3.png").read_bytes()[:-40])
    reading = ReadingSettings(depth_scale=0.001)
    with pytest.raises(InputError, match=r"3\.png is truncated"):
        run_to_end(convert(ConvertSettings(path, tmp_path / "native", reading=reading)))
    assert [child.name for child in tmp_path.iterdir()] == ["images"]
    with pytest.raises(InputError, match="exists already"):
        run_to_end(convert(ConvertSettings(path, path)))
