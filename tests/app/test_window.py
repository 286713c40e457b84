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
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QToolButton
from recordings import FAULTS

from spams_core.data.recording import read_subject
from spams_core.errors import InputError

Opened = Callable[[Path], Any]


def dialogs(window: Any) -> list[QMessageBox]:
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def press(window: Any, key: Qt.Key) -> None:
    QTest.keyClick(window, key)


def column_pixels(window: Any, column: int) -> np.ndarray:
    """What one viewport shows, [H, W, 3]."""
    picture = window.viewport.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    data = np.array(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())
    pixels = data[:, : 3 * picture.width()].reshape(picture.height(), picture.width(), 3)
    edges = [0, 5 / 14, 10 / 14, 1]
    return pixels[:, int(edges[column] * picture.width()) + 2 : int(edges[column + 1] * picture.width()) - 2]


def colors_in(pixels: np.ndarray) -> float:
    """Share of pixels that are clearly coloured; background and floor are nearly grey."""
    return float((np.ptp(pixels.astype(int), axis=2) > 60).mean())


# --- opening ----------------------------------------------------------------------------------------------------------


def test_recording_opens_and_is_coloured_by_part(opened: Opened, recording: Path, qtbot: Any) -> None:
    window = opened(recording)
    assert window.session.frame_count == FRAMES
    assert window.viewing
    qtbot.waitUntil(lambda: len(window.reader.labelled_frames) == FRAMES, timeout=10_000)
    qtbot.waitUntil(lambda: window.session.cloud.labels is not None, timeout=5_000)
    cloud = window.session.cloud
    # The stand-in calls everything below the camera torso.
    np.testing.assert_array_equal(cloud.labels, cloud.points_world[:, 1] < 0)
    assert window.view_bar.facts()[0] == f"{len(cloud.points_world)} points by part"
    assert colors_in(column_pixels(window, 0)) > 0.03
    assert f"{len(cloud.points_world)} points" in window.status.facts["points"].text()
    window.commands.actions["show.part_colors"].trigger()
    assert window.view_bar.facts()[0].endswith("by distance")
    assert window.scene.input_cloud.data.n_points == len(cloud.points_world)


def test_fit_opens_with_its_recording(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    fit = ball_fit()
    assert window.session.sequence is not None
    assert window.status.facts["residual"].text() == "5.0 mm residual"
    np.testing.assert_allclose(window.scene.body.data.points, fit.vertices_world[0], atol=1e-6)
    assert colors_in(column_pixels(window, 1)) > 0.02
    assert colors_in(column_pixels(window, 2)) > 0.02
    window.player.go_to(4)
    np.testing.assert_allclose(window.scene.body.data.points, fit.vertices_world[2], atol=1e-6)
    window.player.go_to(5)
    assert window.view_bar.facts()[1] == "nearest fitted frame: 4"


def test_fit_opens_without_its_recording(opened: Opened, fit_folder: Path, recording: Path) -> None:
    recording.rename(recording.with_name("elsewhere"))
    window = opened(fit_folder)
    assert window.session.sequence is None
    assert window.session.frame_count == int(ball_fit().frame_indices.max()) + 1
    assert len(window.session.cloud.points_world) == 4


@pytest.mark.parametrize("fault", ["no camera.json", "8-bit depth", "gap"])
def test_faulty_recording_is_explained_in_a_dialog(window: Any, recording: Path, qtbot: Any, fault: str) -> None:
    FAULTS[fault][0](recording)
    window.open_path(recording)
    qtbot.waitUntil(lambda: len(dialogs(window)) == 1, timeout=10_000)
    box = dialogs(window)[0]
    from app.opening import open_path

    with pytest.raises(InputError) as raised:
        open_path(recording)
    assert box.text() == str(raised.value)
    assert not box.detailedText()
    box.close()
    assert not window.viewing


def test_foreign_folder_and_corrupted_fit_are_refused(
    window: Any, fit_folder: Path, tmp_path: Path, qtbot: Any
) -> None:
    (tmp_path / "empty").mkdir()
    (fit_folder / "arrays.safetensors").write_bytes(b"nonsense")
    for path, text in ((tmp_path / "empty", "neither a recording"), (fit_folder, "missing or corrupted")):
        window.open_path(path)
        qtbot.waitUntil(lambda: len(dialogs(window)) == 1, timeout=10_000)
        assert text in dialogs(window)[0].text()
        dialogs(window)[0].close()
        qtbot.waitUntil(lambda: not dialogs(window), timeout=5_000)


def test_dropped_folder_opens(window: Any, recording: Path, qtbot: Any) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(recording))])
    where, button, none = QPointF(300, 300), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(where.toPoint(), Qt.DropAction.CopyAction, data, button, none)
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    with qtbot.waitSignal(window.opened, timeout=10_000):
        QApplication.sendEvent(window, QDropEvent(where, Qt.DropAction.CopyAction, data, button, none))
    assert window.session.sequence.name == "ball"
    # The viewport must not take drops for itself: VTK's widget would read the file in this thread.
    assert not window.viewport.acceptDrops()


