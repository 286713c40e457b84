"""Capture: saying who is the subject, in a room with a floor, a wall and two people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel
from scenes import STANDER, WALKER, Shot, write_scene

from spams_core.data.subject import SubjectSettings
from spams_core.progress import run_to_end
from spams_core.tasks import TASKS
from spams_core.tasks.inspect import InspectSettings

Opened = Callable[[Path], Any]
FRAMES = 6


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Shot]]:
    """Six frames of a room."""
    path = tmp_path_factory.mktemp("rooms") / "room"
    return path, write_scene(path, FRAMES)


@pytest.fixture
def capture(opened: Opened, room: tuple[Path, list[Shot]], qtbot: Any) -> Any:
    """The window with the room, turned to Capture."""
    window = opened(room[0])
    window.turn_to("capture")
    image = window.capture_workspace.capturing.image
    qtbot.waitUntil(lambda: image.frame is not None, timeout=5_000)
    QApplication.processEvents()
    return window


def middle_of(shot: Shot, owner: int) -> tuple[int, int]:
    rows, columns = np.nonzero(shot.readings_of(owner))
    return int(np.median(columns)), int(np.quantile(rows, 0.3))


def click(window: Any, u: int, v: int) -> None:
    canvas = window.capture_workspace.capturing.image.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, canvas.place_of(u, v))


def subject(window: Any) -> SubjectSettings:
    return window.session.sequence.subject or SubjectSettings()


def settled(window: Any, qtbot: Any, test: Callable[[SubjectSettings], bool]) -> None:
    """Wait until settings are in force and the image shows them."""
    image = window.capture_workspace.capturing.image

    def shown() -> bool:
        if not test(subject(window)) or window.capture_workspace.subject.busy:
            return False
        mask = window.session.sequence.read_mask(window.session.frame)
        return image.frame is not None and bool((image.frame.kept == mask).all())

    qtbot.waitUntil(shown, timeout=10_000)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def test_a_click_keeps_the_person_in_image_cloud_and_fit(
    capture: Any, room: tuple[Path, list[Shot]], qtbot: Any
) -> None:
    image, shots = capture.capture_workspace.capturing.image, room[1]
    capture.commands.actions["capture.pick"].trigger()
    assert "Click on the person" in image.readout()
    click(capture, *middle_of(shots[0], WALKER))
    settled(capture, qtbot, lambda settings: settings.keep == "picked")
    assert image.tool == "look"
    assert subject(capture).remove_floor
    truth = shots[0].readings_of(WALKER)
    assert iou(image.frame.kept, truth) >= 0.97
    # What is not kept is there, dimmed.
    dimmed = image.frame.rgba[..., 3][shots[0].readings_of(STANDER)]
    assert 0 < dimmed.max() < 255
    kept = int(image.frame.kept.sum())  # a few of them have no normal
    qtbot.waitUntil(lambda: 0.95 * kept < len(capture.session.cloud.points_world) <= kept, timeout=5_000)
    panel = capture.capture_workspace.panel
    assert panel.keep.currentText() == "The picked person"
    assert panel.counts.text().startswith(f"{image.frame.kept.sum():,} of ")
    capture.player.go_to(FRAMES - 1)
    qtbot.waitUntil(lambda: image.frame.frame == FRAMES - 1, timeout=5_000)
    assert iou(image.frame.kept, shots[-1].readings_of(WALKER)) >= 0.97
    form = capture.fit_workspace.panel.form
    assert form.value().subject == subject(capture)


def test_changing_the_subject_keeps_the_forms_other_values(capture: Any, qtbot: Any, tmp_path: Path) -> None:
    form = capture.fit_workspace.panel.form
    form.set_value("out", tmp_path / "mine")
    capture.capture_workspace.panel.floor.click()
    settled(capture, qtbot, lambda settings: settings.remove_floor)
    assert form.value().out == tmp_path / "mine"
    assert form.value().subject.remove_floor


def test_range_slider_cuts_near_and_far(capture: Any, qtbot: Any) -> None:
    panel = capture.capture_workspace.panel
    slider = panel.range
    depth_m = capture.session.sequence.read_depth_m(0)
    start, end = slider.place_of(slider.ends[1]).toPoint(), slider.place_of(4.0).toPoint()
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    for share in (0.3, 0.7, 1.0):
        QTest.mouseMove(slider, QPoint(int(start.x() + share * (end.x() - start.x())), start.y()))
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)
    settled(capture, qtbot, lambda settings: settings.far_m is not None)
    pixel = (slider.limits[1] - slider.limits[0]) / slider.width()
    assert subject(capture).far_m == pytest.approx(4.0, abs=2 * pixel)
    image = capture.capture_workspace.capturing.image
    np.testing.assert_array_equal(image.frame.kept, (depth_m > 0) & (depth_m <= subject(capture).far_m))
    panel.far.setValue(3.5)
    settled(capture, qtbot, lambda settings: settings.far_m == 3.5)
    assert slider.ends[1] == 3.5
    capture.commands.actions["capture.reset"].trigger()
    settled(capture, qtbot, lambda settings: settings == SubjectSettings())
    assert slider.ends == slider.limits


def test_a_rectangle_becomes_a_box_in_the_world(capture: Any, room: tuple[Path, list[Shot]], qtbot: Any) -> None:
    workspace, truth = capture.capture_workspace, room[1][0].readings_of(STANDER)
    workspace.panel.floor.click()
    workspace.panel.far.setValue(4.2)
    settled(capture, qtbot, lambda settings: settings.remove_floor and settings.far_m == 4.2)
    rows, columns = np.nonzero(truth)
    canvas = workspace.capturing.image.canvas
    capture.commands.actions["capture.box"].trigger()
    first, last = canvas.place_of(columns.min() - 2, rows.min() - 2), canvas.place_of(columns.max() + 2, rows.max() + 2)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, last)
    QTest.mouseMove(canvas, first)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, first)
    settled(capture, qtbot, lambda settings: settings.box_low_m is not None)
    assert iou(workspace.capturing.image.frame.kept, truth) >= 0.97
    low, high = subject(capture).box_low_m, subject(capture).box_high_m
    box = workspace.capturing.marks.box
    assert box.visible
    np.testing.assert_allclose(box.data.bounds, np.stack([low, high], 1).ravel(), atol=1e-6)
    assert box.data.n_cells == 12
    panel = workspace.panel
    assert [field.value() for pair in panel.corners for field in pair] == pytest.approx(
        np.stack([low, high], 1).ravel()
    )
    panel.corners[1][0].setValue(1.0)  # from the chest upwards
    settled(capture, qtbot, lambda settings: settings.box_low_m[1] == 1.0)
    assert capture.session.cloud is not None
    qtbot.waitUntil(lambda: capture.session.cloud.points_world[:, 1].min() >= 1.0 - 1e-6, timeout=5_000)
    capture.turn_to("fit")
    assert not box.visible


def test_what_cannot_be_done_is_said(capture: Any, qtbot: Any) -> None:
    panel = capture.capture_workspace.panel
    sequence = capture.session.sequence
    panel.near.setValue(5.0)
    panel.far.setValue(3.0)
    qtbot.waitUntil(lambda: "far_m is 3.0; it must lie beyond" in panel.problem.text(), timeout=5_000)
    capture.commands.actions["capture.reset"].trigger()
    settled(capture, qtbot, lambda settings: settings == SubjectSettings())
    assert not panel.problem.text()
    assert capture.session.sequence.read_mask(0).sum() == sequence.read_mask(0).sum()


def test_saved_only_when_asked_and_found_again(
    capture: Any, opened: Opened, room: tuple[Path, list[Shot]], qtbot: Any
) -> None:
    path = room[0]
    before = sorted(entry.name for entry in path.parent.iterdir())
    capture.capture_workspace.panel.floor.click()
    settled(capture, qtbot, lambda settings: settings.remove_floor)
    assert sorted(entry.name for entry in path.parent.iterdir()) == before
    capture.commands.actions["capture.save"].trigger()
    (dialog,) = [found for found in capture.findChildren(QFileDialog) if found.isVisible()]
    saved = path.parent / "room.subject.json"
    assert dialog.selectedFiles() == [str(saved)]
    dialog.fileSelected.emit(str(saved))
    dialog.close()
    assert json.loads(saved.read_text())["subject"]["remove_floor"]
    try:
        capture.documents.close_all()
        opened(path)
        settled(capture, qtbot, lambda settings: settings.remove_floor)
        assert capture.capture_workspace.panel.floor.isChecked()
        saved.write_text('{"subject": {"near": 1}}')
        capture.capture_workspace.subject.load(saved)
        assert "has no setting 'near'" in capture.capture_workspace.panel.problem.text()
    finally:
        saved.unlink()


def test_parts_are_labelled_anew_for_another_subject(
    capture: Any, room: tuple[Path, list[Shot]], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    start = capture.jobs.start_labelling
    monkeypatch.setattr(capture.jobs, "start_labelling", lambda *given: (asked.append(given), start(*given)))
    capture.capture_workspace.panel.floor.click()
    qtbot.waitUntil(lambda: len(asked) == 1, timeout=5_000)
    assert asked[0] == (capture.session.sequence, 0)
    qtbot.waitUntil(lambda: capture.session.cloud.labels is not None, timeout=5_000)


def test_facts_follow_the_subject(capture: Any, room: tuple[Path, list[Shot]], qtbot: Any) -> None:
    view = capture.capture_workspace.facts.view
    qtbot.waitUntil(lambda: "Images" in view.values, timeout=20_000)
    values = {title: value.text() for title, value in view.values.items()}
    assert values["Images"] == "240 × 200 pixels"
    assert values["Duration"] == "6 frames, 15 fps, 0.4 s"
    assert values["Floor"] == "found, level"
    assert values["Camera"] == "looks 14° downwards, 1.67 m above the floor"
    assert not view.values["Format"].isVisible()
    view.more.click()
    assert view.values["Format"].isVisible()
    for extra in ("", " and" * 30):  # however many lines a value takes
        view.values["Distance"].setText(view.values["Distance"].text() + extra)
        visible = list(filter(QLabel.isVisible, view.values.values()))
        qtbot.waitUntil(
            lambda shown=visible: all(value.height() >= value.heightForWidth(value.width()) for value in shown),
            timeout=5_000,
        )
    assert "the background counts as the subject" in view.problem.text()
    capture.capture_workspace.subject.pick(*middle_of(room[1][0], WALKER))
    settled(capture, qtbot, lambda settings: settings.keep == "picked")
    qtbot.waitUntil(lambda: "Subject" in view.values, timeout=20_000)
    assert view.values["Subject"].text().startswith("1.6")
    assert not view.problem.isVisible()
    assert not view.values["What is seen"].isVisible()
    capture.documents.close_all()
    assert not view.values["Subject"].isVisible()


def test_card_and_command_line_say_the_same(capture: Any, room: tuple[Path, list[Shot]], qtbot: Any) -> None:
    view = capture.capture_workspace.facts.view
    qtbot.waitUntil(lambda: "Images" in view.values, timeout=20_000)
    task = TASKS["inspect"]
    assert task.text is not None
    lines = task.text(run_to_end(task.function(InspectSettings(room[0]))))
    for line, (title, value) in zip(lines, view.values.items(), strict=False):
        assert line.split(maxsplit=len(title.split())) == [*title.split(), value.text()]
    warned = [f"! {text}" for text in view.problem.text().split("\n\n")]
    # The card leaves out the options' names.
    assert lines[len(view.values) :] == [
        "",
        *(text.replace("range and box,", "range and box (--subject),") for text in warned),
    ]


def test_a_slider_does_not_forget_a_box_on_its_way(capture: Any, qtbot: Any) -> None:
    editing = capture.capture_workspace.subject
    editing.change(far_m=4.2, remove_floor=True)
    editing.box(30, 30, 110, 180)
    editing.change(near_m=1.0)
    settled(capture, qtbot, lambda settings: settings.near_m == 1.0)
    assert subject(capture).box_low_m is not None
    assert subject(capture).far_m == 4.2
