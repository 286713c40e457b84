"""Every example of docs/formats and docs/python.md is executed, and prints what the page says.

A block marked `example` is run in the page's order, in a folder that holds `recording`, some frames of the bundled one,
and what `_PREPARE` makes for the page. A block marked `output` right after it is what it prints; … stands for anything.
"""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import foreign_recordings
import pytest

from spams_core import cli
from spams_core.data.recording import FORMATS, read_sequence
from spams_core.fitting.settings import SolveSettings
from spams_core.io.native_sequence import sequence_writer
from spams_core.progress import run_to_end
from spams_core.tasks.export import ExportFormat
from spams_core.tasks.fit import FitSettings, fit

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "docs" / "python.md", *sorted((ROOT / "docs" / "formats").glob("[!i]*.md"))]
FRAMES = foreign_recordings.FRAMES


@dataclass(frozen=True)
class Example:
    """A block and what it prints; None where the page does not say."""

    line: int
    language: str
    text: str
    output: str | None


_BLOCK = re.compile(r"^```(sh|python) example\n(.*?)^```\n(?:\n```text output\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def _examples(page: Path) -> list[Example]:
    text = page.read_text()
    return [Example(text[: m.start()].count("\n") + 1, m[1], m[2], m[3]) for m in _BLOCK.finditer(text)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the bundled recording."""
    bundled = read_sequence(ROOT / "resources" / "demo" / "recording")
    assert bundled.read_ground_truth is not None
    path = tmp_path_factory.mktemp("demo") / "recording"
    with sequence_writer(path, bundled.camera, bundled.fps) as append:
        for t in range(FRAMES):
            append(bundled.read_depth_m(t), bundled.read_mask(t), bundled.read_ground_truth(t))
    return path


@pytest.fixture(scope="module")
def walk(recording: Path) -> Path:
    """A coarse, quick fit of it."""
    out = recording.parent / "walk"
    solve = SolveSettings(rounds=1, joint_rounds=1, match_resolution=48, mesh_resolution=48)
    run_to_end(fit(FitSettings(recording, out=out, frames="0:4", solve=solve)))
    return out


@pytest.fixture
def scene(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings of foreign formats show the bundled subject."""
    sequence = read_sequence(recording)
    camera = sequence.camera
    changes = {"WIDTH": camera.width, "HEIGHT": camera.height, "scene_m": sequence.read_depth_m}
    for name, value in (changes | {each.upper(): getattr(camera, each) for each in ("fx", "fy", "cx", "cy")}).items():
        monkeypatch.setattr(foreign_recordings, name, value)


def _write_intrinsics(path: Path) -> None:
    foreign_recordings.write_intrinsics(path, foreign_recordings.WIDTH, foreign_recordings.HEIGHT)


def _write_images(folder: Path) -> None:
    foreign_recordings.write_images(folder / "walk", intrinsics=False)
    _write_intrinsics(folder / "walk" / "intrinsic.json")


def _write_tum(folder: Path) -> None:
    foreign_recordings.write_tum(folder / "walk")
    _write_intrinsics(folder / "walk" / "intrinsics.json")


def _write_r3d(folder: Path) -> None:
    lzfse = pytest.importorskip("lzfse", reason="needs the extra `record3d`")
    foreign_recordings.write_r3d(folder / "walk.r3d", compress=lzfse.compress)


def _write_bag(folder: Path) -> None:
    pytest.importorskip("rosbags", reason="needs the extra `bag`")
    size = (foreign_recordings.WIDTH, foreign_recordings.HEIGHT)
    foreign_recordings.write_bag(folder / "walk.bag", compression="lz4", info_size=size)


def _write_mkv(folder: Path) -> None:
    pytest.importorskip("av", reason="needs the extra `mkv`")
    frames = [foreign_recordings.millimetres(t) for t in range(FRAMES)]
    calibration = foreign_recordings.calibration_json()
    foreign_recordings.write_mkv(folder / "walk.mkv", frames, calibration=calibration)


_PREPARE: dict[str, Callable[[Path], object]] = {
    "depth-images": _write_images,
    "tum-rgbd": _write_tum,
    "record3d": _write_r3d,
    "scannet": lambda folder: foreign_recordings.write_sens(folder / "walk.sens"),
    "ros-bag": _write_bag,
    "azure-kinect": _write_mkv,
    "meshes": lambda folder: shutil.copytree(folder / "recording" / "ground_truth", folder / "scans"),
    "abc": lambda folder: pytest.importorskip("alembic3d", reason="needs the extra `alembic`"),
    "usd": lambda folder: pytest.importorskip("pxr", reason="needs the extra `usd`"),
}
"""Page → what lies in its folder beside `recording`, which every page has."""


def _run_shell(text: str) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["spams"]:
            assert cli.main(words[1:]) == 0
        elif words[:1] == ["python"]:
            done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, timeout=240)
            assert done.returncode == 0, done.stderr
            print(done.stdout, end="")
        else:
            assert not words, f"{line} is no command of this program"


def _matches(expected: str, printed: str) -> bool:
    """Whether it is the same text, where … stands for anything."""
    pattern = re.escape(expected.strip()).replace(re.escape("…"), ".*?")
    return re.fullmatch(pattern, printed.strip(), flags=re.DOTALL) is not None


def _needs_fit(page: Path) -> bool:
    return any("fits/walk" in example.text for example in _examples(page)) and page.stem != "python"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.usefixtures("scene")
def test_examples_do_what_their_page_says(
    page: Path, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    shutil.copytree(recording, tmp_path / "recording")
    if page.stem in _PREPARE:
        _PREPARE[page.stem](tmp_path)
    if _needs_fit(page):
        shutil.copytree(request.getfixturevalue("walk"), tmp_path / "fits" / "walk")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    names: dict[str, object] = {}
    for example in _examples(page):
        printed = io.StringIO()
        with redirect_stdout(printed):
            if example.language == "sh":
                _run_shell(example.text)
            else:
                exec(compile(example.text, f"{page.name}:{example.line}", "exec"), names)
        told = printed.getvalue()
        if example.output is not None:
            assert _matches(example.output, told), f"{page.name}:{example.line} printed\n{told}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_has_an_example(page: Path) -> None:
    assert _examples(page)
    text = page.read_text()
    assert text.count(" example\n") == len(_examples(page)), "a block's mark is misspelt"
    assert text.count("```text output\n") == sum(each.output is not None for each in _examples(page))


def test_every_format_has_a_page() -> None:
    pages = {page.stem.replace("-", "_") for page in PAGES}
    assert {"usd" if name == "usdz" else name for name in get_args(ExportFormat)} <= pages
    assert {"point_clouds" if name == "clouds" else name for name in FORMATS} <= pages
