"""Fits that were interrupted: listed with how far they came, continued through the queue, copied, removed."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu, QMessageBox

from app.fit.runs import find_runs
from app.opening import free_output_path
from spams_core.data.fit import read_fit
from spams_core.data.fit_checkpoint import CheckpointLock, checkpoint_path, create_checkpoint, read_checkpoint
from spams_core.data.recording import read_sequence
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.state import SolveState
from spams_core.progress import check_stop, run_to_end
from spams_core.resources import resource_path
from spams_core.settings import settings_to_dict
from spams_core.tasks.fit import FitSettings, fit
from spams_core.tasks.resuming import Checkpoints

Opened = Callable[[Path], Any]
SHORT = SolveSettings(
    articulated=False, align_iterations=1, rounds=4, rigid_rounds=3, joint_rounds=1, iterations=1, part_points=24,
    surface_points=16, match_resolution=24, mesh_resolution=24,
)  # fmt: skip


def write_interrupted(out: Path, recording: Path, **changes: Any) -> FitSettings:
    """What a program that was killed leaves after round 3 of 6."""
    settings = FitSettings(recording, out, **{"frames": "0:4", **changes})
    data = json.loads(json.dumps(settings_to_dict(settings)))
    agreed = {"settings": {**data, "solve": {"rounds": 4}}, "frames": [0, 1, 2, 3], "inputs": {"camera": "c0ffee"}}
    state = {"rounds_done": np.array(3), "rounds": np.array(6)}
    create_checkpoint(checkpoint_path(out), {"settings": data, "must_agree": agreed}, state, 95.0)
    return settings


def rows(window: Any) -> list[str]:
    return [row[0] for row in window.fit_workspace.panel.runs_panel.texts()]


def mark(window: Any, row: int = 0) -> Any:
    panel = window.fit_workspace.panel
    panel.tabs.setCurrentWidget(panel.runs_panel)
    panel.runs_panel.list.setCurrentItem(panel.runs_panel.list.topLevelItem(row))
    return panel.runs_panel


def trigger(panel: Any, text: str) -> None:
    """Choose an entry of the context menu of the first row."""
    row = panel.list.topLevelItem(0)
    panel.list.customContextMenuRequested.emit(panel.list.visualItemRect(row).center())
    menu = panel.findChildren(QMenu)[-1]
    next(action for action in menu.actions() if action.text() == text).trigger()
    menu.close()


def test_interrupted_fits_are_found_by_the_recording_they_name(tmp_path: Path, recording: Path) -> None:
    write_interrupted(tmp_path / "walk_fit", recording)
    write_interrupted(tmp_path / "foreign", tmp_path / "other")
    write_interrupted(tmp_path / "written", recording)
    (tmp_path / "written").mkdir()
    write_interrupted(tmp_path / "damaged", recording)
    (tmp_path / "damaged.part" / "state.npz").write_bytes(b"PK\x03\x04")
    (tmp_path / "own.part").mkdir()
    found = find_runs(recording, [tmp_path])
    assert [run.path for run in found] == [tmp_path / "walk_fit"]
    how = found[0].interrupted
    assert how is not None
    assert (how.rounds_done, how.rounds, found[0].seconds, found[0].preset) == (3, 6, 95.0, "fast")
    assert found[0].settings["solve.rounds"] == 4
    lock = CheckpointLock(tmp_path / "walk_fit.part")
    assert lock.acquire()
    assert find_runs(recording, [tmp_path]) == [], "it runs"
    lock.release()
    assert len(find_runs(recording, [tmp_path])) == 1


def test_names_of_interrupted_fits_are_theirs(tmp_path: Path, recording: Path) -> None:
    write_interrupted(tmp_path / "ball_fit", recording)
    sequence = read_sequence(recording)
    assert free_output_path(sequence) == tmp_path / "ball_fit_2"
    assert free_output_path(sequence, {tmp_path / "ball_fit_2"}) == tmp_path / "ball_fit_3"


def test_after_a_restart_an_interrupted_fit_is_continued(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun = write_interrupted(tmp_path / "walk_fit", recording, seed=4)
    window = opened(recording)
    qtbot.waitUntil(lambda: rows(window) == ["walk_fit – interrupted at round 3 of 6"], timeout=20_000)
    assert caplog.text.count("A fit of this recording was interrupted. The tab Runs continues it.") == 1
    panel = window.fit_workspace.panel.runs_panel
    assert not panel.continue_button.isHidden(), "there is only one"
    mark(window)
    assert not panel.continue_button.isHidden()
    assert panel._note.text() == "walk_fit was interrupted at round 3 of 6, after 2 min."
    fitter.steps = 60
    panel.continue_button.click()
    qtbot.waitUntil(lambda: window.fitting.queue.current is not None, timeout=20_000)
    run = window.fitting.queue.current
    assert run.settings == dataclasses.replace(begun, resume=True, sequence=recording)
    assert run.frame_count == 4
    qtbot.waitUntil(lambda: rows(window) == [], timeout=20_000)
    assert not window.commands.actions["fit.resume"].isEnabled()
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        pass
    qtbot.waitUntil(lambda: rows(window) == ["walk_fit"], timeout=20_000)
    assert window.session.fit_path == tmp_path / "walk_fit"


def test_while_another_fit_runs_it_waits_in_the_queue(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any, tmp_path: Path
) -> None:
    write_interrupted(tmp_path / "walk_fit", recording)
    write_interrupted(tmp_path / "another", recording)
    window = opened(recording)
    qtbot.waitUntil(lambda: len(rows(window)) == 2, timeout=20_000)
    panel = window.fit_workspace.panel.runs_panel
    assert panel.continue_button.isHidden(), "which one?"
    mark(window, rows(window).index("walk_fit – interrupted at round 3 of 6"))
    assert not panel.continue_button.isHidden()
    fitter.steps = 60
    window.start_fit()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=20_000)
    panel.continue_button.click()
    assert [(run.out.name, run.state) for run in window.fitting.queue.runs] == [
        ("ball_fit", "running"), ("walk_fit", "waiting"),
    ]  # fmt: skip
    assert window.fitting.queue.runs[1].settings.resume
    qtbot.waitUntil(lambda: len(rows(window)) == 1, timeout=20_000)
    window.fitting.queue.remove(window.fitting.queue.runs[1])
    qtbot.waitUntil(lambda: len(rows(window)) == 2, timeout=20_000)


def test_another_fit_does_not_take_its_folder(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any, tmp_path: Path
) -> None:
    write_interrupted(tmp_path / "walk_fit", recording)
    window = opened(recording)
    form = window.fit_workspace.panel.form
    form.set_value("out", tmp_path / "walk_fit")
    window.commands.actions["fit.start"].trigger()
    qtbot.waitUntil(lambda: any(box.isVisible() for box in window.findChildren(QMessageBox)), timeout=20_000)
    box = next(box for box in window.findChildren(QMessageBox) if box.isVisible())
    assert "is kept for a fit that was interrupted. Continue that one, in Runs, or choose another folder" in box.text()
    box.close()
    assert window.fitting.queue.runs == []


def test_after_a_cancel_the_next_fit_has_a_name_of_its_own(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any
) -> None:
    window = opened(recording)
    form = window.fit_workspace.panel.form
    out = form.value().out
    fitter.steps = 60
    window.commands.actions["fit.start"].trigger()
    qtbot.waitUntil(lambda: window.session.live is not None, timeout=20_000)
    assert form.value().out == out
    write_interrupted(out, recording)
    window.commands.actions["fit.cancel"].trigger()
    qtbot.waitUntil(lambda: form.value().out == out.with_name(f"{out.name}_2"), timeout=20_000)
    qtbot.waitUntil(window.fitting.possible, timeout=20_000)
    window.commands.actions["fit.start"].trigger()
    assert window.fitting.queue.current.out == out.with_name(f"{out.name}_2")


def test_the_command_that_continues_and_removing(
    opened: Opened, recording: Path, fitter: Any, qtbot: Any, tmp_path: Path
) -> None:
    write_interrupted(tmp_path / "walk_fit", recording, seed=4)
    window = opened(recording)
    qtbot.waitUntil(lambda: len(rows(window)) == 1, timeout=20_000)
    panel = mark(window)
    trigger(panel, "Copy as Command Line")
    line = QGuiApplication.clipboard().text()
    assert line == f"spams fit {recording} --out {tmp_path / 'walk_fit'} --frames 0:4 --seed 4 --resume"
    for answer in ("Keep", "Remove"):
        trigger(panel, "Remove…")
        box = next(box for box in window.findChildren(QMessageBox) if box.isVisible())
        assert box.text() == "What was fitted of walk_fit so far will be lost. Remove it?"
        next(button for button in box.buttons() if button.text() == answer).click()
        assert checkpoint_path(tmp_path / "walk_fit").exists() == (answer == "Keep")
    qtbot.waitUntil(lambda: rows(window) == [], timeout=20_000)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The bundled recording, so that the real solver has something to fit."""
    hidden = shutil.ignore_patterns("ground_truth", "labels", "color")
    return Path(shutil.copytree(resource_path("demo/recording"), tmp_path / "demo", ignore=hidden))


