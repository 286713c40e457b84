from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from box_recording import CAMERA, write_box_fit, write_recording
from PIL import Image

import spams_core.tasks.benchmark as module
import spams_core.tasks.benchmark_methods as methods_module
import spams_core.tasks.benchmark_run as run_module
import spams_core.tasks.benchmark_suites as suites_module
from spams_core.data.fit import Fit, read_fit
from spams_core.data.fit_checkpoint import checkpoint_path
from spams_core.data.recording import read_sequence, read_subject
from spams_core.errors import InputError
from spams_core.fitting.settings import SolveSettings
from spams_core.progress import Progress, Task, run_to_end
from spams_core.resources import resource_path
from spams_core.settings import settings_to_dict
from spams_core.tasks.benchmark import Benchmark, BenchmarkSettings, benchmark
from spams_core.tasks.benchmark_methods import METHODS, MethodName, method_fit, method_model
from spams_core.tasks.benchmark_report import MethodResult, worst_frames, write_report
from spams_core.tasks.benchmark_run import Measured, earlier_measurement, fit_and_measure, require_same_fit
from spams_core.tasks.benchmark_suites import SUITES, suite_recordings
from spams_core.tasks.evaluate import FIGURES
from spams_core.tasks.fit import PRESETS, FitSettings
from spams_core.tasks.render import RenderSettings

PARTS = ["left", "right"]

# As short as a fit may be: what is tested is that figures arrive, not that they are good.
TINY = replace(
    SolveSettings(), align_iterations=1, rounds=1, joint_rounds=1, iterations=1, part_points=16, surface_points=16,
    match_resolution=32, mesh_resolution=32,
)  # fmt: skip


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
        accuracy, by_frame = run_module._segmentation_accuracy(read_fit(path), recording)
        assert accuracy == pytest.approx(1 - wrong / counted)
        assert by_frame == pytest.approx([1 - wrong / (counted / 2), 1.0])


