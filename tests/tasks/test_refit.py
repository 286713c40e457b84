"""Frames of a fit on disk, fitted anew into another fit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from spams_core.cli import main
from spams_core.data.fit import Fit, read_fit, write_fit
from spams_core.errors import InputError
from spams_core.fitting.settings import SolveSettings
from spams_core.io.archive import hash_file
from spams_core.progress import run_to_end
from spams_core.resources import resource_path
from spams_core.tasks.fit import Controls, FitSettings, WeightChange, fit

DEMO = resource_path("demo/recording")
SHORT = SolveSettings(
    align_iterations=3, rounds=2, rigid_rounds=1, joint_rounds=2, iterations=2, part_points=48, surface_points=32,
    match_resolution=64, mesh_resolution=64, articulated=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    return run_to_end(fit(FitSettings(DEMO, tmp_path_factory.mktemp("fits") / "whole", frames="0:5", solve=SHORT)))


@pytest.fixture
def damaged(whole: Fit, tmp_path: Path) -> Path:
    """The fit with two frames that lost track."""
    codes, shift = whole.pose_codes.copy(), whole.root_translation_m.copy()
    vertices, residual = whole.vertices_world.copy(), whole.residual_m.copy()
    codes[2:4] += np.random.default_rng(0).normal(0, 0.3 * codes.std(), codes[2:4].shape).astype(np.float32)
    shift[2:4] += 0.3
    vertices[2:4] += 0.3
    residual[2:4] = 0.2
    broken = dataclasses.replace(
        whole, pose_codes=codes, root_translation_m=shift, vertices_world=vertices, residual_m=residual
    )
    write_fit(tmp_path / "damaged", broken)
    return tmp_path / "damaged"


def test_damaged_frames_recover_in_a_new_fit(whole: Fit, damaged: Path, tmp_path: Path):
    hashes = {file.name: hash_file(file) for file in damaged.iterdir()}
    settings = FitSettings(DEMO, tmp_path / "again", frames="2:4", solve=SHORT, start_from=damaged)
    controls = Controls([WeightChange(4, "temporal_weight", 1.0)])
    found = run_to_end(fit(settings, controls))
    assert {file.name: hash_file(file) for file in damaged.iterdir()} == hashes, "a fit on disk is never changed"
    assert (found.residual_m[2:4] < 1.3 * whole.residual_m[2:4]).all()
    moved = np.linalg.norm(found.vertices_world - whole.vertices_world, axis=-1).mean(1)
    assert (moved[2:4] < 0.03).all()
    assert (moved[[0, 1, 4]] == 0).all()
    for name in ("shape_codes", "faces", "canonical_vertices", "frame_indices"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))
    again = read_fit(tmp_path / "again")  # whole, and each frame's points are its own
    for t in (0, 1, 4):
        assert np.array_equal(again.observation(t).points_world, whole.observation(t).points_world)
    assert again.match_reasons is not None
    assert np.array_equal(again.match_reasons == 0, again.match_weights > 0)
    assert [row["frame"] for row in again.manifest["refit"]["residual_mm"]] == [2, 3]
    assert again.manifest["refit"]["from"] == str(damaged.resolve())
    assert again.history is not None
    assert set(again.history.rows) == {2, 3}  # rows of this fit, not of the few frames that were looked at
    assert again.history.stage(again.history.count - 1) == "frames anew"
    assert np.array_equal(
        again.history.root_translation_m[again.history.index(again.history.count - 1, 3)], again.root_translation_m[3]
    )
    assert again.manifest["weight_changes"] == [{"iteration": 4, "name": "temporal_weight", "value": 1.0}]


def test_the_command_line_reseeds_a_part(damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    solve = ["solve:solve-settings", *(
        f"--solve.{name.replace('_', '-')}={getattr(SHORT, name)}"
        for name in ("rounds", "joint_rounds", "iterations", "match_resolution", "mesh_resolution")
    )]  # fmt: skip
    out = tmp_path / "arm"
    options = ["--start-from", str(damaged), "--frames", "2", "--reseed", "left_arm", "--out", str(out), "--json"]
    assert main(["fit", str(DEMO), *options, *solve]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["frames"] == 5
    found, before = read_fit(out), read_fit(damaged)
    assert found.manifest["refit"]["parts"] == ["left_arm"]
    assert not np.array_equal(found.pose_codes[2], before.pose_codes[2])
    assert np.array_equal(found.pose_codes[3], before.pose_codes[3])


def test_what_does_not_belong_together_is_refused(damaged: Path, tmp_path: Path):
    def refuse(match: str, recording: Path = DEMO, **options: object) -> None:
        with pytest.raises(InputError, match=match):
            run_to_end(fit(FitSettings(recording, tmp_path / "x", start_from=damaged, **options)))  # type: ignore[arg-type]
        assert not (tmp_path / "x").exists()

    refuse("chooses none of the frames that .*damaged has, 0 to 4", frames="10:12")
    refuse("leaves no neighbour", frames=":")
    refuse("no such part. Choose from: head", frames="2", reseed=("tail",))
    refuse("fitted to another recording", resource_path("benchmarks/quick/00"), frames="2")
    refuse("fitted with --method spam", frames="2", method="npm")
    with pytest.raises(InputError, match="--reseed needs --start-from"):
        FitSettings(DEMO, tmp_path / "x", reseed=("head",))
