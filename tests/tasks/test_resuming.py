"""A fit that was killed or cancelled goes on and ends where it would have ended; what does not belong is refused."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from spams_core.cli import main
from spams_core.data.fit import read_fit
from spams_core.data.fit_checkpoint import CheckpointLock, checkpoint_path, read_checkpoint, update_checkpoint
from spams_core.errors import InputError
from spams_core.fitting.controls import Controls
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.state import SolveState
from spams_core.io.archive import hash_file
from spams_core.progress import run_to_end
from spams_core.resources import resource_path
from spams_core.settings import settings_from_dict
from spams_core.tasks.fit import FitSettings, fit, live_weights
from spams_core.tasks.resuming import Checkpoints

DEMO = resource_path("demo/recording")
SHORT = SolveSettings(
    articulated=False, align_iterations=1, rounds=4, rigid_rounds=3, joint_rounds=1, iterations=1, part_points=24,
    surface_points=16, match_resolution=24, mesh_resolution=24,
)  # fmt: skip
ROUNDS = 6
OPTIONS = [
    "--frames", "0:2", "--checkpoint-every-s", "0", "solve:solve-settings",
    *(f"--solve.{name.replace('_', '-')}={getattr(SHORT, name)}" for name in (
        "align_iterations", "rounds", "rigid_rounds", "joint_rounds", "iterations", "part_points", "surface_points",
        "match_resolution", "mesh_resolution",
    )),
    "--solve.no-articulated",
]  # fmt: skip


def settings_for(out: Path, **changes: Any) -> FitSettings:
    plain = FitSettings(DEMO, out, frames="0:2", solve=SHORT, checkpoint_every_s=0)
    return dataclasses.replace(plain, **changes)


def interrupt(settings: FitSettings, rounds: int = 2, controls: Controls | None = None) -> None:
    """Fit, and cancel after some rounds."""
    task = fit(settings, controls)
    while (kept := read_checkpoint(checkpoint_path(settings.out))) is None or kept.rounds_done < rounds:
        next(task)
    task.close()


def same_fit(first: Path, second: Path) -> bool:
    return hash_file(first / "arrays.safetensors") == hash_file(second / "arrays.safetensors")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fit that nothing interrupts."""
    out = tmp_path_factory.mktemp("plain") / "fit"
    run_to_end(fit(settings_for(out)))
    assert [path.name for path in out.parent.iterdir()] == ["fit"]
    return out