def test_segmentation_accuracy_needs_labels_and_parts(tmp_path: Path) -> None:
    recording = write_labelled(tmp_path / "recording")
    one_part = read_fit(write_box_fit(tmp_path / "one_part", recording))
    assert run_module._segmentation_accuracy(one_part, recording) == (None, [None, None])
    parts = read_fit(write_box_fit(tmp_path / "parts", recording, change=labelled_points(recording, 0)))
    (recording / "labels" / "000002.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"000002\.png is missing or corrupted"):
        run_module._segmentation_accuracy(parts, recording)
    shutil.rmtree(recording / "labels")
    assert run_module._segmentation_accuracy(parts, recording) == (None, [None, None])


def test_peak_memory_is_that_of_this_process() -> None:
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    block = np.ones(200_000_000 // 8)  # 200 MB that are written to
    resident_mb = int(Path("/proc/self/statm").read_text().split()[1]) * page_bytes / 1e6
    del block
    # The kernel sums resident pages up lazily, 64 per thread and kind.
    assert resident_mb - 10 < run_module._peak_memory_mb() < page_bytes * os.sysconf("SC_PHYS_PAGES") / 1e6
    assert run_module._peak_memory_mb() > 200


# The whole task, on three frames of a bundled recording.


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """The suite quick with one of its recordings, and the preset fast as short as can be."""
    with pytest.MonkeyPatch.context() as patch:
        every = suites_module.suite_recordings
        patch.setattr(module, "suite_recordings", lambda *arguments: every(*arguments)[:1])
        patch.setattr(methods_module, "PRESETS", {**PRESETS, "fast": TINY})
        yield


CHOSEN: tuple[MethodName, ...] = ("spam", "spam_no_part_mask")


@pytest.fixture(scope="module")
def finished(small: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[BenchmarkSettings, Benchmark]:
    """A benchmark of two methods."""
    out = tmp_path_factory.mktemp("benchmark") / "out"
    settings = BenchmarkSettings(methods=CHOSEN, frames=3, out=out, jobs=2, device="cpu")
    return settings, run_to_end(benchmark(settings))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_benchmark_writes_tables_and_plots_that_agree(finished: tuple[BenchmarkSettings, Benchmark]) -> None:
    settings, result = finished
    assert settings.out is not None
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["suite"] == "quick"
    assert list(summary["methods"]) == list(CHOSEN)
    files = {what: Path(path) for what, path in summary["files"].items()}
    assert {path.name for path in files.values()} == {
        "results.json", "results.csv", "results.md", "frames.csv", "bars.png", "epe_over_time.png", "epe_per_part.png",
        *(f"frames_{name}.png" for name in CHOSEN),
    }  # fmt: skip
    for path in files.values():
        assert path.parent == settings.out
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) > 300
    written = json.loads(files["results"].read_text())
    assert written["conditions"]["frames"] == 3
    assert written["worst_frames"] == summary["worst_frames"]
    table = {row["method"]: row for row in read_csv(files["table"])}
    for name in CHOSEN:
        mean = summary["methods"][name]["mean"]
        assert mean == written["methods"][name]["mean"]
        assert set(mean) == {*FIGURES, "segmentation_accuracy", "peak_memory_mb"}
        assert set(summary["methods"][name]["sequences"]) == {"00"}
        for figure, value in mean.items():
            if isinstance(value, dict):
                assert {part: float(table[name][f"{figure}.{part}"]) for part in value if value[part] is not None} == {
                    part: one for part, one in value.items() if one is not None
                }
            elif value is not None:
                assert float(table[name][figure]) == value
        assert 100 < mean["peak_memory_mb"] < 4000
        assert 0.5 < mean["segmentation_accuracy"] <= 1.0
        assert 0 < mean["epe_mm"] < 1000
    assert METHODS["spam_no_part_mask"].title in files["markdown"].read_text()


def test_every_frame_is_kept_and_the_worst_are_the_worst(finished: tuple[BenchmarkSettings, Benchmark]) -> None:
    _, result = finished
    rows = read_csv(result.files["frames"])
    assert [(row["method"], row["sequence"], row["frame"]) for row in rows] == [
        (name, "00", str(frame)) for name in CHOSEN for frame in range(3)
    ]
    for name in CHOSEN:
        errors = [float(row["epe_mm"]) for row in rows if row["method"] == name]
        worst = [row["epe_mm"] for row in result.summary()["worst_frames"][name]]
        assert worst == sorted(errors, reverse=True)


def test_finished_fits_are_taken_over(finished: tuple[BenchmarkSettings, Benchmark]) -> None:
    settings, result = finished
    assert settings.out is not None
    times = {path: path.stat().st_mtime_ns for path in (settings.out / "fits").rglob("*")}
    assert list(benchmark(settings)) == []  # nothing to report: no process was started
    assert run_to_end(benchmark(settings)).summary() == result.summary()
    assert {path: path.stat().st_mtime_ns for path in (settings.out / "fits").rglob("*")} == times


def test_interrupted_measuring_goes_on(finished: tuple[BenchmarkSettings, Benchmark], tmp_path: Path) -> None:
    settings, result = finished
    assert settings.out is not None
    out = tmp_path / "out"
    shutil.copytree(settings.out / "fits" / "spam", out / "fits" / "spam")
    notes = out / "fits" / "spam" / "00.json"
    notes.write_text(json.dumps({"peak_memory_mb": 123.0}))
    again = run_to_end(benchmark(replace(settings, methods=("spam",), out=out)))
    expected = {**result.methods["spam"].mean, "peak_memory_mb": 123.0}
    assert again.methods["spam"].mean == expected


def test_fits_of_other_settings_are_refused(finished: tuple[BenchmarkSettings, Benchmark]) -> None:
    settings, _ = finished
    with pytest.raises(InputError, match=r"spam/00 was fitted with other settings or data: frames was :3, not :2"):
        next(benchmark(replace(settings, frames=2)))
    with pytest.raises(InputError, match="preset was fast, not accurate"):
        next(benchmark(replace(settings, preset="accurate")))
    with pytest.raises(InputError, match="seed was 0, not 1"):
        next(benchmark(replace(settings, seed=1)))


def test_fits_of_another_model_are_refused(finished: tuple[BenchmarkSettings, Benchmark], tmp_path: Path) -> None:
    settings, _ = finished
    model = tmp_path / "model"
    shutil.copytree(resource_path("models/human"), model)
    run_to_end(benchmark(replace(settings, model=model)))  # the same one in another place
    with (model / "pose" / "arrays.safetensors").open("ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match=r"hash\.model/pose was"):
        next(benchmark(replace(settings, model=model)))


def test_results_lose_no_row(finished: tuple[BenchmarkSettings, Benchmark]) -> None:
    settings, result = finished
    with pytest.raises(InputError, match="has a row for spam_no_part_mask, which this run would drop"):
        next(benchmark(replace(settings, methods=("spam",))))
    assert len(read_csv(result.files["table"])) == 2


@pytest.mark.usefixtures("small")
def test_wrong_input_in_a_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"spam 00: .*nowhere"):
        run_to_end(benchmark(BenchmarkSettings(model=tmp_path / "nowhere", out=tmp_path / "out", device="cpu")))
    assert not multiprocessing.active_children()
    assert not (tmp_path / "out" / "results.json").exists()


@pytest.mark.usefixtures("small")
def test_default_folder_is_new_unless_a_benchmark_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = module._folder(BenchmarkSettings(), ("spam",))
    assert folder == Path("out/benchmark-quick")
    folder.mkdir(parents=True)
    assert module._folder(BenchmarkSettings(), ("spam",)) == folder
    (folder / "results.json").touch()
    assert module._folder(BenchmarkSettings(), ("spam",)) == Path("out/benchmark-quick-2")


# The rows.


def test_methods_change_only_settings_that_exist() -> None:
    assert set(METHODS) == set(get_args(MethodName))
    assert len({row.title for row in METHODS.values()}) == len(METHODS)
    solve, fit = ({field.name for field in fields(kind)} for kind in (SolveSettings, FitSettings))
    for row in METHODS.values():
        assert set(row.solve) <= solve
        assert set(row.fit) <= fit


@pytest.mark.parametrize("name", METHODS)
def test_method_differs_from_ours_by_what_it_switches_off(name: MethodName, tmp_path: Path) -> None:
    def made(name: MethodName) -> dict[str, Any]:
        settings = method_fit(
            name, tmp_path, tmp_path / "fit", model=tmp_path, preset="fast", frames=":", device="cpu", seed=0
        )
        plain = settings_to_dict(settings)
        return {**plain.pop("solve"), **plain}

    ours, row = made("spam"), METHODS[name]
    changed = {key: value for key, value in made(name).items() if value != ours[key]}
    assert changed == {**row.solve, **row.fit, **({"method": "npm"} if row.method == "npm" else {})}


def test_baseline_fits_the_bundled_one_part_model_or_asks_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert method_model("npm", None, None) == resource_path("models/human_one_part")
    monkeypatch.setattr("spams_core.resources.__file__", str(tmp_path / "package" / "resources.py"))
    with pytest.raises(InputError, match=r"--one-part-model.*spams train shape .* --one-part"):
        next(benchmark(BenchmarkSettings(suite="paper", methods=("npm",), out=tmp_path / "out")))
    with pytest.raises(InputError, match="models/human is missing"):
        method_model("spam", None, None)
    assert method_model("npm_no_encoder", None, tmp_path) == tmp_path
    assert method_model("spam_no_gates", tmp_path, None) == tmp_path


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="name each method once"):
        BenchmarkSettings(methods=("spam", "spam"))
    with pytest.raises(InputError, match="--frames 0"):
        BenchmarkSettings(frames=0)
    with pytest.raises(InputError, match="--jobs 0"):
        BenchmarkSettings(jobs=0)


# The suites.


def test_paper_films_unseen_bodies_from_all_around(tmp_path: Path) -> None:
    scenes = [recording.render for recording in suite_recordings("paper", (), tmp_path)]
    films = [scene for scene in scenes if scene is not None]
    assert len(films) == 6
    assert {film.identity_seed for film in films}.isdisjoint({0})  # the seed of all training
    assert [film.azimuth_deg for film in films] == [0, 60, 120, 180, 240, 300]
    assert len({(film.identity_seed, film.identity) for film in films}) == 6
    assert {film.frames / film.fps for film in films} == {6.0}
    assert SUITES["paper"].methods == tuple(METHODS)
    clips = [tmp_path / "a.bvh", tmp_path / "b.bvh"]
    for clip in clips:
        clip.touch()
    acted = [recording.render for recording in suite_recordings("paper", clips, tmp_path)]
    assert [film.motion for film in acted if film is not None] == 3 * clips
    with pytest.raises(InputError, match=r"c\.bvh is missing"):
        suite_recordings("paper", [tmp_path / "c.bvh"], tmp_path)
    with pytest.raises(InputError, match="are bundled"):
        suite_recordings("quick", clips, tmp_path)


def test_rendered_recordings_are_taken_over_if_they_are_the_same(tmp_path: Path) -> None:
    first, second = suite_recordings("paper", (), tmp_path)[:2]
    assert first.render is not None
    write_recording(first.path)
    camera = json.loads((first.path / "camera.json").read_text())

    def note(settings: RenderSettings, **changes: object) -> None:
        notes = {**settings_to_dict(settings), **changes}
        (first.path / "camera.json").write_text(json.dumps({**camera, "notes": notes}))

    note(first.render)
    again = suite_recordings("paper", (), tmp_path)
    assert [recording.render is None for recording in again] == [True] + 5 * [False]
    assert again[1] == second
    note(first.render, seed=7)
    with pytest.raises(InputError, match="00 was rendered with other settings \\(seed is 7, not 100\\)"):
        suite_recordings("paper", (), tmp_path)


# The parts of the report.


def box_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FitSettings, Measured]:
    recording = write_labelled(tmp_path / "recordings" / "00")

    def fake_fit(settings: FitSettings) -> Task[Fit]:
        yield Progress(1, 2, "Half")
        return read_fit(write_box_fit(settings.out, recording, change=labelled_points(recording, 2)))

    monkeypatch.setattr(run_module, "fit", fake_fit)
    settings = FitSettings(sequence=recording, out=tmp_path / "fits" / "spam" / "00", model=tmp_path)
    assert earlier_measurement(settings, 0) is None
    task, shares = fit_and_measure(settings, 0), []
    while True:
        try:
            report = next(task)
        except StopIteration as stop:
            assert shares[0] == 1 / 4
            assert shares == sorted(shares)
            assert shares[-1] == 1.0
            return settings, stop.value
        shares.append(report.step / report.total)


