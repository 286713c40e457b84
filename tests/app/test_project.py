"""Projects: the file, the window's use of it, and what survives a crash or a full disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from app.cameras import CameraPlace, Cameras
from app.project.project_file import VERSION, Project, read_project, write_project
from app.project.recovery import Recovery
from spams_core.data.subject import SubjectSettings
from spams_core.errors import InputError
from spams_core.settings import settings_to_dict

Opened = Callable[[Path], Any]
CAMERAS = Cameras(CameraPlace((0, 1, 3), (0, 1, 0), (0, 1, 0)), CameraPlace((0, 0, 2), (0, 0, 0), (0, 1, 0), 0.7))

NEAR = SubjectSettings(far_m=5.0, box_low_m=(-2.0, -2.0, -9.0), box_high_m=(2.0, 2.0, 9.0))


def boxes(window: Any) -> list[QMessageBox]:
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def click(window: Any, text: str) -> None:
    box = boxes(window)[-1]
    next(button for button in box.buttons() if button.text().replace("&", "") == text).click()
    QTest.qWait(10)


def settled(window: Any) -> bool:
    return not window.projects._applying and window.session.cloud is not None


def whole(recording: Path, fit: Path) -> Project:
    return Project(
        recording, fit, 4, "inspect", CAMERAS, {1: CAMERAS}, {"show_cloud": False}, {"cloud_colors": "depth"}, 0.5,
        "every frame", False, settings_to_dict(NEAR), {"pins": [], "held_parts": [1]},
    )  # fmt: skip


# --- the file ---------------------------------------------------------------------------------------------------------


def test_file_round_trips(tmp_path: Path) -> None:
    for name in ("recording", "fit"):
        (tmp_path / name).mkdir()
    project = whole(tmp_path / "recording", tmp_path / "fit")
    write_project(tmp_path / "a.spamproj", project)
    assert read_project(tmp_path / "a.spamproj") == project
    assert read_project(tmp_path / "a.spamproj").content != project
    assert read_project(tmp_path / "a.spamproj").content == project.content
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.spamproj"]


def test_folders_may_move_together(tmp_path: Path) -> None:
    (tmp_path / "one" / "recording").mkdir(parents=True)
    write_project(tmp_path / "one" / "a.spamproj", Project(tmp_path / "one" / "recording"))
    (tmp_path / "one").rename(tmp_path / "two")
    assert read_project(tmp_path / "two" / "a.spamproj").recording == tmp_path / "two" / "recording"
    (tmp_path / "two" / "recording").rmdir()
    assert read_project(tmp_path / "two" / "a.spamproj").recording == tmp_path / "one" / "recording"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": VERSION + 1}, "newer SPAM Studio"),
        ({"version": "x"}, "no valid version"),
        ({"format": "something"}, "no project of SPAM Studio"),
        ({"frame": -1}, "damaged"),
        ({"speed": 0}, "damaged"),
        ({"frame": [1]}, "damaged"),
        ({"recording": {}}, "damaged"),
        ({"recording": 7}, "damaged"),
        ({"layers": [1]}, "damaged"),
        ({"cameras": {"world": {}}}, "damaged"),
        ({"bookmarks": {"x": {}}}, "damaged"),
        ({"bookmarks": 3}, "damaged"),
        ({"subject": [1]}, "damaged"),
        ({"edits": [1]}, "damaged"),
    ],
)
def test_faulty_file_is_explained(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "a.spamproj"
    write_project(path, Project())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=says):
        read_project(path)


def test_file_without_newer_fields_opens(tmp_path: Path) -> None:
    path = tmp_path / "a.spamproj"
    write_project(path, Project(frame=3, subject=settings_to_dict(NEAR)))
    data = json.loads(path.read_text())
    del data["subject"], data["edits"]
    data["version"] = 1
    path.write_text(json.dumps(data))
    assert read_project(path) == Project(frame=3)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff", '{"format": "spam-studio-project"'])
def test_what_is_no_project_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.spamproj").write_text(text)
    with pytest.raises(InputError):
        read_project(tmp_path / "a.spamproj")


@pytest.mark.parametrize("step", ["write", "replace"])
def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "a.spamproj"
    write_project(path, Project(frame=1))
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace" if step == "replace" else "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_project(path, Project(frame=2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- in the window ----------------------------------------------------------------------------------------------------


def test_project_brings_everything_back(opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    path = tmp_path / "walk"
    window.player.go_to(4)
    window.session.show_cloud = False
    window.commands.actions["show.part_colors"].trigger()
    window.timeline.speed.setCurrentIndex(window.timeline.speed.findData(0.25))
    window.turn_to("edit")
    QTest.qWait(50)
    window.viewport.world_camera.Azimuth(33)
    kept = window.viewport.cameras()
    window.projects.save_to(path)
    path = path.with_name("walk.spamproj")
    assert window.projects.path == path
    assert not window.isWindowModified()
    window.commands.actions["project.new"].trigger()
    assert not window.viewing
    assert (window.session.sequence, window.session.fit, window.session.fit_path) == (None, None, None)
    window.session.show_cloud = True
    window.session.cloud_colors = "part"
    window.timeline.speed.setCurrentIndex(3)
    window.open_path(path)
    qtbot.waitUntil(lambda: window.projects.path == path and settled(window), timeout=10_000)
    assert window.session.frame == 4
    assert not window.session.show_cloud
    assert window.session.cloud_colors == "depth"
    assert window.player.clock.speed == 0.25
    assert window.workspace.id == "edit"
    assert window.session.fit_path == fit_folder
    for a, b in ((window.viewport.cameras().world, kept.world), (window.viewport.cameras().canonical, kept.canonical)):
        np.testing.assert_allclose([*a.position, *a.focus, *a.up], [*b.position, *b.focus, *b.up], atol=1e-9)
    assert not window.projects.unsaved
    assert window.windowTitle() == "walk[*] · ball_fitted — SPAM Studio"


def test_only_changes_that_matter_mark_it_modified(opened: Opened, recording: Path, tmp_path: Path) -> None:
    window = opened(recording)
    window.projects.save_to(tmp_path / "a.spamproj")
    window.player.go_to(3)
    window.turn_to("inspect")
    window.viewport.world_camera.Azimuth(10)
    assert not window.projects.unsaved
    window.session.show_mesh = False
    assert window.projects.unsaved
    assert window.isWindowModified()
    window.session.show_mesh = True
    assert not window.projects.unsaved
    assert not window.isWindowModified()


def isolated(window: Any) -> SubjectSettings | None:
    """The subject that is in force, once nothing else is on its way."""
    busy = window.capture_workspace.subject.busy
    return None if busy or window.session.sequence is None else window.session.sequence.subject


def test_project_keeps_the_subject(opened: Opened, recording: Path, tmp_path: Path, qtbot: Any) -> None:
    window, path = opened(recording), tmp_path / "a.spamproj"
    window.projects.save_to(path)
    window.capture_workspace.subject.use(NEAR)
    assert window.projects.unsaved
    qtbot.waitUntil(lambda: isolated(window) == NEAR, timeout=5_000)
    window.viewport.world_camera.Azimuth(33)
    kept = window.viewport.cameras().world.position
    window.commands.actions["project.save"].trigger()
    assert not window.projects.unsaved
    # Other settings lie beside the recording: they are for those who open it, not for those who open the project.
    beside = {"subject": settings_to_dict(SubjectSettings(far_m=7.0))}
    (tmp_path / "ball.subject.json").write_text(json.dumps(beside))
    window.commands.actions["project.new"].trigger()
    window.open_path(path)
    qtbot.waitUntil(lambda: window.projects.path == path and settled(window), timeout=10_000)
    assert isolated(window) == NEAR
    np.testing.assert_allclose(window.viewport.cameras().world.position, kept, atol=1e-9)
    QTest.qWait(200)
    assert isolated(window) == NEAR
    np.testing.assert_allclose(window.viewport.cameras().world.position, kept, atol=1e-9)
    assert not window.projects.unsaved
    assert window.fit_workspace.panel.form.value().subject == NEAR
    window.commands.actions["capture.reset"].trigger()
    assert window.projects.unsaved
    qtbot.waitUntil(lambda: isolated(window) == SubjectSettings(), timeout=5_000)
    window.commands.actions["project.save"].trigger()
    window.commands.actions["project.new"].trigger()
    window.open_path(path)
    qtbot.waitUntil(lambda: window.projects.path == path and settled(window), timeout=10_000)
    assert isolated(window) == SubjectSettings()


def test_faulty_subject_in_a_project_is_told_and_left_out(
    window: Any, recording: Path, tmp_path: Path, qtbot: Any
) -> None:
    path = tmp_path / "a.spamproj"
    write_project(path, Project(recording, frame=2, subject={"near": 1}))
    window.open_path(path)
    qtbot.waitUntil(lambda: window.projects.path == path and settled(window), timeout=10_000)
    assert "has no setting 'near'" in boxes(window)[0].text()
    boxes(window)[0].close()
    assert window.session.frame == 2
    assert isolated(window) is None


def test_words_that_nobody_knows_are_passed_over(opened: Opened, recording: Path, tmp_path: Path, qtbot: Any) -> None:
    window, path = opened(recording), tmp_path / "a.spamproj"
    write_project(path, Project(recording, layers={"show_mesh": False}, colors={"cloud_colors": "mauve", "speed": "x"}))
    window.open_path(path)
    qtbot.waitUntil(lambda: window.projects.path == path and settled(window), timeout=10_000)
    assert window.session.cloud_colors == "part"
    assert not window.session.show_mesh
    window.session.set_switches({}, {"cloud_colors": "confidence"})
    assert window.session.cloud_colors == "confidence"
    window.commands.actions["project.save"].trigger()


def test_project_that_cannot_be_restored_leaves_the_window_working(
    opened: Opened, recording: Path, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, path = opened(recording), tmp_path / "a.spamproj"
    write_project(path, Project(recording, layers={"show_mesh": False}))

    def fail(*_: Any) -> None:
        raise RuntimeError("no loop today")

    with monkeypatch.context() as broken:
        broken.setattr(window.player, "set_loop", fail)
        window.open_path(path)
        qtbot.waitUntil(lambda: bool(boxes(window)), timeout=10_000)
    assert "no loop today" in boxes(window)[0].informativeText()
    boxes(window)[0].close()
    assert window.projects.path is None
    # What is changed from now on is seen again.
    assert not window.projects.modified
    window.session.show_mesh = True
    window.projects.refresh()
    assert window.projects.modified


def test_closing_asks_for_unsaved_changes(opened: Opened, recording: Path, tmp_path: Path, qtbot: Any) -> None:
    window = opened(recording)
    window.projects.save_to(tmp_path / "a.spamproj")
    window.session.show_mesh = False
    window.close()
    assert window.isVisible()
    click(window, "Cancel")
    assert window.isVisible()
    window.close()
    click(window, "Save")
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5_000)
    assert not read_project(tmp_path / "a.spamproj").layers["show_mesh"]


def test_nothing_is_overwritten_unasked(opened: Opened, recording: Path, tmp_path: Path) -> None:
    window = opened(recording)
    path = tmp_path / "a.spamproj"
    path.write_text("somebody's")
    window.projects.save_to(path.with_suffix(""))
    click(window, "Cancel")
    assert path.read_text() == "somebody's"
    assert window.projects.path is None
    window.projects.save_to(path)
    click(window, "Overwrite")
    assert read_project(path).recording == recording
    # Another program writes it meanwhile.
    path.write_text("somebody's again")
    window.session.show_mesh = False
    window.commands.actions["project.save"].trigger()
    assert path.read_text() == "somebody's again"
    click(window, "Overwrite")
    assert not read_project(path).layers["show_mesh"]


def test_full_disk_while_saving_is_said(
    opened: Opened, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = opened(recording)
    path = tmp_path / "a.spamproj"
    window.projects.save_to(path)
    before = path.read_bytes()
    window.session.show_mesh = False

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    window.commands.actions["project.save"].trigger()
    assert "No space left" in boxes(window)[0].text()
    boxes(window)[0].close()
    assert path.read_bytes() == before
    assert window.projects.unsaved
    monkeypatch.undo()
    window.commands.actions["project.save"].trigger()
    assert not window.projects.unsaved


def test_newer_version_is_refused_in_a_dialog(window: Any, tmp_path: Path) -> None:
    write_project(tmp_path / "a.spamproj", Project())
    data = json.loads((tmp_path / "a.spamproj").read_text()) | {"version": VERSION + 1}
    (tmp_path / "a.spamproj").write_text(json.dumps(data))
    window.open_path(tmp_path / "a.spamproj")
    assert "Update the program" in boxes(window)[0].text()
    boxes(window)[0].close()
    assert window.projects.path is None


def test_moved_recording_can_be_located_or_left_out(
    window: Any, fit_folder: Path, recording: Path, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.spamproj"
    write_project(path, Project(recording, fit_folder))
    moved = recording.rename(tmp_path / "elsewhere")
    window.open_path(path)
    assert str(recording) in boxes(window)[0].text()
    # The file dialog chooses the folder where the recording is now.
    monkeypatch.setattr("app.project.projects.ask_path", lambda window, dialog, use: use(moved))
    click(window, "Locate…")
    qtbot.waitUntil(lambda: window.projects.path == path and settled(window), timeout=10_000)
    assert window.session.sequence.path == moved
    assert window.projects.unsaved, "the new place is worth saving"
    window.commands.actions["project.save"].trigger()
    assert read_project(path).recording == moved
    moved.rename(tmp_path / "gone")
    window.commands.actions["project.new"].trigger()
    window.open_path(path)
    click(window, "Open without the recording")
    qtbot.waitUntil(lambda: window.projects.path == path and settled(window), timeout=10_000)
    assert window.session.sequence is None
    assert window.session.fit is not None
    window.projects._saved = window.projects.current().content


def test_project_is_dropped_on_the_window(window: Any, recording: Path, tmp_path: Path, qtbot: Any) -> None:
    path = tmp_path / "a.spamproj"
    write_project(path, Project(recording, frame=2))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(300, 300), Qt.DropAction.CopyAction, data, button, none)
    QApplication.sendEvent(window, enter)
    QApplication.sendEvent(window, QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, data, button, none))
    qtbot.waitUntil(lambda: window.projects.path == path and settled(window), timeout=10_000)
    assert window.session.frame == 2
    assert window.preferences.recent[0] == path


def test_new_project_asks_first(opened: Opened, recording: Path, tmp_path: Path) -> None:
    window = opened(recording)
    window.projects.save_to(tmp_path / "a.spamproj")
    window.session.show_mesh = False
    window.commands.actions["project.new"].trigger()
    click(window, "Cancel")
    assert window.viewing
    window.commands.actions["project.new"].trigger()
    click(window, "Discard")
    assert not window.viewing
    assert window.projects.path is None
    assert read_project(tmp_path / "a.spamproj").layers["show_mesh"]


# --- after a crash ----------------------------------------------------------------------------------------------------


def _crash(folder: Path, project: Path) -> None:
    """Another process keeps a copy of a project and dies."""
    script = f"""
