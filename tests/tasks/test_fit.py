"""The bundled model on the bundled recording, shortened: the road from depth files to a tracked body and its edits."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_recordings import write_images, write_intrinsics
from PIL import Image
from recordings import write_ball

from spams_core.data.fit import Fit, MatchReason, read_fit
from spams_core.data.isolation import fitted_subject
from spams_core.data.recording import ReadingSettings, read_sequence
from spams_core.data.saved_settings import SavedSettings, fitted_reading, saved_path, saved_text
from spams_core.data.subject import SubjectSettings
from spams_core.errors import InputError
from spams_core.fitting.settings import SolveSettings
from spams_core.frames import world_from_posed
from spams_core.io.archive import hash_file
from spams_core.io.native_sequence import sequence_writer
from spams_core.progress import Progress, run_to_end
from spams_core.resources import resource_path
from spams_core.tasks.benchmark_run import _segmentation_accuracy
from spams_core.tasks.edit import EditSettings, Workbench, edit, interpolate_codes, open_workbench
from spams_core.tasks.evaluate import EvaluateSettings, evaluate
from spams_core.tasks.fit import FitSettings, default_model, fit, input_hashes

DEMO = resource_path("demo/recording")
SHORT = SolveSettings(
    align_iterations=3, rounds=2, rigid_rounds=1, joint_rounds=1, iterations=2, part_points=48, surface_points=32,
    match_resolution=64, mesh_resolution=64,
)  # fmt: skip


@pytest.fixture(scope="module")
def reports() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def demo_fit(tmp_path_factory: pytest.TempPathFactory, reports: list[Progress]) -> Path:
    out = tmp_path_factory.mktemp("fits") / "demo"
    task = fit(FitSettings(DEMO, out, frames="0:9:4", solve=SHORT))
    while True:
        try:
            reports.append(next(task))
        except StopIteration:
            return out


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return open_workbench()


def test_a_short_fit_tracks_the_body(demo_fit: Path):
    mean = run_to_end(evaluate(EvaluateSettings(demo_fit))).mean
    # A quarter of the fast preset's steps; the whole one reaches less than half of these.
    assert mean["epe_mm"] < 40
    assert mean["depth_residual_mm"] < 12
    assert mean["iou"] > 0.65


def test_the_subject_of_a_fit_is_isolated_and_recorded(tmp_path: Path):
    """A wall behind the demo's person is no part of what is fitted, or measured, with a depth range."""
    walled = tmp_path / "walled"
    plain = read_sequence(DEMO)
    with sequence_writer(walled, plain.camera, plain.fps) as append:
        depth_m = plain.read_depth_m(0)
        append(np.where(depth_m > 0, depth_m, 4.0).astype(np.float32), None, None)
    subject = SubjectSettings(far_m=3.5, keep="largest")
    result = run_to_end(fit(FitSettings(walled, tmp_path / "fit", frames="0", solve=SHORT, subject=subject)))
    assert result.observation(0).points_world[:, 2].min() > -3.5
    assert result.manifest["subject"]["far_m"] == 3.5
    assert fitted_subject(read_fit(tmp_path / "fit").manifest) == subject
    measured = run_to_end(evaluate(EvaluateSettings(tmp_path / "fit"))).mean
    assert measured["silhouette_iou"] > 0.7  # against wall and all it would be below 0.1


