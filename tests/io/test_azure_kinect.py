from __future__ import annotations

import builtins
import pickle

import numpy as np
import pytest
from foreign_recordings import LENS, calibration_json, write_mkv
from hypothesis import given, settings
from mutations import MUTATIONS, mutate, read_or_refuse

from spams_core.data.recording import ReadingSettings, open_source, read_sequence
from spams_core.errors import InputError
from spams_core.geometry.camera import back_project

av = pytest.importorskip("av", reason="Azure Kinect's recordings need the extra `mkv`")

HEIGHT, WIDTH = 288, 320


def frames(count: int = 3) -> list[np.ndarray]:
    return [np.full((HEIGHT, WIDTH), 2000 + t, np.uint16) + np.arange(WIDTH, dtype=np.uint16) for t in range(count)]


def test_depth_times_and_intrinsics(tmp_path):
    path = write_mkv(tmp_path / "walk.mkv", frames(), calibration=calibration_json(straight=True))
    source = open_source(path, ReadingSettings())
    assert (source.format, source.scale_from) == ("Azure Kinect .mkv", "the format's millimetres")
    for t, units in enumerate(frames()):
        assert np.abs(source.depth_m(t) - units / 1000).max() < 1e-6
    assert source.fps == pytest.approx(1000 / 33)
    camera = source.camera
    # The binned narrow mode: 512 pixels across the sensor, cropped by 96 and 90.
    assert camera.fx == pytest.approx(512 * LENS[0])
    assert (camera.cx, camera.cy) == (256 - 96 - 0.5, 256 - 90 - 0.5)
    assert pickle.loads(pickle.dumps(read_sequence(path))).read_depth_m(2)[5, 7] == pytest.approx(2.009)


def test_the_lens_is_straightened(tmp_path):
    """A board seen through the lens of a real device: its ruled lines come out where they are, in metres."""
    camera = open_source(
        write_mkv(tmp_path / "straight.mkv", frames(), calibration=calibration_json(straight=True)), ReadingSettings()
    ).camera
    # The recorded image: each pixel's ray by inverting the lens, with Newton's method on the radius.
    _, k1, k2, k3, k4, k5, k6 = LENS
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    x, y = (x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy
    bent = np.hypot(x, y)

    def seen_at(r):
        return r * (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / (1 + k4 * r**2 + k5 * r**4 + k6 * r**6)

    radius = bent.copy()
    for _ in range(30):
        radius -= (seen_at(radius) - bent) / ((seen_at(radius + 1e-6) - seen_at(radius)) / 1e-6)
    ray_x = x * radius / np.maximum(bent, 1e-12)
    # A board 2 m away that leans: z = 2 + 0.5 X, so a ray meets it at z = 2 / (1 - 0.5 x).
    board = np.rint(2000 / (1 - 0.5 * ray_x)).astype(np.uint16)
    path = write_mkv(tmp_path / "bent.mkv", [board], calibration=calibration_json())
    source = open_source(path, ReadingSettings())
    points = back_project(source.depth_m(0), source.camera)[source.depth_m(0) > 0]
    assert len(points) > 0.9 * WIDTH * HEIGHT
    # Nearest pixels are half a pixel off at most, 2 mrad; at the far end, 2.9 m away, that is 5 mm on this slope.
    assert np.abs(points[:, 2] - 2 - 0.5 * points[:, 0]).max() < 0.006
    unstraightened = back_project(board / 1000, source.camera).reshape(-1, 3)
    assert np.abs(unstraightened[:, 2] - 2 - 0.5 * unstraightened[:, 0]).max() > 0.03


def test_without_calibration_the_size_tells_and_given_intrinsics_count(tmp_path):
    path = write_mkv(tmp_path / "walk.mkv", frames())
    assert open_source(path, ReadingSettings()).intrinsics_from == "guessed from the size 320×288: azure_kinect"
    assert open_source(path, ReadingSettings(fx=9, fy=9, cx=1, cy=1)).camera.fx == 9


def test_frames_come_in_the_order_of_time(tmp_path):
    path = write_mkv(tmp_path / "walk.mkv", frames(), times_ms=[0, 66, 33])
    source = open_source(path, ReadingSettings())
    assert source.times_s == pytest.approx((0, 0.033, 0.066))
    assert source.depth_m(1)[0, 0] == pytest.approx(2.002)


def test_a_file_that_ffmpeg_wrote_without_depth_is_refused(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p"
        for packet in (*stream.encode(av.VideoFrame(32, 24, "yuvj420p")), *stream.encode()):
            container.mux(packet)
    with pytest.raises(InputError, match=r"film\.mkv has no depth track\. Record with the depth camera on"):
        open_source(path, ReadingSettings())


def test_faults_are_one_line(tmp_path):
    path = tmp_path / "walk.mkv"
    for calibration in (b"", b"{", b"[]", b'{"CalibrationInformation": {"Cameras": []}}', calibration_json()[:-9]):
        write_mkv(path, frames(), calibration=calibration or b" ")
        with pytest.raises(InputError, match="its calibration holds no depth camera"):
            open_source(path, ReadingSettings())
    write_mkv(path, [np.ones((24, 32), np.uint16)], calibration=calibration_json())
    with pytest.raises(InputError, match="no depth mode has images of 32×24"):
        open_source(path, ReadingSettings())
    write_mkv(path, frames(), title="OTHER", codec=b"b16g")
    with pytest.raises(InputError, match="has no depth track"):
        open_source(path, ReadingSettings())
    data = write_mkv(path, frames()).read_bytes()
    path.write_bytes(data[:400])
    with pytest.raises(InputError, match=r"walk\.mkv (is truncated|has no depth)"):
        open_source(path, ReadingSettings())
    path.write_bytes(data)
    source = open_source(path, ReadingSettings())
    path.write_bytes(data[:-1000])
    with pytest.raises(InputError, match="is truncated at frame 2"):
        source.depth_m(2)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    path = write_mkv(tmp_path / "walk.mkv", frames())
    real = builtins.__import__

    def absent(name, *rest):
        if name == "av":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match=r"needs the extra mkv\. Install it"):
        open_source(path, ReadingSettings())


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    path = tmp_path_factory.mktemp("seed") / "walk.mkv"
    small = [np.full((24, 32), 2000 + t, np.uint16) for t in range(3)]
    # No mode has so small an image; the intrinsics beside it let it be read.
    path.with_name("intrinsics.json").write_text('{"fx": 30, "fy": 30, "cx": 15, "cy": 12}')
    return path, write_mkv(path, small).read_bytes()


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(mutation=MUTATIONS)
def test_mutated_files_are_read_or_refused(seed, mutation):
    path, data = seed
    path.write_bytes(mutate(data, mutation))
    read_or_refuse(path)
