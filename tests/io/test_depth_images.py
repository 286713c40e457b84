from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from foreign_recordings import (
    CX,
    CY,
    FRAMES,
    FX,
    FY,
    HEIGHT,
    WIDTH,
    WRITE_IMAGE,
    millimetres,
    scene_m,
    write_images,
    write_intrinsics,
    write_tum,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spams_core.data.recording import ReadingSettings, is_recording, open_source, read_sequence
from spams_core.errors import InputError
from spams_core.io.depth_images import image_size, natural_key, read_units
from spams_core.io.depth_scale import INTEGER_SCALES, guess_scale
from spams_core.io.intrinsics import NOMINAL
from spams_core.io.source import depth_in_metres


@pytest.mark.parametrize("kind", WRITE_IMAGE)
def test_every_kind_of_image_gives_the_same_metres(kind, tmp_path):
    path = write_images(tmp_path / "walk", kind)
    assert is_recording(path)
    source = open_source(path, ReadingSettings())
    assert source.format == "depth images"
    assert len(source.frame_names) == FRAMES
    for t in range(FRAMES):
        assert np.abs(source.depth_m(t) - scene_m(t)).max() < 1e-6
        assert source.depth_m(t).dtype == np.float32
    camera = source.camera
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy) == (WIDTH, HEIGHT, FX, FY, CX, CY)
    assert source.intrinsics_from == "intrinsic.json"
    assert source.scale_from.startswith("guessed: what is seen is 1.")


def test_a_folder_is_found_itself_as_well_as_above_its_depth(tmp_path):
    path = write_images(tmp_path / "walk")
    inner = open_source(path / "depth", ReadingSettings())
    assert inner.camera.fx == FX
    assert inner.frame_names == ("0", "1", "2", "3")


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    path = write_images(tmp_path / "walk")
    for t, number in ((3, 110), (2, 20), (1, 3)):
        (path / "depth" / f"{t}.png").rename(path / "depth" / f"frame_{number}.png")
    (path / "depth" / "0.png").rename(path / "depth" / "frame_1.png")
    source = open_source(path, ReadingSettings())
    assert source.frame_names == ("frame_1", "frame_3", "frame_20", "frame_110")
    assert natural_key("a" + "9" * 5000)  # no number is made of that


def test_colour_beside_depth_is_left_out(tmp_path):
    for t in range(3):
        Image.fromarray(millimetres(t)).save(tmp_path / f"depth_{t}.png")
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"rgb_{t}.png")
    write_intrinsics(tmp_path / "intrinsics.json")
    assert open_source(tmp_path, ReadingSettings()).frame_names == ("depth_0", "depth_1", "depth_2")


def test_masks_beside_the_depth_are_taken(tmp_path):
    path = write_images(tmp_path / "walk")
    (path / "mask").mkdir()
    marked = np.zeros((HEIGHT, WIDTH), np.uint8)
    marked[5:9, 12:15] = 255
    for t in range(FRAMES):
        Image.fromarray(marked).save(path / "mask" / f"{t}.png")
    assert np.array_equal(read_sequence(path).read_mask(2), marked > 0)
    (path / "mask" / "3.png").unlink()
    with pytest.raises(InputError, match=r"mask/3\.png is missing\. Give every depth image its mask"):
        read_sequence(path)


def test_intrinsics_by_name_by_rows_and_given(tmp_path):
    path = write_images(tmp_path / "walk", intrinsics=False)
    (path / "intrinsics.json").write_text(json.dumps({"fx": 40, "fy": 41, "cx": 1, "cy": 2}))
    assert open_source(path, ReadingSettings()).camera.fy == 41
    rows = [[FX, 0, CX], [0, FY, CY], [0, 0, 1]]
    (path / "intrinsics.json").write_text(json.dumps({"intrinsic_matrix": rows}))
    assert open_source(path, ReadingSettings()).camera.cx == CX
    given_ = open_source(path, ReadingSettings(fx=1, fy=2, cx=3, cy=4, depth_scale=0.0005, fps=12))
    assert (given_.camera.fx, given_.camera.cy, given_.fps, given_.guessed) == (1, 4, 12, False)
    assert given_.depth_m(0).max() == pytest.approx(scene_m(0).max() / 2)
    write_intrinsics(tmp_path / "mine.json")
    assert open_source(path, ReadingSettings(intrinsics=tmp_path / "mine.json")).camera.fx == FX


@pytest.mark.parametrize(("sensor", "size"), [(name, size) for name, sizes in NOMINAL.items() for size in sizes])
def test_sizes_of_known_cameras_are_guessed(sensor, size, tmp_path):
    Image.fromarray(np.full(size[::-1], 2000, np.uint16)).save(tmp_path / "0.png", compress_level=1)
    source = open_source(tmp_path, ReadingSettings())
    assert source.guessed
    first = next(name for name, sizes in NOMINAL.items() if size in sizes)
    assert source.intrinsics_from == f"guessed from the size {size[0]}×{size[1]}: {first}"
    named = open_source(tmp_path, ReadingSettings(sensor=sensor, depth_scale=0.001))
    assert not named.guessed
    assert named.camera.fx == NOMINAL[sensor][size][0]
    # Real views are between 55° and 125° wide.
    assert 0.25 < named.camera.fx / size[0] < 1.0


