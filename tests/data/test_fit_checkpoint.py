"""The folder NAME.part: whole or absent, read without pickle, damage is noticed, and locked while its fit runs."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spams_core.data.fit import read_fit
from spams_core.data.fit_checkpoint import (
    CHECKPOINT_VERSION,
    CheckpointLock,
    checkpoint_path,
    create_checkpoint,
    read_checkpoint,
    remove_checkpoint,
    update_checkpoint,
)
from spams_core.errors import InputError


def arrays(done: int = 3) -> dict[str, np.ndarray]:
    return {
        "rounds_done": np.array(done),
        "rounds": np.array(20),
        "z_pose": np.random.default_rng(0).random((4, 128), dtype=np.float32),
        "loss_names": np.array(["icp", "prior"], np.str_),
    }


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = checkpoint_path(tmp_path / "walk_fit")
    create_checkpoint(path, {"settings": {"seed": 4}}, arrays(), 12.5)
    return path


def read_whole(path: Path) -> dict[str, np.ndarray]:
    found = read_checkpoint(path)
    assert found is not None
    return found.arrays()


def test_what_is_written_is_read(part: Path):
    assert part.name == "walk_fit.part"
    found = read_checkpoint(part)
    assert found is not None
    assert (found.told, found.seconds) == ("round 3 of 20", 12.5)
    assert found.manifest["settings"] == {"seed": 4}
    assert found.manifest["format_version"] == CHECKPOINT_VERSION
    assert all(np.array_equal(value, found.arrays()[name]) for name, value in arrays().items())
    assert found.array("loss_names").tolist() == ["icp", "prior"]
    with np.load(part / "state.npz", allow_pickle=False) as file:
        assert set(file.files) == {*arrays(), "seconds"}


def test_a_later_state_takes_the_place_of_the_first(part: Path):
    manifest = (part / "manifest.json").read_bytes()
    update_checkpoint(part, arrays(4), 15.0)
    found = read_checkpoint(part)
    assert found is not None
    assert (found.rounds_done, found.seconds) == (4, 15.0)
    assert (part / "manifest.json").read_bytes() == manifest
    assert sorted(file.name for file in part.iterdir()) == ["manifest.json", "running", "state.npz"]


def test_a_full_disk_leaves_the_state_before(part: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("spams_core.data.fit_checkpoint.os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        update_checkpoint(part, arrays(4), 15.0)
    found = read_checkpoint(part)
    assert found is not None
    assert found.rounds_done == 3
    found.arrays()
    with pytest.raises(InputError, match="No space left"):
        create_checkpoint(tmp_path / "other.part", {}, arrays(), 1.0)
    assert sorted(path.name for path in (*tmp_path.iterdir(), *part.iterdir())) == [
        "manifest.json", "running", "state.npz", "walk_fit.part",
    ]  # fmt: skip


def test_a_changed_byte_of_any_array_is_noticed(part: Path):
    whole = (part / "state.npz").read_bytes()
    with zipfile.ZipFile(part / "state.npz") as archive:
        data = [info.header_offset + 30 + len(info.filename) + 60 for info in archive.infolist()]
    for place in data:
        (part / "state.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"state\.npz is damaged or missing\. Remove .*walk_fit\.part to start"):
            read_whole(part)


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_cut_state_is_noticed(part: Path, kept: float):
    whole = (part / "state.npz").read_bytes()
    (part / "state.npz").write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    with pytest.raises(InputError, match="damaged or missing"):
        read_checkpoint(part)


def test_what_is_something_else_is_left_alone(part: Path, tmp_path: Path):
    assert read_checkpoint(tmp_path / "nothing.part") is None
    (tmp_path / "own.part").mkdir()
    (tmp_path / "file.part").write_text("mine")
    for name in ("own.part", "file.part"):
        with pytest.raises(InputError, match=r"is in the way\. Move it, or choose another --out"):
            read_checkpoint(tmp_path / name)
    manifest = json.loads((part / "manifest.json").read_text())
    for change, told in (({"kind": "fit"}, "something else"), ({"format_version": 2}, "newer than this program's 1")):
        (part / "manifest.json").write_text(json.dumps(manifest | change))
        with pytest.raises(InputError, match=told):
            read_checkpoint(part)


def test_removing_leaves_the_files_of_others(part: Path):
    (part / "note.txt").write_text("mine")
    remove_checkpoint(part)
    assert [file.name for file in part.iterdir()] == ["note.txt"]
    (part / "note.txt").unlink()
    remove_checkpoint(part)
    assert not part.exists()


def test_a_removed_folder_is_not_made_anew_without_its_manifest(part: Path):
    remove_checkpoint(part)
    with pytest.raises(InputError, match="has been removed"):
        update_checkpoint(part, arrays(), 1.0)
    assert not part.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_lock_of_a_killed_program_is_free(part: Path):
    program = (
        "import sys; from spams_core.data.fit_checkpoint import CheckpointLock\n"
        "lock = CheckpointLock(sys.argv[1]); print(lock.acquire(), flush=True); sys.stdin.read()"
    )
    lock = CheckpointLock(part)
    assert not lock.taken()
    with subprocess.Popen(
        [sys.executable, "-c", program, str(part)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert lock.taken()
        assert not lock.acquire()
        other.send_signal(signal.SIGKILL)
    assert not lock.taken()
    assert lock.acquire()
    assert CheckpointLock(part).taken(), "in the same program as well"
    lock.release()
    assert not lock.taken()


def test_one_that_is_opened_as_a_fit_says_how_it_goes_on(part: Path) -> None:
    with pytest.raises(InputError, match=r"was interrupted.*--resume"):
        read_fit(part)
