"""The whole window, driven as a user drives it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FRAMES
from fits import ball_fit
from looking import colors_in, dialogs
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from spams_core.data.recording import read_subject
from spams_core.errors import InputError

Opened = Callable[[Path], Any]


def press(window: Any, key: Qt.Key) -> None:
    QTest.keyClick(window, key)


# --- timeline ---------------------------------------------------------------------------------------------------------


def test_mouse_scrubs_the_timeline(opened: Opened, recording: Path, qtbot: Any) -> None:
    window = opened(recording)
    strip = window.timeline.strip

    def at(frame: int) -> QPoint:
        return QPoint(round(strip.x_of(frame)), 30)

    QTest.mousePress(strip, Qt.MouseButton.LeftButton, pos=at(2))
    assert window.session.frame == 2
    for frame in (3, 5, 8):
        QTest.mouseMove(strip, at(frame))
        qtbot.waitUntil(lambda frame=frame: window.session.frame == frame, timeout=2_000)
    QTest.mouseRelease(strip, Qt.MouseButton.LeftButton, pos=at(8))
    qtbot.waitUntil(lambda: window.session.cloud is not None and window.session.cloud.frame == 8, timeout=5_000)
    expected = read_subject(window.session.sequence, 8).points_world
    np.testing.assert_array_equal(window.scene.input_cloud.data.points, expected)


def test_keys_step_and_jump(opened: Opened, recording: Path) -> None:
    window = opened(recording)
    window.activateWindow()
    assert QTest.qWaitForWindowActive(window, 5000)
    for key, expected in (
        (Qt.Key.Key_Right, 1), (Qt.Key.Key_Right, 2), (Qt.Key.Key_Left, 1), (Qt.Key.Key_End, FRAMES - 1),
        (Qt.Key.Key_Right, FRAMES - 1), (Qt.Key.Key_Home, 0),
    ):  # fmt: skip
        press(window, key)
        assert window.session.frame == expected


def test_playing_follows_the_clock(opened: Opened, recording: Path, qtbot: Any) -> None:
    window = opened(recording)
    window.player.clock.loop = False
    seen: list[int] = []
    window.session.frame_changed.connect(seen.append)
    begin = time.perf_counter()
    window.commands.actions["play.toggle"].trigger()
    assert window.player.clock.playing
    qtbot.waitUntil(lambda: not window.player.clock.playing, timeout=10_000)
    # Ten frames at 15 fps; the end is reached by time, however few were drawn.
    assert time.perf_counter() - begin == pytest.approx(FRAMES / 15, abs=0.5)
    assert seen == sorted(seen)
    assert seen[-1] == FRAMES - 1
    assert len(seen) + window.player.clock.dropped == FRAMES - 1


def test_switches_hide_and_show(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    scene, actions = window.scene, window.commands.actions
    for name, shown in (("show.cloud", scene.fit_cloud), ("show.mesh", scene.body), ("show.matches", scene.matches)):
        before = shown.visible
        actions[name].trigger()
        assert shown.visible is not before
        actions[name].trigger()
        assert shown.visible is before


def test_correspondences_join_observed_and_model_points(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    window.commands.actions["show.matches"].trigger()
    seen = ball_fit().observation(0)
    drawn = {tuple(p) for p in np.round(window.scene.matches.data.points, 5).tolist()}
    assert drawn == {tuple(p) for p in np.round(seen.points_world, 5).tolist()}
    window.player.go_to(1)  # not fitted: no lines
    assert not window.scene.matches.visible


def test_views_turn_together(opened: Opened, recording: Path) -> None:
    window = opened(recording)
    view = window.viewport
    assert view.renderers[0].GetActiveCamera() is view.renderers[1].GetActiveCamera()

    def direction(camera: Any) -> np.ndarray:
        back = np.array(camera.GetPosition()) - np.array(camera.GetFocalPoint())
        return back / np.linalg.norm(back)

    def heading_deg(camera: Any) -> float:
        x, _, z = direction(camera)
        return float(np.degrees(np.arctan2(x, z)))

    # From the sensor's side one sees the canonical body's front, which faces +z.
    start = heading_deg(view.world_camera)
    assert heading_deg(view.canonical_camera) == pytest.approx(0, abs=1e-6)
    view.world_camera.Azimuth(40)
    assert heading_deg(view.world_camera) == pytest.approx(start + 40, abs=1e-6)
    assert heading_deg(view.canonical_camera) == pytest.approx(40, abs=1e-6)
    view.canonical_camera.Azimuth(-40)
    assert heading_deg(view.world_camera) == pytest.approx(start, abs=1e-6)
    window.commands.actions["view.linked"].trigger()
    before = direction(view.canonical_camera)
    view.world_camera.Azimuth(40)
    np.testing.assert_array_equal(direction(view.canonical_camera), before)


def test_theme_switches_and_is_remembered(window: Any) -> None:
    from app.preferences import Preferences

    dark = window.grab().toImage().pixelColor(5, 5).lightness()
    window.commands.actions["theme.light"].trigger()
    assert window.grab().toImage().pixelColor(5, 5).lightness() > dark + 100
    assert Preferences().theme == "light"


def test_everything_has_a_tooltip(opened: Opened, fit_folder: Path) -> None:
    from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QSlider

    window = opened(fit_folder)
    for kind in (QAbstractButton, QComboBox, QLineEdit, QSlider):
        for widget in window.findChildren(kind):
            if widget.objectName().startswith("qt_") or not widget.isVisibleTo(window):
                continue
            parent = widget.parentWidget()
            assert widget.toolTip() or (parent is not None and parent.toolTip()), (kind, widget.objectName())


def test_screenshot_shows_the_viewports(opened: Opened, fit_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    window = opened(fit_folder)
    window.save_screenshot(tmp_path / "shot.png")
    with Image.open(tmp_path / "shot.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[:2] == (window.height(), window.width())
    top_left = window.viewport.mapTo(window, QPoint(0, 0))
    view = pixels[top_left.y() : top_left.y() + window.viewport.height(), top_left.x() :][:, : window.viewport.width()]
    assert colors_in(view) > 0.02
    with pytest.raises(InputError, match="cannot be written"):
        window.save_screenshot(tmp_path / "nowhere" / "shot.png")


# --- export -----------------------------------------------------------------------------------------------------------


def test_body_on_screen_is_written(opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any) -> None:
    import trimesh

    from spams_core.tasks.export_mesh import export_mesh

    window = opened(fit_folder)
    body, names = window.session.body_on_screen(), window.session.part_names
    for name in ("a.ply", "a.obj", "a.stl", "a.glb"):
        with qtbot.waitSignal(window.jobs.exported, timeout=10_000):
            window.jobs.run_export(export_mesh(body, names, tmp_path / name))
        mesh = trimesh.load(tmp_path / name, force="mesh")
        np.testing.assert_allclose(mesh.bounds, _bounds(ball_fit().vertices_world[0]), atol=1e-5)
    window.jobs.run_export(export_mesh(body, names, tmp_path / "a.doc"))
    qtbot.waitUntil(lambda: len(dialogs(window)) == 1, timeout=5_000)
    assert "must end in .ply" in dialogs(window)[0].text()
    dialogs(window)[0].close()


def _bounds(vertices: np.ndarray) -> np.ndarray:
    return np.stack([vertices.min(0), vertices.max(0)])


# --- starting ---------------------------------------------------------------------------------------------------------


def test_window_is_up_before_the_heavy_libraries_are_loaded() -> None:
    script = """