def test_the_scale_is_the_one_at_which_a_person_has_a_persons_size(tmp_path):
    camera = open_source(write_images(tmp_path / "walk"), ReadingSettings()).camera
    for scale in INTEGER_SCALES:
        found = guess_scale([scene_m(0) / scale], camera, INTEGER_SCALES)
        assert found is not None
        assert found[0] == scale
        # A whole room, 2 to 4 m away.
        room = np.broadcast_to(np.linspace(2, 4, WIDTH) / scale, (HEIGHT, WIDTH))
        assert guess_scale([room], camera, INTEGER_SCALES)[0] == scale
    assert guess_scale([np.zeros((HEIGHT, WIDTH))], camera, INTEGER_SCALES) is None


def test_what_no_camera_measures_is_no_reading():
    units = np.array([[np.nan, np.inf, -np.inf, -1.0], [0.0, 1e30, 2.0, 100.5]])
    assert depth_in_metres(units, 1.0).tolist() == [[0, 0, 0, 0], [0, 0, 2, 0]]
    assert depth_in_metres(np.array([[2**63 - 1, -5]]), 0.001).tolist() == [[0, 0]]


def test_a_source_travels_to_another_process(tmp_path):
    for path in (write_images(tmp_path / "images"), write_tum(tmp_path / "tum")):
        back = pickle.loads(pickle.dumps(read_sequence(path)))
        assert np.abs(back.read_depth_m(3) - scene_m(3)).max() < 1e-6
        assert np.array_equal(back.read_mask(3), scene_m(3) > 0)


def test_tum_rgbd_has_its_scale_times_and_pose(tmp_path):
    source = open_source(write_tum(tmp_path / "tum"), ReadingSettings())
    assert source.format == "TUM RGB-D"
    assert source.depth_scale == 1 / 5000
    assert source.fps == pytest.approx(25, abs=1e-3)
    assert source.times_s[1] - source.times_s[0] == pytest.approx(0.04, abs=1e-6)
    assert np.abs(source.depth_m(2) - scene_m(2)).max() < 1e-6
    # World +z up becomes +y up: 1.5 m up, looking along -z, upright.
    wanted = [[1, 0, 0, 0.5], [0, -1, 0, 1.5], [0, 0, -1, -0.25], [0, 0, 0, 1]]
    assert np.allclose(source.camera.world_from_camera, wanted, atol=1e-6)
    assert source.notes == ()


def test_a_moving_camera_is_told(tmp_path):
    path = write_tum(tmp_path / "tum")
    lines = (path / "groundtruth.txt").read_text().splitlines()
    lines[-1] = lines[-1].replace(" 0.5 ", " 1.25 ", 1)
    (path / "groundtruth.txt").write_text("\n".join(lines))
    (note,) = open_source(path, ReadingSettings()).notes
    assert note.startswith("The camera moves by up to 0.75 m and turns by up to 0°")


