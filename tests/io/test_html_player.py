"""The offline player's script, run without a browser: what it would hand to the graphics card."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import trimesh

from spams_core.io.html_player import quantise, write_html_player

FRAMES = 5


def test_quantised_vertices_are_half_a_step_off_at_most():
    vertices = np.random.default_rng(0).uniform(-1, 2, (1000, 3))
    low, step = np.full(3, -1.0), np.full(3, 3 / 65535)
    steps = quantise(vertices, low, step)
    assert steps.dtype == np.uint16
    assert np.abs(low + steps * step - vertices).max() <= 0.5 * 3 / 65535 + 1e-12


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js to run the page's script")
def test_the_script_shows_each_frame_and_heeds_the_hands(tmp_path):
    sphere = trimesh.creation.icosphere(2, 0.5)
    sphere.vertices *= [1, 2, 1]  # as tall as a person, and nearly as slender
    faces, base = np.asarray(sphere.faces), np.asarray(sphere.vertices)
    parts = (base[:, 1] > 0).astype(int)
    frames = base + np.linspace(0, 1, FRAMES)[:, None, None] * [1.0, 0.2, 0]
    seconds, residual = np.arange(FRAMES) / 10, np.array([0.005, 0.01, np.nan, 0.02, 0.05])
    write_html_player(
        tmp_path / "a.html", iter(frames), (frames.min((0, 1)), frames.max((0, 1))), seconds, 10, np.arange(0, 10, 2),
        residual, faces, parts, ["torso", "head"], np.array([[0, 128, 255], [255, 64, 0]], np.uint8), "walk", {},
    )  # fmt: skip
    script = Path(__file__).with_name("player_page.js")
    done = subprocess.run(["node", script, tmp_path / "a.html"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for t, shown in enumerate(told["shown"]):
        positions = np.array(shown["positions"]).reshape(-1, 3)
        assert np.abs(positions - frames[t]).max() < 2e-5
        normals = np.array(shown["normals"]).reshape(-1, 3)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        assert (normals * sphere.vertex_normals).sum(1).min() > 0.99
        clip = np.c_[positions, np.ones(len(positions))] @ np.array(shown["matrix"]).reshape(4, 4)
        assert (clip[:, 3] > 0).all()
        assert (np.abs(clip[:, :3]) < clip[:, 3:]).all()  # all of it lies within the view
        image = clip[:, :2] / clip[:, 3:]
        # 800 × 600 pixels: it looks twice as tall as wide, and what is above is shown above.
        width, height = np.ptp(image, axis=0) * [800, 600]
        assert 2 * width == pytest.approx(height, rel=0.15)
        assert np.corrcoef(image[:, 1], positions[:, 1])[0, 1] > 0.9
        said = "" if np.isnan(residual[t]) else f" · residual {1e3 * residual[t]:.1f} mm"
        assert shown["time"] == f"frame {2 * t} · {seconds[t]:.2f} s{said}"
    assert told["all"] == faces.size
    assert told["fewer"] == 3 * (parts[faces[:, 0]] != 0).sum()  # the first part is hidden by then
    assert (told["scrubbed"], told["stepped"]) == (FRAMES - 1, FRAMES - 2)
    # Every 50 ms, 0.1 s per frame: two looks at each of five frames, then from the start again.
    assert told["played"] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 0, 1, 1, 2]
    assert told["turned"]
