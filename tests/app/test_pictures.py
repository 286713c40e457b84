"""Pictures and videos of a fit, read back pixel by pixel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from fits import FRAMES, write_ball_fit
from PIL import Image, ImageSequence

from app.export.pictures import RenderSettings, plan_pictures, render_beside, to_arguments
from spams_core.errors import InputError
from spams_core.progress import run_to_end

Opened = Callable[[Path], Any]
SMALL = {"width": 160, "height": 120}


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball_fit(tmp_path_factory.mktemp("fit") / "ball")


def read_video(path: Path) -> tuple[float, np.ndarray]:
    """Pictures per second, and the pictures [T, 120, 160, 3], as ffmpeg decodes them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    (rate,) = re.findall(r"160x120.*?, ([\d.]+) fps", done.stderr.decode().partition("Output #0")[0])
    return float(rate), np.frombuffer(done.stdout, np.uint8).reshape(-1, 120, 160, 3).astype(int)


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as seen:
        return np.array(seen.convert("RGB"), int)


def colored(picture: np.ndarray) -> np.ndarray:
    """Where the body is: the background and the floor are nearly grey."""
    return np.ptp(picture, axis=-1) > 60


def test_a_video_shows_every_frame_of_a_ball_that_moves(fit: Path, tmp_path: Path) -> None:
    settings = RenderSettings(fit, tmp_path / "a.mp4", speed=0.5, residual=False, **SMALL)
    assert run_to_end(render_beside(settings)) == tmp_path / "a.mp4"
    rate, pictures = read_video(tmp_path / "a.mp4")
    # Every second frame was fitted, recorded at 15 per second, shown at half that speed.
    assert rate == pytest.approx(15 / 2 * 0.5, abs=0.01)
    assert len(pictures) == FRAMES
    middles = [np.argwhere(colored(picture)).mean(0) for picture in pictures]
    along_x = np.diff([middle[1] for middle in middles])
    assert (along_x > 3).all()  # the ball moves to +x, which the sensor's side shows on the right
    assert sorted(path.name for path in tmp_path.glob("*a.mp4*")) == ["a.mp4", "a.mp4.json"]


def test_a_turntable_comes_round_to_where_it_began(fit: Path, tmp_path: Path) -> None:
    settings = RenderSettings(fit, tmp_path / "a.gif", "turntable", "gif", "2", speed=10, residual=False, **SMALL)
    run_to_end(render_beside(settings))
    with Image.open(tmp_path / "a.gif") as seen:
        assert seen.info["duration"] == 40
        pictures = np.stack([np.array(picture.convert("RGB"), int) for picture in ImageSequence.Iterator(seen)])
    assert pictures.shape == (10, 120, 160, 3)
    # The halves of the ball lie above one another: turning moves the floor and the shading, never the body.
    places = [np.argwhere(colored(picture)).mean(0) for picture in pictures]
    assert np.ptp(places, axis=0).max() < 2
    change = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2, 3))
    assert (change > 0.1).all()


@pytest.mark.parametrize(
    ("options", "differs"),
    [
        ({"background": "white"}, True),
        ({"view": "left"}, True),
        ({"points": True}, True),
        ({"frame_number": False}, True),
        ({"residual": False}, True),
        ({"points": True, "mesh": False}, True),
        ({}, False),
    ],
    ids=str,
)
def test_each_choice_changes_the_still(fit: Path, tmp_path: Path, options: dict[str, Any], differs: bool) -> None:
    from app.export.render import render

    plain, changed = (
        render(RenderSettings(fit, tmp_path / f"{name}.png", "still", "png", "1", **SMALL, **chosen))
        for name, chosen in (("plain", {}), ("changed", options))
    )
    first, second = (picture(path) for path in (plain, changed))
    assert first.shape == second.shape == (120, 160, 3)
    assert (np.abs(first - second).max() > 30) == differs


def test_the_sidecar_tells_where_it_comes_from(fit: Path, tmp_path: Path) -> None:
    from app.export.render import main

    arguments = [str(fit), "--out", str(tmp_path / "a.png"), "--kind", "still", "--format", "png", "--no-residual"]
    assert main([*arguments, "--width", "64", "--height", "64"]) == 0
    told = json.loads((tmp_path / "a.png.json").read_text())
    assert told["frames"] == [0]
    assert told["fit"]["settings"]["seed"] == 3
    assert told["fit"]["inputs"] == {"sequence": "c0ffee"}
    assert told["export"]["residual"] is False
    assert len(told["fit_sha256"]) == 64
    assert told["code_version"]