_KILLED = """
import os, signal, sys
import torch
from spams_core.cli import main
from spams_core.data import fit_checkpoint
sync, count = os.fsync, int(sys.argv[1])
def fsync(handle):  # after the manifest once, and before a state takes the place of the one before
    global count
    count -= 1
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(handle)
fit_checkpoint.os.fsync = fsync
torch.set_num_threads(int(sys.argv[2]))
main(sys.argv[3:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_fit_goes_on_bit_for_bit(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, part = tmp_path / "fit", tmp_path / "fit.part"
    arguments = ["fit", str(DEMO), "--out", str(out), *OPTIONS]
    # As many threads as here, which other tests may have set: another number of them is another order of sums.
    command = [sys.executable, "-c", _KILLED, "5", str(torch.get_num_threads()), *arguments]
    killed = subprocess.run(command, check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    kept = read_checkpoint(part)
    assert kept is not None
    assert kept.told == f"round 3 of {ROUNDS}"
    assert not out.exists()
    before = {file.name: file.read_bytes() for file in part.iterdir()}
    assert main(arguments) == 2
    assert f"interrupted after {kept.told}. Go on with it with --resume, or remove" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in part.iterdir()} == before, "it is not touched unasked"
    assert main([arguments[0], "--resume", *arguments[1:]]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]
    assert same_fit(out, plain)
    first, second = (json.loads((path / "manifest.json").read_text()) for path in (out, plain))
    for manifest in (first, second):
        del manifest["seconds_per_frame"], manifest["settings"]["out"]
    assert first == second


def test_an_interrupted_command_prints_the_one_that_goes_on(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    out, keep = tmp_path / "the fit", Checkpoints.keep

    def press_ctrl_c(checkpoints: Checkpoints, state: SolveState) -> None:
        keep(checkpoints, state)
        if state.rounds_done == 2:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "keep", press_ctrl_c)
        assert main(["fit", str(DEMO), "--out", str(out), *OPTIONS]) == 130
    signal.signal(signal.SIGINT, before)
    told, line = capsys.readouterr().err.strip().splitlines()[-2:]
    assert told == f"spams: interrupted; {out}.part keeps round 2 of {ROUNDS}. Go on with:"
    words = shlex.split(line)
    assert words[:3] == ["spams", "fit", "--resume"]
    assert main(words[1:]) == 0
    assert same_fit(out, plain)


def test_a_cancelled_fit_keeps_the_last_round_though_none_was_due(plain: Path, tmp_path: Path, monkeypatch: Any):
    """What is written seldom is written when the fit ends early, unless it has only just begun."""
    settings = settings_for(tmp_path / "fit", checkpoint_every_s=1000.0)
    seconds = [0.0]
    monkeypatch.setattr("spams_core.tasks.resuming.time", SimpleNamespace(monotonic=lambda: seconds[0]))
    for elapsed in (999.0, 1000.0):
        seconds[0] = 0.0
        task = fit(settings)
        while "round 2 of 4" not in next(task).message:
            pass
        seconds[0] = elapsed
        assert not checkpoint_path(settings.out).exists()
        task.close()
        assert checkpoint_path(settings.out).exists() == (elapsed == 1000)
    kept = read_checkpoint(checkpoint_path(settings.out))
    assert kept is not None
    assert (kept.rounds_done, kept.seconds) == (2, 1000)
    run_to_end(fit(dataclasses.replace(settings, resume=True)))
    assert same_fit(settings.out, plain)


def test_it_can_be_interrupted_again(plain: Path, tmp_path: Path):
    settings = settings_for(tmp_path / "fit")
    interrupt(settings, 1)
    for rounds in (3, 5):
        interrupt(dataclasses.replace(settings, resume=True), rounds)
    run_to_end(fit(dataclasses.replace(settings, resume=True)))
    assert same_fit(settings.out, plain)
    assert not checkpoint_path(settings.out).exists()


def test_the_time_before_counts_and_weights_that_were_changed_stay(tmp_path: Path):
    settings, controls = settings_for(tmp_path / "fit"), Controls()
    controls.set_weight("icp_weight", 1.5)
    interrupt(settings, 2, controls)
    settings = dataclasses.replace(settings, resume=True)
    assert live_weights(settings)["icp_weight"] == 1.5
    kept = read_checkpoint(checkpoint_path(settings.out))
    assert kept is not None
    state = {name: array for name, array in kept.arrays().items() if name != "seconds"}
    update_checkpoint(kept.path, state, 7200.0)
    manifest = run_to_end(fit(settings, Controls())).manifest
    assert manifest["weight_changes"] == [{"iteration": 0, "name": "icp_weight", "value": 1.5}]
    assert 3600 < manifest["seconds_per_frame"] < 3600 + 60


def test_the_baseline_goes_on(tmp_path: Path):
    results = []
    for name in ("whole", "parted"):
        settings = settings_for(tmp_path / name, method="npm", history=False)
        if name == "parted":
            interrupt(settings, 3)
            settings = dataclasses.replace(settings, resume=True)
        results.append(run_to_end(fit(settings)))
    assert np.array_equal(results[0].vertices_world, results[1].vertices_world)


def test_frames_that_are_fitted_anew_go_on(plain: Path, tmp_path: Path):
    for name in ("whole", "parted"):
        settings = settings_for(tmp_path / name, frames="1", start_from=plain)
        if name == "parted":
            interrupt(settings, 3)
            settings = dataclasses.replace(settings, resume=True)
            another = dataclasses.replace(settings, start_from=tmp_path / "whole")
            with pytest.raises(InputError, match="the fit to start from was another one"):
                run_to_end(fit(another))
        run_to_end(fit(settings))
    assert same_fit(tmp_path / "whole", tmp_path / "parted")
    assert not same_fit(tmp_path / "whole", plain)


def test_other_frames_to_be_fitted_anew_are_refused_though_the_same_are_looked_at(tmp_path: Path):
    run_to_end(fit(settings_for(tmp_path / "three", frames="0:3")))
    settings = settings_for(tmp_path / "fit", frames="0:2", start_from=tmp_path / "three")
    interrupt(settings, 2)
    with pytest.raises(InputError, match="--frames chose 2 frames, 0 to 1, not 1 frames, 1 to 1"):
        run_to_end(fit(dataclasses.replace(settings, frames="1", resume=True)))


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> FitSettings:
    """A fit that was interrupted, of a copy of the demo."""
    place = tmp_path_factory.mktemp("parted")
    shutil.copytree(DEMO, place / "demo", ignore=shutil.ignore_patterns("ground_truth", "labels", "color"))
    settings = settings_for(place / "fit", sequence=place / "demo")
    interrupt(settings)
    return dataclasses.replace(settings, resume=True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 1}, "--seed was 0, not 1"),
        ({"frames": "0:4"}, "--frames chose 2 frames, 0 to 1, not 4 frames, 0 to 3"),
        ({"history": False}, "--history was True, not False"),
        ({"preset": "accurate"}, "--preset was fast, not accurate"),
        ({"solve": dataclasses.replace(SHORT, icp_weight=2.0)}, r"--solve\.icp-weight was 0\.6, not 2\.0"),
        ({"method": "npm"}, "--method was spam, not npm"),
        ({"resume": False}, r"interrupted after round 2 of 6\. Go on with it with --resume"),
    ],
)
def test_other_settings_are_named(parted: FitSettings, changes: dict[str, Any], told: str):
    part = checkpoint_path(parted.out)
    before = {file.name: file.read_bytes() for file in part.iterdir()}
    with pytest.raises(InputError, match=told):
        run_to_end(fit(dataclasses.replace(parted, **changes)))
    assert {file.name: file.read_bytes() for file in part.iterdir()} == before


def test_settings_without_effect_may_differ(parted: FitSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another folder, another rhythm, from another working folder, and the checkpoint beside another output."""
    shutil.copytree(checkpoint_path(parted.out), tmp_path / "moved.part")
    monkeypatch.chdir(tmp_path)
    sequence = Path(os.path.relpath(parted.sequence))
    moved = dataclasses.replace(parted, out=Path("moved"), sequence=sequence, checkpoint_every_s=30.0, frames=":2")
    result = run_to_end(fit(moved))
    assert result.manifest["settings"]["resume"] is False
    assert read_fit(tmp_path / "moved").frame_count == 2


