"""The generate task: a whole archive, deterministic by seed, split by identity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spams_core.data import subjects as subjects_module
from spams_core.data.retarget import retarget
from spams_core.data.subjects import read_subjects
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.io.archive import hash_file
from spams_core.io.bvh import read_bvh
from spams_core.progress import run_to_end
from spams_core.tasks import generate as generate_module
from spams_core.tasks.generate import GenerateSettings, generate

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def generated(bodies, monkeypatch):
    """Runs the task with the body model that is loaded already."""
    monkeypatch.setattr(generate_module, "BodyGenerator", lambda: bodies)
    return lambda settings: run_to_end(generate(settings))


def small(out, **changes) -> GenerateSettings:
    settings = GenerateSettings(
        out, identities=2, validation_identities=1, test_identities=1, poses_per_identity=3, dressed_share=0
    )
    return replace(settings, **changes)


def test_archive_holds_what_it_promises(generated, bodies, tmp_path):
    generated(small(tmp_path / "subjects"))
    subjects = read_subjects(tmp_path / "subjects")
    assert subjects.part_names == bodies.part_names
    np.testing.assert_array_equal(subjects.faces, bodies.faces)
    np.testing.assert_array_equal(subjects.part_weights, bodies.part_weights)
    assert [list(subjects.identities(split)) for split in ("train", "validation", "test")] == [[0, 1], [2], [3]]
    np.testing.assert_array_equal(subjects.posed_identity, np.repeat([0, 1, 2, 3], 4))
    assert list(subjects.instances([1])) == [4, 5, 6, 7]
    assert [shard.shape for shard in subjects.shards] == [(16, len(bodies.part_weights), 3)]
    manifest = subjects.archive.manifest
    assert manifest["settings"]["identities"] == 2
    assert manifest["seed"] == 0
    assert manifest["anny_version"] == bodies.anny_version
    assert manifest["canonical_per_metre"] == CANONICAL_PER_METRE
    # The first instance stands: taller than wide, hands below the hips' root.
    standing = subjects.posed(0)
    assert np.ptp(standing[:, 1]) > 2 * np.ptp(standing[:, 0])
    assert np.abs(subjects.canonical(0)).max() <= 1.0
    # All identities differ, between the splits, too.
    canonical = subjects.archive.array("canonical")
    for a in range(4):
        for b in range(a):
            assert np.abs(canonical[a] - canonical[b]).max() > 0.01


def test_same_seed_same_bytes_and_more_identities_change_none(generated, tmp_path):
    first = generated(small(tmp_path / "a"))
    generated(small(tmp_path / "b"))
    assert hash_file(tmp_path / "a" / "arrays.safetensors") == hash_file(tmp_path / "b" / "arrays.safetensors")
    more = generated(small(tmp_path / "c", identities=3))
    for split in ("train", "validation", "test"):
        before, after = first.identities(split)[-1], more.identities(split)[len(first.identities(split)) - 1]
        np.testing.assert_array_equal(first.canonical(before), more.canonical(after))
        np.testing.assert_array_equal(
            first.posed(first.instances([before])[-1]), more.posed(more.instances([after])[-1])
        )
    other = generated(small(tmp_path / "d", seed=1))
    assert np.abs(other.canonical(0) - first.canonical(0)).max() > 0.01


def test_clips_give_half_of_the_poses(generated, bodies, tmp_path, shared_data):
    clip = shared_data / "motion" / "martial_04.bvh"
    subjects = generated(small(tmp_path / "subjects", motion=(clip,), poses_per_identity=6))
    assert subjects.archive.manifest["inputs"] == {clip.name: hash_file(clip)}
    assert len(subjects.posed_identity) == 4 * 7
    again = generated(small(tmp_path / "without", poses_per_identity=3))
    # The identity and the sampled half are those of a run without clips.
    np.testing.assert_array_equal(subjects.canonical(0), again.canonical(0))
    for row in range(4):
        np.testing.assert_allclose(subjects.posed(row), again.posed(row), atol=1e-6)
    # The other half are frames of the clip.
    identity = bodies.sample_identity(np.random.default_rng(np.random.SeedSequence(0, spawn_key=(0, 0))))
    np.testing.assert_array_equal(bodies.canonical(identity), subjects.canonical(0))
    frames = retarget(read_bvh(clip), 10.0).poses
    from_clip = bodies.posed(identity, frames)
    for row in (4, 5, 6):
        assert np.abs(from_clip - subjects.posed(row)).max(axis=(1, 2)).min() < 1e-5


def test_half_of_the_people_are_dressed_in_the_same_poses(generated, tmp_path):
    naked, dressed = generated(small(tmp_path / "naked")), generated(small(tmp_path / "dressed", dressed_share=0.5))
    np.testing.assert_array_equal(naked.canonical(0), dressed.canonical(0))
    np.testing.assert_array_equal(naked.posed(1), dressed.posed(1))
    # Clothes stand off the skin by millimetres to centimetres, in every pose by the same distance.
    for plain, worn in ((naked.canonical(1), dressed.canonical(1)), (naked.posed(6), dressed.posed(6))):
        offset_m = np.linalg.norm(worn - plain, axis=1) / CANONICAL_PER_METRE
        assert 0.004 < offset_m.max() < 0.12
        np.testing.assert_allclose(
            offset_m, np.linalg.norm(dressed.canonical(1) - naked.canonical(1), axis=1) / CANONICAL_PER_METRE, atol=1e-6
        )


def test_shards_hold_the_instances_in_order(generated, monkeypatch, tmp_path):
    whole = generated(small(tmp_path / "whole"))
    monkeypatch.setattr(subjects_module, "SHARD_INSTANCES", 5)
    split = generated(small(tmp_path / "split"))
    assert [len(shard) for shard in split.shards] == [5, 5, 5, 1]
    for row in range(16):
        np.testing.assert_array_equal(split.posed(row), np.array(whole.shards[0][row]))
    vertices = np.array([[0, 7, 3], [2, 2, 9]])
    picked = split.posed_at(np.array([12, 4]), vertices)
    np.testing.assert_array_equal(picked[0], split.posed(12)[vertices[0]])
    np.testing.assert_array_equal(picked[1], split.posed(4)[vertices[1]])
    (tmp_path / "split" / "posed" / "0003" / "arrays.safetensors").unlink()
    with pytest.raises(InputError, match="0003"):
        read_subjects(tmp_path / "split")


def test_progress_counts_every_identity(bodies, monkeypatch, tmp_path):
    monkeypatch.setattr(generate_module, "BodyGenerator", lambda: bodies)
    reports = list(generate(small(tmp_path / "subjects")))
    assert [report.step for report in reports] == [0, 1, 2, 3, 4, 4]
    assert all(report.total == 4 for report in reports)
    assert reports[-1].metrics["posed_inside_unit_box"] > 0.99


def test_cancelling_leaves_nothing(bodies, monkeypatch, tmp_path):
    monkeypatch.setattr(generate_module, "BodyGenerator", lambda: bodies)
    task = generate(small(tmp_path / "subjects"))
    next(task)
    next(task)
    task.close()
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="exists already"):
        next(generate(small(tmp_path)))


def test_unusable_clip_is_refused_before_the_body_model_loads(tmp_path):
    with pytest.raises(InputError, match=r"absent\.bvh"):
        run_to_end(generate(small(tmp_path / "subjects", motion=(tmp_path / "absent.bvh",))))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("identities", 0),
        ("validation_identities", -1),
        ("poses_per_identity", -1),
        ("seed", -1),
        ("dressed_share", 1.5),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(InputError, match=f"{field} is {value}"):
        small(tmp_path / "subjects", **{field: value})
