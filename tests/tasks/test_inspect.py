from __future__ import annotations

import json

import numpy as np
import pytest
from foreign_recordings import write_bag, write_images, write_tum
from PIL import Image

from spams_core.data.doctor import count_people, examine_times
from spams_core.data.recording import ReadingSettings
from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.native_sequence import sequence_writer
from spams_core.progress import run_to_end
from spams_core.tasks.inspect import InspectSettings, inspect

CAMERA = Camera(160, 144, 126.0, 126.0, 79.5, 71.5)


def standing(distance_m: float = 2.5, height_m: float = 1.7, width_m: float = 0.45, at: float = 0.0) -> np.ndarray:
    """A board as large as a person, upright, facing the camera, its middle at the camera's height and `at` m right."""
    v, u = np.mgrid[:144, :160]
    x, y = (u - CAMERA.cx) / CAMERA.fx * distance_m - at, (v - CAMERA.cy) / CAMERA.fy * distance_m
    return np.where((np.abs(x) < width_m / 2) & (np.abs(y) < height_m / 2), distance_m, 0.0)


def record(path, frames, camera=CAMERA, masks=None, **options):
    with sequence_writer(path, camera, 30, **options) as append:
        for t, depth in enumerate(frames):
            append(depth, None if masks is None else masks[t], None)
    return path


def examine(path, **reading):
    return run_to_end(inspect(InspectSettings(path, reading=ReadingSettings(**reading)))).summary()


def test_a_good_recording_gives_no_warning(tmp_path):
    told = examine(record(tmp_path / "r", [standing(2.5 + 0.001 * t) for t in range(20)]))
    assert told["warnings"] == {}
    assert (told["format"], told["frames"], len(told["looked_at"]), told["people"]) == ("native", 20, 8, 1)
    # Pixels are 2 cm wide.
    assert told["size_m"] == pytest.approx([0.45, 1.7, 0], abs=0.04)
    assert told["depth_range_m"] == pytest.approx([2.5, 2.52], abs=0.01)
    assert (told["intrinsics_from"], told["depth_scale_from"]) == ("camera.json", "camera.json")
    assert told["lean_deg"] < 1
    assert told["floor_tilt_deg"] is None
    assert told["gap_share"] == 0
    json.dumps(told)


def test_a_person_of_17_metres_has_a_wrong_scale(tmp_path):
    path = record(tmp_path / "r", [standing(), standing(2.51)])
    camera = json.loads((path / "camera.json").read_text())
    (path / "camera.json").write_text(json.dumps(camera | {"depth_scale": 0.01}))
    told = examine(path)
    assert told["size_m"][1] == pytest.approx(17, abs=0.3)
    assert told["warnings"]["scale"].startswith("The subject is 1")
    assert "With a depth scale of 0.001 instead of 0.01 it would be 1." in told["warnings"]["scale"]
    assert "scale" not in examine(path, depth_scale=0.001)["warnings"]


def test_two_people_are_counted(tmp_path):
    both = standing(2.5, at=-0.6) + standing(2.5, at=0.6)
    assert examine(record(tmp_path / "r", [both]))["warnings"]["people"].startswith("2 people are in view")
    # One behind the other: no gap in the image, but half a metre in depth.
    front, back = standing(2.5), standing(3.2, at=0.3)
    overlap = np.where(front > 0, front, back)
    assert count_people(overlap, overlap > 0, CAMERA) == 2
    ball = standing(2.5, 0.2, 0.2, at=0.9)
    assert count_people(front + ball, (front + ball) > 0, CAMERA) == 1


@pytest.mark.parametrize("tilt_deg", [0.0, 4.0, 20.0])
def test_the_floors_tilt_is_measured(tilt_deg, tmp_path):
    """A camera 1.2 m up that looks down, while it is said to be level."""
    v = np.mgrid[:144, :160][0]
    y = (v - CAMERA.cy) / CAMERA.fy
    angle = np.radians(tilt_deg)
    # The floor in the camera's frame: cos(a) Y + sin(a) Z = 1.2, so z (cos(a) y + sin(a)) = 1.2.
    down = np.cos(angle) * y + np.sin(angle)
    floor = np.where(down > 0.24, 1.2 / np.maximum(down, 1e-6), 0)
    told = examine(record(tmp_path / "r", [floor], depth_scale=0.0002))
    assert told["floor_tilt_deg"] == pytest.approx(tilt_deg, abs=0.2)
    assert ("tilt" in told["warnings"]) == (tilt_deg > 5)


def test_a_turned_image_leans(tmp_path):
    told = examine(record(tmp_path / "r", [standing(height_m=0.45, width_m=1.7)]))
    assert told["lean_deg"] == pytest.approx(90, abs=1)
    assert told["warnings"]["upright"].startswith("The subject's long side leans 90°")


def test_background_border_clipping_and_holes(tmp_path):
    room = np.tile(np.linspace(2, 4, 160), (144, 1))
    told = examine(record(tmp_path / "room", [room]))
    assert told["has_background"] is True
    assert "or add masks" in told["warnings"]["background"]
    assert told["people"] is None
    assert examine(record(tmp_path / "masked", [room], masks=[standing() > 0]))["warnings"].get("background") is None
    assert "(bottom, top)" in examine(record(tmp_path / "cut", [standing(1.2)]))["warnings"]["border"]
    limit = standing()
    limit[:, 120:150] = 9.0
    assert examine(record(tmp_path / "limit", [limit]))["warnings"]["clipping"].startswith(
        "In 1 of 1 frames readings pile up"
    )
    holes = standing()
    holes[60:80, 70:90] = 0
    assert examine(record(tmp_path / "holes", [holes], masks=[standing() > 0]))["gap_share"] == pytest.approx(
        0.2, abs=0.05
    )


def test_dropped_and_repeated_frames_are_counted(tmp_path):
    pytest.importorskip("rosbags", reason="bags need the extra `bag`")
    told = examine(write_bag(tmp_path / "walk.bag", times_s=(0.0, 0.04, 0.04, 0.08, 0.2)))
    assert (told["repeated_times"], told["missing_frames"]) == (1, 2)
    assert told["warnings"]["dropped"].startswith("2 frames are missing")
    assert examine_times(None, ("a_1", "a_2", "a_5", "a_6")).missing == 2
    assert examine_times(None, ("a", "b")) is None
    frozen = examine(record(tmp_path / "frozen", [standing()] * 3))
    assert frozen["frozen_frames"] == 2


def test_what_was_guessed_is_told(tmp_path):
    told = examine(write_tum(tmp_path / "tum"))
    assert told["depth_scale_from"] == "the format's 5,000 units per metre"
    assert told["depth_scale"] == 0.0002
    for t in range(3):
        Image.fromarray(np.full((424, 512), 2000 + t, np.uint16)).save(tmp_path / f"{t}.png")
    told = examine(tmp_path)
    assert told["warnings"]["intrinsics"].startswith("The intrinsics are guessed from the size 512×424: kinect_v2.")


def test_single_bad_frames_are_counted_and_all_bad_ones_refused(tmp_path):
    path = write_images(tmp_path / "images")
    cut = (path / "depth" / "1.png").read_bytes()[:-30]
    (path / "depth" / "1.png").write_bytes(cut)
    told = examine(path)
    assert len(told["unreadable"]) >= 1
    assert "1.png is truncated" in told["warnings"]["unreadable"]
    for t in range(4):
        (path / "depth" / f"{t}.png").write_bytes(cut)
    with pytest.raises(InputError, match=r"0\.png is truncated"):
        examine(path, depth_scale=0.001)
