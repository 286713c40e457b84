from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_recording import CAMERA, write_box_fit, write_recording
from PIL import Image

import spams_core.tasks.benchmark as module
from spams_core.data.fit import Fit, read_fit
from spams_core.data.recording import read_sequence, read_subject
from spams_core.errors import InputError
from spams_core.progress import Progress, Task, run_to_end
from spams_core.tasks.benchmark import Benchmark, BenchmarkSettings, benchmark
from spams_core.tasks.evaluate import FIGURES
from spams_core.tasks.fit import FitSettings

PARTS = ["left", "right"]


def write_labelled(path: Path) -> Path:
    """The recording of a box; the left half of every image shows part 0, the rest part 1, the top row none."""
    write_recording(path)
    image = np.full((CAMERA.height, CAMERA.width), 2, dtype=np.uint8)
    image[:, : CAMERA.width // 2] = 1
    image[0] = 0
    (path / "labels").mkdir()
    for t in range(3):
        Image.fromarray(image).save(path / "labels" / f"{t:06d}.png")
    return path


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of two recordings in the place of the bundled one."""
    folder = tmp_path / "suite"
    for name in ("00", "01"):
        write_labelled(folder / name)
    monkeypatch.setattr(module, "resource_path", lambda _name: folder)
    return folder


def labelled_points(recording: Path, wrong: int) -> Callable[[Fit], Fit]:
    """Let a fit of frames 0 and 2 have observed every third point, all labelled right but the first `wrong`."""
    sequence = read_sequence(recording)
    points, labels, offsets = [], [], [0]
    for index in (0, 2):
        subject = read_subject(sequence, index)
        rows = np.arange(len(subject.points_world))[::-3]
        points.append(subject.points_world[rows])
        labels.append((subject.pixels[rows, 0] >= CAMERA.width // 2).astype(np.int32))
        offsets.append(offsets[-1] + len(rows))
    together = np.concatenate(labels)
    together[:wrong] = 1 - together[:wrong]

    def change(fit: Fit) -> Fit:
        return replace(
            fit,
            manifest={**fit.manifest, "part_names": PARTS},
            observed_points=np.concatenate(points),
            observed_labels=together,
            matched_points=np.concatenate(points),
            match_weights=np.ones(len(together), np.float32),
            observed_offsets=np.array(offsets),
        )

    return change


def test_segmentation_accuracy_counts_labelled_pixels_only(tmp_path: Path) -> None:
    recording = write_labelled(tmp_path / "recording")
    subject = read_subject(read_sequence(recording), 0)
    rows = subject.pixels[::-3, 1]
    assert (rows == 0).any()
    counted = 2 * int((rows > 0).sum())
    for wrong in (0, 2):
        # Rows go backwards, so that the wrong ones lie in the last image rows, which have labels.
        path = write_box_fit(tmp_path / f"fit{wrong}", recording, change=labelled_points(recording, wrong))
        accuracy = module._segmentation_accuracy(read_fit(path), recording)
        assert accuracy == pytest.approx(1 - wrong / counted)


def test_segmentation_accuracy_needs_labels_and_parts(tmp_path: Path) -> None:
    recording = write_labelled(tmp_path / "recording")
    one_part = read_fit(write_box_fit(tmp_path / "one_part", recording))
    assert module._segmentation_accuracy(one_part, recording) is None
    parts = read_fit(write_box_fit(tmp_path / "parts", recording, change=labelled_points(recording, 0)))
    (recording / "labels" / "000002.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"000002\.png is missing or corrupted"):
        module._segmentation_accuracy(parts, recording)
    shutil.rmtree(recording / "labels")
    assert module._segmentation_accuracy(parts, recording) is None


def test_figures_are_averaged_over_the_recordings(tmp_path: Path, suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake_fit(settings: FitSettings) -> Task[Fit]:
        yield Progress(1, 2, "Half")
        wrong = 0 if settings.sequence.name == "00" else 2
        change = labelled_points(settings.sequence, wrong)
        return read_fit(write_box_fit(settings.out, settings.sequence, change=change))

    monkeypatch.setattr(module, "fit", fake_fit)
    fits = [FitSettings(sequence=suite / name, out=tmp_path / "fits" / name) for name in ("00", "01")]
    task, reports = module._fit_and_measure(fits, seed=0), []
    while True:
        try:
            reports.append(next(task))
        except StopIteration as stop:
            result = stop.value
            break
    assert [report.step / report.total for report in reports[:2]] == [1 / 8, 3 / 8]
    assert reports[0].message == "fit 00: Half"
    assert reports[-1].step == reports[-1].total
    assert set(result.mean) == {*FIGURES, "segmentation_accuracy", "peak_memory_mb"}
    assert set(result.sequences) == {"00", "01"}
    for name in (*FIGURES, "segmentation_accuracy"):
        first, second = (result.sequences[sequence][name] for sequence in ("00", "01"))
        if name in ("jitter_mm", "part_jitter_mm", "part_epe_mm", "sides_swapped"):  # a box has none of them
            assert first is second is result.mean[name] is None
        else:
            assert result.mean[name] == pytest.approx((first + second) / 2)
    assert result.sequences["00"]["segmentation_accuracy"] == 1.0
    assert result.sequences["01"]["segmentation_accuracy"] < 1.0
    assert result.mean["iou"] == pytest.approx(1.0, abs=1e-4)
    summary = json.loads(json.dumps(Benchmark("quick", {"spam": result}).summary(), allow_nan=False))
    assert summary["suite"] == "quick"
    assert summary["methods"]["spam"]["mean"]["seconds_per_frame"] == 1.5
    assert summary["methods"]["spam"]["sequences"]["01"]["epe_mm"] > 0


def test_peak_memory_is_that_of_this_process() -> None:
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    block = np.ones(200_000_000 // 8)  # 200 MB that are written to
    resident_mb = int(Path("/proc/self/statm").read_text().split()[1]) * page_bytes / 1e6
    del block
    # The kernel sums resident pages up lazily, 64 per thread and kind.
    assert resident_mb - 10 < module._peak_memory_mb() < page_bytes * os.sysconf("SC_PHYS_PAGES") / 1e6
    assert module._peak_memory_mb() > 200


@pytest.mark.usefixtures("suite")
def test_wrong_input_in_the_method_s_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        run_to_end(benchmark(BenchmarkSettings(model=tmp_path / "nowhere", device="cpu")))
    assert not multiprocessing.active_children()


@pytest.mark.usefixtures("suite")
def test_cancelling_ends_the_process(tmp_path: Path) -> None:
    task = benchmark(BenchmarkSettings(model=tmp_path / "nowhere", out=tmp_path / "out", device="cpu"))
    report = next(task)
    assert report.message.startswith("spam: fit 00: ")
    assert len(multiprocessing.active_children()) == 1
    task.close()
    assert not multiprocessing.active_children()


@pytest.mark.usefixtures("suite")
def test_fits_that_exist_are_kept(tmp_path: Path) -> None:
    last = tmp_path / "out" / "npm" / "01"
    last.mkdir(parents=True)
    with pytest.raises(InputError, match=r"npm/01 exists already"):
        next(benchmark(BenchmarkSettings(methods=("spam", "npm"), out=tmp_path / "out")))


def _die(*_: object) -> None:
    os._exit(3)


def test_process_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_work", _die)
    with pytest.raises(RuntimeError, match="ended early with exit code 3"):
        run_to_end(module._run_apart([], 0))


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="name each method once"):
        BenchmarkSettings(methods=("spam", "spam"))
    with pytest.raises(InputError, match="serves a single method"):
        BenchmarkSettings(methods=("spam", "npm"), model=Path("model"))