def test_nothing_is_overwritten_unless_told(fit: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    out.write_text("mine")
    settings = RenderSettings(fit, out, "still", "png", **SMALL)
    with pytest.raises(InputError, match="exists already"):
        run_to_end(render_beside(settings))
    assert out.read_text() == "mine"
    run_to_end(render_beside(RenderSettings(fit, out, "still", "png", overwrite=True, **SMALL)))
    assert picture(out).shape == (120, 160, 3)


def test_cancelling_kills_the_renderer_and_leaves_nothing(fit: Path, tmp_path: Path, monkeypatch: Any) -> None:
    started: list[subprocess.Popen[str]] = []
    paths: list[str] = []
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "/somewhere", ""]))
    true_popen = subprocess.Popen

    def watched(*arguments: Any, **options: Any) -> Any:
        paths.extend(options["env"]["PYTHONPATH"].split(os.pathsep))
        started.append(true_popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr("app.export.pictures.subprocess.Popen", watched)
    task = render_beside(RenderSettings(fit, tmp_path / "a.mp4", "turntable", speed=0.02, **SMALL))
    while next(task).step < 3:
        pass
    begin = time.perf_counter()
    task.close()
    assert time.perf_counter() - begin < 0.5
    assert started[0].poll() is not None
    assert started[0].stdout is not None
    assert started[0].stdout.closed
    assert not [thread for thread in threading.enumerate() if thread.name == "renderer output"]
    assert len(paths) == 2
    assert paths[1] == "/somewhere"  # no empty entry, which would be the present folder
    assert list(tmp_path.glob("*a.mp4*")) == []


def test_arguments_give_the_same_settings_again(tmp_path: Path) -> None:
    import tyro

    settings = RenderSettings(
        tmp_path, tmp_path / "a.gif", "turntable", "gif", "3", 2.0, 320, 240, "left", "light", False, True, False,
        True, True,
    )  # fmt: skip
    config = (tyro.conf.FlagCreatePairsOff,)
    assert tyro.cli(RenderSettings, args=to_arguments(settings), config=config) == settings


def test_gifs_drop_pictures_instead_of_becoming_slow(tmp_path: Path) -> None:
    plan = plan_pictures(RenderSettings(tmp_path, tmp_path / "a.gif", format="gif", speed=4), list(range(60)), 30)
    assert plan.fps == 40
    assert plan.rows == tuple(range(0, 60, 3))
    assert plan.seconds == pytest.approx(0.5)


def test_wrong_requests_are_one_clear_line(tmp_path: Path) -> None:
    for options, complaint in (
        ({"kind": "still"}, "png for a still"),
        ({"width": 161}, "it must be even"),
        ({"speed": 0.0}, "between 0.01 and 100"),
        ({"mesh": False}, "nothing would be seen"),
        ({"format": "gif"}, r"name the file a\.gif"),
    ):
        with pytest.raises(InputError, match=complaint):
            RenderSettings(tmp_path, tmp_path / "a.mp4", **options)
    done = subprocess.run(
        [sys.executable, "-m", "app.export.render", str(tmp_path / "no"), "--out", str(tmp_path / "a.mp4")],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is no archive" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_panel_renders_a_still_while_the_viewports_live(
    opened: Opened, fit_folder: Path, tmp_path: Path, qtbot: Any
) -> None:
    window = opened(fit_folder)
    window.turn_to("export")
    page = window.export_workspace.panel.pages["pictures"]
    window.export_workspace.panel.tabs.setCurrentIndex(1)
    page.form.set_value("kind", "still")
    assert page.form.value().format == "png"
    page.form.set_value("width", 160)
    page.form.set_value("height", 120)
    assert "ball_fitted_still.png" in page.preview
    out = page.form.value().out
    drawn = window.viewport.paint_count
    with qtbot.waitSignal(window.jobs.exported, timeout=30_000):
        page.export_button.click()
        window.session.frame = 4
        qtbot.waitUntil(lambda: window.viewport.paint_count > drawn, timeout=5_000)
    assert picture(out).shape == (120, 160, 3)
    page.form.set_value("kind", "turntable")
    assert page.form.value().format == "mp4"
