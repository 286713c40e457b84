"""The tutorial's commands, in its order, with small numbers: from synthetic hands to a fit of an unseen one."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from spams_core import cli
from spams_core.data.fit import read_fit
from spams_core.data.subjects import read_subjects
from spams_core.data.synthetic_hands import HAND_PARTS
from spams_core.fitting.settings import SolveSettings
from spams_core.tasks import fit as fit_module
from spams_core.tasks import train as train_module

PAGE = Path(__file__).resolve().parents[1] / "docs" / "own-data.md"

SMALL = {
    "--identities": "5", "--poses": "4", "--train": "24", "--frames": "2",
}  # fmt: skip
STEPS = {"shape": 250, "parts": 500, "pose": 6, "segmenter": 3, "encoder": 2}
BRIEF = SolveSettings(
    articulated=False, align_iterations=2, rounds=1, joint_rounds=1, iterations=1, part_points=16, surface_points=16,
    match_resolution=48, mesh_resolution=48,
)  # fmt: skip


def tutorial() -> list[list[str]]:
    """The words of the page's commands about hands."""
    text = PAGE.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words[0] == "spams" and any("hands" in word for word in words)]


def reduced(words: list[str]) -> list[str]:
    """The command with its large numbers replaced."""
    small = dict(SMALL)
    if words[0] == "train":
        small["--steps"] = str(STEPS[words[1]])
    result = list(words)
    for option, value in small.items():
        if option in result:
            result[result.index(option) + 1] = value
    if words[0] == "clouds":
        result += ["--validation", "8", "--test", "8", "--view.points", "512"]
    return result


@pytest.mark.timeout(1500)  # a minute on a free core; anny builds a cache on a machine's first time
def test_the_tutorial_leads_to_a_fit(tmp_path, monkeypatch, capsys):
    pytest.importorskip("anny", reason="synthetic hands need the extra `synthetic`")
    pytest.importorskip("embreex")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(fit_module.PRESETS, "fast", BRIEF)
    commands = tutorial()
    said = {}
    for words in commands:
        command = reduced(words)
        assert cli.main(command) == 0, (command, capsys.readouterr().err)
        said[" ".join(words[:2])] = capsys.readouterr().out
    done = [words[0] for words in commands]
    assert done == ["hands", "generate", "generate", "clouds", *["train"] * 5, "render", "inspect", "fit", "evaluate"]
    assert {words[1] for words in commands if words[0] == "train"} == set(STEPS)

    subjects, fit = read_subjects(Path("hands/subjects")), read_fit(Path("hands/fit"))
    assert subjects.part_names == fit.part_names == HAND_PARTS
    assert fit.canonical_per_metre == subjects.canonical_per_metre
    assert "scale is wrong" not in said["inspect hands/recording"]
    # However short the training, the fit stands where the recording shows a hand, and is as large as one.
    seen = fit.observation(0).points_world
    size = np.ptp(fit.vertices_world[0], axis=0).max()
    assert 0.08 < size < 0.35
    assert np.linalg.norm(fit.vertices_world[0].mean(0) - seen.mean(0)) < 0.1
    figures = json.loads(said["evaluate hands/fit"].splitlines()[-1])["mean"]
    assert figures["epe_mm"] < 80
    assert set(figures["part_epe_mm"]) == set(HAND_PARTS)
    assert train_module.PRESETS["compact"].steps["shape"] > STEPS["shape"]
