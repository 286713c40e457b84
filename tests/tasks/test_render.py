"""Rendered recordings of a cheap stand-in body, and of a real one where the body model is installed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image

from spams_core import cli
from spams_core.data.recording import read_sequence, read_subject
from spams_core.data.virtual_camera import EXACT
from spams_core.errors import InputError
from spams_core.frames import transform_points
from spams_core.geometry.camera import back_project, project
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import closest_on_surface
from spams_core.progress import run_to_end
from spams_core.tasks import render as render_module
from spams_core.tasks.render import RenderSettings, decimate, render

pytest.importorskip("embreex")
pytest.importorskip("fast_simplification")


class Ellipsoid:
    """A body without limbs, whose upper half is part 1 and which bows with the motion's first joint."""

    part_names = ("lower", "upper")

    def __init__(self):
        sphere = trimesh.creation.icosphere(5)
        self.faces = sphere.faces.astype(np.int32)
        self._vertices = sphere.vertices * [0.3, 0.7, 0.2]
        upper = 1 / (1 + np.exp(-50 * self._vertices[:, 1]))
        self.part_weights = np.stack([1 - upper, upper], axis=1).astype(np.float32)

    def sample_identity(self, generator):
        return generator.uniform(0.8, 1.2)

    def canonical(self, identity):
        return (self._vertices * [identity, 1, identity]).astype(np.float32)

    def posed(self, identity, poses):
        body = np.tile(self.canonical(identity), (len(poses), 1, 1))
        body[..., 2] += 0.5 * poses.rotations[:, :1, 0] * body[..., 1] ** 2
        return body

    def dressed(self, identity, generator):
        return identity + generator.uniform(0.2, 0.4)

    def grounded(self, identity, motion):
        return motion


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(render_module, "BodyGenerator", Ellipsoid)


def settings(out, **changes) -> RenderSettings:
    return replace(RenderSettings(out, frames=3, fps=10.0, ground_truth_vertices=500), **changes)


def test_recording_reads_back_and_its_points_lie_on_the_ground_truth(stand_in, tmp_path):
    result = run_to_end(render(settings(tmp_path / "take", noise=EXACT, azimuth_deg=60, ground_truth_vertices=0)))
    sequence = read_sequence(result.path)
    assert (sequence.frame_count, sequence.fps) == (3, 10.0)
    assert result.frames == 3
    for t in range(3):
        subject = read_subject(sequence, t)
        distance, _, _ = closest_on_surface(subject.points_world, sequence.read_ground_truth(t))
        # Depth is stored in whole millimetres.
        assert distance.max() < 0.0005 + 1e-5
        assert len(subject.points_world) > 0.9 * sequence.read_mask(t).sum()
    faces = [sequence.read_ground_truth(t).faces for t in range(3)]
    assert all(np.array_equal(faces[0], other) for other in faces)


def test_labels_are_the_parts_of_the_surface_behind_each_subject_pixel(stand_in, tmp_path):
    sequence = read_sequence(run_to_end(render(settings(tmp_path / "take"))).path)
    for t in range(3):
        label = np.asarray(Image.open(tmp_path / "take" / "labels" / f"{t:06d}.png"))
        assert label.dtype == np.uint8
        np.testing.assert_array_equal(label > 0, sequence.read_mask(t))
        truth = sequence.read_ground_truth(t)
        depth = sequence.read_depth_m(t)
        seen = (depth > 0) & (label > 0)
        points = transform_points(sequence.camera.world_from_camera, back_project(depth, sequence.camera)[seen])
        _, face, barycentric = closest_on_surface(points, truth)
        parts = truth.vertex_parts[truth.faces[face, barycentric.argmax(1)]]
        assert (parts == label[seen].astype(int) - 1).mean() > 0.95  # noise blurs the border


def test_subject_faces_the_camera_at_azimuth_zero_and_turns(stand_in, tmp_path):
    still = settings(tmp_path / "still", action="wave", noise=EXACT)
    for turn, out in ((0.0, "still"), (90.0, "turning")):
        run_to_end(render(replace(still, out=tmp_path / out, turn_deg=turn)))
    # Seen from the front the ellipsoid is 0.3 : 0.2 wider than from the side; a turn of ±45° lies between.
    width = {
        out: [np.ptp(np.nonzero(read_sequence(tmp_path / out).read_mask(t).any(0))[0]) for t in range(3)]
        for out in ("still", "turning")
    }
    assert width["turning"][1] == pytest.approx(width["still"][1], abs=1)
    assert width["turning"][0] < 0.92 * width["still"][0]
    assert width["turning"][2] < 0.92 * width["still"][2]


def test_subject_stays_in_the_middle_of_the_image(stand_in, tmp_path):
    sequence = read_sequence(run_to_end(render(settings(tmp_path / "take", azimuth_deg=130, elevation_deg=20))).path)
    vertices = np.concatenate([sequence.read_ground_truth(t).vertices for t in range(3)])
    middle = (vertices.min(0) + vertices.max(0)) / 2
    camera_from_world = np.linalg.inv(sequence.camera.world_from_camera)
    pixel, depth = project(transform_points(camera_from_world, middle), sequence.camera)
    # The decimated ground truth is a little smaller than the body that was aimed at.
    np.testing.assert_allclose(pixel, [159.5, 143.5], atol=1.0)
    assert depth == pytest.approx(2.8, abs=0.01)


