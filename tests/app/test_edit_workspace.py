"""The workspace Edit: every edit can be undone, and does to the body what it says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import ball_fit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.edit.state import EditState, Key, PoseEdit, same_state

Opened = Callable[[Path], Any]
SIGMA = st.floats(-3, 3).map(lambda x: round(x, 2))
KIND = st.sampled_from(["shape", "pose"])
PART = st.integers(0, 1)


@pytest.fixture
def limbs(bench: Any) -> None:
    """The stand-in's two parts become a pair of arms."""
    bench.part_names = ("left_arm", "right_arm")


@pytest.fixture
def edit(opened: Opened, fit_folder: Path) -> Any:
    """The window with a fit and the workspace open."""
    window = opened(fit_folder)
    window.edit_workspace.show_sliders()
    return window


EDIT = st.one_of(
    st.tuples(st.just("move_slider"), KIND, PART, st.integers(0, 4), SIGMA),
    st.tuples(st.just("reset")),
    st.tuples(st.just("reset_part"), PART),
    st.tuples(st.just("randomise"), st.lists(KIND, min_size=1, unique=True), st.none() | PART, st.integers(0, 9)),
    st.tuples(st.just("shift_on_map"), KIND, st.tuples(SIGMA, SIGMA)),
    st.tuples(st.just("take"), st.sampled_from("AB"), st.sampled_from(["fit", "mean", "random", "screen"])),
    st.tuples(st.just("choose_part"), KIND, PART, st.booleans()),
    st.tuples(st.just("amount"), KIND, st.floats(0, 1)),
    st.tuples(st.just("way"), st.booleans()),
    st.tuples(st.just("pin")),
    st.tuples(st.just("unpin")),
    st.tuples(st.just("frame"), st.integers(0, 9)),
    st.tuples(st.just("drag"), KIND, PART, st.lists(SIGMA, min_size=1, max_size=4)),
)


def perform(window: Any, what: str, *arguments: Any) -> None:
    """One edit, as the panels ask for it."""
    editing, editor = window.editing, window.editor
    if what == "frame":
        window.session.frame = arguments[0]
    elif what == "take":
        bodies = {
            "fit": editor.fit_codes, "mean": editor.mean_codes, "random": lambda: editor.random_codes(3),
            "screen": editor.codes_on_screen,
        }  # fmt: skip
        editing.take(arguments[0], bodies[arguments[1]]())
    elif what == "amount":
        editing.set_blend(**{f"{arguments[0]}_amount": arguments[1]})
    elif what == "way":
        editing.set_blend(spherical=arguments[0])
    elif what == "drag":
        for sigma in arguments[2]:
            editing.move_slider(arguments[0], arguments[1], 0, sigma, dragging=True)
        editing.move_slider(arguments[0], arguments[1], 0, arguments[2][-1])
    else:
        getattr(editing, what)(*arguments)


def test_any_edits_undone_give_the_first_state_and_redone_the_last(limbs: None, edit: Any) -> None:
    window = edit
    editing, stack = window.editing, window.editing.undo_stack
    panel = window.edit_workspace.codes_panel

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(EDIT, max_size=12), st.booleans())
    def check(edits: list[tuple[Any, ...]], symmetric: bool) -> None:
        editing.symmetric = symmetric
        first, frame = editing.state, window.session.frame
        steps = stack.index()
        states = [first]
        for what in edits:
            perform(window, *what)
            if not same_state(editing.state, states[-1]):
                states.append(editing.state)
        last, codes = editing.state, window.editor.codes_on_screen()
        assert stack.index() - steps == len(states) - 1, "each edit that changes something is one step"
        for state in reversed(states[:-1]):
            stack.undo()
            assert same_state(editing.state, state)
        assert same_state(editing.state, first)
        for _ in states[1:]:
            stack.redo()
        assert same_state(editing.state, last)
        again = window.editor.codes_on_screen()
        assert np.array_equal(codes.shape, again.shape)
        assert np.array_equal(codes.pose, again.pose)
        assert panel.shape_sliders[0].value() == np.clip(round(100 * editing.sigma("shape")[0, 0]), -300, 300)
        while stack.index() > steps:
            stack.undo()
        window.session.frame = frame

    check()


