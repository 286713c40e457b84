"""The window opens recordings and fits, or says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FRAMES
from fits import ball_fit
from looking import colors_in, column_pixels, dialogs
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication
from recordings import FAULTS

from spams_core.errors import InputError

Opened = Callable[[Path], Any]


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


@pytest.mark.parametrize("fault", ["not JSON", "8-bit depth", "gap"])
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
