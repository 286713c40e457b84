"""The train command's task: every network of both presets, the one-part baseline, and what does not belong together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figure import TINY, write_bars

from spams_core.data.subjects import read_subjects
from spams_core.errors import InputError
from spams_core.io.archive import read_archive
from spams_core.models.siren import SirenSettings
from spams_core.models.spam import Spam, SpamSettings, read_spam, write_network
from spams_core.progress import run_to_end
from spams_core.resources import resource_path
from spams_core.tasks.fit import FitSettings, SolveSettings, fit
from spams_core.tasks.train import PRESETS, TrainSettings, train
from spams_core.training.loop import LoopSettings, run_training
from spams_core.training.pose import PoseProblem, PoseTraining
from spams_core.training.shape import ShapeProblem, ShapeTraining


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bars") / "subjects"
    write_bars(folder, identities=4, poses=11)
    return folder


@pytest.mark.parametrize("preset", ["compact", "paper"])
def test_shape_parts_and_pose_make_a_model(bars: Path, tmp_path: Path, preset: str):
    for network in ("shape", "parts", "pose"):
        found = run_to_end(train(TrainSettings(network, bars, tmp_path, preset=preset, steps=1)))
        assert found.history.steps == 1
        manifest = read_archive(tmp_path / network, network).manifest
        assert manifest["history"]["validation"]
        assert len(manifest["data_sha256"]) == 64
    spam = read_spam(tmp_path, torch.device("cpu"))
    assert spam.settings.part_names == ("lower", "upper")
    assert len(spam.shape_codes) == 3
    assert len(spam.pose_codes) == len(spam.instance_identity) == 33 - 3


def test_one_part_model_is_trained_by_the_same_code(bars: Path, tmp_path: Path):
    for network in ("shape", "pose"):
        run_to_end(train(TrainSettings(network, bars, tmp_path, one_part=True, steps=1)))
    assert read_spam(tmp_path, torch.device("cpu")).part_count == 1
    # One network sees more points in a step than one of several, so that trainings take about as long.
    told = {network: read_archive(tmp_path / network, network).manifest["training"] for network in ("shape", "pose")}
    ours = PRESETS["compact"]
    assert told["shape"]["surface_points"] == 3 * ours.shape.surface_points
    assert told["shape"]["off_points"] == 3 * ours.shape.off_points
    assert told["pose"]["points"] == 3 * ours.pose.points
    with pytest.raises(InputError, match="no part decoder"):
        TrainSettings("parts", bars, tmp_path, one_part=True)


def test_a_rate_scales_the_steps_of_the_decoder_and_of_nothing_else(bars: Path, tmp_path: Path):
    trained = {}
    for rate in (1.0, 0.25):
        run_to_end(train(TrainSettings("shape", bars, tmp_path / str(rate), steps=1, rate=rate)))
        trained[rate] = read_spam(tmp_path / str(rate), torch.device("cpu"), networks=("shape",))
    start = Spam(trained[1.0].settings, seed=0)
    whole, quarter = (
        trained[rate].shape_decoders.hidden[1].weight - start.shape_decoders.hidden[1].weight for rate in (1.0, 0.25)
    )
    assert whole.abs().max() > 1e-4
    torch.testing.assert_close(quarter, 0.25 * whole, rtol=1e-3, atol=1e-7)  # Adam's first step is as long as the rate
    assert torch.equal(trained[0.25].shape_codes, trained[1.0].shape_codes)
    assert read_archive(tmp_path / "0.25" / "shape", "shape").manifest["training"]["network_rate"] == pytest.approx(
        0.25 * PRESETS["compact"].shape.network_rate
    )


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_is_a_positive_factor(bars: Path, tmp_path: Path, rate: float):
    with pytest.raises(InputError, match="Give a positive number"):
        TrainSettings("pose", bars, tmp_path, rate=rate)


@pytest.mark.parametrize("network", ["segmenter", "encoder"])
def test_networks_that_see_clouds_take_no_rate(bars: Path, tmp_path: Path, network: str):
    with pytest.raises(InputError, match="--rate is for decoders"):
        TrainSettings(network, bars, tmp_path, rate=0.5)


def test_parts_need_a_shape_of_the_same_preset(bars: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no such folder"):
        run_to_end(train(TrainSettings("parts", bars, tmp_path / "none", steps=1)))
    run_to_end(train(TrainSettings("shape", bars, tmp_path, steps=1)))
    with pytest.raises(InputError, match="other sizes"):
        run_to_end(train(TrainSettings("parts", bars, tmp_path, preset="paper", steps=1)))


def test_a_one_part_model_fits_with_the_bundled_segmenter(bars: Path, tmp_path: Path):
    settings = SpamSettings(
        part_names=("body",), shape_code=4, pose_code=4, shape=TINY.shape, pose=SirenSettings(2, 32, 8.0, 1, 16)
    )
    spam, two_parts = Spam(settings), read_subjects(bars)
    whole = np.ones((len(two_parts.part_weights), 1), dtype=np.float32)
    subjects = replace(two_parts, part_weights=whole, part_names=("body",))
    shape = ShapeTraining(identities=3, surface_points=96, off_points=96, pool=2000, network_rate=3e-3)
    pose = PoseTraining(instances=4, points=64, pool=2000, held_out=2)
    for name, problem, steps in (
        ("shape", ShapeProblem(spam, subjects, shape, 0), 200),
        ("pose", None, 40),
    ):
        problem = problem or PoseProblem(spam, subjects, pose, 0)
        run_to_end(run_training(problem, LoopSettings(steps), tmp_path / "c" / name, seed=0, fingerprint={}))
        problem.finish()
        write_network(tmp_path / "model", name, spam, {})
    solve = SolveSettings(
        align_iterations=3, rounds=1, joint_rounds=1, iterations=2, part_points=32, match_resolution=32,
        mesh_resolution=32,
    )  # fmt: skip
    demo = resource_path("demo/recording")
    wanted = FitSettings(demo, tmp_path / "fit", tmp_path / "model", method="npm", frames="0:2", solve=solve)
    found = run_to_end(fit(wanted))
    assert found.part_names == ("body",)
    assert set(found.observed_labels) == {0}
    assert np.isfinite(found.vertices_world).all()
