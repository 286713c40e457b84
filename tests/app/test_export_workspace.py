"""The workspace Export, driven as a user drives it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
import tyro
from fits import ball_fit
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QMessageBox

from spams_core.data.fit import write_fit
from spams_core.progress import Progress

Opened = Callable[[Path], Any]


def turned_to(window: Any, page: str = "meshes") -> Any:
    window.commands.actions["export.fit"].trigger()
    assert window.workspace.id == "export"
    panel = window.export_workspace.panel
    panel.tabs.setCurrentIndex(list(panel.pages).index(page))
    return panel.pages[page]


def questions(window: Any) -> list[QMessageBox]:
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def press(box: QMessageBox, text: str) -> None:
    next(button for button in box.buttons() if button.text() == text).click()


def test_without_a_fit_there_is_nothing_to_press(window: Any, opened: Opened, recording: Path) -> None:
    opened(recording)
    assert not window.commands.actions["export.fit"].isEnabled()
    assert window.export_workspace.panel.pages == {}


@pytest.mark.parametrize("kind", ["ply", "glb"])
def test_the_panel_writes_what_it_announced(opened: Opened, fit_folder: Path, qtbot: Any, kind: str) -> None:
    window = opened(fit_folder)
    page = turned_to(window)
    page.form.set_value("format", kind)
    page.form.set_value("frames", "1:")
    out = page.form.value().out
    assert out.parent == fit_folder.parent
    told = page.preview
    with qtbot.waitSignal(window.jobs.exported, timeout=10_000):
        page.export_button.click()
    files = sorted(out.iterdir()) if out.is_dir() else [out]
    for name in (files[0].name, files[-1].name):
        assert name in told
    assert (f"{len(files)} files" if kind == "ply" else "1 file") in told
    assert ("4 frames, 2 to 8 of the recording" if kind == "ply" else "Frame 2 of the recording") in told
    truth = ball_fit()
    seen = trimesh.load(files[0], force="mesh", process=False)
    assert np.array_equal(np.asarray(seen.vertices, np.float32), truth.vertices_world[1])
    if kind == "ply":
        assert json.loads((out / "manifest.json").read_text())["recording_frames"] == [2, 4, 6, 8]
    qtbot.waitUntil(lambda: page.export_button.isVisible(), timeout=5_000)
    assert str(out) in page._result.text()
    assert page.form.value().out != out  # the next one gets a name of its own


@pytest.mark.parametrize(("format", "files"), [("glb_rigged", 1), ("bvh", 2)])
def test_a_skeleton_says_what_it_is_and_how_far_it_is_from_the_fit(
    opened: Opened, fit_folder: Path, qtbot: Any, format: str, files: int
) -> None:
    window = opened(fit_folder)
    page = turned_to(window)
    page.form.set_value("format", format)
    assert "near the fit, not equal to it" in page.preview
    assert f"{files} file" in page.preview
    settings = page.form.value()
    with qtbot.waitSignal(window.jobs.exported, timeout=20_000):
        page.export_button.click()
    qtbot.waitUntil(lambda: page.export_button.isVisible(), timeout=20_000)
    assert "Distance to the fit: 0.0 mm on average, 95 % below 0.0 mm" in page._result.text()
    written = page.kind.writes(settings)
    assert len(written) == files
    assert all(path.is_file() for path in written)


def test_a_name_of_the_users_own_stays(opened: Opened, fit_folder: Path, tmp_path: Path) -> None:
    page = turned_to(opened(fit_folder))
    page.form.set_value("out", tmp_path / "mine")
    page.form.set_value("format", "obj")
    assert page.form.value().out == tmp_path / "mine"
    page.form.set_value("format", "npz")
    assert not page.export_button.isEnabled()
    assert "mine.npz" in page.form.problem


def test_a_program_brings_its_format_and_the_user_may_take_another(opened: Opened, fit_folder: Path) -> None:
    page = turned_to(opened(fit_folder))
    page.form.set_value("program", "paraview")
    assert page.form.value().format == "vtu"
    assert "Metres, +y up" in page.preview
    page.form.set_value("format", "stl")
    assert (page.form.value().program, page.form.value().format) == ("paraview", "stl")
    page.form.set_value("program", "unreal")
    assert page.form.value().format == "usd"
    assert "Centimetres, +z up" in page.preview


@pytest.mark.parametrize("name", ["meshes", "pictures"])
def test_the_form_fits_the_panel(opened: Opened, fit_folder: Path, qtbot: Any, name: str) -> None:
    page = turned_to(opened(fit_folder), name)
    qtbot.waitUntil(page.form.isVisible, timeout=5_000)
    qtbot.wait(50)
    assert page.form.minimumSizeHint().width() <= page.width() - 28  # the margins on both sides
    for editor in page.form._editors.values():
        assert editor.mapTo(page, editor.rect().topRight()).x() <= page.width() - 14


def test_wrong_frames_are_said_before_the_export(opened: Opened, fit_folder: Path) -> None:
    page = turned_to(opened(fit_folder))
    page.form.set_value("frames", "70:")
    assert "chooses none of the 5 frames" in page.preview
    assert not page.export_button.isEnabled()
    page.form.set_value("frames", "0:2")
    assert page.export_button.isEnabled()


def test_it_asks_before_replacing(opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    page = turned_to(window)
    (tmp_path / "mine.npz").write_text("old")
    page.form.set_value("format", "npz")
    page.form.set_value("out", tmp_path / "mine.npz")
    page.export_button.click()
    press(questions(window)[0], "Keep it")
    assert (tmp_path / "mine.npz").read_text() == "old"
    page.export_button.click()
    with qtbot.waitSignal(window.jobs.exported, timeout=10_000):
        press(questions(window)[0], "Replace")
    assert np.load(tmp_path / "mine.npz")["vertices"].shape == ball_fit().vertices_world.shape


def test_cancel_ends_it_and_leaves_nothing(
    opened: Opened, fit_folder: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = opened(fit_folder)
    page = turned_to(window)
    before = sorted(fit_folder.parent.iterdir())

    def endless(settings: Any) -> Any:
        from spams_core.io.archive import new_folder

        with new_folder(settings.out):
            while True:
                yield Progress(1, 3, "Write on and on")

    monkeypatch.setattr("spams_core.tasks.export.export", endless)
    page.export_button.click()
    qtbot.waitUntil(lambda: page._message.text() == "Write on and on", timeout=5_000)
    assert not page.export_button.isVisible()
    page.cancel_button.click()
    qtbot.waitUntil(lambda: page.export_button.isVisible(), timeout=500)
    assert sorted(fit_folder.parent.iterdir()) == before


def test_sizes_are_spoken_in_round_numbers() -> None:
    from app.export.page import spoken_bytes

    said = [spoken_bytes(count) for count in (12, 812_300, 3_240_000, 45_600_000, 7e9)]
    assert said == ["12 bytes", "812 kB", "3.24 MB", "45.6 MB", "7 GB"]


def test_edits_are_said_to_be_missing_and_can_be_saved_and_opened(
    opened: Opened, fit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    from app.edit.saving import SaveDialog

    def bake_fit(model: Path, motion: Any, out: Path, *_: Any) -> Any:
        yield Progress(0, 1, "Decoding")
        write_fit(out, ball_fit(model=str(model)))
        return out

    monkeypatch.setattr("spams_core.tasks.bake.bake_fit", bake_fit)
    window = opened(fit_folder)
    turned_to(window)
    panel = window.export_workspace.panel
    assert not panel.edits.isVisible()
    window.editing.move_slider("shape", 0, 0, 1.0)
    assert panel.edits.isVisible()
    assert "not included" in panel.edits.findChild(QLabel).text()
    panel.edits_button.click()
    dialog = window.findChild(SaveDialog)
    with qtbot.waitSignal(window.jobs.exported, timeout=20_000):
        dialog.accepted_path.emit(tmp_path / "edited", "fit", 1)
        dialog.accept()
    assert "Open it to export them" in panel.edits.findChild(QLabel).text()
    window.editing.undo_stack.undo()
    assert not panel.edits.isVisible()
    window.editing.undo_stack.redo()
    with qtbot.waitSignal(window.opened, timeout=20_000):
        panel.edits_button.click()
    assert window.session.fit_path == tmp_path / "edited"
    assert not panel.edits.isVisible()


@pytest.mark.parametrize("name", ["meshes", "pictures"])
def test_the_copied_command_writes_what_the_panel_says(opened: Opened, fit_folder: Path, name: str) -> None:
    from app.export import render
    from spams_core.cli import _parse
    from spams_core.tasks import TASKS

    window = opened(fit_folder)
    page, copy = turned_to(window, name), window.commands.actions["copy.export"]
    chosen = {
        "meshes": {"program": "unreal", "format": "obj", "frames": "1:3", "fps": 12.0},
        "pictures": {"kind": "turntable", "format": "gif", "width": 320, "view": "left", "speed": 0.5},
    }[name]
    for field, value in chosen.items():
        page.form.set_value(field, value)
    copy.trigger()
    words = shlex.split(QGuiApplication.clipboard().text())
    wanted = page.form.value()
    assert all(getattr(wanted, field) == value for field, value in chosen.items())
    if name == "meshes":
        assert words[:2] == ["spams", "export"]
        assert _parse(TASKS["export"], words[2:])[0] == wanted
    else:
        assert words[:3] == ["python", "-m", "app.export.render"]
        command = tyro.cli(render._Command, args=words[3:], config=(tyro.conf.PositionalMetavarFromFieldName,))
        assert command.settings == wanted
    page.form.set_value("frames", "9:9")
    page.form.set_value("out", "")
    assert copy.isEnabled() == (not page.form.problem)