def test_a_drag_is_one_step(edit: Any) -> None:
    editing = edit.editing
    for sigma in (0.5, 1.0, 1.5):
        editing.move_slider("pose", 0, 1, sigma, dragging=True)
    assert editing.undo_stack.count() == 0
    editing.move_slider("pose", 0, 1, 1.5)
    assert editing.undo_stack.count() == 1
    editing.undo_stack.undo()
    assert not editing.state.changes_anything


def test_symmetric_edits_mirror_the_difference(limbs: None, edit: Any) -> None:
    editing = edit.editing
    editing.move_slider("shape", 1, 2, 0.5)
    edit.edit_workspace.codes_panel.symmetric.click()
    editing.move_slider("shape", 0, 2, 1.0)
    # The stand-in's mirror map turns every sign around.
    assert editing.sigma("shape")[:, 2].tolist() == [1.0, -0.5]
    editing.reset_part(1)
    assert not editing.sigma("shape").any()


def test_parts_without_a_counterpart_offer_no_symmetry(edit: Any) -> None:
    assert not edit.edit_workspace.codes_panel.symmetric.isVisible()


def test_randomise_repeats_with_its_seed_and_counts_up(edit: Any) -> None:
    panel, editing = edit.edit_workspace.codes_panel, edit.editing
    actions = {action.text(): action for action in panel.random_menu.actions()}
    panel.seed.setValue(7)
    actions["Shape and pose of all parts"].trigger()
    drawn = editing.state
    assert np.abs(drawn.shape_sigma).max() <= 2.5
    assert drawn.shape_sigma.std() == pytest.approx(1.0, abs=0.4)
    assert panel.seed.value() == 8
    editing.undo_stack.undo()
    assert not editing.state.changes_anything
    panel.seed.setValue(7)
    actions["Shape and pose of all parts"].trigger()
    assert same_state(editing.state, drawn)
    editing.reset()
    panel.parts[1].click()
    actions["This part's pose"].trigger()
    assert editing.sigma("pose")[1].all()
    assert not editing.sigma("pose")[0].any()
    assert not editing.sigma("shape").any()


def test_pose_edits_change_evenly_between_keyframes() -> None:
    edits = [PoseEdit(np.full((2, 3), value), (value, -value)) for value in (1.0, 3.0)]
    state = dataclasses.replace(EditState.neutral((2, 3), (2, 3)), keys=(Key(4, edits[0]), Key(8, edits[1])))
    for frame, wanted in ((0, 1.0), (4, 1.0), (5, 1.5), (6, 2.0), (8, 3.0), (99, 3.0)):
        assert state.pose_edit(frame).sigma == pytest.approx(wanted), frame
        assert state.pose_edit(frame).shift == pytest.approx((wanted, -wanted))
    assert state.without_key(8).without_key(4).pose.sigma == pytest.approx(1.0)


def test_parts_are_mixed_from_a_and_b(edit: Any) -> None:
    editing, panel = edit.editing, edit.edit_workspace.blend_panel
    edit.edit_workspace.tabs.setCurrentWidget(panel)
    panel.checks["shape"][0].click()
    panel.checks["pose"][1].click()
    codes, fit = edit.editor.codes_on_screen(), ball_fit()
    np.testing.assert_array_equal(codes.shape, [fit.shape_codes[0], np.zeros(8)])
    np.testing.assert_array_equal(codes.pose, [np.zeros(4), fit.pose_codes[0][1]])
    assert panel._percent[panel.shape_slider].text() == "100 %"
    editing.undo_stack.undo()
    assert panel.checks["pose"][1].isChecked()


def test_pose_of_another_fit_follows_the_playhead(edit: Any, tmp_path: Path, qtbot: Any) -> None:
    from spams_core.data.fit import write_fit

    other = dataclasses.replace(ball_fit(), pose_codes=2 + ball_fit().pose_codes)
    write_fit(tmp_path / "other", other)
    edit.documents.take_body("B", tmp_path / "other")
    qtbot.waitUntil(lambda: edit.editing.state.b is not None, timeout=5_000)
    edit.editing.set_blend(pose_amount=1.0)
    for row, frame in enumerate(other.frame_indices):
        edit.session.frame = int(frame)
        codes = edit.editor.codes_on_screen()
        np.testing.assert_allclose(codes.pose, other.pose_codes[row], atol=1e-6)
        np.testing.assert_array_equal(codes.shape, ball_fit().shape_codes)
