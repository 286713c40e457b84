"""Own meshes through the command: an archive as of synthetic people, the check alone, the report."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mesh_folders import write_bar_folder

from spams_core.cli import main
from spams_core.data.recording import read_sequence, read_subject
from spams_core.data.sampling import bind_surface, sample_off_surface
from spams_core.data.subjects import read_subjects
from spams_core.errors import InputError
from spams_core.models.spam import read_spam
from spams_core.progress import run_to_end
from spams_core.resources import part_colors, part_titles
from spams_core.tasks.benchmark import BenchmarkSettings
from spams_core.tasks.benchmark_suites import subject_recordings
from spams_core.tasks.generate import GenerateSettings, generate
from spams_core.tasks.render import RenderSettings, render
from spams_core.tasks.train import TrainSettings, train


@pytest.fixture
def bars(tmp_path):
    write_bar_folder(tmp_path / "bars")
    return tmp_path / "bars"


def test_the_archive_is_that_of_generated_people(bars, tmp_path):
    run_to_end(generate(GenerateSettings(tmp_path / "subjects", bars)))
    subjects = read_subjects(tmp_path / "subjects")
    assert subjects.part_names == ("lower", "upper")
    assert [subjects.identities(split).tolist() for split in ("train", "validation", "test")] == [[0, 1, 2], [3], [4]]
    np.testing.assert_array_equal(subjects.posed_identity, np.repeat(np.arange(5), 3))
    manifest = subjects.archive.manifest
    assert manifest["canonical_per_metre"] == subjects.canonical_per_metre > 3
    assert manifest["parts"][0] == {"name": "lower", "title": "Lower half", "color": "#123456"}
    assert manifest["parts"][1]["title"] == "Upper"
    assert manifest["report"]["counts"]["fatal"] == 0
    # What training draws from it: distances of the closed bar, negative inside.
    generator = np.random.default_rng(0)
    body = subjects.canonical(0)
    off = sample_off_surface(body, subjects.faces, subjects.part_weights, 2000, generator)
    middle = (body.min(0) + body.max(0)) / 2
    inside = np.linalg.norm(off.points - middle, axis=1) < 0.08
    assert inside.any()
    assert (off.distance[inside] < 0).all()
    assert (off.distance[np.abs(off.points[:, 1] - middle[1]) > 0.9] > 0).all()
    assert all(len(rows) for rows in bind_surface(subjects, 500, generator).of_part)


def test_a_model_trained_on_it_knows_scale_and_colours(bars, tmp_path):
    run_to_end(generate(GenerateSettings(tmp_path / "subjects", bars)))
    for network in ("shape", "parts", "pose"):
        run_to_end(train(TrainSettings(network, tmp_path / "subjects", tmp_path / "model", steps=1)))
    spam = read_spam(tmp_path / "model", torch.device("cpu"))
    assert spam.settings.part_names == ("lower", "upper")
    assert spam.settings.canonical_per_metre == read_subjects(tmp_path / "subjects").canonical_per_metre
    assert part_titles(["lower"]) == ["Lower half"]
    assert part_colors(["lower"]).tolist() == [[0x12, 0x34, 0x56]]


def test_the_check_writes_nothing_but_its_report(bars, tmp_path, capsys):
    before = sorted(path for path in tmp_path.rglob("*"))
    arguments = ["generate", "--from-meshes", str(bars), "--check", "--report", str(tmp_path / "report.json"), "--json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == json.loads((tmp_path / "report.json").read_text())
    assert told["counts"] == {"fatal": 0, "warning": 0, "note": 1}
    assert told["findings"][0].keys() == {"level", "about", "file", "message", "remedy"}
    assert sorted(path for path in tmp_path.rglob("*") if path.name != "report.json") == before


def test_the_check_is_told_to_people(bars, capsys):
    assert main(["generate", "--from-meshes", str(bars), "--check"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "5 identities in 15 poses, parts: lower, upper"
    assert "vertices" in lines[1]
    assert lines[2].startswith("note, holes: ")
    assert len(lines) == 3
    assert err == ""


def test_open_meshes_have_an_inside_too(bars, tmp_path):
    run_to_end(generate(GenerateSettings(tmp_path / "open", bars, open_holes=True)))
    subjects = read_subjects(tmp_path / "open")
    body = subjects.canonical(0)
    off = sample_off_surface(body, subjects.faces, subjects.part_weights, 2000, np.random.default_rng(0))
    middle = (body.min(0) + body.max(0)) / 2
    inside = np.linalg.norm(off.points - middle, axis=1) < 0.08
    assert inside.any()
    assert (off.distance[inside] < 0).all()
    assert (off.distance[np.abs(off.points[:, 1] - middle[1]) > 0.9] > 0).all()


def test_fatal_meshes_are_refused_and_reported(bars, tmp_path, capsys):
    (bars / "bar_1" / "canonical.ply").write_bytes(b"no mesh")
    arguments = ["generate", "--from-meshes", str(bars), "--out", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    assert main(arguments) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "bar_1/canonical.ply: is truncated or no PLY file. Export it again." in message
    assert not (tmp_path / "s").exists()
    assert json.loads((tmp_path / "r").read_text())["counts"]["fatal"] == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"check": True}, "--from-meshes"),
        ({"open_holes": True}, "--from-meshes"),
        ({"from_meshes": "x", "motion": ("a.bvh",), "out": "y"}, "bring their own poses"),
        ({}, "Give --out"),
        ({"from_meshes": "x"}, "Give --out"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, complaint):
    with pytest.raises(InputError, match=complaint):
        GenerateSettings(**options)


def test_test_identities_are_filmed_for_a_benchmark(bars, tmp_path):
    pytest.importorskip("embreex")
    archive = tmp_path / "subjects"
    run_to_end(generate(GenerateSettings(archive, bars)))
    (planned,) = subject_recordings(archive, tmp_path / "recordings")
    assert planned.render is not None
    assert planned.render.subjects == archive
    run_to_end(render(planned.render))
    (there,) = subject_recordings(archive, tmp_path / "recordings")
    assert there.render is None  # taken over
    sequence = read_sequence(there.path)
    assert sequence.frame_count == 3
    # A bar of 0.2 m is seen from as near as makes it look like a person 2.8 m away.
    points = read_subject(sequence, 0).points_world
    assert 0.1 < np.ptp(points, axis=0).max() < 0.3
    assert sequence.camera.world_from_camera[2, 3] == pytest.approx(
        2.8 * 0.8 / read_subjects(archive).canonical_per_metre, rel=0.3
    )
    assert sequence.read_ground_truth is not None
    truth = sequence.read_ground_truth(0)
    assert set(np.unique(truth.vertex_parts)) == {0, 1}
    with pytest.raises(InputError, match="needs the model of its kind"):
        BenchmarkSettings(subjects=archive)


def test_only_identities_that_exist_are_filmed(bars, tmp_path):
    run_to_end(generate(GenerateSettings(tmp_path / "subjects", bars)))
    with pytest.raises(InputError, match="has 1 identities in the split test"):
        run_to_end(render(RenderSettings(tmp_path / "rec", tmp_path / "subjects", identity=1)))
    with pytest.raises(InputError, match="brings its own poses"):
        RenderSettings(tmp_path / "rec", tmp_path / "subjects", garments=True)
