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
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.edit.state import EditState, Key, PoseEdit, same_state
from spams_core.errors import InputError
from spams_core.progress import Progress, Task

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


# --- keyframes --------------------------------------------------------------------------------------------------------


def test_keyframes_are_diamonds_and_edits_pin_where_the_playhead_is(edit: Any) -> None:
    actions, editing, strip = edit.commands.actions, edit.editing, edit.timeline.strip
    slider = edit.edit_workspace.codes_panel.pose_sliders[0]
    edit.session.frame = 2
    slider.setValue(100)
    assert not strip.keys, "without keyframes an edit counts in every frame"
    actions["edit.pin"].trigger()
    edit.session.frame = 6
    slider.setValue(300)
    assert strip.keys == [2, 6]
    edit.session.frame = 4
    assert slider.value() == 200, "half-way between two keyframes the slider stands half-way"
    assert not actions["edit.unpin"].isEnabled()
    actions["edit.key_back"].trigger()
    assert edit.session.frame == 2
    actions["edit.key_forward"].trigger()
    assert edit.session.frame == 6
    actions["edit.unpin"].trigger()
    assert strip.keys == [2]
    editing.undo_stack.undo()
    assert strip.keys == [2, 6]
    columns = [color_at(strip, strip.x_of(frame), 33) for frame in (2, 4)]
    assert columns[0] != columns[1]


def color_at(widget: Any, x: float, y: float) -> str:
    color: str = widget.grab().toImage().pixelColor(round(x), round(y)).name()
    return color


# --- map --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["shape", "pose"])
def test_dragging_on_the_map_moves_the_body_there(edit: Any, kind: str, qtbot: Any) -> None:
    panel, editing = edit.edit_workspace.map_panel, edit.editing
    edit.edit_workspace.tabs.setCurrentWidget(panel)
    panel.kind.setCurrentIndex(panel.kind.findData(kind))
    QTest.qWait(30)
    plane, index = edit.editor.maps[("shape", "pose").index(kind)], ("shape", "pose").index(kind)
    before = edit.editor.codes_at(edit.session.frame)
    here = panel.plane.pixel(panel.plane.current)
    QTest.mousePress(panel.plane, Qt.MouseButton.LeftButton, pos=here.toPoint())
    for step in range(1, 6):
        QTest.mouseMove(panel.plane, (panel.plane.pixel((0.0, step / 5))).toPoint())
    end = panel.plane.pixel((-1.0, 1.0)).toPoint()
    QTest.mouseRelease(panel.plane, Qt.MouseButton.LeftButton, pos=end)
    assert editing.undo_stack.count() == 1
    after = edit.editor.codes_at(edit.session.frame)
    # A pixel is 6 σ of both axes in about 240.
    np.testing.assert_allclose(plane.place(after[index]), panel.plane.point(end.x(), end.y()), atol=1e-3)
    np.testing.assert_array_equal(after[1 - index], before[1 - index])
    qtbot.waitUntil(lambda: edit.session.edited is not None and not edit.session.edited.preview, timeout=5_000)
    panel.back.click()
    np.testing.assert_array_equal(edit.editor.codes_at(edit.session.frame)[index], before[index])


def test_codes_unlike_the_training_bodies_are_warned_about(edit: Any, qtbot: Any) -> None:
    warning, editing = edit.edit_workspace.footer.warning, edit.editing
    editing.set_blend(shape_amount=1.0, pose_amount=1.0)  # the mean body
    QTest.qWait(120)
    assert not warning.isVisible()
    editing.move_slider("shape", 1, 0, 3.0)
    editing.move_slider("shape", 1, 1, 3.0)
    limit, far = edit.editor.maps[0].limit[1], edit.editor.maps[0].distance(edit.editor.codes_on_screen().shape)[1]
    assert far > limit
    qtbot.waitUntil(warning.isVisible, timeout=1_000)
    assert warning.text() == "Unlike 99 % of the training bodies: shape of torso."
    editing.reset()
    qtbot.waitUntil(lambda: not warning.isVisible(), timeout=1_000)


# --- saving -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the worker was given to write; the stand-in's bodies cannot be decoded by the real networks."""
    calls: list[tuple[Any, ...]] = []

    def stand_in(name: str) -> Callable[..., Task[Path]]:
        def bake(model: Path, motion: Any, out: Path, *rest: Any) -> Task[Path]:
            yield Progress(0, 1, "Decoding")
            calls.append((name, motion, out, *rest))
            out.mkdir()
            return out

        return bake

    for name in ("bake_fit", "bake_meshes"):
        monkeypatch.setattr(f"spams_core.tasks.bake.{name}", stand_in(name))
    return calls