@pytest.fixture
def parted(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FitSettings:
    """A fit by the real solver that rests after its second round until it is cancelled."""
    keep = Checkpoints.keep

    def rest_after_two(checkpoints: Checkpoints, state: SolveState) -> None:
        keep(checkpoints, state)
        while state.rounds_done == 2 and checkpoints.path.name == "parted.part":
            check_stop()
            time.sleep(0.01)

    monkeypatch.setattr(Checkpoints, "keep", rest_after_two)
    return FitSettings(
        demo, tmp_path / "parted", model=resource_path("models/human"), frames="0:2", solve=SHORT,
        checkpoint_every_s=0, saved="ignore",
    )  # fmt: skip


def rounds_of(out: Path) -> str:
    kept = read_checkpoint(checkpoint_path(out))
    return kept.told if kept is not None else ""


def test_a_cancelled_fit_is_continued_and_ends_where_it_would_have(
    opened: Opened, demo: Path, parted: FitSettings, qtbot: Any, tmp_path: Path
) -> None:
    whole = run_to_end(fit(dataclasses.replace(parted, out=tmp_path / "whole")))
    shutil.rmtree(tmp_path / "whole")
    window = opened(demo)
    window.fitting.start(parted)
    qtbot.waitUntil(lambda: rounds_of(parted.out) == "round 2 of 6", timeout=60_000)
    window.commands.actions["fit.cancel"].trigger()
    qtbot.waitUntil(lambda: not window.jobs.running, timeout=60_000)
    qtbot.waitUntil(lambda: rows(window) == ["parted – interrupted at round 2 of 6"], timeout=20_000)
    panel = mark(window)
    panel.list.itemDoubleClicked.emit(panel.list.topLevelItem(0), 0)
    with qtbot.waitSignal(window.fit_finished, timeout=60_000):
        pass
    assert not checkpoint_path(parted.out).exists()
    assert np.array_equal(read_fit(parted.out).vertices_world, whole.vertices_world)
    assert [run.state for run in window.fitting.queue.runs] == ["cancelled", "done"]


def test_closing_the_window_keeps_the_rounds(opened: Opened, demo: Path, parted: FitSettings, qtbot: Any) -> None:
    window = opened(demo)
    window.fitting.start(parted)
    qtbot.waitUntil(lambda: rounds_of(parted.out) == "round 2 of 6", timeout=60_000)
    window.close()
    box = next(box for box in window.findChildren(QMessageBox) if box.isVisible())
    next(button for button in box.buttons() if button.text() == "Stop and close").click()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=20_000)
    assert [run.path for run in find_runs(demo, [demo.parent])] == [parted.out]


def test_the_list_is_read_without_the_numerics(tmp_path: Path, recording: Path) -> None:
    write_interrupted(tmp_path / "walk_fit", recording)
    program = (
        "import sys; from pathlib import Path; from app.fit.runs import find_runs\n"
        "assert len(find_runs(Path(sys.argv[1]), [Path(sys.argv[2])])) == 1; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(recording), str(tmp_path)], check=True, timeout=60)
