"""A second fit in the workspace Inspect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import ball_fit
from PySide6.QtWidgets import QFileDialog, QMessageBox

from spams_core.data.fit import write_fit

Opened = Callable[[Path], Any]


@pytest.fixture
def second(tmp_path: Path, recording: Path) -> Path:
    """One frame less, 20 cm higher, with another preset."""
    fit = ball_fit(sequence=str(recording), preset="accurate")
    rows = np.arange(4)
    higher = replace(
        fit, vertices_world=fit.vertices_world[rows] + np.float32([0, 0.2, 0]), frame_indices=fit.frame_indices[rows],
        pose_codes=fit.pose_codes[rows], root_rotation=fit.root_rotation[rows],
        root_translation_m=fit.root_translation_m[rows], residual_m=np.full(4, 0.007, np.float32),
        observed_points=fit.observed_points[:16], observed_labels=fit.observed_labels[:16],
        matched_points=fit.matched_points[:16], match_weights=fit.match_weights[:16],
        observed_offsets=fit.observed_offsets[:5],
    )  # fmt: skip
    write_fit(tmp_path / "second", higher)
    return tmp_path / "second"


def test_second_fit_is_a_ghost_or_stands_beside(opened: Opened, fit_folder: Path, second: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    scene, workspace = window.scene, window.inspect_workspace
    window.commands.actions["inspect.compare"].trigger()
    dialog = next(iter(window.findChildren(QFileDialog)))
    dialog.fileSelected.emit(str(second))
    dialog.close()
    qtbot.waitUntil(lambda: window.session.compared is not None, timeout=10_000)
    assert scene.ghost.visible
    assert not scene.second.visible
    assert np.allclose(scene.ghost.data.points - scene.body.data.points, [[0, 0.2, 0]], atol=1e-6)
    text = workspace.compare_card.text.text()
    for words in ("5.0 mm", "7.0 mm", "preset", "fast", "accurate"):
        assert words in text
    assert "seed" not in text  # it is the same in both
    window.player.go_to(8)
    assert not scene.ghost.visible  # the second fit lacks that frame
    window.player.go_to(6)
    card = workspace.compare_card
    card.way.setCurrentIndex(card.way.findData("beside"))
    assert scene.second.visible
    assert not scene.ghost.visible
    assert not scene.input_cloud.visible
    assert window.view_bar.titles()[0] == "Second fit"
    window.turn_to("edit")
    assert not scene.second.visible
    assert scene.input_cloud.visible
    assert window.view_bar.titles()[0] == "Input"
    window.turn_to("inspect")
    assert scene.second.visible
    card.close_button.click()
    assert not scene.second.visible
    assert not card.way.isVisible()


def test_fit_of_another_recording_is_refused(opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any) -> None:
    write_fit(tmp_path / "run", ball_fit(sequence="/elsewhere/run", sequence_name="run"))
    window = opened(fit_folder)
    window.turn_to("inspect")
    window.inspect_workspace.comparison.open_path(tmp_path / "run")
    qtbot.waitUntil(lambda: bool(window.findChildren(QMessageBox)), timeout=10_000)
    box = window.findChildren(QMessageBox)[0]
    assert "same recording" in box.text() + box.informativeText()
    box.close()
    assert window.session.compared is None
