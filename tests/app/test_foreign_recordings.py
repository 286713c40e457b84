"""Recordings of other formats in the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from foreign_recordings import FRAMES, scene_m, write_images, write_sens
from PySide6.QtWidgets import QDialogButtonBox, QFileDialog

from app.capture.import_dialog import ImportDialog


def test_a_file_chosen_in_the_dialog_opens(window: Any, qtbot: Any, tmp_path: Path) -> None:
    path = write_sens(tmp_path / "scene.sens")
    window.commands.actions["open.recording_file"].trigger()
    (dialog,) = window.findChildren(QFileDialog)
    assert "*.sens" in dialog.nameFilters()[0]
    dialog.fileSelected.emit(str(path))
    dialog.close()
    qtbot.waitUntil(lambda: window.session.sequence is not None, timeout=10_000)
    assert window.session.sequence.name == "scene"
    qtbot.waitUntil(lambda: window.session.cloud is not None, timeout=10_000)
    points = window.session.cloud.points_world
    assert len(points) == np.count_nonzero(scene_m(0))
    assert window.session.frame_count == FRAMES


def test_a_folder_of_depth_images_opens(window: Any, qtbot: Any, tmp_path: Path) -> None:
    window.open_path(write_images(tmp_path / "walk"))
    qtbot.waitUntil(lambda: bool(window.findChildren(ImportDialog)), timeout=20_000)
    (dialog,) = window.findChildren(ImportDialog)
    button = dialog.buttons.button(QDialogButtonBox.StandardButton.Open)
    qtbot.waitUntil(button.isEnabled, timeout=20_000)
    button.click()
    qtbot.waitUntil(lambda: window.session.sequence is not None, timeout=20_000)
    assert window.session.sequence.frame_names == ("0", "1", "2", "3")
