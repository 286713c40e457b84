"""Archives: a folder with `manifest.json` and `arrays.safetensors`, for models, training sets and fits alike."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from spams_core import __version__
from spams_core.errors import InputError

__all__ = [
    "FORMAT_VERSION",
    "Archive",
    "fill_archive",
    "hash_file",
    "new_file",
    "new_folder",
    "read_archive",
    "require_new",
    "write_archive",
]

FORMAT_VERSION = 1
_MANIFEST = "manifest.json"
_ARRAYS = "arrays.safetensors"
_MAPPED_TYPES = {"F32": "<f4", "F16": "<f2", "U8": "u1", "I32": "<i4", "I64": "<i8"}


@dataclass(frozen=True)
class Archive:
    """An opened archive; arrays are read from disk when they are asked for.

    Attributes:
        path: The archive's folder.
        kind: What it holds: "spam", "segmenter", "encoder", "subjects", "clouds", "fit", "checkpoint".
        manifest: The whole manifest: format version, kind, settings, input hashes, code version, metrics.
    """

    path: Path
    kind: str
    manifest: Mapping[str, Any]

    def names(self) -> list[str]:
        """Names of the stored arrays."""
        with safe_open(str(self.path / _ARRAYS), framework="numpy") as arrays:
            return list(arrays.keys())

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """One whole array.

        Raises:
            InputError: The archive has no array of that name.
        """
        with self._open(name) as arrays:
            value: np.ndarray[Any, Any] = arrays.get_tensor(name)
            return value

    def words(self, key: str) -> tuple[str, ...]:
        """A list of names in the manifest.

        Raises:
            InputError: The manifest has no such list.
        """
        value = self.manifest.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InputError(f"{self.path / _MANIFEST} holds no list {key!r}; it is corrupted. Make the archive again.")
        return tuple(value)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one array, without reading it.

        Raises:
            InputError: The archive has no array of that name.
        """
        with self._open(name) as arrays:
            return tuple(arrays.get_slice(name).get_shape())

    def rows(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Rows start..stop of one array, read without touching the rest.

        Raises:
            InputError: The archive has no array of that name.
        """
        with self._open(name) as arrays:
            value: np.ndarray[Any, Any] = arrays.get_slice(name)[start:stop]
            return value

    def memory_map(self, name: str) -> np.ndarray[Any, Any]:
        """One array that stays on disk: only the pages that are looked at are read, and the system drops them again.

        Raises:
            InputError: The archive has no array of that name.
        """
        path = self.path / _ARRAYS
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        if name not in header:
            raise InputError(f"{self.path} holds no array {name!r}; it is incomplete. Make it again.")
        entry = header[name]
        dtype = np.dtype(_MAPPED_TYPES[entry["dtype"]])
        return np.memmap(path, dtype, "r", 8 + length + entry["data_offsets"][0], tuple(entry["shape"]))

    @contextmanager
    def _open(self, name: str) -> Iterator[Any]:
        with safe_open(str(self.path / _ARRAYS), framework="numpy") as arrays:
            if name not in arrays.keys():  # noqa: SIM118 - a safetensors handle is no mapping
                raise InputError(f"{self.path} holds no array {name!r}; it is incomplete. Make it again.")
            yield arrays

    def arrays(self, prefix: str = "") -> dict[str, np.ndarray[Any, Any]]:
        """All arrays whose names start with `prefix`, the prefix cut off."""
        with safe_open(str(self.path / _ARRAYS), framework="numpy") as arrays:
            return {
                name[len(prefix) :]: arrays.get_tensor(name)
                for name in arrays.keys()  # noqa: SIM118 - a safetensors handle is no mapping
                if name.startswith(prefix)
            }


def require_new(path: Path) -> None:
    """Find out before a long task, not after it, that its result cannot be written.

    Raises:
        InputError: `path` exists, or its folder cannot be written.
    """
    path = Path(path)
    try:
        if path.exists():
            raise InputError(f"{path} exists already. Choose another name, or remove it first.")
        # Folders that are not there yet are made with the result, so that a task that fails leaves none.
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=nearest):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}). Choose a folder that you may write.") from error


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a temporary folder beside `path`, then rename it: the result is whole or absent.

    Args:
        path: Where the folder shall be.
        replace: Whether an existing folder may be replaced.

    Raises:
        InputError: `path` exists and may not be replaced, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not replace:
        raise InputError(f"{path} exists already. Choose another name, or remove it first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}). Choose a folder that you may write.") from error
    try:
        work.chmod(0o755)  # mkdtemp makes it private
        yield work
        if path.exists():
            if not replace:
                raise _appeared(path)
            old = work.with_name(work.name + "-old")
            os.rename(path, old)
            try:
                os.rename(work, path)
            except OSError:
                os.rename(old, path)
                raise
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        else:
            os.rename(work, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}). Choose another folder.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a temporary file beside `path`, then rename it: the result is whole or absent.

    Args:
        path: Where the file shall be.
        replace: Whether an existing file may be replaced.

    Raises:
        InputError: `path` exists and may not be replaced, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not replace:
        raise InputError(f"{path} exists already. Choose another name, or remove it first.")
    work = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        work = Path(name)
        work.chmod(0o644)  # mkstemp makes it private
        yield work
        if path.exists() and not replace:
            raise _appeared(path)
        os.replace(work, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}). Choose another place.") from error
    finally:
        if work is not None:
            work.unlink(missing_ok=True)


def _appeared(path: Path) -> InputError:
    return InputError(f"{path} has been made by another program meanwhile; it is left as it is. Choose another name.")


def write_archive(
    path: Path,
    kind: str,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray[Any, Any]],
    *,
    replace: bool = False,
) -> Archive:
    """Write an archive in one step; readers never see half of one.

    Raises:
        InputError: `path` exists and `replace` is false, or cannot be written.
    """
    with new_folder(path, replace=replace) as folder:
        complete = fill_archive(folder, kind, manifest, arrays)
    return Archive(Path(path), kind, complete)


def fill_archive(
    folder: Path, kind: str, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, Any]:
    """Make an archive of a folder that nobody reads yet, as `new_folder` gives one; the complete manifest."""
    complete = {"format_version": FORMAT_VERSION, "kind": kind, "code_version": __version__, **manifest}
    (folder / _MANIFEST).write_text(json.dumps(complete, indent=1, sort_keys=True) + "\n")
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, str(folder / _ARRAYS))
    (folder / _ARRAYS).chmod((folder / _MANIFEST).stat().st_mode)  # safetensors makes it private
    return complete


def read_archive(path: Path, kind: str | None = None) -> Archive:
    """Open an archive and check that it is whole and of the expected kind.

    Raises:
        InputError: There is none, it is corrupted, foreign, of another kind or of a newer format version.
    """
    path = Path(path)
    if not (path / _MANIFEST).is_file():
        raise InputError(f"{path} is no archive: it has no {_MANIFEST}. Give a folder written by spams.")
    try:
        manifest = json.loads((path / _MANIFEST).read_text())
        found, version = str(manifest["kind"]), int(manifest["format_version"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{path / _MANIFEST} is corrupted or of another program. Make the archive again.") from error
    if version > FORMAT_VERSION:
        raise InputError(f"{path} has format {version}, newer than this program's {FORMAT_VERSION}. Update spams.")
    if kind is not None and found != kind:
        raise InputError(f"{path} holds a {found!r} archive where a {kind!r} archive is needed. Give another folder.")
    try:
        with safe_open(str(path / _ARRAYS), framework="numpy") as arrays:
            arrays.keys()
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path / _ARRAYS} is missing or corrupted. Make the archive again.") from error
    return Archive(path, found, manifest)


def hash_file(path: Path) -> str:
    """SHA-256 of a file, to state in a manifest what a result was made from."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
