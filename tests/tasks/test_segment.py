"""Labelling a recording: shapes, reports, archive, accuracy against label images, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spams_core.data.recording import read_sequence, read_subject
from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.archive import read_archive
from spams_core.io.native_sequence import sequence_writer
from spams_core.models.segmenter import Segmenter, SegmenterSettings, write_segmenter
from spams_core.progress import run_to_end
from spams_core.tasks.segment import SegmentSettings, segment

PARTS = ("head", "torso", "left_arm")
CAMERA = Camera(40, 60, 50.0, 50.0, 20.0, 30.0)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Six frames of a bump in front of the camera."""
    u, v = np.meshgrid(np.arange(40), np.arange(60))
    inside = ((u - 20) / 12) ** 2 + ((v - 30) / 25) ** 2 < 1
    with sequence_writer(tmp_path / "bump", CAMERA, 30.0) as append:
        for t in range(6):
            append(np.where(inside, 2.0 + 0.05 * t - 0.2 * np.cos((u - 20) / 12), 0.0), None, None)
    return tmp_path / "bump"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    settings = SegmenterSettings(
        part_names=PARTS, points=256, centroids=(32, 8), radii=(0.2, 0.6), neighbours=(8, 8), widths=(32, 32),
        global_width=32, decoder_widths=(32, 32, 32),
    )  # fmt: skip
    write_segmenter(tmp_path / "model" / "segmenter", Segmenter(settings), {})
    return tmp_path / "model"


def test_every_point_of_every_frame_is_labelled(recording: Path, model: Path, tmp_path: Path):
    settings = SegmentSettings(recording, tmp_path / "out", model, frames="0:6:2", device="cpu")
    reports = []
    task = segment(settings)
    while True:
        try:
            reports.append(next(task))
        except StopIteration as stop:
            result = stop.value
            break
    assert result.part_names == PARTS
    assert result.frame_indices.tolist() == [0, 2, 4]
    assert result.accuracy is None
    sequence = read_sequence(recording)
    for k, (t, report) in enumerate(zip((0, 2, 4), reports, strict=True)):
        expected = read_subject(sequence, t).points_world
        np.testing.assert_array_equal(result.points_world[k], expected)
        assert result.labels[k].shape == result.confidences[k].shape == (len(expected),)
        assert ((result.confidences[k] >= 1 / 3) & (result.confidences[k] <= 1)).all()
        assert (report.step, report.total, report.preview["frame"].tolist()) == (k + 1, 3, [t])
        np.testing.assert_array_equal(report.preview["labels"], result.labels[k])
        np.testing.assert_array_equal(report.preview["confidences"], result.confidences[k])
        np.testing.assert_array_equal(report.preview["points_world"], expected)
    archive = read_archive(tmp_path / "out", "segmentation")
    offsets = archive.array("offsets")
    for k in range(3):
        rows = slice(offsets[k], offsets[k + 1])
        np.testing.assert_array_equal(archive.array("labels")[rows], result.labels[k])
        np.testing.assert_array_equal(archive.array("points_world")[rows], result.points_world[k])
    shares = archive.manifest["metrics"]["part_shares"]
    assert sum(shares.values()) == pytest.approx(1)


def write_labels(recording: Path, values: list[np.ndarray]) -> None:
    (recording / "labels").mkdir()
    for t, image in enumerate(values):
        Image.fromarray(image.astype(np.uint8)).save(recording / "labels" / f"{t:06d}.png")


def test_accuracy_is_measured_where_label_images_say_something(recording: Path, model: Path):
    settings = SegmentSettings(recording, None, model, device="cpu", seed=3)
    first = run_to_end(segment(settings))
    sequence = read_sequence(recording)
    images, wrong, known = [], 0, 0
    for t, labels in enumerate(first.labels):
        image = np.zeros((60, 40))
        pixels = read_subject(sequence, t).pixels
        truth = labels + 1
        truth[: 10 * t] = truth[: 10 * t] % 3 + 1
        truth[-7:] = 0
        image[pixels[:, 1], pixels[:, 0]] = truth
        images.append(image)
        wrong, known = wrong + 10 * t, known + len(truth) - 7
    write_labels(recording, images)
    again = run_to_end(segment(settings))  # the seed decides, so the labels are the same
    assert again.accuracy == pytest.approx(1 - wrong / known)


def test_unusable_label_images_are_refused(recording: Path, model: Path):
    settings = SegmentSettings(recording, None, model, frames="0", device="cpu")
    write_labels(recording, [np.ones((60, 40))])
    assert run_to_end(segment(settings)).accuracy is not None
    path = recording / "labels" / "000000.png"
    for image, message in ((np.zeros((40, 60)), "depth's size"), (np.full((60, 40), 4), "holds part 4")):
        Image.fromarray(image.astype(np.uint8)).save(path)
        with pytest.raises(InputError, match=message):
            run_to_end(segment(settings))
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match="missing or corrupted"):
        run_to_end(segment(settings))


def test_bad_input_is_refused_before_any_work(recording: Path, model: Path, tmp_path: Path):
    settings = SegmentSettings(recording, None, model, device="cpu")
    with pytest.raises(InputError, match="exists already"):
        next(segment(replace(settings, out=recording)))
    with pytest.raises(InputError, match="chooses none"):
        next(segment(replace(settings, frames="9:")))
    with pytest.raises(InputError, match="no archive"):
        next(segment(replace(settings, model=tmp_path)))
    with pytest.raises(InputError, match="does not exist"):
        next(segment(replace(settings, sequence=tmp_path / "nowhere")))
