"""The list of a recording's fits: found, named, compared, opened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import write_ball_fit
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.fit.runs import differing_settings, find_runs
from app.preferences import Preferences

Opened = Callable[[Path], Any]


def write_run(path: Path, recording: Path, made: int, **manifest: Any) -> Path:
    solve = {"rounds": 4, "icp_weight": 0.6, **manifest.pop("solve", {})}
    settings = {"sequence": str(recording), "out": str(path), "preset": "fast", "seed": 0, "solve": solve}
    write_ball_fit(path, sequence=str(recording), settings=settings, **manifest)
    os.utime(path / "manifest.json", (made, made))
    return path


@pytest.fixture
def runs(tmp_path: Path, recording: Path) -> list[Path]:
    """Two fits beside the recording, an older one elsewhere."""
    return [
        write_run(tmp_path / "first", recording, 1_700_000_000, depth_residual_mm=7.5),
        write_run(tmp_path / "second", recording, 1_700_100_000, depth_residual_mm=11.25, solve={"icp_weight": 2.0}),
        write_run(tmp_path / "elsewhere" / "third", recording, 1_600_000_000, depth_residual_mm=6.0),
    ]


def test_fits_are_found_by_the_recording_they_name(tmp_path: Path, recording: Path, runs: list[Path]) -> None:
    write_run(tmp_path / "foreign", tmp_path / "other_recording", 0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text('{"kind": "fit", "task": "fit", ')
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "manifest.json").write_text(json.dumps({"kind": "shape"}))
    found = find_runs(recording, [tmp_path, tmp_path, tmp_path / "elsewhere" / "third", tmp_path / "gone"])
    assert [run.path for run in found] == [runs[1], runs[0], runs[2]], "the newest first, each once"
    assert [run.residual_mm for run in found] == [11.25, 7.5, 6.0]
    assert [run.seconds for run in found] == [7.5] * 3, "five frames of 1.5 s"
    link = tmp_path / "link"
    link.symlink_to(recording)
    assert len(find_runs(link, [tmp_path])) == 2


def test_only_what_differs_is_told(tmp_path: Path, recording: Path, runs: list[Path]) -> None:
    changes = [{"iteration": 12, "name": "icp_weight", "value": 3.0}]
    write_run(tmp_path / "changed", recording, 0, weight_changes=changes)
    by_name = {run.path.name: run for run in find_runs(recording, [tmp_path, tmp_path / "elsewhere"])}
    assert differing_settings(by_name["first"], by_name["second"]) == [("solve.icp_weight", 0.6, 2.0)]
    assert differing_settings(by_name["first"], by_name["third"]) == []
    assert differing_settings(by_name["first"], by_name["changed"]) == [("solve.icp_weight from step 12", None, 3.0)]


def test_runs_are_listed_compared_and_opened(opened: Opened, recording: Path, runs: list[Path], qtbot: Any) -> None:
    window = opened(recording)
    panel = window.fit_workspace.panel.runs_panel
    qtbot.waitUntil(lambda: len(panel.texts()) == 2, timeout=10_000)
    assert [row[:4] for row in panel.texts()] == [("second", "11.2", "fast", "8 s"), ("first", "7.5", "fast", "8 s")]
    panel.list.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert [row[0] for row in panel.texts()] == ["first", "second"], "7.5 before 11.2: by the number, not its text"
    assert panel.table.isHidden()
    panel.list.selectAll()
    assert panel.texts(panel.table) == [("icp weight", "0.6", "2")]
    with qtbot.waitSignal(window.opened, timeout=10_000):
        panel.list.itemDoubleClicked.emit(panel.list.topLevelItem(0), 0)
    assert window.session.fit_path == runs[0]
    # One that was opened elsewhere joins the list.
    with qtbot.waitSignal(window.opened, timeout=10_000):
        window.open_path(runs[2])
    qtbot.waitUntil(lambda: len(panel.texts()) == 3, timeout=10_000)
    shown = panel.list.findItems("third", Qt.MatchFlag.MatchExactly)[0]
    assert shown.font(0).bold()


def test_a_name_is_a_label_and_leaves_the_fit_alone(
    opened: Opened, recording: Path, runs: list[Path], qtbot: Any
) -> None:
    window = opened(recording)
    panel = window.fit_workspace.panel.runs_panel
    qtbot.waitUntil(lambda: len(panel.texts()) == 2, timeout=10_000)
    before = {file: file.read_bytes() for file in runs[0].iterdir()}
    panel.list.findItems("first", Qt.MatchFlag.MatchExactly)[0].setText(0, "with masks")
    assert Preferences().run_names == {runs[0]: "with masks"}
    assert "with masks" in [row[0] for row in panel.texts()]
    assert {file: file.read_bytes() for file in runs[0].iterdir()} == before
    panel.list.findItems("with masks", Qt.MatchFlag.MatchExactly)[0].setText(0, "")
    assert Preferences().run_names == {}
    assert sorted(row[0] for row in panel.texts()) == ["first", "second"]


def test_a_new_fit_joins_the_list(opened: Opened, recording: Path, fitter: Any, qtbot: Any) -> None:
    window = opened(recording)
    panel = window.fit_workspace.panel.runs_panel
    QTest.qWait(100)
    assert panel.texts() == []
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        window.start_fit()
    qtbot.waitUntil(lambda: [row[0] for row in panel.texts()] == ["ball_fit"], timeout=10_000)
    assert np.isclose(float(panel.texts()[0][1]), 5.0)
