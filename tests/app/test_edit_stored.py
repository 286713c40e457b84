"""Edits in project files: the same state to the last bit, in the window and after a crash."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import ball_fit
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PySide6.QtWidgets import QMessageBox

from app.edit.state import Codes, EditState, Key, Pin, PoseEdit, same_state
from app.edit.stored import StateSizes, state_from_data, state_to_data
from app.project.project_file import Project, read_project, write_project
from spams_core.errors import InputError

Opened = Callable[[Path], Any]
SIZES = StateSizes((2, 6), (2, 6), (2, 8), (2, 4))

NUMBER = st.floats(-1e6, 1e6)
SHIFT = st.tuples(NUMBER, NUMBER)
TRIPLE = st.tuples(NUMBER, NUMBER, NUMBER)
EDIT = st.builds(PoseEdit, arrays(np.float64, SIZES.pose, elements=NUMBER), SHIFT)
SHARE, SWITCHES = st.floats(0, 1), st.just(()) | st.tuples(st.booleans(), st.booleans())
KEYS = st.dictionaries(st.integers(0, 10_000), EDIT, max_size=4).map(
    lambda found: tuple(Key(frame, edit) for frame, edit in sorted(found.items()))
)
FIT = ball_fit()
FITTED = Codes("This fit, all frames", FIT.shape_codes, FIT.pose_codes[0], FIT.pose_codes, FIT.frame_indices)


@st.composite
def bodies(draw: Any) -> Codes | None:
    kind = draw(st.sampled_from(["none", "fit", "one", "moving"]))
    if kind in ("none", "fit"):
        return FITTED if kind == "fit" else None
    numbers = st.floats(-1e6, 1e6, width=32)
    shape, pose = (draw(arrays(np.float32, size, elements=numbers)) for size in (SIZES.shape_codes, SIZES.pose_codes))
    if kind == "one":
        return Codes(draw(st.text()), shape, pose)
    count = draw(st.integers(1, 4))
    motion = draw(arrays(np.float32, (count, *SIZES.pose_codes), elements=numbers))
    return Codes(draw(st.text()), shape, pose, motion, np.arange(count) * 3)


STATE = st.builds(
    EditState, arrays(np.float64, SIZES.shape, elements=NUMBER), EDIT, SHIFT, KEYS, bodies(), bodies(), SHARE, SHARE,
    SWITCHES, SWITCHES, st.booleans(), st.booleans(),
    st.lists(st.builds(Pin, st.integers(0, 999), st.integers(0, 1), TRIPLE, TRIPLE), max_size=3).map(tuple),
    st.sets(st.integers(0, 1)).map(lambda parts: tuple(sorted(parts))),
)  # fmt: skip


def same_body(x: Codes | None, y: Codes | None) -> bool:
    if x is None or y is None:
        return x is y
    pairs = ((getattr(x, field.name), getattr(y, field.name)) for field in dataclasses.fields(Codes))
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def equal(x: EditState, y: EditState) -> bool:
    """Same values, bodies included."""
    without = [dataclasses.replace(state, a=None, b=None) for state in (x, y)]
    return same_state(*without) and same_body(x.a, y.a) and same_body(x.b, y.b)


@settings(max_examples=60, deadline=None)
@given(STATE)
def test_a_state_goes_through_a_file_unchanged(tmp_path_factory: Any, state: EditState) -> None:
    path = tmp_path_factory.mktemp("project") / "a.spamproj"
    write_project(path, Project(edits=state_to_data(state, FITTED)))
    data = read_project(path).edits
    assert data is not None or equal(state, EditState.neutral(SIZES.shape, SIZES.pose))
    if data is not None:
        assert equal(state_from_data(data, SIZES, FITTED), state)
    path.unlink()


def full_state() -> EditState:
    return EditState(
        np.ones((2, 6)), PoseEdit(np.zeros((2, 6))), (0.5, 0.0), (Key(2, PoseEdit(np.ones((2, 6)))),), FITTED,
        Codes("x", np.ones((2, 8), np.float32), np.ones((2, 4), np.float32)), 0.5, 0.25, (True, False), (), True, True,
        (Pin(2, 1, (0.0, 1.0, 2.0), (3.0, 4.0, 5.0)),), (1,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("shape", "sigma"), [[1.0] * 6]),
        (("shape", "sigma"), [["x"] * 6] * 2),
        (("shape", "shift"), [1.0]),
        (("keyframes", 0, "frame"), -1),
        (("keyframes", 0, "frame"), 1.5),
        (("blend", "shape_amount"), 2.0),
        (("blend", "shape_parts"), [True]),
        (("blend", "b", "shape", "float32"), "AAAA"),
        (("blend", "b", "shape", "size"), [1, 16]),
        (("blend", "a"), 3),
        (("pins", 0, "part"), 2),
        (("pins", 0, "target_m"), [1.0, 2.0]),
        (("held_parts",), [2]),
        (("pose",), None),
    ],
)
def test_damaged_edits_are_refused(place: tuple[Any, ...], value: Any) -> None:
    data = json.loads(json.dumps(state_to_data(full_state(), FITTED)))
    state_from_data(data, SIZES, FITTED)
    within = data
    for step in place[:-1]:
        within = within[step]
    within[place[-1]] = value
    with pytest.raises(InputError, match="They are left out"):
        state_from_data(data, SIZES, FITTED)


def test_the_fit_as_a_body_needs_the_fit() -> None:
    data = state_to_data(full_state(), FITTED)
    assert data is not None
    assert data["blend"]["a"] == {"title": "This fit, all frames", "of": "fit"}
    with pytest.raises(InputError, match="fit that it was saved with"):
        state_from_data(data, SIZES, None)


# --- in the window ----------------------------------------------------------------------------------------------------


def boxes(window: Any) -> list[QMessageBox]:
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def click(window: Any, text: str) -> None:
    (box,) = boxes(window)
    next(button for button in box.buttons() if button.text().replace("&", "") == text).click()


def edit_all(window: Any) -> None:
    """A bit of everything."""
    editing = window.editing
    editing.move_slider("shape", 0, 1, 1.5)
    editing.shift_on_map("pose", (0.5, -0.25))
    editing.pin()
    window.session.frame = 6
    editing.move_slider("pose", 1, 0, 2.0)
    editing.take("B", window.editor.random_codes(3))
    editing.set_blend(pose_amount=0.3)
    editing.choose_part("pose", 1, False)


def test_a_project_brings_the_edits_back(opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any) -> None:
    window, path = opened(fit_folder), tmp_path / "a.spamproj"
    edit_all(window)
    state, codes = window.editing.state, window.editor.codes_at(3)
    window.close()
    click(window, "Cancel")
    window.projects.save_to(path)
    assert not window.leaving.unsaved
    window.commands.actions["project.new"].trigger()
    assert not window.editing.state.changes_anything
    window.open_path(path)
    qtbot.waitUntil(lambda: window.projects.path == path and not window.projects._applying, timeout=20_000)
    assert equal(window.editing.state, state)
    for restored, before in zip(window.editor.codes_at(3), codes, strict=True):
        np.testing.assert_array_equal(restored, before)
    assert window.timeline.strip.keys == [0, 6]
    qtbot.waitUntil(lambda: window.session.edited is not None, timeout=20_000)
    assert not window.projects.modified
    assert not window.leaving.unsaved
    assert not window.editing.undo_stack.canUndo()
    window.editing.move_slider("shape", 0, 1, 0.5)
    assert window.leaving.unsaved
    window.editing.undo_stack.undo()
    assert not window.leaving.unsaved
    window.editing.reset()
    assert window.projects.unsaved, "the file holds edits that are gone here"
    window.commands.actions["project.save"].trigger()


def test_edits_wait_for_the_model_of_their_fit(
    opened: Opened, fit_folder: Path, bench: Any, tmp_path: Path, qtbot: Any
) -> None:
    window, path = opened(fit_folder), tmp_path / "a.spamproj"
    window.editing.move_slider("shape", 0, 1, 1.5)
    state = window.editing.state
    window.projects.save_to(path)
    window.commands.actions["project.new"].trigger()
    bench.delay_s = 0.3
    window.editor._model = None  # as if a fit of another model had been open
    (tmp_path / "model").mkdir()
    window.open_path(path)
    qtbot.waitUntil(lambda: window.projects.path == path and not window.projects._applying, timeout=20_000)
    assert window.editor.workbench is not None
    assert equal(window.editing.state, state)


def test_edits_of_another_model_are_told_and_left_out(
    opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any
) -> None:
    window, path = opened(fit_folder), tmp_path / "a.spamproj"
    window.editing.move_slider("shape", 0, 1, 1.5)
    window.projects.save_to(path)
    data = json.loads(path.read_text())
    data["edits"]["shape"]["sigma"] = [[1.0]]
    path.write_text(json.dumps(data))
    window.commands.actions["project.new"].trigger()
    window.open_path(path)
    qtbot.waitUntil(lambda: bool(boxes(window)), timeout=20_000)
    assert "They are left out" in boxes(window)[0].text()
    boxes(window)[0].close()
    assert window.session.fit_path == fit_folder
    assert not window.editing.state.changes_anything


def test_edits_are_kept_while_one_works_and_come_back_after_a_crash(
    opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any
) -> None:
    window, kept = opened(fit_folder), tmp_path / "kept"
    window.projects.start_recovery(folder=kept)
    edit_all(window)
    state, file = window.editing.state, window.projects._recovery.file
    data = window.editing.to_data()
    qtbot.waitUntil(lambda: file.exists() and read_project(file).edits == data, timeout=20_000)
    left = (kept / "left.spamproj").write_bytes(file.read_bytes())  # what a window that died leaves
    assert left
    window.editing.reset()
    window.projects._recovery.close()
    window.commands.actions["project.new"].trigger()
    window.projects.start_recovery(folder=kept)
    click(window, "Recover")
    qtbot.waitUntil(lambda: equal(window.editing.state, state), timeout=20_000)
    qtbot.waitUntil(lambda: not window.projects._applying, timeout=20_000)
    assert window.leaving.unsaved, "no file of the user has them"


def test_edits_saved_in_the_project_on_the_way_out(
    opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any
) -> None:
    window, path = opened(fit_folder), tmp_path / "a.spamproj"
    window.projects.save_to(path)
    window.editing.move_slider("shape", 0, 1, 1.5)
    window.close()
    click(window, "Save Project")
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=20_000)
    assert read_project(path).edits["shape"]["sigma"][0][1] == 1.5