def test_a_fit_keeps_how_its_recording_was_read(tmp_path: Path):
    """The demo mirrored, with wrong intrinsics and a wrong scale, all of which is put right beside it."""
    recording = tmp_path / "demo"
    shutil.copytree(DEMO, recording, ignore=shutil.ignore_patterns("ground_truth", "labels"))
    camera = json.loads((recording / "camera.json").read_text())
    (recording / "camera.json").write_text(json.dumps(camera | {"fx": 500, "depth_scale": 0.0001}))
    for file in (*(recording / "depth").iterdir(), *(recording / "mask").iterdir()):
        Image.open(file).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    names = ("fx", "fy", "cx", "cy")
    right = ReadingSettings(**{name: camera[name] for name in names}, depth_scale=0.001, mirrored=True)
    saved_path(recording).write_text(saved_text("demo", SavedSettings(reading=right)))
    result = run_to_end(fit(FitSettings(recording, tmp_path / "fit", frames="0", solve=SHORT)))
    assert fitted_reading(read_fit(tmp_path / "fit").manifest) == right
    straight = run_to_end(fit(FitSettings(DEMO, tmp_path / "straight", frames="0", solve=SHORT)))
    assert np.abs(result.vertices_world - straight.vertices_world).max() < 1e-5
    iou = [
        run_to_end(evaluate(EvaluateSettings(tmp_path / name))).mean["silhouette_iou"] for name in ("fit", "straight")
    ]
    assert iou[0] == pytest.approx(iou[1], abs=0.01)
    # Refitted without a word about the reading, it is read in the same way.
    saved_path(recording).unlink()
    run_to_end(fit(FitSettings(recording, tmp_path / "two", frames="0:2", solve=SHORT, reading=right)))
    again = FitSettings(recording, tmp_path / "again", frames="1", solve=SHORT, start_from=tmp_path / "two")
    assert fitted_reading(run_to_end(fit(again)).manifest) == right


def test_one_topology_and_every_array_survives_the_archive(demo_fit: Path):
    result = read_fit(demo_fit)
    assert result.frame_indices.tolist() == [0, 4, 8]
    assert result.vertices_world.shape == (3, len(result.canonical_vertices), 3)
    assert np.isfinite(result.vertices_world).all()
    assert set(np.unique(result.vertex_parts)) == set(range(6))
    assert result.loss_history.shape == (3 + (2 + 1) * 2, len(result.loss_names))
    for t in range(3):
        seen = result.observation(t)
        used = seen.match_weights > 0
        assert used.mean() > 0.5
        length = np.linalg.norm(seen.matched_world - seen.points_world, axis=1)
        assert length[used].max() < 0.1
        assert seen.reasons is not None
        assert np.array_equal(seen.reasons == MatchReason.KEPT, used)
        assert (length[seen.reasons == MatchReason.DISTANCE] >= 0.1 - 1e-5).all()


def test_the_rounds_are_kept_small_and_end_at_the_fit(demo_fit: Path, bench: Workbench, tmp_path: Path):
    result = read_fit(demo_fit)
    history = result.history
    assert history is not None
    assert [history.stage(k) for k in (0, 1, history.count - 1)] == ["start", "aligning", "joint"]
    # 432 bytes for each frame that moved in a round, and the shape of each round.
    assert sum(array.nbytes for array in history.arrays().values()) < 500 * (len(history.rows) + history.count)
    index = history.index(history.count - 1, 1)
    posed = bench.pose_vertices(
        result.canonical_vertices, history.shape_codes[-1].astype(np.float32), history.pose_codes[index]
    )
    world = world_from_posed(
        torch.from_numpy(posed),
        *(torch.from_numpy(a[index]) for a in (history.root_rotation, history.root_translation_m)),
    )
    assert np.abs(world.numpy() - result.vertices_world[1]).max() < 1e-3  # half precision costs less than 1 mm
    short = FitSettings(DEMO, tmp_path / "plain", frames="0:9:4", solve=SHORT, history=False)
    plain = run_to_end(fit(short))
    assert plain.history is None
    assert np.array_equal(plain.vertices_world, result.vertices_world)


def test_reports_carry_losses_and_a_live_mesh(demo_fit: Path, reports: list[Progress]):
    terms = {
        "correspondence", "icp", "coverage", "reconstruction", "free_space", "temporal", "isometry", "prior", "total",
    }  # fmt: skip
    assert terms in [set(report.metrics) for report in reports]
    previews = [report.preview for report in reports if report.preview]
    assert len(previews) == 3  # one per pairing
    assert previews[0]["vertices_world"].shape[0] == 3
    assert previews[0]["frame_indices"].tolist() == [0, 4, 8]


def test_the_same_seed_gives_the_same_fit(demo_fit: Path, tmp_path: Path):
    again = run_to_end(fit(FitSettings(DEMO, tmp_path / "again", frames="0:9:4", solve=SHORT)))
    assert np.array_equal(again.pose_codes, read_fit(demo_fit).pose_codes)


