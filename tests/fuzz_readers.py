"""Readers of binary files under coverage-guided fuzzing: `python tests/fuzz_readers.py FORMAT [libFuzzer's flags]`.

Needs the extra `fuzz`. Whatever bytes a file holds, a reader either reads it or raises an InputError of one line;
another exception, more than twenty seconds or more than three gigabytes end the run with the input as a file.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

PARSERS = ["spams_core.io", "spams_core.data.formats", "rosbags.rosbag1", "trimesh.exchange.ply"]

with atheris.instrument_imports(include=PARSERS):
    from spams_core.errors import InputError
    from spams_core.io.depth_images import image_size, read_units
    from spams_core.io.pc2 import open_pc2, write_pc2
    from spams_core.io.ply import read_ply, read_ply_points
    from spams_core.io.point_cloud import read_cloud

    from foreign_recordings import (  # isort: skip
        calibration_json,
        millimetres,
        write_bag,
        write_mkv,
        write_r3d,
        write_sens,
    )
    from mutations import read_or_refuse  # isort: skip

Reader = Callable[[Path], object]
Seeds = Callable[[Path], None]


def _refusing(read: Reader) -> Reader:
    """The reader, whose refusals are in order when they are one line."""

    def reading(path: Path) -> None:
        try:
            read(path)
        except InputError as error:
            if "\n" in str(error):
                raise AssertionError(f"more than one line: {error}") from error

    return reading


def _read_cache(path: Path) -> None:
    cache = open_pc2(path)
    for t in {0, cache.frame_count - 1}:
        assert cache.vertices(t).shape == (cache.vertex_count, 3)


def _read_image(path: Path) -> None:
    width, height = image_size(path)
    assert read_units(path, (width, height)).shape == (height, width)


def _read_npz(path: Path) -> None:
    """As a cloud and as a depth image, whichever it may be."""
    _refusing(read_cloud)(path)
    _refusing(_read_image)(path)


def _read_ply(path: Path) -> None:
    _refusing(read_ply)(path)
    _refusing(read_ply_points)(path)


def _same(data: bytes) -> bytes:
    return data


def _seed_r3d(folder: Path) -> None:
    write_r3d(folder / "plain", compress=_same)
    write_r3d(folder / "deflated", compress=_same, zipped=8)
    try:
        import lzfse
    except ImportError:
        return
    write_r3d(folder / "lzfse", compress=lzfse.compress)


def _seed_sens(folder: Path) -> None:
    write_sens(folder / "zlib", count=2)
    write_sens(folder / "raw", compression=0, count=2)


def _seed_bag(folder: Path) -> None:
    for compression in ("none", "lz4", "bz2"):
        write_bag(folder / compression, compression=compression)
    write_bag(folder / "driver", sdk=False, encoding="32FC1")


def _seed_mkv(folder: Path) -> None:
    frames = [millimetres(t) for t in range(2)]
    write_mkv(folder / "plain", frames)
    tall = [np.zeros((288, 320), np.uint16)]
    write_mkv(folder / "calibrated", tall, calibration=calibration_json())


def _seed_pc2(folder: Path) -> None:
    write_pc2(folder / "cache", iter(np.zeros((2, 5, 3), np.float32)), (2, 5))


def _seed_npz(folder: Path) -> None:
    np.savez(folder / "cloud.npz", points=np.eye(3), sensor_origin=np.ones(3))
    np.savez_compressed(folder / "depth.npz", depth=millimetres(0))


def _seed_ply(folder: Path) -> None:
    import trimesh  # not above, where it would come before its instrumentation

    box = trimesh.creation.box()
    for encoding in ("ascii", "binary"):
        (folder / encoding).write_bytes(trimesh.exchange.ply.export_ply(box, encoding=encoding))
        cloud = trimesh.PointCloud(box.vertices)
        (folder / f"{encoding}_cloud").write_bytes(trimesh.exchange.ply.export_ply(cloud, encoding=encoding))


def _seed_pcd(folder: Path) -> None:
    head = "VERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH 3\nHEIGHT 1\n"
    head += "VIEWPOINT 0 0 1 1 0 0 0\nPOINTS 3\nDATA "
    rows = np.arange(12, dtype="<f4")
    (folder / "binary").write_bytes(f"{head}binary\n".encode() + rows.tobytes())
    (folder / "ascii").write_text(f"{head}ascii\n" + " ".join(map(str, rows.tolist())))


TARGETS: dict[str, tuple[str, Reader, Seeds]] = {
    "record3d": ("walk.r3d", read_or_refuse, _seed_r3d),
    "scannet": ("walk.sens", read_or_refuse, _seed_sens),
    "ros_bag": ("walk.bag", read_or_refuse, _seed_bag),
    "azure_kinect": ("walk.mkv", read_or_refuse, _seed_mkv),
    "pc2": ("cache.pc2", _refusing(_read_cache), _seed_pc2),
    "npz": ("frame.npz", _read_npz, _seed_npz),
    "ply": ("frame.ply", _read_ply, _seed_ply),
    "pcd": ("frame.pcd", _refusing(read_cloud), _seed_pcd),
}
"""Format → a file's name, what reads it, and what writes sound files into a folder to start from."""


def main() -> int:
    """Fuzz in a process of its own, because libFuzzer leaves without tidying up."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        command = [sys.executable, __file__, "--within", work, *sys.argv[1:]]
        return subprocess.run(command).returncode


def _fuzz(work: Path, target: str, flags: list[str]) -> None:
    name, read, seed = TARGETS[target]
    corpus, file = work / "corpus", work / name
    corpus.mkdir()
    seed(corpus)

    def read_one(data: bytes) -> None:
        file.write_bytes(data)
        read(file)

    largest = max(path.stat().st_size for path in corpus.iterdir())
    limits = [f"-max_len={2 * largest}", "-timeout=20", "-rss_limit_mb=3000", "-seed=1"]
    atheris.Setup([__file__, str(corpus), *limits, *flags], read_one)
    warnings.simplefilter("error")
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1] == "--within":
        _fuzz(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
    else:
        sys.exit(main())
