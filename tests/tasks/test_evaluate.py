from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_recording import CAMERA, write_box_fit, write_recording
from PIL import Image

from spams_core.data.fit import Fit
from spams_core.data.synthetic_bodies import PART_NAMES
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.mesh import Mesh
from spams_core.io.native_sequence import sequence_writer
from spams_core.io.ply import read_ply, write_ply
from spams_core.progress import run_to_end
from spams_core.tasks.evaluate import FIGURES, EvaluateSettings, evaluate, mean_figures


def settings(fit: Path, against: Path | None = None) -> EvaluateSettings:
    return EvaluateSettings(fit, against=against, volume_samples=200_000, surface_samples=20_000)


def moved(fit: Fit, t: int, by_m: tuple[float, float, float]) -> Fit:
    vertices = fit.vertices_world.copy()
    vertices[t] += np.array(by_m, dtype=np.float32)
    return replace(fit, vertices_world=vertices)


def test_perfect_fit(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "recording")
    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", recording))))
    assert [frame["frame"] for frame in result.frames] == [0, 2]
    for figures in (result.mean, *result.frames):
        assert set(FIGURES) <= set(figures)
        assert figures["iou"] == pytest.approx(1.0, abs=1e-4)
        # Samples of 20,000 on 6 · 0.64² = 2.46 units² lie 2.46 / (π · 20,000) apart, squared.
        assert figures["chamfer_l2"] == pytest.approx(2.46 / (np.pi * 20_000), rel=0.1)
        assert figures["normal_consistency"] > 0.98
        assert figures["epe"] == pytest.approx(0.5 * np.sqrt(2.46 / 20_000), rel=0.05)
        assert figures["epe_mm"] == pytest.approx(figures["epe"] * 1000 / CANONICAL_PER_METRE)
        assert figures["depth_residual_mm"] == pytest.approx(2.0, abs=1e-2)
        assert figures["seconds_per_frame"] == 1.5


def test_box_that_lags_behind_by_a_quarter_of_its_edge(tmp_path: Path) -> None:
    """Frame 2 is fitted 0.2 m aside: 3/5 of the union is shared, and every point is 200 mm away."""
    recording = write_recording(tmp_path / "recording")
    fit = write_box_fit(tmp_path / "fit", recording, change=lambda fit: moved(fit, 1, (0.2, 0.0, 0.0)))
    result = run_to_end(evaluate(settings(fit)))
    first, last = result.frames
    assert first["iou"] == pytest.approx(1.0, abs=1e-4)
    assert last["iou"] == pytest.approx(3 / 5, abs=0.02)
    assert last["epe_mm"] == pytest.approx(200.0, rel=0.01)
    assert last["epe"] == pytest.approx(0.2 * CANONICAL_PER_METRE, rel=0.01)
    for name in FIGURES:
        if first[name] is not None:
            assert result.mean[name] == pytest.approx((first[name] + last[name]) / 2)


def test_summary_is_json_with_the_promised_keys(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "recording")
    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", recording))))
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert set(summary) == {"mean", "frames", "swapped_frames"}
    assert set(summary["mean"]) == set(FIGURES)
    assert set(summary["frames"][0]) == {"frame", *FIGURES}


def test_same_seed_same_figures(tmp_path: Path) -> None:
    fit = write_box_fit(tmp_path / "fit", write_recording(tmp_path / "recording"))
    assert run_to_end(evaluate(settings(fit))) == run_to_end(evaluate(settings(fit)))


@pytest.mark.parametrize("recorded", [True, False])
def test_without_ground_truth_the_observation_and_the_time_are_known(tmp_path: Path, recorded: bool) -> None:
    recording = write_recording(tmp_path / "recording", ground_truth=False) if recorded else None
    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", recording))))
    assert {name for name, value in result.mean.items() if value is not None} == {
        "depth_residual_mm",
        "seconds_per_frame",
        *(["silhouette_iou"] if recorded else []),
    }
    assert result.mean["depth_residual_mm"] == pytest.approx(2.0, abs=1e-2)


def test_frame_without_observed_points_has_no_residual(tmp_path: Path) -> None:
    def without_last(fit: Fit) -> Fit:
        return replace(fit, observed_offsets=np.array([0, 6, 6]))

    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", None, change=without_last))))
    assert result.frames[1]["depth_residual_mm"] is None
    assert result.mean["depth_residual_mm"] == result.frames[0]["depth_residual_mm"]


