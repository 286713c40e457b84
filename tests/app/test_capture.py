"""Capture: the depth image and the point that it marks in the input view."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FRAMES
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from recordings import CAMERA, ball_depth

from spams_core.data.recording import read_sequence

Opened = Callable[[Path], Any]


@pytest.fixture
def capture(opened: Opened, recording: Path, qtbot: Any) -> Any:
    """The window with the ball's recording, turned to Capture, its first image shown."""
    window = opened(recording)
    window.turn_to("capture")
    image = window.capture_workspace.capturing.image
    qtbot.waitUntil(lambda: image.frame is not None, timeout=5_000)
    QApplication.processEvents()  # the layout gives the picture its size
    return window


def point_at(window: Any, u: int, v: int) -> None:
    canvas = window.capture_workspace.capturing.image.canvas
    place = QPointF(canvas.place_of(u, v))
    none = Qt.MouseButton.NoButton
    move = QMouseEvent(
        QEvent.Type.MouseMove, place, canvas.mapToGlobal(place), none, none, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(canvas, move)


def test_hovering_reads_the_pixel_and_marks_its_point(capture: Any) -> None:
    image, marks = capture.capture_workspace.capturing.image, capture.capture_workspace.capturing.marks
    assert image.isVisible()
    point_at(capture, 16, 12)
    depth = ball_depth()[12, 16]
    x, y = 0.5 * depth / 40, 0.5 * depth / 40
    # Depth images hold whole millimetres.
    assert f"{depth:.3f} m at column 16, row 12" in image.readout()
    assert f"camera x {x:+.3f}, y {y:+.3f}, z {depth:.3f} m" in image.readout()
    assert marks.point.visible
    assert marks.cross.visible
    # The camera looks along -z of the world, y up.
    np.testing.assert_allclose(marks.point.data.points[0], [x, -y, -depth], atol=6e-4)
    cloud = capture.scene.input_cloud.data.points
    assert np.linalg.norm(cloud - marks.point.data.points[0], axis=1).min() < 1e-5
    point_at(capture, 0, 0)
    assert image.readout() == "no reading at column 0, row 0"
    assert not marks.point.visible
    QApplication.sendEvent(image.canvas, QEvent(QEvent.Type.Leave))
    assert "Point at the image" in image.readout()


def test_image_follows_the_timeline_and_keeps_its_colours(capture: Any, qtbot: Any) -> None:
    image = capture.capture_workspace.capturing.image
    first = image.frame
    point_at(capture, 20, 12)
    capture.player.go_to(FRAMES - 1)
    qtbot.waitUntil(lambda: image.frame.frame == FRAMES - 1, timeout=5_000)
    np.testing.assert_allclose(image.frame.depth_m, ball_depth(0.05 * (FRAMES - 1)), atol=6e-4)
    assert image.frame.range_m == first.range_m
    assert len(image.bar.ticks()) == 5
    # The pointer rests: what it reads is the new frame's.
    depth = ball_depth(0.05 * (FRAMES - 1))[12, 20]
    assert f"{depth:.3f} m at column 20" in image.readout()


def test_picture_shows_near_yellow_and_nothing_where_nothing_was_read(capture: Any) -> None:
    image = capture.capture_workspace.capturing.image
    near = image.frame.rgba[12, 16].astype(int)
    assert near[3] == 255
    assert near[0] > 200 > 150 > near[2]
    assert (image.frame.rgba[..., 3] == np.where(ball_depth() > 0, 255, 0)).all()
    picture = image.canvas.grab().toImage()
    place = image.canvas.place_of(16, 12)
    assert picture.pixelColor(place).red() > 200
    assert picture.pixelColor(image.canvas.place_of(0, 0)).name() == capture.theme.window


def test_masked_readings_are_dimmed(capture: Any, recording: Path, qtbot: Any) -> None:
    sequence = read_sequence(recording)
    half = np.zeros((CAMERA.height, CAMERA.width), bool)
    half[:, :16] = True
    capture.session.sequence = dataclasses.replace(sequence, read_mask=lambda _: half)
    image = capture.capture_workspace.capturing.image
    seen = int((ball_depth() > 0).sum())
    kept = int((ball_depth()[:, :16] > 0).sum())
    qtbot.waitUntil(lambda: image.facts() == f"{kept} of {seen} readings kept", timeout=5_000)
    dimmed = image.frame.rgba[12, 18]
    assert 0 < dimmed[3] < 255
    assert np.ptp(dimmed[:3]) == 0
    point_at(capture, 18, 12)
    assert "not the subject" in image.readout()


def test_other_workspaces_hide_the_image_and_read_nothing(capture: Any, qtbot: Any) -> None:
    capturing = capture.capture_workspace.capturing
    point_at(capture, 16, 12)
    capture.turn_to("fit")
    assert not capturing.image.isVisible()
    assert not capturing.marks.point.visible
    shown = capturing.image.frame
    capture.player.go_to(3)
    QTest.qWait(100)
    assert capturing.image.frame is shown
    capture.turn_to("capture")
    qtbot.waitUntil(lambda: capturing.image.frame.frame == 3, timeout=5_000)


def test_points_show_how_sure_their_parts_are(capture: Any, qtbot: Any) -> None:
    cloud = capture.session.cloud
    # As the segmenter would say it: surer to the right.
    sure = np.interp(cloud.points_world[:, 0], [-0.5, 0.5], [0.5, 1.0])
    qtbot.waitUntil(lambda: capture.jobs.labelling is None, timeout=10_000)
    action = capture.commands.actions["capture.confidence"]
    assert not action.isEnabled()  # the stand-in labels without saying how sure it is
    assert "without confidences" in action.toolTip()
    capture.reader.set_labels(0, cloud.points_world, np.zeros(len(sure), np.int32), sure)
    qtbot.waitUntil(lambda: capture.session.cloud.confidences is not None, timeout=5_000)
    np.testing.assert_array_equal(capture.session.cloud.confidences, sure)
    assert action.isEnabled()
    assert "without confidences" not in action.toolTip()
    panel = capture.capture_workspace.labels
    assert f"Mean confidence {100 * sure.mean():.0f} %" in panel.facts.text()
    assert f"{100 * (sure < 0.7).mean():.0f} % of the points" in panel.facts.text()
    capture.commands.actions["capture.confidence"].trigger()
    assert capture.view_bar.facts()[0].endswith("points by confidence")
    assert panel.legend.isVisible()
    colors = np.asarray(capture.scene.input_cloud.data.point_data["color"]).astype(int)
    left, right = colors[sure.argmin()], colors[sure.argmax()]
    assert left[0] > left[2] + 100  # red
    assert right[2] > right[0] + 80  # blue
    capture.commands.actions["show.part_colors"].trigger()
    assert not panel.legend.isVisible()
    assert not capture.commands.actions["capture.confidence"].isChecked()
