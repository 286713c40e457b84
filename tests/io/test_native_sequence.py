from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from recordings import CAMERA, ball_depth, write_ball

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.native_sequence import open_sequence, sequence_writer

KEYS = ("width", "height", "fx", "fy", "cx", "cy", "depth_scale", "fps", "world_from_camera")


def test_round_trip_keeps_depth_to_half_a_unit_and_the_rest_exactly(tmp_path):
    pose = np.array([[0.0, 0, 1, 0.3], [1, 0, 0, -2], [0, 1, 0, 5], [0, 0, 0, 1]])
    camera = Camera(32, 24, 41.25, 40.5, 15.125, 11.5, pose)
    depth = ball_depth()
    with sequence_writer(tmp_path / "r", camera, 29.97, depth_scale=0.0005, notes={"seed": 3}) as append:
        append(depth, depth > 1.8, None)
    folder = open_sequence(tmp_path / "r")
    assert np.abs(folder.depth_m(0) - depth).max() <= 0.00025 + 1e-7
    assert np.array_equal(folder.mask(0), depth > 1.8)
    for name in KEYS[:6]:
        assert getattr(folder.camera, name) == getattr(camera, name)
    assert np.array_equal(folder.camera.world_from_camera, pose)
    assert (folder.fps, folder.depth_scale, folder.frame_names) == (29.97, 0.0005, ("000000",))
    assert not folder.has_ground_truth
    assert json.loads((tmp_path / "r" / "camera.json").read_text())["notes"] == {"seed": 3}


def test_ground_truth_keeps_vertices_triangles_and_parts(tmp_path):
    folder = open_sequence(write_ball(tmp_path / "ball"))
    first, last = folder.ground_truth(0), folder.ground_truth(3)
    assert np.allclose(last.vertices - first.vertices, [0.15, 0, 0], atol=1e-6)
    assert np.array_equal(first.faces, last.faces)
    assert first.vertex_parts is not None
    assert (first.vertex_parts == 0).all()


def test_readings_beyond_the_range_become_missing(tmp_path):
    depth = np.full((24, 32), 2.0)
    depth[0, :4] = [65.535, 65.536, -1.0, 0.0004]
    with sequence_writer(tmp_path / "r", CAMERA, 30) as append:
        append(depth, None, None)
    seen = open_sequence(tmp_path / "r").depth_m(0)
    assert np.allclose(seen[0, :5], [65.535, 0, 0, 0, 2])


def test_without_masks_every_reading_is_the_subject(tmp_path):
    folder = open_sequence(write_ball(tmp_path / "ball", mask=False))
    assert np.array_equal(folder.mask(2), ball_depth(0.1) > 0)


def test_numbering_may_start_anywhere(tmp_path):
    path = write_ball(tmp_path / "ball", mask=False, ground_truth=False)
    (path / "depth" / "000000.png").unlink()
    folder = open_sequence(path)
    assert folder.frame_names == ("000001", "000002", "000003")
    assert np.abs(folder.depth_m(0) - ball_depth(0.05)).max() <= 0.0005 + 1e-7


def test_masks_may_be_bilevel_palette_or_color(tmp_path):
    path = write_ball(tmp_path / "ball")
    wanted = open_sequence(path).mask(0)
    grey = Image.fromarray(np.where(wanted, 200, 100).astype(np.uint8))
    for image in (grey.point(lambda value: 255 * (value > 127), "1"), grey.convert("RGB"), grey.convert("P")):
        image.save(path / "mask" / "000000.png")
        assert np.array_equal(open_sequence(path).mask(0), wanted)


def test_a_failing_writer_leaves_nothing(tmp_path):
    def write() -> None:
        with sequence_writer(tmp_path / "ball", CAMERA, 15) as append:
            append(ball_depth(), None, None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_not_overwritten(tmp_path):
    write_ball(tmp_path / "ball", 1)
    with pytest.raises(InputError, match="ball exists already"):
        write_ball(tmp_path / "ball", 2)
    assert len(open_sequence(tmp_path / "ball").frame_names) == 1


def test_opening_does_not_decode_3000_frames(tmp_path):
    path = write_ball(tmp_path / "ball", 1, mask=False, ground_truth=False)
    content = (path / "depth" / "000000.png").read_bytes()
    for t in range(1, 3000):
        (path / "depth" / f"{t:06d}.png").write_bytes(content)
    started = time.perf_counter()
    assert len(open_sequence(path).frame_names) == 3000
    # Listing and 26 bytes per frame take 0.1 s; decoding them takes several.
    assert time.perf_counter() - started < 1.0


def test_the_folder_itself_must_be_there(tmp_path):
    with pytest.raises(InputError, match=r"nowhere does not exist\. Give the folder of a recording"):
        open_sequence(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file is a file\. Give the folder"):
        open_sequence(tmp_path / "file")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def opens_or_complains(path: Path) -> None:
    """Anything but a depth image or one clear line is a defect."""
    complaint, depth = "", np.zeros((24, 32))
    try:
        depth = open_sequence(path).depth_m(1)
    except InputError as error:
        complaint = str(error)
    assert "\n" not in complaint
    assert complaint[-1:] in ("", ".")
    assert depth.shape == (24, 32)
    assert np.isfinite(depth).all()


@pytest.fixture(scope="module")
def ball(tmp_path_factory) -> Path:
    return write_ball(tmp_path_factory.mktemp("fuzz") / "ball", 2, mask=False, ground_truth=False)


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(
    changes=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=3), removed=st.sets(st.sampled_from(KEYS), max_size=1)
)
def test_fuzzed_camera_values(ball, changes, removed):
    whole = (ball / "camera.json").read_text()
    data = {key: value for key, value in {**json.loads(whole), **changes}.items() if key not in removed}
    try:
        (ball / "camera.json").write_text(json.dumps(data))
        opens_or_complains(ball)
    finally:
        (ball / "camera.json").write_text(whole)


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(content=st.binary(max_size=60) | st.text(alphabet='{}[]":,0123456789eE+-.widthfx ', max_size=60).map(str.encode))
def test_fuzzed_camera_bytes(ball, content):
    whole = (ball / "camera.json").read_bytes()
    try:
        (ball / "camera.json").write_bytes(content)
        opens_or_complains(ball)
    finally:
        (ball / "camera.json").write_bytes(whole)


@settings(max_examples=500, derandomize=True, deadline=None, database=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 400) | st.none(),
    inserted=st.binary(max_size=6),
    at=st.integers(0, 400),
)
def test_fuzzed_png_bytes(ball, edits, cut, inserted, at):
    image = ball / "depth" / "000001.png"
    whole = image.read_bytes()
    content = bytearray(whole)
    for place, value in edits:
        content[place % len(content)] = value
    content = content[:at] + inserted + content[at:]
    try:
        image.write_bytes(content[:cut])
        opens_or_complains(ball)
    finally:
        image.write_bytes(whole)
