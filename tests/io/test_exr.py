"""OpenEXR depth, written by the published layout and by the library; broken files."""

from __future__ import annotations

import builtins

import numpy as np
import OpenEXR
import pytest
from foreign_recordings import HEIGHT, WIDTH, scene_m, write_exr, write_intrinsics
from hypothesis import given, settings
from mutations import MUTATIONS, mutate, read_or_refuse

from spams_core.errors import InputError
from spams_core.io.depth_images import image_size, read_units


def by_library(path, **channels):
    OpenEXR.File({"type": OpenEXR.scanlineimage, "compression": OpenEXR.PIZ_COMPRESSION}, channels).write(str(path))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint32])
def test_every_type_of_number_is_read(dtype, tmp_path):
    depth = np.rint(scene_m(0) * 8).astype(dtype)
    by_library(tmp_path / "0.exr", Y=depth)
    units = read_units(tmp_path / "0.exr", (WIDTH, HEIGHT))
    np.testing.assert_array_equal(units, depth.astype(np.float32))
    assert units.dtype in (np.float32, np.uint32)


def test_depth_is_found_among_colours_and_else_asked_for(tmp_path):
    white, depth = np.ones((HEIGHT, WIDTH), np.float32), scene_m(0).astype(np.float32)
    by_library(tmp_path / "0.exr", R=white, G=white, B=white, Z=depth)
    np.testing.assert_array_equal(read_units(tmp_path / "0.exr", (WIDTH, HEIGHT)), depth)
    by_library(tmp_path / "1.exr", N=white, U=white)
    with pytest.raises(InputError, match=r"1\.exr has the channels N, U; depth is called Z"):
        image_size(tmp_path / "1.exr")


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path):
    write_exr(tmp_path / "0.exr", 0)
    data = (tmp_path / "0.exr").read_bytes()
    for length in range(0, len(data), 61):
        (tmp_path / "0.exr").write_bytes(data[:length])
        with pytest.raises(InputError, match=r"0\.exr is (empty, )?truncated"):
            read_units(tmp_path / "0.exr", (WIDTH, HEIGHT))


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    write_exr(tmp_path / "0.exr", 0)
    load = builtins.__import__

    def without(name, *rest):
        if name == "OpenEXR":
            raise ImportError
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="spam-studio\\[exr\\]"):
        image_size(tmp_path / "0.exr")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    root = tmp_path_factory.mktemp("exr")
    (root / "depth").mkdir()
    write_intrinsics(root / "intrinsic.json")
    path = root / "depth" / "0.exr"
    write_exr(path, 0)
    plain = path.read_bytes()
    by_library(path, Z=scene_m(1).astype(np.float32))
    return path, (plain, path.read_bytes())


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(mutation=MUTATIONS)
def test_mutated_files_are_read_or_refused(seeds, mutation):
    path, data = seeds
    path.write_bytes(mutate(data[mutation % 2], mutation))
    read_or_refuse(path.parent.parent)
