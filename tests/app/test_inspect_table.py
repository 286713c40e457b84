"""The table of frames in the workspace Inspect."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

Opened = Callable[[Path], Any]


@pytest.fixture
def table(opened: Opened, fit_folder: Path, qtbot: Any) -> Any:
    window = opened(fit_folder)
    window.session.fit = replace(window.session.fit, residual_m=np.array([3, 5, 1, 4, 2], np.float32) / 100)
    window.turn_to("inspect")
    window.commands.actions["inspect.table"].trigger()
    shown = window.inspect_workspace.table
    qtbot.waitUntil(lambda: len(shown.texts()) == 5, timeout=10_000)
    return shown


def test_table_is_sorted_by_a_column_and_goes_to_its_frame(table: Any, qtbot: Any) -> None:
    window = table.window()
    assert table.isVisible()
    assert [row[0] for row in table.texts()] == ["0", "2", "4", "6", "8"]
    assert table.texts()[1][1:2] == ["50.0"]
    assert table.texts()[1][3] == "–"  # no point of the torso
    assert table.medians.text().startswith("Median over the frames: all 30.0 mm, head ")
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert [row[1] for row in table.texts()] == ["50.0", "40.0", "30.0", "20.0", "10.0"]
    cell = table.view.visualRect(table.view.model().index(1, 1))
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=cell.center())
    assert window.session.frame == 6
    table.view.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert [row[0] for row in table.texts()] == ["8", "6", "4", "2", "0"]
    assert {index.row() for index in table.view.selectedIndexes()} == {1}  # still frame 6


def test_table_is_saved_and_replaces_a_file_only_after_the_dialog(table: Any, tmp_path: Path, qtbot: Any) -> None:
    window, path = table.window(), tmp_path / "frames.csv"
    path.write_text("older")
    qtbot.waitUntil(lambda: window.commands.actions["inspect.save_table"].isEnabled(), timeout=5_000)
    table.save.click()
    dialog = next(iter(window.findChildren(QFileDialog)))
    assert not dialog.testOption(QFileDialog.Option.DontConfirmOverwrite)
    with qtbot.waitSignal(window.jobs.exported, timeout=10_000):
        dialog.fileSelected.emit(str(path))
    dialog.close()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["residual_mm"]) for row in rows] == pytest.approx([30, 50, 10, 40, 20])
    assert list(rows[0])[2:4] == ["head_residual_mm", "torso_residual_mm"]


def test_all_columns_are_seen_at_once_and_explain_themselves(table: Any, qtbot: Any) -> None:
    window = table.window()
    parts = ["Head", "Torso", "Right arm", "Right leg", "Left arm", "Left leg"]
    row = window.inspect_workspace.diagnosis.rows[0]
    many = replace(row, part_residual_m=np.linspace(0.0051, 0.0456, 6))
    table.show_rows({k: replace(many, frame=k) for k in range(12)}, parts)
    window.inspect_workspace._show_beside()
    assert window.width() == 1280
    qtbot.waitUntil(lambda: table.view.horizontalScrollBar().maximum() == 0, timeout=20_000)
    model = table.view.model()
    titles = [model.headerData(k, Qt.Orientation.Horizontal) for k in range(model.columnCount())]
    assert titles[:4] == ["Frame\n▴", "All\nmm", "Head\nmm", "Torso\nmm"]
    assert titles[4] == "Right\narm\nmm"
    told = model.headerData(4, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert told == "Right arm, mm: median distance of the observed points to the surface, this part alone"
    metrics = table.view.fontMetrics()
    for section, title in enumerate(titles):
        assert max(metrics.horizontalAdvance(line) for line in title.split("\n")) < table.view.columnWidth(section)


def test_columns_can_be_hidden_and_stay_so(table: Any) -> None:
    window = table.window()
    assert "head" in table.medians.text()
    head = next(action for action in table.choose.menu().actions() if action.text() == "Head (mm)")
    head.trigger()
    assert table.view.isColumnHidden(2)
    assert not table.view.isColumnHidden(1)
    assert "head" not in table.medians.text()
    assert window.preferences.hidden_figures == {"Head"}
    table.show_rows(window.inspect_workspace.diagnosis.rows, ["Torso", "Head"])  # another order, as of another model
    assert table.view.isColumnHidden(3)
    assert not table.view.isColumnHidden(2)
    table.choose.menu().actions()[-1].trigger()
    assert not table.view.isColumnHidden(3)
    assert window.preferences.hidden_figures == frozenset()


def test_a_hidden_table_is_filled_when_it_is_shown(table: Any, qtbot: Any) -> None:
    window, workspace = table.window(), table.window().inspect_workspace
    window.commands.actions["inspect.table"].trigger()
    assert not table.isVisible()
    before = table.texts()
    window.session.fit = replace(window.session.fit, residual_m=np.full(5, 0.01, np.float32))
    qtbot.waitUntil(lambda: workspace.diagnosis.complete, timeout=10_000)
    qtbot.wait(200)
    assert table.texts() == before
    window.commands.actions["inspect.table"].trigger()
    assert [row[1] for row in table.texts()] == ["10.0"] * 5
    table.view.setColumnWidth(1, 123)
    table.show_rows(workspace.diagnosis.rows, ["Head", "Torso"])
    assert table.view.columnWidth(1) == 123
    table.show_rows({}, ["Trunk"])
    assert table.texts() == []
    assert table.view.columnWidth(1) != 123


def test_table_and_depth_images_take_turns(table: Any) -> None:
    window = table.window()
    window.commands.actions["inspect.depth"].trigger()
    assert not table.isVisible()
    assert window.inspect_workspace.depth_view.isVisible()
    assert not window.commands.actions["inspect.table"].isChecked()