def test_recording_that_moved_is_found_with_against(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "recording")
    fit = write_box_fit(tmp_path / "fit", recording)
    shutil.move(recording, tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"was made from .*recording, which is gone\..* --against"):
        run_to_end(evaluate(settings(fit)))
    assert run_to_end(evaluate(settings(fit, tmp_path / "elsewhere"))).mean["iou"] == pytest.approx(1.0, abs=1e-4)


def test_recording_that_is_too_short_is_refused(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "recording")
    fit = write_box_fit(tmp_path / "fit", recording, change=lambda fit: replace(fit, frame_indices=np.array([0, 3])))
    with pytest.raises(InputError, match="has 3 frames, but frame 3 was fitted"):
        run_to_end(evaluate(settings(fit)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda fit: replace(fit, faces=fit.faces[:0]),
        lambda fit: replace(fit, faces=fit.faces + 1),
        lambda fit: replace(fit, vertices_world=fit.vertices_world * np.float32(np.nan)),
        lambda fit: replace(fit, observed_offsets=fit.observed_offsets + 1),
    ],
)
def test_damaged_fit_is_refused(tmp_path: Path, damage: Callable[[Fit], Fit]) -> None:
    """These would bring down the geometry libraries, not just give wrong figures."""
    fit = write_box_fit(tmp_path / "fit", write_recording(tmp_path / "recording"), change=damage)
    with pytest.raises(InputError, match="it is corrupted"):
        run_to_end(evaluate(settings(fit)))


def test_no_samples_are_refused() -> None:
    with pytest.raises(InputError, match="must be 1 or more"):
        EvaluateSettings(Path("fit"), surface_samples=0)


def test_silhouette_of_the_box(tmp_path: Path) -> None:
    """Its front, 0.8 m wide in 1.6 m distance, is 40 pixels wide and high; every pixel of the image has a reading."""
    recording = write_recording(tmp_path / "recording", ground_truth=False)
    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", recording))))
    assert result.frames[0]["silhouette_iou"] == pytest.approx(40 * 40 / (CAMERA.width * CAMERA.height))


def write_resting_wall(path: Path) -> Path:
    with sequence_writer(path, CAMERA, fps=10.0) as append:
        for seed in range(3):
            noise_m = np.random.default_rng(seed).normal(0, 0.003, (CAMERA.height, CAMERA.width))
            append(1.6 + noise_m, None, None)
    return path


def test_fit_that_moves_before_a_resting_subject_jitters_by_its_way(tmp_path: Path) -> None:
    def shaken(fit: Fit) -> Fit:
        return moved(replace(fit, vertices_world=fit.vertices_world[[0, 0]]), 1, (0.03, 0.0, -0.04))

    fit = write_box_fit(tmp_path / "fit", write_resting_wall(tmp_path / "recording"), change=shaken)
    result = run_to_end(evaluate(settings(fit)))
    first, second = result.frames
    assert first["jitter_mm"] is first["part_jitter_mm"] is None
    assert second["jitter_mm"] == result.mean["jitter_mm"] == pytest.approx(50.0, abs=1e-3)
    assert second["part_jitter_mm"] == result.mean["part_jitter_mm"] == {"body": second["jitter_mm"]}


def test_subject_that_moves_leaves_jitter_open(tmp_path: Path) -> None:
    fit = write_box_fit(tmp_path / "fit", write_recording(tmp_path / "recording"))
    result = run_to_end(evaluate(settings(fit)))
    assert [frame["jitter_mm"] for frame in result.frames] == [None, None]
    assert result.mean["jitter_mm"] is None


def label_truth(recording: Path, parts: Callable[[Mesh], np.ndarray]) -> None:
    for path in sorted((recording / "ground_truth").glob("*.ply")):
        mesh = read_ply(path)
        write_ply(path, Mesh(mesh.vertices, mesh.faces, parts(mesh)))