def test_measurement_is_kept_beside_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, measured = box_measured(tmp_path, monkeypatch)
    assert measured.mean["iou"] == pytest.approx(1.0, abs=1e-4)
    assert measured.mean["segmentation_accuracy"] < 1.0
    assert [row["frame"] for row in measured.frames] == [0, 2]
    assert earlier_measurement(settings, 0) == measured
    assert earlier_measurement(settings, 1) is None
    monkeypatch.setattr(run_module, "FIGURES", (*FIGURES, "another"))
    assert earlier_measurement(settings, 0) is None


def test_a_fit_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    recording, model = resource_path("demo/recording"), resource_path("models/human")
    settings = FitSettings(
        recording, tmp_path / "demo", model, frames="0", solve=TINY, checkpoint_every_s=0, saved="ignore"
    )
    task = fit_and_measure(settings, 0)
    while not checkpoint_path(settings.out).exists():
        next(task)
    task.close()
    assert not settings.out.exists()
    messages = [report.message for report in fit_and_measure(settings, 0)]
    assert not [text for text in messages if "Aligning" in text], "that was done"
    require_same_fit(settings)
    assert earlier_measurement(settings, 0) is not None
    assert not checkpoint_path(settings.out).exists()


def test_no_fit_is_taken_for_another(tmp_path: Path) -> None:
    (tmp_path / "no_archive").mkdir()
    with pytest.raises(InputError, match="is no archive"):
        require_same_fit(FitSettings(sequence=tmp_path, out=tmp_path / "no_archive", model=tmp_path))