def test_the_settings_that_are_kept_go_on_from_anywhere(parted: FitSettings):
    kept = read_checkpoint(checkpoint_path(parted.out))
    assert kept is not None
    again = settings_from_dict(FitSettings, kept.manifest["settings"])
    assert again == dataclasses.replace(parted, resume=False, saved="ignore")


def test_another_recording_or_model_is_refused(parted: FitSettings, tmp_path: Path):
    for name in ("frame", "camera"):
        shutil.copytree(parted.sequence, tmp_path / name)
    shutil.copy(tmp_path / "frame/depth/000005.png", tmp_path / "frame/depth/000001.png")
    camera = json.loads((tmp_path / "camera/camera.json").read_text())
    (tmp_path / "camera/camera.json").write_text(json.dumps(camera | {"fx": camera["fx"] + 1}))
    model = tmp_path / "model"
    shutil.copytree(resource_path("models/human"), model)
    array = bytearray((model / "shape/arrays.safetensors").read_bytes())
    array[-1] ^= 1
    (model / "shape/arrays.safetensors").write_bytes(array)
    for changes, told in (
        ({"sequence": tmp_path / "frame"}, "the recording's frames showed something else"),
        ({"sequence": tmp_path / "camera"}, "the recording's camera was another one"),
        ({"model": model}, "the network model/shape was another one"),
    ):
        with pytest.raises(InputError, match=f"{told}. Give the same as at its beginning, or remove that folder"):
            run_to_end(fit(dataclasses.replace(parted, **changes)))


