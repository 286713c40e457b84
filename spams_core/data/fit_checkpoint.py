"""What a running fit leaves beside its output, so that an interrupted one can go on: the folder `NAME.part`.

`manifest.json` says what the fit is made from and never changes; `state.npz` is replaced after a round, whole or not at
all; `running` is locked by the program that fits, and free as soon as that has ended, however it did.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from spams_core import __version__
from spams_core.errors import InputError
from spams_core.io.archive import new_file, new_folder

__all__ = [
    "CHECKPOINT_KIND",
    "CHECKPOINT_VERSION",
    "CheckpointLock",
    "FitCheckpoint",
    "checkpoint_path",
    "create_checkpoint",
    "is_checkpoint",
    "read_checkpoint",
    "remove_checkpoint",
    "update_checkpoint",
]

CHECKPOINT_VERSION = 1
CHECKPOINT_KIND = "fit_checkpoint"
_MANIFEST, _STATE, _LOCK = "manifest.json", "state.npz", "running"
_LARGEST_MANIFEST = 4_000_000  # bytes; what is larger is no checkpoint's
_TRIES = 10
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class FitCheckpoint:
    """An interrupted fit, or one that runs.

    Attributes:
        path: Its folder.
        manifest: What the fit is made from: settings, frames, hashes of recording and model, versions.
        rounds_done, rounds: How far it is.
        seconds: What it took so far.
        saved: When the last round was saved.
    """

    path: Path
    manifest: Mapping[str, Any]
    rounds_done: int
    rounds: int
    seconds: float
    saved: datetime

    @property
    def told(self) -> str:
        """How far it is, for a person: "round 3 of 20"."""
        return f"round {self.rounds_done} of {self.rounds}"

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """One array of the state alone.

        Raises:
            InputError: It is missing or damaged.
        """
        try:
            with _opened(self.path / _STATE) as file:
                found: np.ndarray[Any, Any] = file[name]
                return found
        except _DAMAGED as error:
            raise _damaged(self.path / _STATE) from error

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The state of the fit, after a look at every byte.

        Raises:
            InputError: It is damaged.
        """
        try:
            with zipfile.ZipFile(self.path / _STATE) as archive:
                broken = archive.testzip()
            if broken is not None:
                raise ValueError(broken)
            with _opened(self.path / _STATE) as file:
                return {name: file[name] for name in file.files}
        except _DAMAGED as error:
            raise _damaged(self.path / _STATE) from error


def checkpoint_path(out: Path) -> Path:
    """Where the checkpoint of a fit lies that is going to be written to `out`."""
    return Path(out).with_name(f"{Path(out).name}.part")


def create_checkpoint(
    path: Path, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]], seconds: float
) -> None:
    """Make the folder; whole or not at all.

    Args:
        path: From `checkpoint_path`.
        manifest: What the fit is made from.
        arrays: Its state, among them "rounds_done" and "rounds".
        seconds: What it took so far.

    Raises:
        InputError: The folder exists or cannot be written.
    """
    complete = {"format_version": CHECKPOINT_VERSION, "kind": CHECKPOINT_KIND, "code_version": __version__, **manifest}
    with new_folder(path) as folder:
        with (folder / _MANIFEST).open("w") as file:
            file.write(json.dumps(complete, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        (folder / _LOCK).touch()
        _write_state(folder / _STATE, arrays, seconds)


def update_checkpoint(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]], seconds: float) -> None:
    """Put a later state in the place of the one before.

    Raises:
        InputError: It cannot be written, and the one before is still there; or the folder has been removed.
    """
    if not (path / _MANIFEST).is_file():
        raise InputError(f"{path} has been removed.")
    with new_file(path / _STATE, replace=True) as work:
        _write_state(work, arrays, seconds)


def _write_state(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]], seconds: float) -> None:
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in {**arrays, "seconds": np.array(seconds, np.float64)}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())  # a power cut must not leave the new name with nothing in it


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # Given a path, numpy would leave a damaged file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        yield arrays


def is_checkpoint(path: Path) -> bool:
    """Whether a folder keeps an interrupted fit; it may be damaged."""
    return (Path(path) / _STATE).is_file()


def read_checkpoint(path: Path) -> FitCheckpoint | None:
    """A checkpoint and how far it is; its state is read later, by `arrays`. None where nothing is.

    Raises:
        InputError: There is something else, it is damaged, or it is of a later version.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        if (path / _MANIFEST).stat().st_size > _LARGEST_MANIFEST:
            raise ValueError
        manifest = json.loads((path / _MANIFEST).read_text())
        version = int(manifest["format_version"]) if manifest["kind"] == CHECKPOINT_KIND else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no interrupted fit, or a damaged one, and is in the way. Move it, or choose another --out."
        ) from error
    if version is None:
        raise InputError(f"{path} holds something else than an interrupted fit. Choose another --out.")
    if version > CHECKPOINT_VERSION:
        raise InputError(
            f"{path} has format {version}, newer than this program's {CHECKPOINT_VERSION}. Update spams, or remove "
            "the folder to start anew."
        )
    try:
        saved = datetime.fromtimestamp((path / _STATE).stat().st_mtime)
        with _opened(path / _STATE) as file:
            done, rounds, seconds = int(file["rounds_done"]), int(file["rounds"]), float(file["seconds"])
    except _DAMAGED as error:
        raise _damaged(path / _STATE) from error
    return FitCheckpoint(path, manifest, done, rounds, seconds, saved)


def remove_checkpoint(path: Path) -> None:
    """Remove what a checkpoint consists of; whatever else lies there stays.

    Raises:
        OSError: It cannot be removed.
    """
    unfinished = path.glob(f".{_STATE}-*")  # by a program that was killed while it wrote
    for file in (path / _STATE, *unfinished, path / _LOCK, path / _MANIFEST):
        file.unlink(missing_ok=True)
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is damaged or missing. Remove {path.parent} to start the fit anew.")


class CheckpointLock:
    """Says that a program is fitting; the system takes it back when the program ends, even by force."""

    def __init__(self, path: Path) -> None:
        self._path = Path(path) / _LOCK
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take it; False where another fit has it. Drives that know no locks, or refuse, give it to everybody."""
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return True
        for _ in range(_TRIES):
            if _lock(self._handle):
                return True
            time.sleep(0.02)  # somebody may only be looking
        self.release()
        return False

    def release(self) -> None:
        """Give it back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def taken(self) -> bool:
        """Whether a fit has it at the moment."""
        try:
            handle = os.open(self._path, os.O_RDWR)
        except OSError:
            return False
        try:
            return not _lock(handle)
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the drive knows no locks
        return True
    return True