def test_rendering_repeats_with_its_seed(stand_in, tmp_path):
    takes = {}
    for out, seed in (("first", 3), ("again", 3), ("other", 4)):
        run_to_end(render(settings(tmp_path / out, seed=seed)))
        takes[out] = {
            path.relative_to(tmp_path / out): path.read_bytes()
            for path in (tmp_path / out).rglob("*")
            if path.is_file()
        }
    assert takes["first"] == takes["again"]
    assert takes["first"] != takes["other"]
    names = {file.parent.name for file in takes["first"]}
    assert names == {"", "depth", "mask", "ground_truth", "labels"}


def test_clip_is_performed_from_where_it_is_asked_for(stand_in, shared_data, tmp_path):
    clip = shared_data / "motion" / "salsa_04.bvh"
    take = settings(tmp_path / "take", motion=clip, frames=2, fps=4.0, motion_start_s=1.0)
    long = run_to_end(render(replace(take, out=tmp_path / "long", frames=6, motion_start_s=0.0)))
    assert long.frames == 6
    assert run_to_end(render(take)).frames == 2
    with pytest.raises(InputError, match="Start earlier"):
        run_to_end(render(replace(take, out=tmp_path / "late", motion_start_s=1e4)))


@pytest.mark.parametrize("count", [500, 1000])
def test_decimated_topology_is_closed_and_follows_the_mesh(count):
    body = Ellipsoid()
    fine = Mesh(body.canonical(1.0), body.faces)
    binding = decimate(fine, count)
    assert len(binding.barycentric) == pytest.approx(count, rel=0.02)
    coarse = trimesh.Trimesh(binding.carry(fine.vertices, fine.faces), binding.faces, process=False)
    assert coarse.is_watertight
    assert coarse.is_winding_consistent
    assert coarse.volume == pytest.approx(4 / 3 * np.pi * 0.3 * 0.7 * 0.2, rel=0.05)
    # A rigid motion and a scaling commute with the binding.
    moved = fine.vertices * 2.0 + [1, 2, 3]
    np.testing.assert_allclose(binding.carry(moved, fine.faces), coarse.vertices * 2.0 + [1, 2, 3], atol=1e-6)


def test_keeping_all_vertices_keeps_the_mesh():
    body = Ellipsoid()
    binding = decimate(Mesh(body.canonical(1.0), body.faces), 0)
    np.testing.assert_array_equal(binding.carry(body.canonical(1.0), body.faces), body.canonical(1.0))
    np.testing.assert_array_equal(binding.faces, body.faces)


def test_garments_widen_the_same_body_in_the_same_motion(stand_in, tmp_path):
    for out, words in (("bare", []), ("dressed", ["--garments"]), ("again", ["--garments"])):
        command = ["render", "--out", str(tmp_path / out), "--frames", "2", "--ground-truth-vertices", "0"]
        assert cli.main([*command, *words]) == 0
    bare, dressed, again = (read_sequence(tmp_path / out).read_ground_truth(1) for out in ("bare", "dressed", "again"))
    assert np.array_equal(dressed.vertices, again.vertices)
    assert np.array_equal(dressed.faces, bare.faces)
    wider = np.ptp(dressed.vertices[:, 0]) / np.ptp(bare.vertices[:, 0])
    assert 1.1 < wider < 1.5
    assert np.ptp(dressed.vertices[:, 1]) == pytest.approx(np.ptp(bare.vertices[:, 1]), rel=1e-3)
    for out, worn in (("bare", "false"), ("dressed", "true")):
        assert f'"garments": {worn}' in (tmp_path / out / "camera.json").read_text()


def test_what_cannot_be_rendered_is_refused_and_leaves_nothing(stand_in, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists already"):
        run_to_end(render(settings(tmp_path / "there")))
    blind = replace(settings(tmp_path / "blind").noise, hole_share=1.0)
    with pytest.raises(InputError, match="frame 0: the camera reads nothing of the subject"):
        run_to_end(render(settings(tmp_path / "blind", noise=blind)))
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    for wrong in ({"frames": 0}, {"fps": 0.0}, {"identity": -1}, {"ground_truth_vertices": 5}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            settings(tmp_path / "wrong", **wrong)


def test_cancelled_rendering_leaves_nothing(stand_in, tmp_path):
    task = render(settings(tmp_path / "take"))
    assert next(task).total == 3
    assert next(task).step == 1
    task.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("garments", [False, True])
def test_real_body_is_whole_in_view_and_truth_stays_close(tmp_path, garments):
    pytest.importorskip("anny")
    take = settings(
        tmp_path / "take", frames=2, noise=EXACT, ground_truth_vertices=2000, action="wave", garments=garments
    )
    sequence = read_sequence(run_to_end(render(take)).path)
    for t in range(2):
        mask = sequence.read_mask(t)
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()
        subject = read_subject(sequence, t)
        truth = sequence.read_ground_truth(t)
        distance, _, _ = closest_on_surface(subject.points_world, truth)
        assert distance.mean() < 0.001
        assert distance.max() < 0.01
        label = np.asarray(Image.open(tmp_path / "take" / "labels" / f"{t:06d}.png"))
        assert set(np.unique(label)) == set(range(7))
        # Facing the camera, the right arm (part 2, label 3) appears on the image's left, the left arm on its right.
        assert np.nonzero(label == 3)[1].mean() < np.nonzero(label == 1)[1].mean() < np.nonzero(label == 5)[1].mean()
        assert 1.3 < np.ptp(truth.vertices[:, 1]) < 2.4