def test_info_tells_how_far_it_came(parted: FitSettings, capsys: pytest.CaptureFixture[str]):
    part = str(checkpoint_path(parted.out))
    assert main(["info", part]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Interrupted", "fit", str(parted.out)]
    assert any(line.split() == ["Rounds", "2", "of", "6"] for line in lines)
    assert main(["info", part, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rounds_done"], told["rounds"], told["running"]) == (2, 6, False)
    assert told["settings"]["frames"] == "0:2"


def test_a_damaged_checkpoint_is_one_clear_line(parted: FitSettings, tmp_path: Path):
    settings = dataclasses.replace(parted, out=tmp_path / "fit")
    part = tmp_path / "fit.part"
    shutil.copytree(checkpoint_path(parted.out), part)
    whole = (part / "state.npz").read_bytes()
    middle = len(whole) // 2
    (part / "state.npz").write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    with pytest.raises(InputError, match=r"state\.npz is damaged or missing\. Remove .*fit\.part to start"):
        run_to_end(fit(settings))
    (part / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="damaged one, and is in the way"):
        next(fit(settings))


def test_a_fit_that_runs_is_not_taken_for_an_interrupted_one(parted: FitSettings):
    running = CheckpointLock(checkpoint_path(parted.out))
    assert running.acquire()
    for resume in (True, False):
        with pytest.raises(InputError, match="is running at the moment"):
            next(fit(dataclasses.replace(parted, resume=resume)))
    running.release()


def test_a_full_disk_is_a_warning_and_the_fit_goes_on(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("spams_core.data.fit_checkpoint.os.fsync", full)
    with caplog.at_level(logging.WARNING):
        run_to_end(fit(settings_for(tmp_path / "fit", resume=True)))
    warnings = [record.message for record in caplog.records if record.name.endswith("resuming")]
    assert len(warnings) == 2, "once, not after each round"
    assert "fit.part is not there: the fit begins at its start." in warnings[0]
    assert "No checkpoint could be written; the fit goes on without one." in warnings[1]
    assert "No space left" in warnings[1]
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]
    assert same_fit(tmp_path / "fit", plain)


def test_a_result_that_cannot_be_written_costs_no_round(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def full(*_: object) -> None:
        raise InputError("fit cannot be written (No space left on device). Choose another folder.")

    settings = settings_for(tmp_path / "fit")
    with monkeypatch.context() as patch:
        patch.setattr("spams_core.tasks.fit.write_fit", full)
        with pytest.raises(InputError, match="No space left"):
            run_to_end(fit(settings))
    assert "fit.part keeps what was fitted so far; --resume goes on with it." in caplog.text
    kept = read_checkpoint(tmp_path / "fit.part")
    assert kept is not None
    assert kept.rounds_done == kept.rounds
    steps = list(fit(dataclasses.replace(settings, resume=True)))
    assert not [report for report in steps if "round" in report.message]
    assert same_fit(tmp_path / "fit", plain)


def test_a_folder_that_was_removed_meanwhile_is_made_anew(tmp_path: Path):
    settings = settings_for(tmp_path / "fit")
    task, part = fit(settings), checkpoint_path(settings.out)
    while not part.exists():
        next(task)
    shutil.rmtree(part)
    while not part.exists():
        next(task)
    task.close()
    kept = read_checkpoint(part)
    assert kept is not None
    assert kept.manifest["settings"]["frames"] == "0:2"


def test_a_negative_rhythm_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="--checkpoint-every-s -1"):
        settings_for(tmp_path / "x", checkpoint_every_s=-1)