def rows(errors: list[float | None], residual: float = 1.0) -> list[dict[str, Any]]:
    return [{"frame": t, "epe_mm": error, "depth_residual_mm": residual + t} for t, error in enumerate(errors)]


def test_means_are_over_recordings_and_peaks_their_greatest() -> None:
    result = MethodResult.of(
        "Ours",
        {
            "00": Measured({"epe_mm": 10.0}, rows([10.0]), 700.0),
            "01": Measured({"epe_mm": 20.0}, rows([20.0] * 9), None),
        },
    )
    assert result.mean["epe_mm"] == 15.0
    assert result.mean["peak_memory_mb"] == 700.0
    assert result.mean["iou"] is None


def test_worst_frames_come_from_all_recordings() -> None:
    result = MethodResult.of(
        "Ours",
        {
            "00": Measured({}, rows([1.0, 30.0, None]), None),
            "01": Measured({}, rows([float(n) for n in range(2, 14)]), None),
        },
    )
    worst = worst_frames(result)
    assert [row["epe_mm"] for row in worst] == [30.0, *range(13, 4, -1)]
    assert (worst[0]["sequence"], worst[0]["frame"]) == ("00", 1)
    without_truth = MethodResult.of("Ours", {"00": Measured({}, rows([None, None]), None)})
    assert [row["depth_residual_mm"] for row in worst_frames(without_truth)] == [2.0, 1.0]


def test_report_without_ground_truth_has_what_there_is(tmp_path: Path) -> None:
    measured = Measured({"depth_residual_mm": 1.5}, rows([None, None]), None)
    files = write_report(tmp_path, "quick", {"spam": MethodResult.of("Ours", {"00": measured})}, 10.0, {"seed": 0})
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files.values()}
    assert "epe_over_time" not in files
    table = files["markdown"].read_text()
    assert "| Ours | 1.5 |" in table
    assert "IoU ↑" not in table
    assert "00/1 2 · 00/0 1" in table