def test_bad_frame_is_reported_without_stopping(opened: Opened, recording: Path, qtbot: Any) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((24, 32), np.uint16)).save(recording / "depth" / "000003.png")
    window = opened(recording)
    window.player.go_to(3)
    qtbot.waitUntil(lambda: window.session.cloud is None, timeout=5_000)
    assert "000003: the depth image has no reading" in window.status.currentMessage()
    window.player.go_to(4)
    qtbot.waitUntil(lambda: window.session.cloud is not None, timeout=5_000)


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


# --- fitting ----------------------------------------------------------------------------------------------------------


def test_fit_runs_with_live_mesh_and_loss(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    assert window.fitting.possible()
    live: list[Any] = []
    window.session.live_changed.connect(live.append)
    with qtbot.waitSignal(window.fit_finished, timeout=20_000) as finished:
        window.commands.actions["fit.start"].trigger()
        assert not window.commands.actions["fit.start"].isEnabled()
        qtbot.waitUntil(lambda: window.scene.body.visible, timeout=10_000)
        left = window.fit_workspace.panel._left
        qtbot.waitUntil(lambda: "left" in left.text() or window.session.live is None, timeout=10_000)
    assert any(shown is not None for shown in live)
    assert finished.args[0] is window.session.fit
    assert window.session.live is None
    steps, values = window.fit_workspace.panel.plot.points("total")
    assert len(steps) == len(values) > 0
    # Written beside the recording, and the next fit will not overwrite it.
    assert window.session.fit_path == recording.with_name("ball_fit")
    assert (recording.with_name("ball_fit") / "manifest.json").is_file()
    assert window.fit_workspace.panel.form.value().out == recording.with_name("ball_fit_2")


def test_loss_curve_holds_every_step(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: window.fit_workspace.panel.plot.names != [], timeout=10_000)
    measured: list[int] = []
    window.jobs.fit_measured.connect(lambda metrics: measured.extend(step for step, _ in metrics))
    already = list(window.fit_workspace.panel.plot.points("total")[0])
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=20_000)
    assert already + [float(step) for step in measured] == [float(step) for step in range(1, fitter.steps + 1)]


def test_cancel_ends_within_half_a_second(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.steps = 10_000
    window = opened(recording)
    chosen = recording.with_name("chosen")
    window.fit_workspace.panel.form.set_value("out", chosen)
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    begin = time.perf_counter()
    window.fit_workspace.panel.cancel_button.click()
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=5_000)
    assert fitter.closed_at - begin < 0.5
    assert window.fit_workspace.panel.form.value().out == chosen
    assert not chosen.exists()
    assert window.fitting.possible()
    assert window.session.live is None


def test_cancel_does_not_wait_for_a_long_step(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.step_s = 2.0
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    begin = time.perf_counter()
    window.fit_workspace.panel.cancel_button.click()
    qtbot.waitUntil(lambda: window.jobs.fitting is None, timeout=5_000)
    # Half a second is promised; drawing in software on a busy machine may add to it.
    assert time.perf_counter() - begin < 1.0
    assert window.fitting.possible()
    qtbot.waitUntil(lambda: not window.jobs.running, timeout=10_000)
    assert fitter.closed_at
    assert not recording.with_name("ball_fit").exists()


def test_pause_holds_and_resume_goes_on(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.steps = 60
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    window.fit_workspace.panel.pause_button.click()
    assert window.fit_workspace.panel.pause_button.text() == "Resume"
    QTest.qWait(200)
    held = list(window.fit_workspace.panel.plot.points("total")[0])
    QTest.qWait(300)
    assert window.fit_workspace.panel.plot.points("total")[0] == held
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        window.fit_workspace.panel.pause_button.click()


def test_exception_in_a_fit_is_shown_and_the_window_goes_on(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any
) -> None:
    fitter.error = ZeroDivisionError("seven")
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: len(dialogs(window)) == 1, timeout=10_000)
    box = dialogs(window)[0]
    assert "ZeroDivisionError: seven" in box.informativeText()
    assert "conftest.py" in box.detailedText()
    box.close()
    fitter.error = None
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        window.start_fit()


def test_input_error_in_a_fit_is_shown_as_it_is(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.error = InputError("frame 000007 has no reading. Leave it out (--frames).")
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: len(dialogs(window)) == 1, timeout=10_000)
    assert dialogs(window)[0].text() == "frame 000007 has no reading. Leave it out (--frames)."
    assert not dialogs(window)[0].detailedText()
    dialogs(window)[0].close()


def test_closing_while_fitting_asks(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    fitter.steps = 10_000
    window = opened(recording)
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=10_000)
    window.close()
    assert window.isVisible()
    next(b for b in dialogs(window)[0].buttons() if b.text() == "Keep working").click()
    assert window.jobs.fitting is not None
    window.close()
    next(b for b in dialogs(window)[-1].buttons() if b.text() == "Stop and close").click()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5_000)
    assert fitter.closed_at
    assert window.jobs.running == []


# --- editing ----------------------------------------------------------------------------------------------------------