import os
from pathlib import Path
from PySide6.QtCore import QCoreApplication
app = QCoreApplication([])
from app.project.recovery import Recovery
from app.project.project_file import read_project
recovery = Recovery(Path({str(folder)!r}))
recovery.keep(read_project(Path({str(project)!r})), None)
while not recovery.file.exists():
    app.processEvents()
os._exit(1)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", script], env=environment, timeout=60, check=False)


def test_unsaved_work_is_recovered_after_a_crash(window: Any, recording: Path, tmp_path: Path, qtbot: Any) -> None:
    write_project(tmp_path / "a.spamproj", Project(recording, frame=3, layers={"show_mesh": False}))
    _crash(tmp_path / "kept", tmp_path / "a.spamproj")
    window.projects.start_recovery(folder=tmp_path / "kept")
    assert "ball" in boxes(window)[0].informativeText()
    click(window, "Recover")
    qtbot.waitUntil(lambda: settled(window) and window.session.frame == 3, timeout=10_000)
    assert not window.session.show_mesh
    assert window.projects.path is None
    assert window.projects.modified
    # The old copy is gone, this window's own takes its place until it closes.
    qtbot.waitUntil(
        lambda: [p.name for p in (tmp_path / "kept").glob("*.spamproj")] == [window.projects._recovery.file.name],
        timeout=5_000,
    )
    window.close()
    assert list((tmp_path / "kept").glob("*.spamproj")) == []


