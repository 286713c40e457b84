from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from spams_core.data.fit import Fit, write_fit
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.io.native_sequence import sequence_writer
from spams_core.progress import run_to_end
from spams_core.tasks.evaluate import FIGURES, EvaluateSettings, evaluate

EDGE_M = 0.8
CENTERS_M = np.array([[0.0, 0.9, -2.0], [0.1, 0.9, -2.0], [0.1, 1.0, -1.6]])


def box(center: np.ndarray) -> Mesh:
    made = trimesh.creation.box((EDGE_M,) * 3)
    return Mesh((np.asarray(made.vertices) + center).astype(np.float32), np.asarray(made.faces, dtype=np.int32))


def write_recording(path: Path, *, ground_truth: bool = True) -> Path:
    """A box of 0.8 m that goes through `CENTERS_M`; the depth images show a plane."""
    with sequence_writer(path, Camera(8, 6, 10.0, 10.0, 3.5, 2.5), fps=10.0) as append:
        for center in CENTERS_M:
            append(np.full((6, 8), 2.0, dtype=np.float32), None, box(center) if ground_truth else None)
    return path


def write_box_fit(path: Path, recording: Path | None, *, change: Callable[[Fit], Fit] = lambda fit: fit) -> Path:
    """The boxes of frames 0 and 2 as a fit; what was observed lies 1, 2 and 90 mm off its front."""
    boxes = [box(CENTERS_M[index]) for index in (0, 2)]
    front = np.array([0.0, 0.0, EDGE_M / 2])
    observed = np.concatenate(
        [CENTERS_M[index] + front + [[0.1, 0.0, 0.001], [0.0, 0.1, 0.002], [0.0, 0.0, 0.09]] for index in (0, 2)]
    ).astype(np.float32)
    manifest = {"part_names": ["body"], "loss_names": ["total"], "seconds_per_frame": 1.5, "model": "model"}
    if recording is not None:
        manifest["sequence"] = str(recording)
    fit = Fit(
        manifest=manifest,
        shape_codes=np.zeros((1, 2), np.float32),
        pose_codes=np.zeros((2, 1, 2), np.float32),
        root_rotation=np.stack([np.eye(3, dtype=np.float32)] * 2),
        root_translation_m=CENTERS_M[[0, 2]].astype(np.float32),
        canonical_vertices=(box(np.zeros(3)).vertices * CANONICAL_PER_METRE),
        faces=boxes[0].faces,
        vertex_parts=np.zeros(8, np.int32),
        vertices_world=np.stack([mesh.vertices for mesh in boxes]),
        frame_indices=np.array([0, 2], np.int32),
        residual_m=np.zeros(2, np.float32),
        observed_points=observed,
        observed_labels=np.zeros(6, np.int32),
        matched_points=observed,
        match_weights=np.ones(6, np.float32),
        observed_offsets=np.array([0, 3, 6], np.int64),
        loss_history=np.zeros((1, 1), np.float32),
    )
    write_fit(path, change(fit))
    return path


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
        assert result.mean[name] == pytest.approx((first[name] + last[name]) / 2)


def test_summary_is_json_with_the_promised_keys(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "recording")
    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", recording))))
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert set(summary) == {"mean", "frames"}
    assert set(summary["mean"]) == set(FIGURES)
    assert set(summary["frames"][0]) == {"frame", *FIGURES}


def test_same_seed_same_figures(tmp_path: Path) -> None:
    fit = write_box_fit(tmp_path / "fit", write_recording(tmp_path / "recording"))
    assert run_to_end(evaluate(settings(fit))) == run_to_end(evaluate(settings(fit)))


@pytest.mark.parametrize("recorded", [True, False])
def test_without_ground_truth_only_residual_and_time_are_known(tmp_path: Path, recorded: bool) -> None:
    recording = write_recording(tmp_path / "recording", ground_truth=False) if recorded else None
    result = run_to_end(evaluate(settings(write_box_fit(tmp_path / "fit", recording))))
    assert {name for name, value in result.mean.items() if value is not None} == {
        "depth_residual_mm",
        "seconds_per_frame",
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


def test_no_samples_are_refused() -> None:
    with pytest.raises(InputError, match="must be 1 or more"):
        EvaluateSettings(Path("fit"), surface_samples=0)
