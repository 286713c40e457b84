"""Settings beside a recording count where no others are given, for every command that reads one."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import write_ball

from spams_core import cli
from spams_core.data.recording import ReadingSettings, read_sequence
from spams_core.data.saved_settings import SavedSettings, read_saved, saved_path, saved_text, with_saved
from spams_core.data.subject import SubjectSettings
from spams_core.errors import InputError

KEPT = SavedSettings(SubjectSettings(far_m=1.9), ReadingSettings(depth_scale=0.0005, fps=10, mirrored=True))


@pytest.fixture
def ball(tmp_path: Path) -> Path:
    path = write_ball(tmp_path / "ball")
    saved_path(path).write_text(saved_text("ball", KEPT))
    return path


def test_what_is_given_goes_before_what_was_saved(ball: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_saved(saved_path(ball)) == KEPT
    assert with_saved(ball, "ignore") == SavedSettings()
    with caplog.at_level(logging.WARNING):
        assert with_saved(ball, "use") == KEPT
    assert caplog.messages == [
        "ball.subject.json is used where no other settings are given; --saved ignore leaves it out."
    ]
    given = with_saved(ball, "use", SubjectSettings(near_m=1), ReadingSettings(fps=20, fx=1, fy=1, cx=0, cy=0))
    assert given.subject == SubjectSettings(near_m=1)
    assert given.reading == ReadingSettings(fps=20, fx=1, fy=1, cx=0, cy=0, depth_scale=0.0005, mirrored=True)
    saved_path(ball).write_text(saved_text("ball", SavedSettings(reading=ReadingSettings(sensor="kinect_v1"))))
    assert with_saved(ball, "use", None, ReadingSettings(fx=1, fy=1, cx=0, cy=0)).reading.sensor is None


def test_files_of_before_hold_a_subject_alone_and_others_are_refused(ball: Path) -> None:
    file = saved_path(ball)
    file.write_text('{"recording": "ball", "subject": {"near_m": 1.0}}')
    assert read_saved(file) == SavedSettings(SubjectSettings(near_m=1.0))
    for text in ("", "[]", "{}", '{"subject": 3}', '{"subject": {"near": 1}}', '{"reading": {"fx": 1}}'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"^ball\.subject\.json"):
            read_saved(file)


def test_inspect_and_convert_take_both(ball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*options: str) -> dict[str, Any]:
        assert cli.main(["inspect", str(ball), "--json", *options]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    assert (told()["fps"], told()["depth_scale"], told()["mirrored"]) == (10, 0.0005, True)
    assert told("--saved", "ignore")["fps"] == 15
    plain = told("--saved", "ignore", "--subject.near-m", "9")
    assert "No subject is seen" in plain["warnings"]["subject"]
    out = tmp_path / "out"
    assert cli.main(["convert", str(ball), "--out", str(out), "--subject.far-m", "1.5", "--saved", "ignore"]) == 0
    before, after = read_sequence(ball), read_sequence(out)
    assert np.array_equal(after.read_mask(0), before.read_mask(0) & (before.read_depth_m(0) <= 1.5))
    assert cli.main(["convert", str(ball), "--out", str(tmp_path / "saved")]) == 0
    assert read_sequence(tmp_path / "saved").fps == 10
