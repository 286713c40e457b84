"""Whatever closes the open fit asks once for edits that no file holds, and for changes of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fits import ball_fit
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QMessageBox
from recordings import write_ball

from app.project.project_file import Project, read_project, write_project
from spams_core.data.fit import write_fit
from spams_core.errors import InputError
from spams_core.progress import Progress, Task

Opened = Callable[[Path], Any]


@pytest.fixture
def edited(opened: Opened, fit_folder: Path) -> Any:
    """The window with a fit whose shape was changed."""
    window = opened(fit_folder)
    window.edit_workspace.show_sliders()
    window.edit_workspace.codes_panel.shape_sliders[0].setValue(100)
    return window


@pytest.fixture
def baked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where edits were saved; the stand-in's bodies cannot be decoded by the real networks."""
    made: list[Path] = []

    def bake_fit(model: Path, motion: Any, out: Path, *rest: Any) -> Task[Path]:
        yield Progress(0, 1, "Decoding")
        made.append(out)
        out.mkdir()
        return out

    monkeypatch.setattr("spams_core.tasks.bake.bake_fit", bake_fit)
    return made


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another recording."""
    return write_ball(tmp_path / "other", 4)


def boxes(window: Any) -> list[QMessageBox]:
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def answer(window: Any, text: str) -> None:
    (box,) = boxes(window)
    next(button for button in box.buttons() if button.text().replace("&", "") == text).click()


def save_as_fit(window: Any) -> None:
    from app.edit.saving import SaveDialog

    answer(window, "Save as New Fit…")
    dialog = window.findChild(SaveDialog)
    next(button for button in dialog.buttons.buttons() if button.text() == "Save").click()


def drop(window: Any, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(300, 300), Qt.DropAction.CopyAction, data, button, none)
    QApplication.sendEvent(window, enter)
    QApplication.sendEvent(window, QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, data, button, none))


def open_project(window: Any, other: Path) -> None:
    path = other.with_name("a.spamproj")
    write_project(path, Project(other))
    window.open_path(path)


WAYS: dict[str, Callable[[Any, Path], Any]] = {
    "open": lambda window, other: window.open_path(other),
    "recent": lambda window, other: window.documents.open_path(other),
    "run list": lambda window, other: window.fit_workspace.panel.runs_panel.opened.emit(other),
    "drop": drop,
    "explore": lambda window, _: window.commands.actions["model.explore"].trigger(),
    "new": lambda window, _: window.commands.actions["project.new"].trigger(),
    "project": open_project,
    "close": lambda window, _: window.close(),
}


def left(window: Any, other: Path, way: str) -> bool:
    """Whether the edited fit has made room."""
    if way == "close":
        return not window.isVisible()
    sequence = window.session.sequence
    there = sequence.path == other if way not in ("explore", "new") else sequence is None
    return there and window.session.fit is None and not window.projects._applying


@pytest.mark.parametrize("way", WAYS)
def test_every_way_out_asks_once(edited: Any, other: Path, way: str, qtbot: Any) -> None:
    state = edited.editing.state
    WAYS[way](edited, other)
    WAYS[way](edited, other)  # impatience brings no second question
    answer(edited, "Cancel")
    qtbot.wait(50)
    assert edited.editing.state is state
    assert edited.isVisible()
    assert not boxes(edited)
    WAYS[way](edited, other)
    answer(edited, "Discard")
    qtbot.waitUntil(lambda: left(edited, other, way), timeout=20_000)
    assert not boxes(edited)


@pytest.mark.parametrize("way", ["open", "new", "project", "close"])
def test_edits_are_saved_on_the_way_out(
    edited: Any, other: Path, fit_folder: Path, baked: list[Path], way: str, qtbot: Any
) -> None:
    WAYS[way](edited, other)
    save_as_fit(edited)
    qtbot.waitUntil(lambda: left(edited, other, way), timeout=20_000)
    assert baked == [fit_folder.with_name("ball_fitted_edited")]
    assert not boxes(edited)


def test_a_save_that_is_given_up_or_fails_keeps_the_edits(
    edited: Any, other: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    from app.edit.saving import SaveDialog

    def failing(*_: Any) -> Task[Path]:
        yield Progress(0, 1, "Decoding")
        raise InputError("No room. Choose another folder.")

    monkeypatch.setattr("spams_core.tasks.bake.bake_fit", failing)
    state = edited.editing.state
    edited.open_path(other)
    answer(edited, "Save as New Fit…")
    edited.findChild(SaveDialog).reject()
    assert edited.editing.state is state
    qtbot.waitUntil(lambda: edited.findChild(SaveDialog) is None, timeout=5_000)
    edited.open_path(other)
    save_as_fit(edited)
    qtbot.waitUntil(lambda: bool(boxes(edited)), timeout=20_000)
    assert "No room" in boxes(edited)[0].text()
    boxes(edited)[0].close()
    assert edited.session.fit is not None
    assert edited.editing.state is state


def test_nothing_is_asked_of_what_is_saved_or_undone(edited: Any, other: Path, baked: list[Path], qtbot: Any) -> None:
    saving, slider = edited.edit_workspace.saving, edited.edit_workspace.codes_panel.shape_sliders[0]
    assert saving.unsaved
    with qtbot.waitSignal(edited.jobs.exported, timeout=20_000):
        saving.save_fit(other.with_name("saved"))
    assert not saving.unsaved
    slider.setValue(50)
    assert saving.unsaved
    edited.editing.undo_stack.undo()
    assert not saving.unsaved, "back to what was saved"
    slider.setValue(0)
    assert not saving.unsaved, "nothing is edited any more"
    edited.open_path(other)
    qtbot.waitUntil(lambda: left(edited, other, "open"), timeout=20_000)


def test_a_project_with_edits_asks_one_question_after_the_other(
    edited: Any, tmp_path: Path, baked: list[Path], qtbot: Any
) -> None:
    edited.editing.reset()
    edited.projects.save_to(tmp_path / "a.spamproj")
    edited.session.show_mesh = False
    edited.edit_workspace.codes_panel.shape_sliders[0].setValue(100)
    edited.close()
    assert "Other changes of the project" in boxes(edited)[0].informativeText()
    save_as_fit(edited)
    qtbot.waitUntil(lambda: bool(boxes(edited)) and "Save the changes" in boxes(edited)[0].text(), timeout=20_000)
    answer(edited, "Save")
    qtbot.waitUntil(lambda: not edited.isVisible(), timeout=20_000)
    assert baked
    assert not read_project(tmp_path / "a.spamproj").layers["show_mesh"]


def test_a_fit_asks_before_it_begins_and_takes_no_edits_away(
    edited: Any, fitter: Any, fit_folder: Path, qtbot: Any
) -> None:
    actions = edited.commands.actions
    actions["fit.start"].trigger()
    answer(edited, "Cancel")
    assert edited.jobs.fitting is None
    actions["fit.start"].trigger()
    answer(edited, "Discard")
    assert edited.jobs.fitting is not None
    edited.editing.undo_stack.undo()  # the edits are back while it runs
    before, state = edited.session.fit, edited.editing.state
    qtbot.waitUntil(lambda: edited.jobs.fitting is None, timeout=20_000)
    assert edited.session.fit is before
    assert edited.editing.state is state
    assert "among the runs" in edited.status.currentMessage()


def test_edits_made_while_another_fit_is_read_are_asked_for(
    opened: Opened, fit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    import threading

    from app import opening

    window, go_on, read = opened(fit_folder), threading.Event(), opening.open_path
    write_fit(tmp_path / "second", ball_fit(model=str(tmp_path / "model")))

    def slow(path: Path, *given: Any) -> Any:
        assert go_on.wait(20)
        return read(path, *given)

    monkeypatch.setattr(opening, "open_path", slow)
    window.open_path(tmp_path / "second")
    window.editing.move_slider("shape", 0, 0, 1.0)
    go_on.set()
    qtbot.waitUntil(lambda: bool(boxes(window)), timeout=20_000)
    answer(window, "Cancel")
    assert window.session.fit_path == fit_folder


def test_a_project_that_keeps_the_edits_is_left_alone_afterwards(
    edited: Any, other: Path, tmp_path: Path, qtbot: Any
) -> None:
    path = tmp_path / "a.spamproj"
    edited.editing.undo_stack.undo()
    edited.projects.save_to(path)
    edited.editing.undo_stack.redo()
    edited.open_path(other)
    answer(edited, "Save Project")
    qtbot.waitUntil(lambda: left(edited, other, "open"), timeout=20_000)
    assert read_project(path).edits is not None
    assert edited.projects.path is None, "the next save asks where to"


def test_the_program_ends_once_leaving_is_agreed_to(tmp_path: Path) -> None:
    script = f"""
from PySide6.QtCore import QSettings, QTimer
QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, {str(tmp_path)!r})
from app.launch import create_application
app = create_application()
from app.main_window import MainWindow
window = MainWindow()
window.ready.connect(lambda: QTimer.singleShot(0, window._closing._leave))
window.show()
app.exec()
print("ended")
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ended\n"