def accept(window: Any, command: str, qtbot: Any, **fields: Any) -> list[str]:
    """Choose a command, fill its dialog in and press Save. Returns the formats that it offers."""
    from app.edit.saving import SaveDialog

    window.commands.actions[command].trigger()
    dialog = window.findChild(SaveDialog)
    assert dialog.isVisible()
    offered = [dialog.format.itemData(index) for index in range(dialog.format.count())]
    for name, value in fields.items():
        field = getattr(dialog, name)
        if name == "format":
            field.setCurrentIndex(field.findData(value))
        else:
            field.setValue(value)
    with qtbot.waitSignal(window.jobs.exported, timeout=5_000):
        next(button for button in dialog.buttons.buttons() if button.text() == "Save").click()
    return offered


def test_every_frame_is_saved_with_its_edit(edit: Any, written: Any, fit_folder: Path, qtbot: Any) -> None:
    editing, actions = edit.editing, edit.commands.actions
    assert not actions["edit.save"].isEnabled()
    editing.move_slider("shape", 0, 0, 1.0)
    editing.pin()
    edit.session.frame = 8
    editing.move_slider("pose", 1, 0, 2.0)
    accept(edit, "edit.save", qtbot)
    ((name, motion, out, start, told),) = written
    assert (name, out, start) == ("bake_fit", fit_folder.with_name("ball_fitted_edited"), edit.session.fit)
    fit = ball_fit()
    added = motion.pose_codes - fit.pose_codes
    np.testing.assert_allclose(added[:, 1, 0], 0.1 * np.linspace(0, 2, 5), atol=1e-6)
    assert np.abs(np.delete(added.reshape(5, -1), 4, axis=1)).max() == 0
    np.testing.assert_allclose(motion.shape_codes[0, 0], fit.shape_codes[0, 0] + 0.1, rtol=1e-6)
    assert [key["frame"] for key in told["keyframes"]] == [0, 8]
    assert out in edit.preferences.recent


@pytest.mark.parametrize("shape_moves", [False, True])
def test_the_walk_is_saved_as_a_fit_or_where_the_shape_changes_as_meshes(
    edit: Any, written: Any, shape_moves: bool, qtbot: Any
) -> None:
    edit.editing.set_blend(pose_amount=0.5, shape_amount=float(shape_moves))
    offered = accept(edit, "edit.walk", qtbot, frames=5, format="obj" if shape_moves else "fit")
    assert offered == (["ply", "obj"] if shape_moves else ["fit", "ply", "obj"])
    ((name, motion, _, *rest),) = written
    assert name == ("bake_meshes" if shape_moves else "bake_fit")
    fit, shares = ball_fit(), np.linspace(0, 1, 5)[:, None, None]
    np.testing.assert_allclose(motion.pose_codes, (1 - 0.5 * shares) * fit.pose_codes[0], atol=1e-6)
    if shape_moves:
        np.testing.assert_allclose(motion.shape_codes, (1 - shares) * fit.shape_codes, atol=1e-6)
        assert rest[0] == "obj"
    else:
        assert motion.shape_codes.shape == fit.shape_codes.shape
        assert rest[0] is None, "nothing was observed on the way"


def test_a_save_that_failed_is_forgotten(edit: Any, written: Any, tmp_path: Path, monkeypatch: Any, qtbot: Any) -> None:
    def failing(*_: Any) -> Task[Path]:
        yield Progress(0, 1, "Decoding")
        raise InputError("No room. Choose another folder.")

    edit.jobs.failed.disconnect()
    with monkeypatch.context() as patch, qtbot.waitSignal(edit.jobs.failed, timeout=5_000):
        patch.setattr("spams_core.tasks.bake.bake_fit", failing)
        edit.editing.move_slider("shape", 0, 0, 1.0)
        edit.edit_workspace.saving.save_fit(tmp_path / "out")
        qtbot.waitUntil(lambda: not edit.jobs.running, timeout=5_000)
    edit.editing.set_blend(pose_amount=0.5)
    with qtbot.waitSignal(edit.jobs.exported, timeout=5_000):
        edit.edit_workspace.saving.save_walk(tmp_path / "out", "ply", 3)
    assert [name for name, *_ in written] == ["bake_meshes"]
    assert tmp_path / "out" not in edit.preferences.recent  # meshes are no fit


def test_sliders_rest_while_another_model_is_loaded(edit: Any, qtbot: Any) -> None:
    edit.editor.load()
    slider = edit.edit_workspace.codes_panel.shape_sliders[0]
    slider.setValue(100)
    assert slider.value() == 0
    assert not edit.editing.state.changes_anything
    with qtbot.waitSignal(edit.editor.model_loaded, timeout=5_000):
        pass
    edit.edit_workspace.codes_panel.shape_sliders[0].setValue(100)  # each model has sliders of its own
    assert edit.editing.sigma("shape")[0, 0] == 1.0


