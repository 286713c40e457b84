"""Edited codes become fits and meshes that decode to the same body."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from spams_core.data.fit import Fit, read_fit
from spams_core.errors import InputError
from spams_core.progress import run_to_end
from spams_core.tasks.bake import EditedMotion, bake_fit, bake_meshes
from spams_core.tasks.edit import EditSettings, Workbench, edit, interpolate_codes, open_workbench
from spams_core.tasks.export import ExportSettings, export
from spams_core.tasks.fit import default_model

FRAMES = 3


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return open_workbench()


@pytest.fixture(scope="module")
def motion(bench: Workbench) -> EditedMotion:
    """An arm that moves."""
    poses = np.repeat(bench.mean_pose[None], FRAMES, 0)
    arm = bench.part_names.index("left_arm")
    poses[:, arm] += np.linspace(-1, 1, FRAMES)[:, None].astype(np.float32) * bench.pose_directions[arm, 0]
    return EditedMotion(
        bench.mean_shape, poses, np.repeat(np.eye(3)[None], FRAMES, 0),
        np.linspace([0, 0, 0], [1, 0, 0], FRAMES), np.arange(FRAMES),
    )  # fmt: skip


@pytest.fixture(scope="module")
def baked(motion: EditedMotion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bake") / "arm"
    return run_to_end(bake_fit(default_model("spam"), motion, out, None, {"keyframes": []}))


def test_a_walk_of_nothing_observed_is_a_whole_fit(bench: Workbench, motion: EditedMotion, baked: Path):
    result: Fit = read_fit(baked)
    assert np.array_equal(result.pose_codes, motion.pose_codes)
    assert np.isnan(result.residual_m).all()
    for t in range(FRAMES):
        posed = bench.pose_vertices(result.canonical_vertices, motion.shape_codes, motion.pose_codes[t])
        # The canonical frame counts 0.8 units a metre.
        np.testing.assert_allclose(result.vertices_world[t], posed / 0.8 + motion.root_translation_m[t], atol=1e-4)
    assert result.manifest["edit"] == {"keyframes": [], "out": str(baked)}


def test_a_baked_fit_can_be_exported_and_edited_again(baked: Path, tmp_path: Path, bench: Workbench):
    run_to_end(export(ExportSettings(baked, tmp_path / "arm.npz", format="npz")))
    half = run_to_end(edit(EditSettings(baked, tmp_path / "again", shape_from=baked, amount=0.5)))
    assert np.array_equal(half.pose_codes, read_fit(baked).pose_codes)


def test_an_edited_fit_keeps_what_was_observed(baked: Path, motion: EditedMotion, tmp_path: Path):
    start = read_fit(baked)
    again = run_to_end(bake_fit(default_model("spam"), motion, tmp_path / "again", start, {"by": "hand"}))
    result = read_fit(again)
    np.testing.assert_allclose(result.vertices_world, start.vertices_world, atol=1e-6)
    assert result.manifest["edit"]["by"] == "hand"
    with pytest.raises(InputError, match="exists already"):
        run_to_end(bake_fit(default_model("spam"), motion, again, start, {}))


def test_the_poses_of_one_fit_go_to_the_shape_of_another_spherically(baked: Path, tmp_path: Path, bench: Workbench):
    start = read_fit(baked)
    torso = bench.part_names.index("torso")
    shape, poses = start.shape_codes.copy(), start.pose_codes.copy()
    shape[torso] += bench.shape_directions[torso, 0]
    poses[:, torso] += bench.pose_directions[torso, 1]
    other = EditedMotion(shape, poses, start.root_rotation, start.root_translation_m, start.frame_indices)
    path = run_to_end(bake_fit(default_model("spam"), other, tmp_path / "other", None, {}))
    asked = EditSettings(
        baked, tmp_path / "mixed", shape_from=path, pose_from=path, amount=0.3, path="spherical", parts=("torso",)
    )  # fmt: skip
    mixed = run_to_end(edit(asked))
    wanted = interpolate_codes(start.pose_codes, poses, 0.3, [torso], center=bench.mean_pose)
    np.testing.assert_allclose(mixed.pose_codes, wanted, atol=1e-6)
    arm = bench.part_names.index("left_arm")
    assert np.array_equal(mixed.shape_codes[arm], start.shape_codes[arm])


@pytest.mark.parametrize("format", ["ply", "obj"])
def test_a_changing_shape_becomes_one_mesh_per_frame(
    bench: Workbench, motion: EditedMotion, tmp_path: Path, format: str
):
    torso = bench.part_names.index("torso")
    shapes = np.repeat(bench.mean_shape[None], 2, 0)
    shapes[1, torso] += 2 * bench.shape_directions[torso, 0]
    walk = EditedMotion(
        shapes, motion.pose_codes[:2], motion.root_rotation[:2], motion.root_translation_m[:2], np.arange(2)
    )
    out = run_to_end(bake_meshes(default_model("spam"), walk, tmp_path / "walk", format, {"blend": "torso"}))
    bodies = [trimesh.load(out / f"00000{t}.{format}", force="mesh", process=True) for t in range(2)]
    volumes = [body.volume for body in bodies]
    assert all(0.02 < volume < 0.2 for volume in volumes), "a person's volume in cubic metres"
    assert abs(volumes[1] / volumes[0] - 1) > 0.05
    told = json.loads((out / "manifest.json").read_text())
    assert told["edit"] == {"blend": "torso", "out": str(out)}


def test_a_cancelled_walk_leaves_nothing(motion: EditedMotion, tmp_path: Path):
    task = bake_meshes(default_model("spam"), motion, tmp_path / "walk", "ply", {})
    next(task)
    next(task)
    task.close()
    assert list(tmp_path.iterdir()) == []


def test_another_model_than_the_fitted_one_is_refused(baked: Path, motion: EditedMotion, tmp_path: Path):
    start = read_fit(baked)
    start.manifest["inputs"]["model/pose"] = "c0ffee"
    with pytest.raises(InputError, match="is not the model that the open fit was fitted with"):
        run_to_end(bake_fit(default_model("spam"), motion, tmp_path / "out", start, {}))
