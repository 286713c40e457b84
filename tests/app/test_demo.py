"""The demo drives the real window to the end, and says what stops it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from app.demo import main
from spams_core.data.fit import read_fit
from spams_core.errors import InputError
from spams_core.tasks.evaluate import FIGURES, EvaluateSettings


@pytest.fixture(autouse=True)
def _stand_ins(qapp: Any, bench: Any, segmenter: None) -> None:
    """No trained networks are needed here."""


def test_demo_leaves_meshes_metrics_and_a_picture(
    fitter: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = partial(EvaluateSettings, volume_samples=10_000, surface_samples=2_000)
    monkeypatch.setattr("spams_core.tasks.evaluate.EvaluateSettings", coarse)
    out = tmp_path / "demo"
    assert main(["--out", str(out), "--close"]) == 0
    fit = read_fit(out / "fit")
    assert len(sorted((out / "meshes").glob("*.ply"))) == fit.frame_count
    scene = trimesh.load(out / "frame.glb")
    np.testing.assert_allclose(scene.bounds, [f(fit.vertices_world[fit.frame_count // 2], 0) for f in (np.min, np.max)])
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["mean"]) == set(FIGURES)
    assert [row["frame"] for row in metrics["frames"]] == fit.frame_indices.tolist()
    picture = np.asarray(Image.open(out / "window.png").convert("RGB")).astype(int)
    assert picture.shape[0] >= 700
    assert picture.shape[1] >= 1200
    assert (np.ptp(picture, axis=2) > 60).mean() > 0.005  # part colours, not an empty grey window
    assert capsys.readouterr().out.endswith(f"Results are in {out}\n")


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (InputError("the recording is strange. Record again."), 2, "spams: the recording is strange. Record again.\n"),
        (RuntimeError("boom"), 1, "RuntimeError: boom\n"),
    ],
)
def test_an_error_ends_the_demo(
    error: Exception, status: int, told: str, fitter: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitter.error = error
    assert main(["--out", str(tmp_path / "demo"), "--close"]) == status
    assert capsys.readouterr().err.endswith(told)
    assert not (tmp_path / "demo" / "fit").exists()