import sys, time
begin = time.process_time()
from app.launch import create_application
app = create_application()
from app.main_window import MainWindow
window = MainWindow()
window.show()
# Looked at before events run: on a busy machine the libraries' turn has come by the time that the window is painted.
loaded = [name for name in ("torch", "vtkmodules", "trimesh") if name in sys.modules]
app.processEvents()
print(time.process_time() - begin, loaded)
window.close()
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    seconds, loaded = done.stdout.split(" ", 1)
    assert loaded.strip() == "[]"
    # 0.6 s; the limit is the promise to the user. Of the processor's time, for other programs may be running.
    assert float(seconds) < 3.0


# --- with the bundled model -------------------------------------------------------------------------------------------


def test_bundled_model_fits_the_demo_recording(qtbot: Any, tmp_path: Path) -> None:
    """No stand-ins: three frames of the demo recording, with the real segmenter, decoders and solver."""
    from app.main_window import MainWindow
    from spams_core.resources import resource_path

    try:
        resource_path("models/human/segmenter")
    except InputError:
        pytest.skip("needs the bundled model in resources/models/human")
    from spams_core.fitting.settings import SolveSettings
    from spams_core.tasks.fit import FitSettings

    window = MainWindow()
    window.show()
    qtbot.waitUntil(lambda: window.is_ready and window.editor.workbench is not None, timeout=60_000)
    with qtbot.waitSignal(window.opened, timeout=20_000):
        window.documents.open_demo()
    qtbot.waitUntil(
        lambda: window.session.cloud is not None and window.session.cloud.labels is not None, timeout=60_000
    )
    short = SolveSettings(align_iterations=3, rounds=1, joint_rounds=1, match_resolution=64, mesh_resolution=64)
    settings = FitSettings(window.session.sequence.path, tmp_path / "fit", frames="0:6:2", solve=short)
    with qtbot.waitSignal(window.fit_finished, timeout=240_000):
        window.start_fit(settings)
    fit = window.session.fit
    assert fit.frame_indices.tolist() == [0, 2, 4]
    np.testing.assert_allclose(window.scene.body.data.points, fit.vertices_world[0], atol=1e-6)
    # The body stands where the points are, however rough so short a fit is.
    seen = window.session.cloud.points_world
    assert np.abs(np.median(seen, axis=0) - np.median(fit.vertices_world[0], axis=0)).max() < 0.2
    begin = time.perf_counter()
    window.edit_workspace.codes_panel.pose_sliders[0].setSliderDown(True)
    window.edit_workspace.codes_panel.pose_sliders[0].setValue(100)
    qtbot.waitUntil(lambda: window.session.edited is not None, timeout=20_000)
    # The first drag also extracts the coarse mesh: 0.3 s on an idle machine.
    assert time.perf_counter() - begin < 10
    assert not np.allclose(window.session.edited.vertices_world.mean(0), 0)
    window._closing._close()  # nobody is there to be asked about the edit
