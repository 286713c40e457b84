from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spams_core.errors import InputError
from spams_core.io.archive import hash_file, new_file, new_folder, read_archive, require_new, write_archive

ARRAYS = {"a.x": np.arange(12, dtype=np.float32).reshape(4, 3), "a.y": np.array([True, False]), "b": np.arange(3)}


@pytest.fixture
def path(tmp_path):
    write_archive(tmp_path / "archive", "fit", {"seed": 3}, ARRAYS)
    return tmp_path / "archive"


def test_round_trip_whole_rows_shapes_and_prefixes(path):
    archive = read_archive(path, "fit")
    assert archive.manifest["seed"] == 3
    assert sorted(archive.names()) == sorted(ARRAYS)
    for name, value in ARRAYS.items():
        assert np.array_equal(archive.array(name), value)
        assert archive.array(name).dtype == value.dtype
        assert archive.shape(name) == value.shape
    assert np.array_equal(archive.rows("a.x", 1, 3), ARRAYS["a.x"][1:3])
    assert sorted(archive.arrays("a.")) == ["x", "y"]


def test_missing_arrays_are_named(path):
    archive = read_archive(path)
    for read in (archive.array, archive.shape, lambda name: archive.rows(name, 0, 1)):
        with pytest.raises(InputError, match=r"holds no array 'c'; it is incomplete"):
            read("c")


def test_another_kind_or_a_newer_format_is_refused(path):
    with pytest.raises(InputError, match="holds a 'fit' archive where a 'spam' archive is needed"):
        read_archive(path, "spam")
    manifest = json.loads((path / "manifest.json").read_text()) | {"format_version": 99}
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="has format 99, newer than this program's"):
        read_archive(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"kind": 3}', '{"kind": "fit", "format_version": "x"}'])
def test_a_foreign_manifest_is_refused(path, text):
    (path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="corrupted or of another program"):
        read_archive(path)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 something else"])
def test_corrupted_arrays_are_refused(path, content):
    if content is None:
        (path / "arrays.safetensors").unlink()
    else:
        (path / "arrays.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"arrays\.safetensors is missing or corrupted"):
        read_archive(path)


def test_truncated_arrays_are_refused(path):
    content = (path / "arrays.safetensors").read_bytes()
    for length in range(0, len(content), 7):
        (path / "arrays.safetensors").write_bytes(content[:length])
        with pytest.raises(InputError, match="missing or corrupted"):
            read_archive(path)


def test_an_archive_is_replaced_only_when_asked(path):
    with pytest.raises(InputError, match="exists already"):
        write_archive(path, "fit", {"seed": 4}, ARRAYS)
    assert read_archive(path).manifest["seed"] == 3
    write_archive(path, "fit", {"seed": 4}, ARRAYS, replace=True)
    assert read_archive(path).manifest["seed"] == 4
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("create", [new_folder, new_file])
def test_what_fails_half_way_leaves_nothing(tmp_path, create):
    def fail() -> None:
        with create(tmp_path / "out") as work:
            (work / "a" if work.is_dir() else work).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [new_folder, new_file])
def test_what_succeeds_is_readable_for_others(tmp_path, create):
    with create(tmp_path / "deep" / "out"):
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out").stat().st_mode & 0o044 == 0o044
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["out"]


def test_asking_whether_a_place_is_free_leaves_nothing(tmp_path):
    require_new(tmp_path / "not" / "there" / "yet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("create", [new_folder, new_file, require_new])
def test_a_place_that_cannot_be_written_or_is_taken(tmp_path, create):
    (tmp_path / "file").write_text("mine")

    def enter(path) -> None:
        context = create(path)
        if context is not None:
            with context:
                pass

    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\)|cannot be written \(File exists\)"):
        enter(tmp_path / "file" / "out")
    with pytest.raises(InputError, match="exists already"):
        enter(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_hash_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert hash_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("make", [new_folder, new_file])
def test_what_appears_meanwhile_is_left_alone(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "result"
    with pytest.raises(InputError, match="made by another program meanwhile"), make(path):
        path.write_text("of somebody else")
    assert path.read_text() == "of somebody else"
    assert [file.name for file in tmp_path.iterdir()] == ["result"]


def test_folder_that_cannot_be_moved_in_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result"
    path.mkdir()
    (path / "old").touch()
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if target == path and not source.name.endswith("-old"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr("os.rename", refuse)
    with pytest.raises(InputError, match="No space left"), new_folder(path, replace=True) as work:
        (work / "new").touch()
    assert [file.name for file in path.iterdir()] == ["old"]
