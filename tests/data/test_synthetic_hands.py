"""Synthetic hands: their size, frame and parts, and what their joints do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spams_core.data.mesh_folder import open_mesh_folder, read_labels, read_mesh
from spams_core.data.mesh_subjects import check_meshes
from spams_core.data.synthetic_hands import (
    HAND_LENGTH_RANGE_M,
    HAND_PARTS,
    HandGenerator,
    hand_motion,
    sample_hand_angles,
)
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.topology import find_edges, find_holes
from spams_core.progress import run_to_end
from spams_core.tasks import hands as hands_module
from spams_core.tasks.hands import HandsSettings, hands

pytestmark = pytest.mark.timeout(900)  # anny builds a cache on a machine's first time


@pytest.fixture(scope="module")
def generator() -> HandGenerator:
    pytest.importorskip("anny", reason="synthetic hands need the extra `synthetic`")
    return HandGenerator()


@pytest.fixture(scope="module")
def flat(generator) -> tuple:
    hand = generator.sample_hand(np.random.default_rng(0))
    return hand, generator.posed(hand, generator.flat_angles())[0]


def tip(vertices, generator, part: str) -> np.ndarray:
    """The point of a finger that is farthest from the wrist."""
    rows = np.nonzero(generator.parts == HAND_PARTS.index(part))[0]
    return vertices[rows[np.linalg.norm(vertices[rows], axis=1).argmax()]]


def test_a_flat_right_hand_points_up_and_shows_its_palm(generator, flat):
    _, vertices = flat
    assert HAND_LENGTH_RANGE_M[0] <= np.ptp(vertices[:, 1]) <= HAND_LENGTH_RANGE_M[1]
    # +y along the fingers, the middle one the longest; +z out of the palm, so a right hand's thumb lies towards +x.
    tips = {part: tip(vertices, generator, part) for part in HAND_PARTS[1:]}
    assert max(tips, key=lambda part: tips[part][1]) == "middle_finger"
    across = [tips[part][0] for part in HAND_PARTS[1:]]
    assert across == sorted(across, reverse=True)
    assert tips["thumb"][2] > tips["middle_finger"][2]
    # One surface, open at the wrist only, facing outwards.
    holes = find_holes(generator.faces, len(vertices))
    assert len(holes.rims) == 1
    assert vertices[holes.rims[0], 1].max() < np.quantile(vertices[:, 1], 0.25)
    edges = find_edges(generator.faces)
    assert (edges.crowded, edges.opposed) == (0, 0)
    assert Mesh(vertices, generator.faces).trimesh().volume > 1e-4
    assert np.bincount(generator.parts, minlength=6).min() > 100


@pytest.mark.parametrize("finger", range(1, 5))
def test_a_finger_bends_towards_the_palm_alone(generator, flat, finger):
    hand, straight = flat
    angles = generator.flat_angles()
    angles[0, 5 + 4 * (finger - 1)] += 60.0
    bent = generator.posed(hand, angles)[0]
    part = HAND_PARTS[finger + 1]
    assert tip(bent, generator, part)[2] > tip(straight, generator, part)[2] + 0.02
    for other in set(HAND_PARTS[1:]) - {part}:
        rows = generator.parts == HAND_PARTS.index(other)
        # Webs between fingers give a little.
        assert np.median(np.linalg.norm(bent[rows] - straight[rows], axis=1)) < 1e-3


def test_angles_stay_in_range_and_motions_are_smooth():
    draw = np.random.default_rng(0)
    angles = sample_hand_angles(draw, 500)
    assert angles.min() >= -10
    assert angles.max() <= 95
    assert (angles[:, 6].min(), angles[:, 6].max()) == pytest.approx((0, 95), abs=5)
    motion = hand_motion(draw, 60, 30.0)
    assert motion.shape == (60, 21)
    # A spline through poses 0.6 s apart: at most some 300 degrees per second.
    assert np.abs(np.diff(motion, axis=0)).max() < 15


def test_the_task_writes_what_generate_reads(generator, monkeypatch, tmp_path):
    monkeypatch.setattr(hands_module, "HandGenerator", lambda: generator)
    told = run_to_end(hands(HandsSettings(tmp_path / "meshes", identities=4, poses=3)))
    assert told["poses"] == 12
    folder = open_mesh_folder(tmp_path / "meshes")
    assert folder.part_names == HAND_PARTS
    assert folder.root == "palm"
    assert json.loads((tmp_path / "meshes" / "parts.json").read_text())["about"].startswith("synthetic right hands")
    found = read_labels(folder, folder.identities[0])
    assert found is not None
    np.testing.assert_array_equal(found[1], generator.parts)
    report, subjects = run_to_end(check_meshes(folder))
    assert subjects is not None
    assert {found.level for found in report.findings} == {"note"}
    assert 0.1 < report.facts["size_m"] < 0.25
    assert 5 < subjects.canonical_per_metre < 9
    # The same seed gives the same hands, however many.
    run_to_end(hands(HandsSettings(tmp_path / "more", identities=5, poses=3)))
    first, again = (read_mesh(tmp_path / name / "hand_001" / "canonical.ply").vertices for name in ("meshes", "more"))
    np.testing.assert_array_equal(first, again)
