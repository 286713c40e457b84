from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_recording import write_box_fit, write_recording

from spams_core.data.fit import Fit
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.progress import run_to_end
from spams_core.tasks.evaluate import FIGURES, EvaluateSettings, evaluate


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