def test_copy_stays_until_it_is_recovered(window: Any, recording: Path, tmp_path: Path, qtbot: Any) -> None:
    write_project(tmp_path / "a.spamproj", Project(recording, frame=3))
    _crash(tmp_path / "kept", tmp_path / "a.spamproj")
    (left,) = (tmp_path / "kept").glob("*.spamproj")
    moved = recording.rename(tmp_path / "elsewhere")
    window.projects.start_recovery(folder=tmp_path / "kept")
    click(window, "Recover")
    click(window, "Cancel")  # the recording has moved, and nobody knows where to
    assert left.exists()
    # Next time it is back, but is none any more.
    moved.rename(recording)
    (recording / "camera.json").write_text("{")
    window.projects._recovery.close()
    window.projects.start_recovery(folder=tmp_path / "kept")
    click(window, "Recover")
    qtbot.waitUntil(lambda: bool(boxes(window)), timeout=10_000)
    boxes(window)[0].close()
    assert left.exists()


def test_copy_of_a_running_window_is_not_offered(qtbot: Any, tmp_path: Path) -> None:
    running, other = Recovery(tmp_path), Recovery(tmp_path)
    running.keep(Project(frame=1), tmp_path / "a.spamproj")
    qtbot.waitUntil(running.file.exists, timeout=5_000)
    assert other.abandoned() == []
    running.close()
    other.close()
    assert not running.file.exists()


def test_saving_drops_the_copy(opened: Opened, recording: Path, tmp_path: Path, qtbot: Any) -> None:
    window = opened(recording)
    window.projects.start_recovery(folder=tmp_path / "kept")
    window.projects.save_to(tmp_path / "a.spamproj")
    window.session.show_mesh = False
    window.projects.refresh()
    file = window.projects._recovery.file
    qtbot.waitUntil(file.exists, timeout=5_000)
    assert json.loads(file.read_text())["origin"] == str(tmp_path / "a.spamproj")
    window.commands.actions["project.save"].trigger()
    qtbot.waitUntil(lambda: not file.exists(), timeout=5_000)


def test_full_disk_does_not_disturb_the_copies(
    opened: Opened, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = opened(recording)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    window.projects.start_recovery(folder=tmp_path / "kept")
    window.projects.refresh()
    QTest.qWait(200)
    assert boxes(window) == []
