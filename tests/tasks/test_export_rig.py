"""A fit as a skeleton of its parts, read back by other programs and held against the fit's own surface."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pybvh
import pygltflib
import pytest
from chain import write_chain_fit
from fits import ball_fit
from skinned_glb import accessor, skinned

from spams_core.cli import main
from spams_core.data.fit import write_fit
from spams_core.errors import InputError
from spams_core.geometry.rig import joint_places, skin
from spams_core.io.bvh import read_bvh
from spams_core.progress import Progress, run_to_end
from spams_core.tasks.export import ExportSettings, export
from spams_core.tasks.export_rig import rigged
from spams_core.tasks.export_source import ExportJob, FittedMeshes

FRAMES = 6


@pytest.fixture(scope="module")
def chain_fit(tmp_path_factory):
    """A fit of the chain, and its surface."""
    path = tmp_path_factory.mktemp("fit") / "chain"
    return path, write_chain_fit(path, FRAMES)


def own_rig(path, frames=range(FRAMES)):
    source = FittedMeshes.read(path)
    return run_to_end(rigged(ExportJob(source, frames, source.fps, (), "chain", {})))


def check_told(told, off_mm):
    assert told["bones"] == ["middle", "tip", "end"]
    assert told["parents"] == [None, "middle", "middle"]
    assert told["distance_to_fit"]["mean_mm"] == pytest.approx(off_mm.mean(), rel=1e-3)
    assert told["distance_to_fit"]["p95_mm"] == pytest.approx(np.percentile(off_mm, 95), rel=1e-3)
    assert told["distance_to_fit"]["max_mm"] == pytest.approx(off_mm.max(), rel=1e-3)


def test_the_skin_from_the_glb_is_the_rigs_and_as_far_from_the_fit_as_the_file_says(chain_fit, tmp_path):
    path, surface = chain_fit
    run_to_end(export(ExportSettings(path, tmp_path / "a.glb", "glb_rigged", fps=30)))
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    body = own_rig(path)
    seen = np.stack([skinned(document, t) for t in range(FRAMES)])
    for t in range(FRAMES):
        wanted = skin(body.rig, body.motion, t)
        assert np.abs(seen[t] - wanted).max() <= 1e-5 * np.abs(wanted).max()
    check_told(document.asset.extras["rig"], 1000 * np.linalg.norm(seen - surface, axis=2))
    assert 0.01 < document.asset.extras["rig"]["distance_to_fit"]["mean_mm"] < 5
    (animation,) = document.animations
    # Every second recorded frame, 30 of which make a second.
    assert np.allclose(accessor(document, animation.samplers[0].input)[:, 0], np.arange(FRAMES) / 15, rtol=1e-6)


@pytest.mark.parametrize(("program", "up", "per_metre"), [("any", "y", 1), ("maya", "y", 100), ("unreal", "z", 100)])
def test_every_joint_in_the_bvh_is_where_the_rig_has_it(chain_fit, tmp_path, program, up, per_metre):
    path, _ = chain_fit
    out = tmp_path / "a.bvh"
    run_to_end(export(ExportSettings(path, out, "bvh", program=program)))
    assert sorted(tmp_path.iterdir()) == [out, tmp_path / "a.bvh.json"]
    body = own_rig(path)
    wanted = joint_places(body.rig, body.motion)
    if up == "z":
        wanted = np.stack([wanted[..., 0], -wanted[..., 2], wanted[..., 1]], axis=-1)
    other, ours = pybvh.read_bvh_file(out), read_bvh(out)
    assert list(other.joint_names) == ["middle", "tip", "end"]
    assert np.allclose(other.joint_positions() / per_metre, wanted, atol=1e-6)
    joints = [ours.names.index(name) for name in ("middle", "tip", "end")]
    assert np.allclose(ours.global_transforms()[1][:, joints] / per_metre, wanted, atol=1e-6)
    # Every second frame of a recording of 15 per second.
    assert other.frame_time == pytest.approx(2 / 15)
    # The end sites reach to the ends of the bar, 0.45 m from the joints.
    ends = ours.offsets[[ours.names.index(f"{name} end") for name in ("tip", "end")]] / per_metre
    assert np.allclose(np.linalg.norm(ends, axis=1), 0.45, atol=0.02)


def test_the_note_beside_a_bvh_tells_the_distance_of_the_frames_that_are_written(chain_fit, tmp_path):
    path, surface = chain_fit
    run_to_end(export(ExportSettings(path, tmp_path / "a.bvh", "bvh", "1::2")))
    body = own_rig(path, range(1, FRAMES, 2))
    seen = np.stack([skin(body.rig, body.motion, t) for t in range(3)])
    note = json.loads((tmp_path / "a.bvh.json").read_text())
    assert note["recording_frames"] == [2, 6, 10]
    check_told(note["rig"], 1000 * np.linalg.norm(seen - surface[1::2], axis=2))


def test_a_note_of_someone_else_is_not_replaced(chain_fit, tmp_path):
    (tmp_path / "a.bvh.json").write_text("mine")
    with pytest.raises(InputError, match=r"a\.bvh\.json exists already"):
        run_to_end(export(ExportSettings(chain_fit[0], tmp_path / "a.bvh", "bvh")))
    assert (tmp_path / "a.bvh.json").read_text() == "mine"
    assert not (tmp_path / "a.bvh").exists()


def test_bvh_refuses_uneven_frames(tmp_path):
    uneven = np.array([0, 2, 4, 7, 8], np.int32)
    write_fit(tmp_path / "ball", dataclasses.replace(ball_fit(), frame_indices=uneven))
    with pytest.raises(InputError, match="even intervals"):
        run_to_end(export(ExportSettings(tmp_path / "ball", tmp_path / "a.bvh", "bvh")))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["ball"]


def test_progress_tells_the_distance_in_words_and_figures(chain_fit, tmp_path):
    reports: list[Progress] = list(export(ExportSettings(chain_fit[0], tmp_path / "a.glb", "glb_rigged")))
    (told,) = [report for report in reports if "mean_mm" in report.metrics]
    assert f"{told.metrics['mean_mm']:.1f} mm from the fit" in told.message


@pytest.mark.parametrize("kind", ["glb_rigged", "bvh"])
def test_the_command_line_tells_the_distance(chain_fit, tmp_path, capsys, kind):
    out = tmp_path / ("a.bvh" if kind == "bvh" else "a.glb")
    assert main(["export", str(chain_fit[0]), "--out", str(out), "--format", kind, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == {"path": str(out), "distance_to_fit": dataclasses.asdict(own_rig(chain_fit[0]).error)}
