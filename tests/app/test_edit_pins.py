"""Pulls and pins: nothing that was pulled is lost, and what is pinned stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from app.edit.state import Pin, same_state
from spams_core.geometry.mesh import Mesh

Opened = Callable[[Path], Any]
PRESS, MOVE, RELEASE = QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease


@pytest.fixture
def pulling(opened: Opened, fit_folder: Path, bench: Any, qtbot: Any) -> Any:
    """The window with the mean body in the fit's view, seen from the left, and pulls switched on."""
    sphere = trimesh.creation.icosphere(5, 0.4)
    vertices, faces = np.asarray(sphere.vertices), np.asarray(sphere.faces)
    fine = Mesh(vertices, faces, (vertices[:, 1] < 0).astype(np.int32))  # some vertex is near wherever one presses
    bench.canonical_mesh = lambda *_: fine
    window = opened(fit_folder)
    window.edit_workspace.show_sliders()
    window.session.frame = 4
    window.editing.set_blend(pose_amount=1.0, shape_amount=1.0)
    window.commands.actions["view.left"].trigger()
    window.commands.actions["edit.pull"].trigger()
    qtbot.waitUntil(lambda: window.session.edited is not None and not window.session.edited.preview, timeout=20_000)
    return window


def send(window: Any, kind: Any, x: float, y: float) -> None:
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    place, held = QPointF(x, y), none if kind == RELEASE else left
    event = QMouseEvent(kind, place, window.viewport.mapToGlobal(place), left, held, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(window.viewport, event)


def front(window: Any, part: int | None = None) -> np.ndarray:
    """The vertex nearest to the camera, of a part or of all."""
    body = window.session.edited
    away = np.linalg.norm(body.vertices_world - window.viewport.world_camera.GetPosition(), axis=1)
    if part is not None:
        away = np.where(body.canonical.vertex_parts == part, away, np.inf)
    point: np.ndarray = body.vertices_world[int(away.argmin())]
    return point


def pixel(window: Any, point: np.ndarray) -> tuple[float, float]:
    x, y, _ = window.edit_workspace.puller.pixels(point[None])[0]
    return float(x), float(y)


def drag(window: Any, start: np.ndarray, way: tuple[float, float, float]) -> None:
    """Drag a point; the solver has not answered when this returns."""
    (x, y), (to_x, to_y) = pixel(window, start), pixel(window, start + np.array(way))
    send(window, PRESS, x, y)
    for share in (0.5, 1.0):
        send(window, MOVE, x + share * (to_x - x), y + share * (to_y - y))
    send(window, RELEASE, to_x, to_y)


def click(window: Any, point: np.ndarray) -> None:
    x, y = pixel(window, point)
    send(window, PRESS, x, y)
    send(window, RELEASE, x + 1, y)


def pulled(window: Any) -> float:
    """How far the stand-in's body was moved along x, in metres."""
    codes = window.editor.codes_at(4)[1]
    return float(codes.sum() / 0.8)


def done(window: Any, steps: int) -> Callable[[], bool]:
    return lambda: window.edit_workspace.puller.idle and window.editing.undo_stack.index() == steps


def test_a_drag_that_starts_early_takes_nothing_from_the_one_before(
    pulling: Any, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    import threading

    from app.edit import pulling as module

    go_on, solve = threading.Event(), module.pull

    def slow(*arguments: Any) -> Any:
        assert go_on.wait(20)
        return solve(*arguments)

    monkeypatch.setattr(module, "pull", slow)
    start, before, steps = front(pulling), pulled(pulling), pulling.editing.undo_stack.index()
    for way in (0.06, 0.12, 0.18):  # the point that is seen at its first place by then, each time farther
        drag(pulling, start, (way, 0.0, 0.0))
    go_on.set()
    qtbot.waitUntil(done(pulling, steps + 3), timeout=20_000)
    reached = []
    for _ in range(3):
        reached.insert(0, pulled(pulling) - before)
        pulling.editing.undo_stack.undo()
    assert pulled(pulling) == pytest.approx(before, abs=1e-6)
    assert reached[0] == pytest.approx(0.06, abs=0.015), "the first pull is whole"
    assert reached[1] > reached[0] + 0.04, "and the second goes on from it"
    assert reached[2] > reached[1] + 0.04


def test_a_pull_ends_where_the_pointer_is_when_it_is_switched_off(pulling: Any, qtbot: Any) -> None:
    start, before, steps = front(pulling), pulled(pulling), pulling.editing.undo_stack.index()
    (x, y), (to_x, to_y) = pixel(pulling, start), pixel(pulling, start + np.array([0.06, 0.0, 0.0]))
    send(pulling, PRESS, x, y)
    send(pulling, MOVE, to_x, to_y)
    pulling.turn_to("inspect")
    qtbot.waitUntil(done(pulling, steps + 1), timeout=20_000)
    assert pulled(pulling) - before == pytest.approx(0.06, abs=0.015)


def test_clicks_pin_points_that_stay_and_let_them_go(pulling: Any, qtbot: Any) -> None:
    workspace, editing = pulling.edit_workspace, pulling.editing
    panel, marks, steps = workspace.pins_panel, workspace.pin_marks, editing.undo_stack.index()
    point, before = front(pulling, 1), pulled(pulling)
    click(pulling, point)
    (pin,) = editing.state.pins
    assert (pin.frame, pin.part) == (4, 1)
    np.testing.assert_allclose(pin.target_m, point, atol=1e-6)
    assert panel.texts() == ["Torso, frame 4"]
    assert marks.dots.visible
    np.testing.assert_allclose(marks.dots.data.points, [point], atol=1e-5)
    # The stand-in moves as a whole: the pin and the pulled point meet half-way.
    drag(pulling, front(pulling, 0), (0.1, 0.0, 0.0))
    qtbot.waitUntil(done(pulling, steps + 2), timeout=20_000)
    assert pulled(pulling) - before == pytest.approx(0.05, abs=0.015)
    pulling.session.frame = 5
    assert not marks.dots.visible, "a pin belongs to its frame"
    pulling.session.frame = 4
    assert marks.dots.visible
    qtbot.waitUntil(lambda: pulling.editor.idle, timeout=20_000)
    click(pulling, point)
    assert not editing.state.pins
    assert not marks.dots.visible
    assert panel.texts() == []
    editing.undo_stack.undo()
    assert editing.state.pins == (pin,)
    assert panel.texts() == ["Torso, frame 4"]


def test_a_dragged_pin_moves_and_takes_the_body_along(pulling: Any, qtbot: Any) -> None:
    editing, point, before = pulling.editing, front(pulling), pulled(pulling)
    click(pulling, point)
    steps = editing.undo_stack.index()
    drag(pulling, point, (0.06, 0.0, 0.0))
    qtbot.waitUntil(done(pulling, steps + 1), timeout=20_000)
    (pin,) = editing.state.pins
    assert pin.target_m[0] - point[0] == pytest.approx(0.06, abs=0.003)
    assert pulled(pulling) - before == pytest.approx(0.06, abs=0.015)
    editing.undo_stack.undo()
    assert editing.state.pins[0].target_m == pytest.approx(tuple(point), abs=1e-6)


def test_a_part_that_stays_is_not_pulled(pulling: Any, qtbot: Any) -> None:
    editing, panel = pulling.editing, pulling.edit_workspace.pins_panel
    panel.parts[1].click()
    assert editing.state.held == (1,)
    state, steps = editing.state, editing.undo_stack.index()
    drag(pulling, front(pulling, 1), (0.1, 0.0, 0.0))
    assert "stays where it is" in pulling.status.currentMessage()
    assert editing.state is state
    before = pulling.editor.codes_at(4)[1]
    drag(pulling, front(pulling, 0), (0.1, 0.0, 0.0))
    qtbot.waitUntil(done(pulling, steps + 1), timeout=20_000)
    after = pulling.editor.codes_at(4)[1]
    np.testing.assert_array_equal(after[1], before[1])
    # Both parts of the stand-in move together: the pull and the seam that stays meet half-way.
    assert (after - before).sum() / 0.8 == pytest.approx(0.05, abs=0.015)
    editing.reset()
    assert panel.parts[1].isChecked(), "it is a way to work, and stays"
    panel.parts[1].click()
    assert editing.state.held == ()


def test_pins_are_removed_from_the_list_and_cleared(pulling: Any) -> None:
    editing, panel = pulling.editing, pulling.edit_workspace.pins_panel
    for frame in (2, 4, 6):
        editing.add_pin(Pin(frame, 0, (0.0, float(frame), 0.0), (0.0, 0.0, 1.0)))
    before = editing.state
    assert panel.texts() == ["Head, frame 2", "Head, frame 4", "Head, frame 6"]
    panel.list.itemActivated.emit(panel.list.item(2))
    assert pulling.session.frame == 6
    assert not panel.remove.isEnabled()
    for row in (0, 2):
        panel.list.item(row).setSelected(True)
    panel.remove.click()
    assert panel.texts() == ["Head, frame 4"]
    editing.undo_stack.undo()
    assert same_state(editing.state, before)
    pulling.commands.actions["edit.clear_pins"].trigger()
    assert not editing.state.pins
    assert not panel.clear.isEnabled()
    assert not pulling.commands.actions["edit.clear_pins"].isEnabled()
