"""Frames whose codes were damaged are found again from their neighbours."""

from __future__ import annotations

import pytest
import torch
from test_solve import SETTINGS, Z_SHAPE, moving, observe

from spams_core.fitting.observation import Observation
from spams_core.fitting.refit import FrameRefit, neighbour_starts
from spams_core.fitting.solve import Solution, Start
from spams_core.fitting.surface import canonical_surface, posed_vertices
from spams_core.frames import world_from_posed
from spams_core.geometry.rigid import rotation_from_vector
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam
from spams_core.progress import run_to_end

FRAMES = 7
DAMAGED = torch.tensor([3, 4])


@pytest.fixture(scope="module")
def observations(bar_model: Spam) -> list[Observation]:
    return observe(bar_model, Z_SHAPE, *moving(FRAMES))[0]


@pytest.fixture(scope="module")
def truth(bar_model: Spam) -> Start:
    z_pose, roots, shift = moving(FRAMES)
    return Start("truth", CodeSpace.of(bar_model.pose_codes, 3).decode(z_pose), rotation_from_vector(roots), shift)


def damaged(truth: Start) -> Start:
    codes, shift = truth.pose_codes.clone(), truth.root_translation_m.clone()
    codes[DAMAGED] = -2 * codes[DAMAGED]
    shift[DAMAGED] += torch.tensor([0.3, 0.2, 0.0])
    return Start("damaged", codes, truth.root_rotation, shift)


def shape_of(spam: Spam) -> torch.Tensor:
    return CodeSpace.of(spam.shape_codes, 3).decode(Z_SHAPE)


def world(spam: Spam, codes: Start | Solution) -> torch.Tensor:
    surface = canonical_surface(spam, shape_of(spam), 48)
    posed = posed_vertices(spam, surface, shape_of(spam), codes.pose_codes)
    return world_from_posed(posed, codes.root_rotation, codes.root_translation_m)


def solve(spam: Spam, observations: list[Observation], start: Start, parts: tuple[int, ...] = ()) -> Solution:
    starts = neighbour_starts(start, observations, DAMAGED, spam.pose_codes.mean(0), parts)
    solver = FrameRefit(
        spam, observations, torch.ones(FRAMES - 1, dtype=torch.bool), 1 / 30, starts, SETTINGS,
        torch.Generator().manual_seed(0), shape_codes=shape_of(spam), moving=DAMAGED,
    )  # fmt: skip
    solution = run_to_end(solver.run())
    assert solver._steps_done == solver._steps
    return solution


def test_damaged_frames_recover_and_nothing_else_moves(bar_model: Spam, observations: list[Observation], truth: Start):
    broken = damaged(truth)
    right = world(bar_model, truth)
    found = solve(bar_model, observations, broken)
    before = (world(bar_model, broken) - right).norm(dim=-1).mean(1)
    after = (world(bar_model, found) - right).norm(dim=-1).mean(1)
    assert (before[DAMAGED] > 0.25).all()
    assert (after[DAMAGED] < 0.015).all(), "1.5 % of the bar's length"
    still = [t for t in range(FRAMES) if t not in DAMAGED]
    assert torch.allclose(found.pose_codes[still], truth.pose_codes[still], atol=1e-5)
    assert torch.equal(found.root_translation_m[still], truth.root_translation_m[still])
    assert torch.equal(found.shape_codes, shape_of(bar_model)), "the shape is held"


def test_one_part_starts_anew(bar_model: Spam, observations: list[Observation], truth: Start):
    codes = truth.pose_codes.clone()
    codes[DAMAGED, 1] = -2 * codes[DAMAGED, 1]
    broken = Start("one part", codes, truth.root_rotation, truth.root_translation_m)
    starts = neighbour_starts(broken, observations, DAMAGED, bar_model.pose_codes.mean(0), (1,))
    assert [start.name for start in starts] == ["the frame before", "the frame after", "the frame between", "mean pose"]
    for start in starts:
        assert torch.equal(start.pose_codes[:, 0], truth.pose_codes[:, 0])
        assert torch.equal(start.root_translation_m, truth.root_translation_m)
    found = solve(bar_model, observations, broken, (1,))
    right = world(bar_model, truth)[DAMAGED]
    assert (world(bar_model, broken)[DAMAGED] - right).norm(dim=-1).mean() > 0.03
    assert (world(bar_model, found)[DAMAGED] - right).norm(dim=-1).mean() < 0.015


def test_starts_lie_between_the_neighbours_and_end_at_the_ends(
    bar_model: Spam, observations: list[Observation], truth: Start
):
    mean = bar_model.pose_codes.mean(0)
    before, after, between = neighbour_starts(truth, observations, DAMAGED, mean)
    assert torch.equal(before.pose_codes[3], truth.pose_codes[2])
    assert torch.equal(after.pose_codes[3], truth.pose_codes[5])
    assert torch.allclose(between.pose_codes[3], torch.lerp(truth.pose_codes[2], truth.pose_codes[5], 1 / 3))
    turn = between.root_rotation[4]
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-5)
    assert torch.det(turn) > 0
    # At an end there is one neighbour only; where none stays, parts start from the mean.
    for start in neighbour_starts(truth, observations, torch.tensor([0, 1]), mean):
        assert torch.equal(start.pose_codes[0], truth.pose_codes[2])
    alone = neighbour_starts(truth, observations, torch.arange(FRAMES), mean, (1,))
    assert [start.name for start in alone] == ["mean pose"]
