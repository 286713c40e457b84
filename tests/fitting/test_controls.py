"""Weights that change while a fit runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest
import torch
from test_solve import SETTINGS, Z_SHAPE, moving, observe

from spams_core.errors import InputError
from spams_core.fitting.controls import LIVE_WEIGHTS, Controls, WeightChange
from spams_core.fitting.observation import Observation
from spams_core.fitting.solve import Solution, Solver
from spams_core.fitting.starts import mean_start
from spams_core.models.spam import Spam


@pytest.fixture(scope="module")
def observations(bar_model: Spam) -> list[Observation]:
    return observe(bar_model, Z_SHAPE, *moving(3))[0]


def solve(
    spam: Spam,
    observations: list[Observation],
    controls: Controls | None,
    during: Iterable[tuple[int, str, float]] = (),
) -> Solution:
    """Run a solver to its end; `during` are weights set after so many reports, as a window does."""
    adjacent = torch.ones(len(observations) - 1, dtype=torch.bool)
    solver = Solver(
        spam, observations, adjacent, 1 / 30, [mean_start(spam, observations)], SETTINGS,
        torch.Generator().manual_seed(0), controls=controls,
    )  # fmt: skip
    task, reports = solver.run(), 0
    while True:
        for after, name, value in during:
            if after == reports and controls is not None:
                controls.set_weight(name, value)
        try:
            next(task)
        except StopIteration as stop:
            return stop.value
        reports += 1


def same(first: Solution, second: Solution) -> bool:
    return all(
        torch.equal(getattr(first, name), getattr(second, name))
        for name in ("shape_codes", "pose_codes", "root_rotation", "root_translation_m")
    )


def test_controls_that_nobody_touches_change_no_bit(bar_model: Spam, observations: list[Observation]):
    plain = solve(bar_model, observations, None)
    touched = [(5, "icp_weight", SETTINGS.icp_weight)]  # the weight that it has anyway
    held = solve(bar_model, observations, Controls(), touched)
    assert same(plain, held)
    assert held.weight_changes == plain.weight_changes == ()


def test_a_weight_changed_during_a_fit_changes_its_end_and_is_recorded(
    bar_model: Spam, observations: list[Observation]
):
    plain = solve(bar_model, observations, None)
    changed = solve(bar_model, observations, Controls(), [(6, "shape_prior_weight", 1e3), (9, "icp_weight", 0.0)])
    assert changed.weight_changes == (WeightChange(6, "shape_prior_weight", 1e3), WeightChange(9, "icp_weight", 0.0))
    # A prior that outweighs all data leaves the mean shape.
    mean = bar_model.shape_codes.mean(0)
    assert (changed.shape_codes - mean).norm() < 0.05 * (plain.shape_codes - mean).norm()
    icp = changed.loss_history[:, changed.loss_names.index("icp")]
    assert (icp[9:] == 0).all()
    assert (icp[5:9] > 0).all()
    assert (changed.loss_history[:6] == plain.loss_history[:6]).all(), "steps before the change are those of any fit"


def test_recorded_changes_repeat_a_fit(bar_model: Spam, observations: list[Observation]):
    first = solve(bar_model, observations, Controls(), [(4, "icp_weight", 2.0), (8, "reconstruction_weight", 5.0)])
    again = solve(bar_model, observations, Controls(first.weight_changes))
    assert same(first, again)
    assert again.weight_changes == first.weight_changes


def test_only_weights_may_change_and_only_to_sensible_values():
    assert "temporal_weight" in LIVE_WEIGHTS
    assert "rounds" not in LIVE_WEIGHTS
    controls = Controls()
    with pytest.raises(InputError, match="'rounds' cannot change during a fit"):
        controls.set_weight("rounds", 3)
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="must be 0 or more"):
            controls.set_weight("icp_weight", value)
    assert controls.take(0) == {}


def test_the_last_of_many_changes_counts_once_from_any_thread():
    controls = Controls()
    threads = [
        threading.Thread(target=lambda name=name: [controls.set_weight(name, value) for value in range(200)])
        for name in LIVE_WEIGHTS
    ]
    for thread in threads:
        thread.start()
    taken: dict[str, float] = {}
    while any(thread.is_alive() for thread in threads):
        taken |= controls.take(0)
    taken |= controls.take(0)
    assert taken == dict.fromkeys(LIVE_WEIGHTS, 199)
    assert controls.take(1) == {}
