"""A fit that goes on after one of its rounds ends where the one that was not interrupted does, bit for bit."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
import torch
from test_frame_refit import DAMAGED, damaged, shape_of
from test_solve import SETTINGS, Z_SHAPE, moving, observe

from spams_core.data.fit_history import FitHistory
from spams_core.errors import InputError
from spams_core.fitting.controls import Controls, WeightChange
from spams_core.fitting.observation import Observation
from spams_core.fitting.refit import FrameRefit, neighbour_starts
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.solve import Solution, Solver, Start
from spams_core.fitting.state import SolveState
from spams_core.geometry.rigid import rotation_from_vector
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam
from spams_core.progress import run_to_end

FRAMES = 6
QUICK = dataclasses.replace(SETTINGS, align_iterations=1, rounds=2, joint_rounds=2, iterations=2, keyframe_stride=3)


@pytest.fixture(scope="module")
def observations(bar_model: Spam) -> list[Observation]:
    return observe(bar_model, Z_SHAPE, *moving(FRAMES))[0]


def start_of(spam: Spam) -> Start:
    pose, rotation = spam.pose_codes.mean(0).expand(FRAMES, -1, -1), torch.eye(3).expand(FRAMES, 3, 3)
    return Start("mean", pose, rotation, torch.zeros(FRAMES, 3))


def whole(spam: Spam, observations: list[Observation], settings: SolveSettings = QUICK, **more: Any) -> Solver:
    starts = [] if more.get("state") else [start_of(spam)]
    return Solver(
        spam, observations, torch.ones(FRAMES - 1, dtype=torch.bool), 1 / 30, starts, settings,
        torch.Generator().manual_seed(3), **more,
    )  # fmt: skip


def stored(state: SolveState) -> SolveState:
    """Through a file and back."""
    file = io.BytesIO()
    np.savez(file, **state.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return SolveState.of_arrays(dict(arrays))


def assert_same(first: Solution, second: Solution) -> None:
    for name in ("shape_codes", "pose_codes", "root_rotation", "root_translation_m"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name
    assert torch.equal(first.surface.vertices, second.surface.vertices)
    assert first.loss_names == second.loss_names
    assert np.array_equal(first.loss_history, second.loss_history)
    assert first.weight_changes == second.weight_changes
    if first.rounds is None:
        assert second.rounds is None
    else:
        assert second.rounds is not None
        for field in dataclasses.fields(FitHistory):
            a, b = getattr(first.rounds, field.name), getattr(second.rounds, field.name)
            assert a.dtype == b.dtype, field.name
            assert np.array_equal(a, b), field.name


def test_a_fit_goes_on_after_a_round_as_if_it_had_not_been_interrupted(
    bar_model: Spam, observations: list[Observation]
):
    states: list[SolveState] = []
    changes = [WeightChange(3, "icp_weight", 0.9), WeightChange(11, "icp_weight", 0.5)]
    plain = whole(bar_model, observations, controls=Controls(changes), keep_rounds=True, keep_state=states.append)
    expected = run_to_end(plain.run())
    assert [state.rounds_done for state in states] == list(range(1, len(states) + 1))
    assert {state.rounds for state in states} == {len(states)}
    assert expected.weight_changes == tuple(changes)
    for state in states[::3]:  # after an alignment, between keyframes, and among all frames
        # A planned change that was made before is not made a second time.
        solver = whole(bar_model, observations, controls=Controls(changes), keep_rounds=True, state=stored(state))
        assert_same(run_to_end(solver.run()), expected)
        assert solver._steps_done == plain._steps_done


def test_without_the_rounds_kept_it_goes_on_too(bar_model: Spam, observations: list[Observation]):
    states: list[SolveState] = []
    settings = dataclasses.replace(QUICK, dense_correspondence=False)
    expected = run_to_end(whole(bar_model, observations, settings, keep_state=states.append).run())
    going_on = whole(bar_model, observations, settings, state=stored(states[3]))
    assert_same(run_to_end(going_on.run()), expected)


def test_frames_that_are_fitted_anew_go_on(bar_model: Spam, observations: list[Observation]):
    z_pose, roots, shift = moving(FRAMES)
    truth = Start("truth", CodeSpace.of(bar_model.pose_codes, 3).decode(z_pose), rotation_from_vector(roots), shift)
    starts = neighbour_starts(damaged(truth), observations, DAMAGED, bar_model.pose_codes.mean(0))
    states: list[SolveState] = []

    def solve(starts: list[Start], **more: Any) -> Solution:
        solver = FrameRefit(
            bar_model, observations, torch.ones(FRAMES - 1, dtype=torch.bool), 1 / 30, starts, QUICK,
            torch.Generator().manual_seed(0), keep_rounds=True, shape_codes=shape_of(bar_model), moving=DAMAGED, **more,
        )  # fmt: skip
        return run_to_end(solver.run())

    expected = solve(starts, keep_state=states.append)
    assert len(states) == 1 + QUICK.rounds + QUICK.joint_rounds
    for state in states[::2]:
        assert_same(solve([], state=stored(state)), expected)


def test_a_state_does_not_change_when_its_fit_goes_on(bar_model: Spam, observations: list[Observation]):
    states: list[tuple[SolveState, dict[str, np.ndarray]]] = []
    solver = whole(
        bar_model, observations, keep_rounds=True,
        keep_state=lambda state: states.append((state, {k: v.copy() for k, v in state.arrays().items()})),
    )  # fmt: skip
    run_to_end(solver.run())
    for state, then in states:
        now = state.arrays()
        assert now.keys() == then.keys()
        assert all(np.array_equal(now[name], then[name]) for name in now)


def test_a_state_of_another_fit_or_with_holes_is_refused(bar_model: Spam, observations: list[Observation]):
    states: list[SolveState] = []
    run_to_end(whole(bar_model, observations, keep_state=states.append).run())
    with pytest.raises(InputError, match="do not belong to this fit"):
        states[0].require(FRAMES - 1, len(states[0].z_shape), states[0].z_pose.shape[1])
    broken = dataclasses.replace(states[0], z_pose=np.full_like(states[0].z_pose, np.nan))
    with pytest.raises(InputError, match="do not belong to this fit"):
        whole(bar_model, observations, state=broken)
    for name in states[0].arrays():
        left = {key: value for key, value in states[0].arrays().items() if key != name}
        with pytest.raises(InputError, match="lacks a part"):
            SolveState.of_arrays(left)
    with pytest.raises(InputError, match="keeps no rounds"):
        whole(bar_model, observations, state=states[0], keep_rounds=True)