def drag(slider: Any, values: list[int]) -> None:
    """Press on the handle, move, release: as the mouse does it."""
    y = slider.height() // 2
    points = [QPoint(round(slider._x(value)), y) for value in values]
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=points[0])
    for point in points[1:]:
        QTest.mouseMove(slider, point)
        QTest.qWait(20)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=points[-1])


def test_pose_slider_moves_the_body(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    window.edit_workspace.show_sliders()
    QTest.qWait(50)
    before = np.array(window.scene.body.data.points)
    drag(window.edit_workspace.codes_panel.pose_sliders[0], [0, 60, 120, 200])
    qtbot.waitUntil(lambda: window.session.edited is not None and not window.session.edited.preview, timeout=5_000)
    qtbot.waitUntil(lambda: window.editor.idle, timeout=5_000)
    sigma = window.edit_workspace.codes_panel.pose_sigma[0, 0]
    assert sigma == pytest.approx(2.0, abs=0.05)
    # One deviation is 0.1 units, a unit 1.25 m; the stand-in moves everything along x by the sum of the codes.
    codes = ball_fit().pose_codes[0].sum() + 0.1 * sigma
    assert window.session.edited.vertices_world[:, 0].mean() == pytest.approx(codes / 0.8, abs=1e-3)
    assert window.scene.body.data.points.shape == before.shape
    assert not np.allclose(window.scene.body.data.points, before)
    assert window.view_bar.facts()[1] == "edited, not saved"
    window.editing.undo_stack.undo()
    qtbot.waitUntil(lambda: window.session.edited is None, timeout=5_000)
    np.testing.assert_allclose(window.scene.body.data.points, before)
    assert window.edit_workspace.codes_panel.pose_sliders[0].value() == 0


def test_shape_slider_changes_the_canonical_body(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    window.edit_workspace.show_sliders()
    window.edit_workspace.codes_panel.shape_sliders[1].setValue(300)
    qtbot.waitUntil(lambda: window.session.edited is not None and not window.session.edited.preview, timeout=5_000)
    stretched = 1 + ball_fit().shape_codes[0, :3] + np.array([0, 0.3, 0])
    height = np.ptp(window.scene.canonical.data.points[:, 1])
    assert height == pytest.approx(0.8 * stretched[1], rel=1e-3)
    window.commands.actions["edit.reset"].trigger()
    qtbot.waitUntil(lambda: window.session.edited is None, timeout=5_000)


def test_slow_decoding_draws_only_the_newest(opened: Opened, fit_folder: Path, bench: Any, qtbot: Any) -> None:
    window = opened(fit_folder)
    bench.delay_s = 0.05
    bodies: list[Any] = []
    window.session.edited_changed.connect(bodies.append)
    for value in range(0, 300, 3):
        window.edit_workspace.codes_panel.shape_sliders[0].setValue(value)
    qtbot.waitUntil(lambda: window.editor.idle and bool(bodies), timeout=5_000)
    QTest.qWait(50)
    assert len(bodies) < 10
    wanted = 0.8 * (1 + ball_fit().shape_codes[0, 0] + 0.1 * 2.97)
    assert np.ptp(bodies[-1].canonical.vertices[:, 0]) == pytest.approx(wanted, rel=1e-3)


def test_blend_walks_from_a_to_b(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    panel = window.edit_workspace.blend_panel
    window.turn_to("edit")
    window.edit_workspace.tabs.setCurrentWidget(panel)
    QTest.qWait(50)
    for slot, wanted in zip("AB", ("Fitted body at the playhead", "Mean body"), strict=True):
        menu = next(b.menu() for b in panel.findChildren(QToolButton) if b.toolTip() == f"Choose body {slot}")
        titles = [action.text() for action in menu.actions()]
        assert titles[-2:] == ["", "From another fit…"], "a line sets what comes from a file apart"
        menu.actions()[titles.index(wanted)].trigger()
    drag(panel.shape_slider, [0, 50, 100])
    qtbot.waitUntil(lambda: window.session.edited is not None and window.editor.idle, timeout=5_000)
    amount = panel.shape_slider.value() / panel.shape_slider.maximum()
    assert amount == pytest.approx(0.5, abs=0.02)
    codes = window.editor.codes_on_screen()
    np.testing.assert_allclose(codes.shape, (1 - amount) * ball_fit().shape_codes, atol=1e-6)
    np.testing.assert_allclose(codes.pose, ball_fit().pose_codes[0], atol=1e-6)
    panel.pose_slider.setValue(panel.pose_slider.maximum())
    np.testing.assert_allclose(window.editor.codes_on_screen().pose, 0, atol=1e-6)
    panel.reset.click()
    qtbot.waitUntil(lambda: window.session.edited is None, timeout=5_000)


def test_model_can_be_explored_without_a_recording(window: Any, qtbot: Any) -> None:
    window.welcome.explore.click()
    qtbot.waitUntil(lambda: window.scene.body.visible and window.scene.canonical.visible, timeout=5_000)
    assert [bool(renderer.GetDraw()) for renderer in window.viewport.renderers] == [False, True, True]
    assert colors_in(column_pixels(window, 1)) > 0.02


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
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60)
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
    window.close()
