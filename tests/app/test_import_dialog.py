"""Before a recording is accepted, the window shows what was guessed and the size in metres, and takes corrections."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_recordings import CX, CY, FX, FY, write_images
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialogButtonBox

from app.capture.import_dialog import ImportDialog
from spams_core.data.recording import ReadingSettings
from spams_core.data.saved_settings import read_saved

Ask = Callable[[Path], ImportDialog]


@pytest.fixture
def asked(window: Any, qtbot: Any) -> Ask:
    """Opens a recording and gives the dialog that asks, once it shows the points."""

    def ask(path: Path) -> ImportDialog:
        window.open_path(path)
        qtbot.waitUntil(lambda: bool(window.findChildren(ImportDialog)), timeout=20_000)
        (dialog,) = window.findChildren(ImportDialog)
        qtbot.waitUntil(open_button(dialog).isEnabled, timeout=20_000)
        return dialog

    return ask


def open_button(dialog: ImportDialog) -> Any:
    return dialog.buttons.button(QDialogButtonBox.StandardButton.Open)


def read_again(dialog: ImportDialog, qtbot: Any) -> None:
    assert not open_button(dialog).isEnabled()
    qtbot.waitUntil(open_button(dialog).isEnabled, timeout=20_000)


def test_a_guess_is_shown_and_corrected_before_it_counts(window: Any, asked: Ask, qtbot: Any, tmp_path: Path) -> None:
    path = write_images(tmp_path / "walk")
    dialog = asked(path)
    assert window.session.sequence is None
    width, height, _ = dialog.cloud.size_m
    assert height == pytest.approx(22 / FY * 2, abs=0.15)
    words = {title: label.text() for title, label in dialog.findings.values.items()}
    assert words["Depth scale"].startswith("0.001 m per unit; guessed: what is seen is 1.5")
    assert words["Intrinsics"].endswith("intrinsic.json")
    assert [dialog.numbers[name].value() for name in ("fx", "fy", "cx", "cy")] == [FX, FY, CX, CY]
    dialog.scale.setCurrentText("0.0005")
    read_again(dialog, qtbot)
    assert dialog.cloud.size_m[1] == pytest.approx(height / 2, rel=1e-3)
    dialog.numbers["fx"].setValue(FX / 3)
    dialog.mirrored.setChecked(True)
    read_again(dialog, qtbot)
    assert dialog.cloud.size_m[0] == pytest.approx(width * 3 / 2, rel=1e-3)
    dialog.up.setCurrentIndex(dialog.up.findData("left"))
    read_again(dialog, qtbot)
    assert dialog.cloud.size_m[1] == pytest.approx(width * 3 / 2, rel=1e-3)
    assert "long side leans" not in dialog.findings.problem.text()
    open_button(dialog).click()
    qtbot.waitUntil(lambda: window.session.sequence is not None, timeout=20_000)
    reading = window.session.sequence.reading
    assert reading == ReadingSettings(fx=FX / 3, fy=FY, cx=CX, cy=CY, depth_scale=0.0005, mirrored=True, up="left")
    assert window.session.sequence.camera.cx == 31 - CX
    assert window.fit_workspace.panel.form.value().reading == reading
    assert not list(tmp_path.glob("*.json"))
    # Accepted once, it is not asked again while the window is open.
    window.documents.close_all()
    window.open_path(path)
    qtbot.waitUntil(lambda: window.session.sequence is not None, timeout=20_000)
    assert window.session.sequence.reading == reading


def test_kept_beside_the_recording_it_is_used_without_asking(
    window: Any, asked: Ask, qtbot: Any, tmp_path: Path
) -> None:
    path = write_images(tmp_path / "walk")
    dialog = asked(path)
    dialog.numbers["fps"].setValue(12)
    read_again(dialog, qtbot)
    dialog.remember.click()
    open_button(dialog).click()
    saved = read_saved(tmp_path / "walk.subject.json")
    assert saved.reading == ReadingSettings(fps=12)
    qtbot.waitUntil(lambda: window.session.sequence is not None, timeout=20_000)
    window.documents.close_all()
    window.documents._readings.clear()
    window.open_path(path)
    qtbot.waitUntil(lambda: window.session.sequence is not None, timeout=20_000)
    assert window.session.sequence.fps == 12


def test_cancelled_nothing_is_opened(window: Any, asked: Ask, qtbot: Any, tmp_path: Path) -> None:
    dialog = asked(write_images(tmp_path / "walk"))
    dialog.scale.setCurrentText("much")
    qtbot.waitUntil(lambda: "'much' is no number" in dialog.findings.problem.text(), timeout=20_000)
    assert not open_button(dialog).isEnabled()
    dialog.buttons.button(QDialogButtonBox.StandardButton.Cancel).click()
    qtbot.waitUntil(lambda: not window.findChildren(ImportDialog), timeout=20_000)
    assert window.session.sequence is None


def test_unknown_intrinsics_can_be_typed_in(window: Any, asked: Ask, qtbot: Any, tmp_path: Path) -> None:
    path = write_images(tmp_path / "walk", intrinsics=False)
    dialog = asked(path)
    assert "no known camera has images of 32×24" in dialog.note.text()
    assert dialog.numbers["fx"].value() == pytest.approx(16 / np.tan(np.pi / 6), abs=0.1)
    for name, value in (("fx", FX), ("fy", FY), ("cx", CX), ("cy", CY)):
        dialog.numbers[name].setValue(value)
    read_again(dialog, qtbot)
    open_button(dialog).click()
    qtbot.waitUntil(lambda: window.session.sequence is not None, timeout=20_000)
    assert window.session.sequence.camera.fx == FX


def test_an_open_recording_is_put_right_and_its_subject_stays(opened: Any, recording: Path, qtbot: Any) -> None:
    window = opened(recording)
    window.capture_workspace.subject.change(far_m=9.0)
    qtbot.waitUntil(lambda: window.session.sequence.subject is not None, timeout=20_000)
    window.commands.actions["capture.reading"].trigger()
    (dialog,) = window.findChildren(ImportDialog)
    qtbot.waitUntil(open_button(dialog).isEnabled, timeout=20_000)
    scale = json.loads((recording / "camera.json").read_text())["depth_scale"]
    dialog.scale.setCurrentText(f"{scale / 2:g}")
    read_again(dialog, qtbot)
    near = window.session.sequence.read_depth_m(0).max()
    open_button(dialog).click()
    qtbot.waitUntil(lambda: window.session.sequence.reading.depth_scale == scale / 2, timeout=20_000)
    qtbot.waitUntil(lambda: window.session.sequence.subject is not None, timeout=20_000)
    assert window.session.sequence.subject.far_m == 9.0
    assert window.session.sequence.read_depth_m(0).max() == pytest.approx(near / 2)


def test_dragging_turns_the_points(window: Any, asked: Ask, qtbot: Any, tmp_path: Path) -> None:
    dialog = asked(write_images(tmp_path / "walk"))
    before = dialog.cloud.grab().toImage()
    QTest.mousePress(dialog.cloud, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    QTest.mouseMove(dialog.cloud, QPoint(160, 120))
    QTest.mouseRelease(dialog.cloud, Qt.MouseButton.LeftButton, pos=QPoint(160, 120))
    assert dialog.cloud.azimuth_deg == pytest.approx(330)
    assert dialog.cloud.elevation_deg == pytest.approx(18)
    assert dialog.cloud.grab().toImage() != before


def test_nothing_is_asked_where_nothing_was_guessed(window: Any, qtbot: Any, recording: Path) -> None:
    window.open_path(recording)
    qtbot.waitUntil(lambda: window.session.sequence is not None, timeout=20_000)
    assert not window.findChildren(ImportDialog)


def test_broken_frames_are_told(asked: Ask, tmp_path: Path) -> None:
    path = write_images(tmp_path / "walk")
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(path / "depth" / "2.png")
    cut = (path / "depth" / "1.png").read_bytes()[:-30]
    (path / "depth" / "1.png").write_bytes(cut)
    dialog = asked(path)
    assert "1.png is truncated" in dialog.findings.problem.text()