def test_error_of_each_part(tmp_path: Path) -> None:
    """One half of the box is the head, the other the torso; in frame 2 the fit moves the torso's half by 50 mm."""
    recording = write_recording(tmp_path / "recording")
    label_truth(recording, lambda mesh: (mesh.vertices[:, 0] > mesh.vertices[:, 0].mean()).astype(np.int64))
    plain = run_to_end(evaluate(settings(write_box_fit(tmp_path / "whole", recording))))

    def halved(fit: Fit) -> Fit:
        vertices = fit.vertices_world.copy()
        torso = vertices[1, :, 0] > vertices[1, :, 0].mean()
        vertices[1, torso] += np.array([0.05, 0.0, 0.0], np.float32)
        return replace(fit, vertices_world=vertices)

    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "halved", recording, change=halved))))
    first, last = (frame["part_epe_mm"] for frame in result.frames)
    assert tuple(first) == tuple(result.mean["part_epe_mm"]) == PART_NAMES
    assert first["head"] == pytest.approx(plain.frames[0]["part_epe_mm"]["head"])
    assert first["head"] == pytest.approx(first["torso"], rel=0.05)
    # The faces that join both halves are stretched: on them the error grows from 0 to 50 mm.
    assert last["head"] < 20 < 35 < last["torso"] < 50
    assert last["left_leg"] is result.mean["part_epe_mm"]["left_leg"] is None
    assert result.mean["part_epe_mm"]["torso"] == pytest.approx((first["torso"] + last["torso"]) / 2)


def test_truth_without_parts_or_with_foreign_ones_has_no_error_by_part(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "recording")
    fit = write_box_fit(tmp_path / "fit", recording)
    before = run_to_end(evaluate(settings(fit)))
    assert before.mean["part_epe_mm"] is None
    label_truth(recording, lambda mesh: np.full(len(mesh.vertices), 6))
    after = run_to_end(evaluate(settings(fit)))
    assert after.mean["part_epe_mm"] is None
    assert after.mean["epe_mm"] == before.mean["epe_mm"]


def two_arms(fit: Fit) -> Fit:
    """The box's half at -x is the left arm, as for a subject that shows its back."""
    at_right = (fit.canonical_vertices[:, 0] > 0).astype(np.int32)
    return replace(fit, manifest={**fit.manifest, "part_names": ["left_arm", "right_arm"]}, vertex_parts=at_right)


def test_swapped_sides_by_the_labels(tmp_path: Path) -> None:
    """In frame 0 the labels show the left arm where it was fitted, in frame 2 on the other side."""
    recording = write_recording(tmp_path / "recording", ground_truth=False)
    (recording / "labels").mkdir()
    image = np.full((CAMERA.height, CAMERA.width), 2, dtype=np.uint8)
    image[:, : CAMERA.width // 2] = 1
    for t in range(3):
        Image.fromarray(image if t < 2 else 3 - image).save(recording / "labels" / f"{t:06d}.png")
    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", recording, change=two_arms))))
    assert [frame["sides_swapped"] for frame in result.frames] == [False, True]
    assert result.mean["sides_swapped"] == 0.5
    assert json.loads(json.dumps(result.summary()))["swapped_frames"] == result.swapped_frames == 1


def test_swapped_sides_by_the_other_frames(tmp_path: Path) -> None:
    """Without labels, or without any recording, arms that jump across in frame 2 are exchanged against frame 0."""

    def crossed(fit: Fit) -> Fit:
        fit = two_arms(fit)
        mirrored = fit.vertices_world[0] * np.array([-1, 1, 1], np.float32)
        return replace(fit, vertices_world=np.stack([fit.vertices_world[0], mirrored]))

    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", None, change=crossed))))
    assert [frame["sides_swapped"] for frame in result.frames] == [False, True]
    assert result.swapped_frames == 1
    steady = run_to_end(evaluate(settings(write_box_fit(tmp_path / "steady", None, change=two_arms))))
    assert steady.swapped_frames == 0
    assert run_to_end(evaluate(settings(write_box_fit(tmp_path / "box", None)))).swapped_frames is None


def test_mean_of_mappings_is_taken_by_key() -> None:
    rows = [{"a": {"x": 1.0, "y": None}, "b": True}, {"a": {"x": 3.0, "y": 5.0}, "b": False}, {"a": None}]
    assert mean_figures(rows, ("a", "b", "c")) == {"a": {"x": 2.0, "y": 5.0}, "b": 0.5, "c": None}
