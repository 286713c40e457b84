"""A tiny trained model of bending bars, shared by the tests that fit it."""

from pathlib import Path

import pytest
import torch
from figure import TINY, write_bars

from spams_core.data.subjects import Subjects
from spams_core.models.spam import Spam
from spams_core.progress import run_to_end
from spams_core.training.loop import LoopSettings, run_training
from spams_core.training.parts import PartsProblem, PartsTraining
from spams_core.training.pose import PoseProblem, PoseTraining
from spams_core.training.shape import ShapeProblem, ShapeTraining


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Subjects:
    """Five bars in twelve poses each."""
    return write_bars(tmp_path_factory.mktemp("bars") / "subjects", identities=6, poses=12)


@pytest.fixture(scope="session")
def bar_model(bars: Subjects, tmp_path_factory: pytest.TempPathFactory) -> Spam:
    """A model of the bars, trained in seconds."""
    torch.set_num_threads(1)
    spam = Spam(TINY, seed=0)
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    shape = ShapeTraining(identities=4, surface_points=96, off_points=96, pool=4000, network_rate=3e-3, code_rate=5e-3)
    pose = PoseTraining(instances=8, points=64, pool=4000, held_out=2, network_rate=3e-3, code_rate=5e-3)
    for name, steps, make in (
        ("shape", 1000, lambda: ShapeProblem(spam, bars, shape, 0)),
        ("parts", 300, lambda: PartsProblem(spam, bars, PartsTraining(points=256, pool=4000), 0)),
        ("pose", 1000, lambda: PoseProblem(spam, bars, pose, 0)),
    ):
        problem = make()
        run_to_end(run_training(problem, LoopSettings(steps), folder / name, seed=0, fingerprint={}))
        problem.finish()
    return spam.eval().requires_grad_(False)
