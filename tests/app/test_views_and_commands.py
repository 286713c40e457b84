"""Stored views, parallel projection, and settings as command lines."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from app.command_line import command_line, command_words
from spams_core.cli import _parse
from spams_core.fitting.settings import SolveSettings
from spams_core.tasks import TASKS
from spams_core.tasks.evaluate import EvaluateSettings
from spams_core.tasks.export import ExportSettings
from spams_core.tasks.fit import FitSettings

Opened = Callable[[Path], Any]


# --- command lines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("fit", FitSettings(Path("walk"), Path("out"))),
        ("fit", FitSettings(Path("/a b/it's"), Path("o $x"), preset="accurate", frames="-4:", seed=7, device="cpu")),
        ("fit", FitSettings(Path("w"), Path("o"), model=Path("m"), solve=SolveSettings(temporal_weight=0.2, rounds=3))),
        ("fit", FitSettings(Path("w"), Path("o"), solve=SolveSettings())),
        ("export", ExportSettings(Path("fit"), Path("walk.glb"), "glb", "10")),
        ("export", ExportSettings(Path("fit"), Path("meshes"))),
        ("evaluate", EvaluateSettings(Path("fit"), against=Path("walk 2"), volume_samples=1000)),
    ],
)
def test_command_line_parses_back(task: str, settings: Any) -> None:
    words = shlex.split(command_line(task, settings))
    assert words == command_words(task, settings)
    assert words[:2] == ["spams", task]
    parsed = _parse(TASKS[task], words[2:])
    assert not isinstance(parsed, int)
    assert parsed[0] == settings


def test_every_switch_of_the_solver_parses_back() -> None:
    for field in dataclasses.fields(SolveSettings):
        if isinstance(field.default, bool):
            settings = FitSettings(Path("w"), Path("o"), solve=SolveSettings(**{field.name: not field.default}))
            parsed = _parse(TASKS["fit"], command_words("fit", settings)[2:])
            assert parsed[0] == settings, field.name


def test_defaults_are_left_out() -> None:
    settings = FitSettings(Path("walk"), Path("walk_fit"), preset="accurate")
    assert command_line("fit", settings) == "spams fit walk --out walk_fit --preset accurate"


def test_window_copies_its_commands(opened: Opened, fit_folder: Path, recording: Path) -> None:
    window = opened(fit_folder)
    window.fit_workspace.panel.form.set_value("preset", "accurate")
    window.commands.actions["copy.fit"].trigger()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert _parse(TASKS["fit"], words[2:])[0] == window.fit_workspace.panel.form.value()
    window.commands.actions["copy.evaluate"].trigger()
    assert shlex.split(QGuiApplication.clipboard().text()) == ["spams", "evaluate", str(fit_folder)]
    window.commands.actions["copy.export"].trigger()
    assert shlex.split(QGuiApplication.clipboard().text())[:3] == ["spams", "export", str(fit_folder)]


# --- views ------------------------------------------------------------------------------------------------------------


def flat(window: Any) -> np.ndarray:
    places = (window.viewport.cameras().world, window.viewport.cameras().canonical)
    return np.array([[*p.position, *p.focus, *p.up, p.half_height] for p in places])


def test_stored_view_comes_back_and_is_saved(opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    QTest.qWait(50)
    assert not window.commands.actions["bookmark.recall.3"].isEnabled()
    window.viewport.world_camera.Azimuth(40)
    wanted = flat(window)
    window.commands.actions["bookmark.store.3"].trigger()
    window.commands.actions["view.top"].trigger()
    assert not np.allclose(flat(window), wanted)
    window.commands.actions["bookmark.recall.3"].trigger()
    np.testing.assert_allclose(flat(window), wanted, atol=1e-9)
    assert window.projects.unsaved, "a stored view is worth a question"
    path = tmp_path / "a.spamproj"
    window.projects.save_to(path)
    window.commands.actions["project.new"].trigger()
    assert window.projects.bookmarks == {}
    window.open_path(path)
    qtbot.waitUntil(lambda: window.projects.path == path and not window.projects._applying, timeout=10_000)
    window.commands.actions["bookmark.recall.3"].trigger()
    np.testing.assert_allclose(flat(window), wanted, atol=1e-9)


def test_parallel_projection_keeps_the_size_and_links_zoom(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    QTest.qWait(50)
    view = window.viewport
    before, scale = flat(window), view.pixels_per_metre()
    window.commands.actions["view.parallel"].trigger()
    assert view.parallel
    assert view.pixels_per_metre() == pytest.approx(scale)
    half = view.canonical_camera.GetParallelScale()
    view.world_camera.SetParallelScale(view.world_camera.GetParallelScale() / 2)
    assert view.canonical_camera.GetParallelScale() == pytest.approx(half / 2)
    view.world_camera.SetParallelScale(view.world_camera.GetParallelScale() * 2)
    window.commands.actions["view.parallel"].trigger()
    assert not view.parallel
    np.testing.assert_allclose(flat(window), before, atol=1e-6)