def test_labels_of_the_recording_are_taken_as_they_are(tmp_path: Path):
    recording = resource_path("benchmarks/quick/00")
    shares = []
    for labels in ("recording", "segmenter"):
        out = tmp_path / labels
        found = run_to_end(fit(FitSettings(recording, out, frames="0:2", solve=SHORT, labels=labels)))
        shares.append(_segmentation_accuracy(found, recording)[0])
    assert shares[0] == 1
    assert 0.9 < shares[1] < 1


def test_a_recording_without_labels_cannot_give_any(tmp_path: Path):
    shutil.copytree(DEMO, tmp_path / "bare", ignore=shutil.ignore_patterns("labels"))
    settings = FitSettings(tmp_path / "bare", tmp_path / "x", frames="0:2", solve=SHORT, labels="recording")
    with pytest.raises(InputError, match=r"bare has no folder labels/ with true parts.*--labels segmenter"):
        run_to_end(fit(settings))
    assert not (tmp_path / "x").exists()


def test_the_bundled_baseline_fits_too(tmp_path: Path):
    found = run_to_end(fit(FitSettings(DEMO, tmp_path / "npm", method="npm", frames="0:9:4", solve=SHORT)))
    assert found.part_names == ("body",)
    assert found.manifest["inputs"] == input_hashes(DEMO, default_model("npm"), "npm")
    mean = run_to_end(evaluate(EvaluateSettings(tmp_path / "npm"))).mean
    assert mean["epe_mm"] < 55
    assert mean["depth_residual_mm"] < 14


def test_cancelling_leaves_nothing(tmp_path: Path):
    task = fit(FitSettings(DEMO, tmp_path / "cancelled", frames="0:2", solve=SHORT))
    for _ in range(6):
        next(task)
    task.close()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_refused_before_the_work(demo_fit: Path):
    with pytest.raises(InputError, match="exists already"):
        next(fit(FitSettings(DEMO, demo_fit)))


def test_a_method_and_a_model_that_do_not_match(tmp_path: Path):
    with pytest.raises(InputError, match="needs a model of one part"):
        run_to_end(fit(FitSettings(DEMO, tmp_path / "x", model=resource_path("models/human"), method="npm")))


def test_an_installation_without_a_baseline_asks_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert default_model("npm") == resource_path("models/human_one_part")
    monkeypatch.setattr("spams_core.resources.__file__", str(tmp_path / "package" / "resources.py"))
    with pytest.raises(InputError, match="--method npm needs --model: this installation has no one-part model"):
        run_to_end(fit(FitSettings(DEMO, tmp_path / "x", method="npm")))


def test_a_borrowed_segmenter_is_among_the_inputs():
    bundled = hash_file(resource_path("models/human/segmenter/arrays.safetensors"))
    baseline, ours = input_hashes(DEMO, default_model("npm"), "npm"), input_hashes(DEMO, default_model("spam"), "spam")
    assert set(baseline) == {"camera", "bundled/segmenter", "model/encoder", "model/pose", "model/shape"}
    assert set(ours) == {"camera", *(f"model/{name}" for name in ("encoder", "parts", "pose", "segmenter", "shape"))}
    assert baseline["bundled/segmenter"] == ours["model/segmenter"] == bundled


def test_a_negative_seed_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="--seed -1"):
        FitSettings(DEMO, tmp_path / "x", seed=-1)


