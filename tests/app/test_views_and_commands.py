"""Stored views, parallel projection, and settings as command lines."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtTest import QTest

from app.command_line import argument_words, command_line
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
    words = shlex.split(command_line(f"spams {task}", settings))
    assert words == ["spams", task, *argument_words(settings)]
    assert words[:2] == ["spams", task]
    parsed = _parse(TASKS[task], words[2:])
    assert not isinstance(parsed, int)
    assert parsed[0] == settings


def test_every_switch_of_the_solver_parses_back() -> None:
    for field in dataclasses.fields(SolveSettings):
        if isinstance(field.default, bool):
            settings = FitSettings(Path("w"), Path("o"), solve=SolveSettings(**{field.name: not field.default}))
            parsed = _parse(TASKS["fit"], argument_words(settings))
            assert parsed[0] == settings, field.name


def test_defaults_are_left_out() -> None:
    settings = FitSettings(Path("walk"), Path("walk_fit"), preset="accurate")
    assert command_line("spams fit", settings) == "spams fit walk --out walk_fit --preset accurate"


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


# --- what is on screen ------------------------------------------------------------------------------------------------


def test_canonical_body_fills_its_column_wherever_the_recording_was_opened(
    opened: Opened, window: Any, recording: Path, qtbot: Any
) -> None:
    view = window.viewport

    def distance() -> float:
        return float(view.canonical_camera.GetDistance())

    window.turn_to("capture")
    opened(recording)
    QTest.qWait(100)
    hidden = distance()
    window.turn_to("edit")
    QTest.qWait(100)
    shown = distance()
    assert shown < hidden
    window.reset_view()
    assert distance() == pytest.approx(shown, rel=1e-3)
    # Coming back changes nothing.
    window.turn_to("capture")
    QTest.qWait(50)
    window.turn_to("edit")
    QTest.qWait(100)
    assert distance() == pytest.approx(shown, rel=1e-3)


def test_status_names_no_frame_when_nothing_is_open(opened: Opened, recording: Path) -> None:
    window = opened(recording)
    assert window.status.facts["frame"].text() == "frame 0 / 9"
    window.documents.close_all()
    assert window.status.facts["frame"].text() == ""
    assert window.status.facts["frame"].isHidden()


def test_part_colours_are_named_only_while_something_wears_them(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    from app.session import BodyPaint

    window = opened(fit_folder)
    session = window.session
    window.turn_to("capture")
    assert window.legend.isVisible()
    session.cloud_colors = "depth"
    assert not window.legend.isVisible()
    window.turn_to("fit")  # the bodies wear them
    assert window.legend.isVisible()
    window.show_views((True, True, False))
    assert window.legend.isVisible()
    session.body_paint = BodyPaint(session.fit, 0, np.zeros((len(session.fit.vertex_parts), 3), np.uint8))
    assert not window.legend.isVisible()
    session.cloud_colors = "part"
    assert window.legend.isVisible()


@pytest.mark.parametrize("light", [False, True])
def test_boxes_and_fields_are_seen_in_both_themes(window: Any, light: bool) -> None:
    from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QVBoxLayout, QWidget

    from app.theme import THEMES

    window.use_light_theme(light)
    theme = THEMES["light" if light else "dark"]
    page = QWidget()
    page.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    layout = QVBoxLayout(page)
    fields = [QLineEdit(), QComboBox(), QSpinBox(), QDoubleSpinBox()]
    check = QCheckBox("Tick")
    for widget in (*fields, check):
        layout.addWidget(widget)
    page.show()
    assert len({field.sizeHint().height() for field in fields}) == 1
    for field in fields:
        picture = field.grab().toImage()
        middle = picture.height() // 2
        assert picture.pixelColor(picture.width() // 2, middle).name() == theme.field
        assert picture.pixelColor(0, middle).name() == theme.border_strong
    # Up and down are drawn, each in its half.
    picture = fields[2].grab().toImage()
    ground = picture.pixelColor(picture.width() // 2, picture.height() // 2)
    for rows in (range(3, picture.height() // 2), range(picture.height() // 2 + 1, picture.height() - 3)):
        inked = [x for y in rows for x in range(picture.width() - 20, picture.width() - 3)
                 if picture.pixelColor(x, y) != ground]  # fmt: skip
        assert inked
    off = _colors(check)
    check.setChecked(True)
    on = _colors(check)
    assert theme.muted in off
    assert theme.accent in on
    assert theme.accent not in off
    assert max(QColor(name).lightness() for name in on - off) > 200  # the mark itself
    page.close()


def _colors(check: Any) -> set[str]:
    """Colours in a tick box, without its text."""
    picture = check.grab().toImage()
    return {picture.pixelColor(x, y).name() for x in range(16) for y in range(picture.height())}
