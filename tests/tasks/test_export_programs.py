"""Hand-off to other programs: axes, units and names, read back."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from fits import ball_fit, write_ball_fit

from spams_core.progress import run_to_end
from spams_core.tasks.export import ExportSettings, export, format_for, plan_export, program_titles
from spams_core.tasks.export_formats import FORMATS
from spams_core.tasks.export_programs import PROGRAMS

UP = {"any": 1, "blender": 2, "maya": 1, "unreal": 2, "houdini": 1, "paraview": 1}
PER_METRE = {"any": 1, "blender": 1, "maya": 100, "unreal": 100, "houdini": 1, "paraview": 1}
FIRST = {
    "any": "000000.ply", "blender": "walk_0001.ply", "maya": "walk.0001.ply", "unreal": "walk_0000.ply",
    "houdini": "walk.0001.ply", "paraview": "walk_0000.ply",
}  # fmt: skip


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    return write_ball_fit(tmp_path_factory.mktemp("fit") / "ball")


def check_axes(vertices: np.ndarray, truth: np.ndarray, program: str) -> None:
    """The parts above the middle are above it there too, x stays x, lengths keep their meaning."""
    found = np.asarray(vertices, float) / PER_METRE[program]
    assert np.allclose(found[:, UP[program]], truth[:, 1], atol=1e-6)
    assert np.allclose(found[:, 0], truth[:, 0], atol=1e-6)
    rigid = np.linalg.lstsq(truth - truth.mean(0), found - found.mean(0), rcond=None)[0]
    assert np.linalg.det(rigid) == pytest.approx(1, abs=1e-4)  # neither mirrored nor scaled


@pytest.mark.parametrize("program", PROGRAMS)
def test_meshes_have_the_programs_axes_unit_and_names(fit, tmp_path, program):
    settings = ExportSettings(fit, tmp_path / "walk", "ply", "3:", program=program)
    run_to_end(export(settings))
    names = sorted(path.name for path in (tmp_path / "walk").glob("*.ply"))
    assert names[0] == FIRST[program]
    plan = plan_export(settings, ball_fit().frame_indices, 162, 320, 15)
    assert plan.files[: len(names)] == tuple(names)
    seen = trimesh.load(tmp_path / "walk" / names[0], process=False)
    check_axes(seen.vertices, ball_fit().vertices_world[3], program)
    assert seen.volume > 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_usd_says_its_axes_and_unit_and_means_them(fit, tmp_path, program):
    pytest.importorskip("pxr", reason="needs the extra usd")
    from pxr import Usd, UsdGeom

    run_to_end(export(ExportSettings(fit, tmp_path / "a.usd", "usd", program=program)))
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    assert UsdGeom.GetStageUpAxis(stage) == "XYZ"[UP[program]]
    assert UsdGeom.GetStageMetersPerUnit(stage) == pytest.approx(1 / PER_METRE[program])
    points = UsdGeom.Mesh(stage.GetPrimAtPath("/body/mesh")).GetPointsAttr()
    truth = ball_fit()
    assert points.GetTimeSamples() == truth.frame_indices.tolist()
    for t, frame in enumerate(truth.frame_indices):
        check_axes(np.array(points.Get(float(frame))), truth.vertices_world[t], program)


def test_blender_turns_obj_itself(fit, tmp_path):
    run_to_end(export(ExportSettings(fit, tmp_path / "walk", "obj", "3", program="blender")))
    seen = trimesh.load(tmp_path / "walk" / "walk_0001.obj", process=False, maintain_order=True)
    check_axes(seen.vertices, ball_fit().vertices_world[3], "any")


@pytest.mark.parametrize("kind", FORMATS)
def test_blender_gets_z_up_only_where_its_importer_does_not_turn(fit, tmp_path, kind):
    suffix = FORMATS[kind].suffix
    settings = ExportSettings(fit, tmp_path / (f"a.{suffix}" if suffix else "a"), kind, program="blender")
    turned = kind in ("ply", "stl", "usd", "usdz", "vtu")  # USD tells its axis
    axes = plan_export(settings, ball_fit().frame_indices, 162, 320, 15).axes
    assert axes == f"Metres, +{'z' if turned else 'y'} up"


@pytest.mark.parametrize(
    ("kind", "frames", "remark"),
    [
        ("usd", ":", "Blender: give the scene 12.5 fps before the import"),
        ("abc", ":", "Blender: give the scene 12.5 fps before the import"),
        # Samples of every second frame, frame by frame.
        ("pc2", ":", "Blender: import the OBJ, add the modifier Mesh Cache, format PC2, and give the scene 6.25 fps"),
        ("bvh", ":", "Rigid parts: near the fit, not equal to it. Blender: tick Update Scene FPS in the import"),
        ("usd", "2", ""),
        ("ply", ":", ""),
    ],
)
def test_the_plan_tells_what_to_do_in_blender(fit, tmp_path, kind, frames, remark):
    suffix = FORMATS[kind].suffix
    out = tmp_path / (f"a.{suffix}" if suffix else "a")
    settings = ExportSettings(fit, out, kind, frames, fps=12.5, program="blender")
    assert plan_export(settings, ball_fit().frame_indices, 162, 320, 15).remark == remark


@pytest.mark.parametrize("program", PROGRAMS)
def test_glb_is_always_in_metres_with_y_up(fit, tmp_path, program):
    run_to_end(export(ExportSettings(fit, tmp_path / "a.glb", "glb", "3", program=program)))
    seen = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
    check_axes(seen.vertices, ball_fit().vertices_world[3], "any")


def test_every_program_has_a_format_that_exists():
    assert all(format_for(program) in FORMATS for program in program_titles())