def test_a_corrupted_model_is_named(tmp_path: Path):
    model = tmp_path / "model"
    (model / "shape").mkdir(parents=True)
    (model / "shape" / "manifest.json").write_text(json.dumps({"kind": "shape", "format_version": 1, "model": {}}))
    (model / "shape" / "arrays.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(InputError, match=r"arrays\.safetensors is missing or corrupted"):
        run_to_end(fit(FitSettings(DEMO, tmp_path / "x", model=model)))


def test_the_workbench_moves_vertices_as_the_fit_did(demo_fit: Path, bench: Workbench):
    result: Fit = read_fit(demo_fit)
    posed = bench.pose_vertices(result.canonical_vertices, result.shape_codes, result.pose_codes[1])
    world = posed @ result.root_rotation[1].T / 0.8 + result.root_translation_m[1]
    assert np.abs(world - result.vertices_world[1]).max() < 1e-4


def test_a_pose_slider_moves_its_own_part(bench: Workbench):
    mesh = bench.canonical_mesh(bench.mean_shape, 64)
    still = bench.pose_vertices(mesh.vertices, bench.mean_shape, bench.mean_pose)
    arm = bench.part_names.index("left_arm")
    codes = bench.mean_pose.copy()
    codes[arm] += 1.5 * bench.pose_directions[arm, 0]
    moved = np.linalg.norm(bench.pose_vertices(mesh.vertices, bench.mean_shape, codes) - still, axis=1)
    assert moved[mesh.vertex_parts == arm].mean() > 0.02
    assert moved[mesh.vertex_parts == bench.part_names.index("right_leg")].max() < 1e-6


def test_directions_are_one_deviation_of_the_training_codes(bench: Workbench):
    codes = bench.spam.shape_codes.cpu().numpy()
    along = bench.shape_directions[1, 0] / np.linalg.norm(bench.shape_directions[1, 0])
    assert np.std((codes[:, 1] - codes[:, 1].mean(0)) @ along, ddof=1) == pytest.approx(
        np.linalg.norm(bench.shape_directions[1, 0]), rel=1e-3
    )


def test_interpolation_ends_at_both_ends_and_spares_other_parts():
    a, b = np.zeros((3, 4), dtype=np.float32), np.ones((3, 4), dtype=np.float32)
    assert np.array_equal(interpolate_codes(a, b, 0.0), a)
    assert np.array_equal(interpolate_codes(a, b, 1.0), b)
    half = interpolate_codes(a, b, 0.5, [1])
    assert np.array_equal(half, np.array([[0] * 4, [0.5] * 4, [0] * 4], dtype=np.float32))


def test_transfer_of_poses_between_fits(demo_fit: Path, tmp_path: Path):
    other = run_to_end(fit(FitSettings(DEMO, tmp_path / "other", frames="20:22", solve=SHORT)))
    mixed = run_to_end(edit(EditSettings(demo_fit, tmp_path / "mixed", pose_from=tmp_path / "other")))
    assert mixed.frame_count == 2
    assert np.array_equal(mixed.pose_codes, other.pose_codes)
    assert np.array_equal(mixed.shape_codes, read_fit(demo_fit).shape_codes)
    assert not mixed.match_weights.any()
    assert mixed.match_reasons is None
    with pytest.raises(InputError, match="--parts tail"):
        run_to_end(edit(EditSettings(demo_fit, tmp_path / "x", pose_from=tmp_path / "other", parts=("tail",))))


def test_an_edit_that_changes_nothing_is_refused(demo_fit: Path, tmp_path: Path):
    with pytest.raises(InputError, match="Nothing to edit"):
        EditSettings(demo_fit, tmp_path / "x")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(demo_fit: Path, tmp_path: Path):
    found = run_to_end(fit(FitSettings(DEMO, tmp_path / "cuda", frames="0:9:4", solve=SHORT, device="cuda")))
    gap = np.abs(found.vertices_world.mean(1) - read_fit(demo_fit).vertices_world.mean(1))
    assert gap.max() < 0.01


def test_a_foreign_recording_is_no_ground_truth(demo_fit: Path):
    with pytest.raises(InputError, match="shows something else in frame 0"):
        run_to_end(evaluate(EvaluateSettings(demo_fit, against=resource_path("benchmarks/quick/00"))))


def test_the_camera_of_a_foreign_recording_is_hashed_by_its_numbers(tmp_path):
    model = default_model("spam")
    path = write_images(tmp_path / "walk")
    before = input_hashes(path, model, "spam")
    assert set(before) == set(input_hashes(write_ball(tmp_path / "ball"), model, "spam"))
    assert input_hashes(path, model, "spam") == before
    (path / "intrinsic.json").write_text((path / "intrinsic.json").read_text().replace("30.0", "31.0", 1))
    assert input_hashes(path, model, "spam")["camera"] != before["camera"]
    write_intrinsics(path / "intrinsic.json")
    assert input_hashes(path, model, "spam") == before