def _faults():
    def text(name, content):
        return lambda path: (path / name).write_text(content) and None

    def image(name, array):
        return lambda path: Image.fromarray(array).save(path / name)

    def cut(name, share):
        def shorten(path):
            data = (path / name).read_bytes()
            (path / name).write_bytes(data[: int(len(data) * share)])

        return shorten

    def change(name, old, new):
        return lambda path: (path / name).write_text((path / name).read_text().replace(old, new, 1)) and None

    def link(name, target):
        def make(path):
            (path / name).unlink()
            (path / name).symlink_to(target)

        return make

    def outside(path):
        Image.fromarray(millimetres(0)).save(path.parent / "secret.png")
        link("depth/1.png", path.parent / "secret.png")(path)

    def bomb(path):
        head = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + b"IHDR"
        for t in range(FRAMES):
            (path / "depth" / f"{t}.png").write_bytes(head + (200_000).to_bytes(4, "big") * 2 + bytes([16, 0, 0, 0, 0]))

    return {
        "images: 8 bits": (
            image("depth/1.png", np.zeros((24, 32), np.uint8)),
            r"1\.png is 8-bit; depth needs 16-bit grey",
        ),
        "images: colour": (image("depth/1.png", np.zeros((24, 32, 3), np.uint8)), r"1\.png has colour; depth needs"),
        "images: cut": (cut("depth/1.png", 0.6), r"1\.png is truncated or corrupted\. Re-export"),
        "images: empty": (cut("depth/1.png", 0), r"1\.png is empty, truncated or no PNG file"),
        "images: other size": (
            image("depth/1.png", np.zeros((24, 30), np.uint16)),
            r"1\.png is 30×24 but 0\.png is 32×24",
        ),
        "images: a pipe": (
            lambda path: (path / "depth" / "1.png").unlink() or os.mkfifo(path / "depth" / "1.png"),
            "is no file",
        ),
        "images: bomb": (bomb, r"0\.png claims 200000×200000 pixels"),
        "images: mixed": (lambda path: np.save(path / "depth" / "0.npy", millimetres(0)), r"mixes \.npy, \.png files"),
        "images: link out of the folder": (outside, r"1\.png leads out of .*walk\. Copy the file"),
        "images: link to itself": (link("depth/1.png", "1.png"), r"1\.png' is no usable file|1\.png cannot be read"),
        "images: intrinsics of another size": (
            lambda path: write_intrinsics(path / "intrinsic.json", 640, 480),
            r"is for images of 640×480.*are 32×24",
        ),
        "images: intrinsics by row": (
            text("intrinsic.json", '{"intrinsic_matrix": [30, 0, 15, 0, 29, 11, 0, 0, 1]}'),
            r"row by row",
        ),
        "images: intrinsics NaN": (
            text("intrinsic.json", '{"fx": NaN, "fy": 1, "cx": 1, "cy": 1}'),
            r"must be positive",
        ),
        "images: intrinsics no JSON": (text("intrinsic.json", "[" * 100_000), r"intrinsic\.json is no valid JSON"),
        "images: intrinsics no object": (text("intrinsic.json", "[1]"), r"intrinsic\.json is no JSON object"),
        "images: intrinsics lack fy": (text("intrinsic.json", '{"fx": 1}'), r"intrinsic\.json holds no intrinsics"),
        "tum: times out of order": (change("depth.txt", "102.240407", "102.100407"), r"timestamp .* is out of order"),
        "tum: time twice": (change("depth.txt", "\n1305031102.240407", "\n1305031102.200407"), r"is twice"),
        "tum: time no number": (change("depth.txt", "\n1305031102.240407", "\nnan"), r"'nan' is no number"),
        "tum: out of the folder": (change("depth.txt", " depth/", " ../depth/"), r"leads out of .*walk"),
        "tum: absolute": (change("depth.txt", " depth/", " /etc/"), r"leads out of"),
        "tum: nothing listed": (text("depth.txt", "# nothing\n"), r"depth\.txt lists no frames"),
        "tum: no text": (lambda path: (path / "depth.txt").write_bytes(b"\xff\xfe\x00") and None, r"is no text"),
        "tum: image missing": (change("depth.txt", ".240407.png", ".240408.png"), r"240408\.png cannot be read"),
        "tum: a field missing": (change("depth.txt", " depth/", ""), r"has fewer than 2 fields|cannot be read"),
        "tum: poses of another time": (
            text("groundtruth.txt", "1.0 0 0 0 0 0 0 1\n"),
            r"has no pose within 0\.05 s of the first depth image",
        ),
        "tum: no quaternion": (change("groundtruth.txt", f"{-np.sqrt(0.5):.9f}", "9"), r"no position and unit quat"),
    }


def read_all(path) -> None:
    sequence = read_sequence(path)
    for t in range(sequence.frame_count):
        sequence.read_depth_m(t)


@pytest.mark.parametrize("fault", _faults())
def test_a_fault_is_one_line_that_names_file_and_remedy(fault, tmp_path):
    path = (write_tum if fault.startswith("tum") else write_images)(tmp_path / "walk")
    breaks, message = _faults()[fault]
    breaks(path)
    with pytest.raises(InputError, match=message) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 4)), r"depth is one array of numbers"),
        (np.array([["a"]]), r"depth is one array of numbers"),
        (np.array([[object()]]), r"depth is one array of numbers"),
    ],
)
def test_other_arrays_are_refused_without_running_them(array, message, tmp_path):
    np.save(tmp_path / "0.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        image_size(tmp_path / "0.npy")


def test_an_array_that_claims_gigabytes_takes_none(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    (tmp_path / "a.npy").write_bytes(head.getvalue())
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("depth.npy", head.getvalue())
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match="claims 1000000×1000000 pixels"):
            image_size(tmp_path / name)


def test_settings_out_of_range_are_refused():
    for wrong in ({"fx": 1.0}, {"depth_scale": 1000.0}, {"fps": 0.0}, {"fx": -1.0, "fy": 1.0, "cx": 1.0, "cy": 1.0}):
        with pytest.raises(InputError, match="reading"):
            ReadingSettings(**wrong)
    assert len(dataclasses.fields(ReadingSettings)) == 10


SEEDS = {}
for _suffix, _write in WRITE_IMAGE.values():
    SEEDS[_suffix] = _write


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    for suffix, write in SEEDS.items():
        write(folder / f"seed{suffix}", 0)
    return folder, {suffix: (folder / f"seed{suffix}").read_bytes() for suffix in SEEDS}


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(
    suffix=st.sampled_from(sorted(SEEDS)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=4),
    keep=st.floats(0, 1) | st.just(1.0),
)
def test_mutated_images_are_read_or_refused(seeds, suffix, edits, keep):
    folder, contents = seeds
    data = bytearray(contents[suffix])
    for place, new in edits:
        start = int(place * (len(data) - 1))
        data[start : start + len(new)] = new
    path = folder / f"mutated{suffix}"
    path.write_bytes(data[: int(len(data) * keep)])
    try:
        size = image_size(path)
        assert depth_in_metres(read_units(path, size), 0.001).shape == size[::-1]
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError("more than one line") from error