@pytest.mark.parametrize("here", [True, False])
def test_a_fit_that_opens_while_its_model_is_loaded_does_not_load_it_again(
    opened: Opened, fit_folder: Path, bench: Any, tmp_path: Path, monkeypatch: Any, qtbot: Any, here: bool
) -> None:
    other = tmp_path / "other"  # where it is not here, the fit is from another machine, its codes are of this model
    other.mkdir()
    monkeypatch.setattr("spams_core.tasks.fit.default_model", lambda _: other)
    window = opened(fit_folder)
    loaded: list[Any] = []
    errors: list[Any] = []
    fit = window.session.fit
    window.session.fit = None
    window.editor.model_loaded.connect(loaded.append)
    window.editor.failed.connect(errors.append)
    bench.delay_s = 0.2
    window.editor.load()
    model = other if here else tmp_path / "gone"
    window.session.fit = dataclasses.replace(fit, manifest={**fit.manifest, "model": str(model)})
    qtbot.waitUntil(lambda: window.editor.workbench is not None, timeout=5_000)
    qtbot.waitUntil(lambda: window.editor.idle, timeout=5_000)
    qtbot.wait(50)
    assert loaded == [bench]
    assert errors == []
    window.editor.load()
    qtbot.waitUntil(lambda: len(loaded) == 2, timeout=5_000)


# --- pulling ----------------------------------------------------------------------------------------------------------


def mouse(widget: Any, kind: Any, x: float, y: float) -> None:
    """A mouse event in a widget's pixels."""
    from PySide6.QtCore import QPointF
    from PySide6.QtGui import QMouseEvent

    up = kind == QEvent.Type.MouseButtonRelease
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    place = QPointF(x, y)
    held = none if up else left
    event = QMouseEvent(kind, place, widget.mapToGlobal(place), left, held, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget, event)


@pytest.mark.parametrize("reach", [0, 4])
def test_a_pulled_point_follows_the_pointer(edit: Any, reach: int, qtbot: Any) -> None:
    edit.session.frame = 4
    edit.edit_workspace.footer.reach.setValue(reach)
    # The mean pose: the stand-in's random codes move the fitted ball out of the view.
    edit.editing.set_blend(pose_amount=1.0)
    before = {frame: edit.editor.codes_at(frame)[1] for frame in range(10)}
    puller, camera = edit.edit_workspace.puller, edit.viewport.world_camera
    edit.commands.actions["edit.pull"].trigger()
    edit.commands.actions["view.left"].trigger()  # the stand-in moves along x, where the sensor looks
    qtbot.waitUntil(lambda: edit.session.edited is not None and not edit.session.edited.preview, timeout=5_000)
    body = edit.session.edited
    front = int(np.linalg.norm(body.vertices_world - camera.GetPosition(), axis=1).argmin())
    x, y, _ = puller.pixels(body.vertices_world[front : front + 1])[0]
    goal = body.vertices_world[front] + [0.1, 0, 0]
    to_x, to_y, _ = puller.pixels(goal[None])[0]
    eye = camera.GetPosition()
    mouse(edit.viewport, QEvent.Type.MouseButtonPress, x, y)
    for share in (0.3, 0.6, 1.0):
        mouse(edit.viewport, QEvent.Type.MouseMove, x + share * (to_x - x), y + share * (to_y - y))
    mouse(edit.viewport, QEvent.Type.MouseButtonRelease, to_x, to_y)
    qtbot.waitUntil(lambda: puller.idle and edit.editing.undo_stack.count() == 2, timeout=5_000)
    qtbot.waitUntil(lambda: edit.editor.idle, timeout=5_000)
    QTest.qWait(50)
    assert camera.GetPosition() == eye, "the camera stays"
    moved = edit.session.edited.vertices_world[front]
    assert moved[0] - body.vertices_world[front, 0] == pytest.approx(0.1, abs=0.015), "to 12.5 mm"
    assert edit.timeline.strip.keys == ([0, 4, 8] if reach else [])
    for frame, pose in before.items():
        share = 1.0 if not reach else max(0.0, 1 - abs(frame - 4) / reach)
        added = (edit.editor.codes_at(frame)[1] - pose).sum()
        assert added == pytest.approx(0.8 * 0.1 * share, abs=0.012), frame
    edit.editing.undo_stack.undo()
    assert not edit.timeline.strip.keys
    np.testing.assert_array_equal(edit.editor.codes_at(4)[1], before[4])
    edit.turn_to("inspect")
    assert not puller.on
