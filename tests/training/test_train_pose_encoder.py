"""Training of the pose encoder: truth goes along with distortion, known errors, overfitting, resume, foreign data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figure import PARTS, TINY, bend, subdivided_bar
from scipy.spatial.transform import Rotation

from spams_core.errors import InputError
from spams_core.io.archive import Archive, read_archive, write_archive
from spams_core.models.codes import CodeSpace
from spams_core.models.pose_encoder import PoseEncoder, PoseEncoderSettings, PoseEstimate, read_pose_encoder
from spams_core.models.spam import Spam, write_network
from spams_core.progress import Task, run_to_end
from spams_core.tasks.train import TrainSettings, train
from spams_core.training.augment import AugmentSettings, distort
from spams_core.training.loop import History, LoopSettings, run_training
from spams_core.training.pose_encoder import (
    PosedClouds,
    PoseEncoderProblem,
    PoseEncoderTraining,
    read_posed_clouds,
    train_pose_encoder,
)

POINTS = 160
STILL = AugmentSettings(0, 0, 0, 0, 0, 0, 0, 0, 0, least_points=POINTS, most_points=POINTS, mirror=False)
SMALL = PoseEncoderSettings(points=POINTS, grid=16, widths=(16, 32), layers=(1, 1), squeeze=16, hidden=64, components=6)


def tiny_model(settings=TINY) -> Spam:
    """Two identities and ten training codes, of the archive's instances 3, 5, 7 …; the decoders are as drawn."""
    spam, generator = Spam(settings), torch.Generator().manual_seed(0)
    parts = len(settings.part_names)
    spam.shape_codes = 0.1 * torch.randn(2, parts, 4, generator=generator)
    spam.pose_codes = 0.3 * torch.randn(10, parts, 4, generator=generator)
    spam.instance_identity = torch.arange(10) % 2
    spam.posed_instance = 3 + 2 * torch.arange(10)
    return spam.eval().requires_grad_(False)


def cloud_arrays(views: int = 3) -> dict[str, np.ndarray]:
    """Clouds of bars that are bent by the instance's number, seen from anywhere; instances 0 … 23 in turn."""
    generator = np.random.default_rng(0)
    vertices, _ = subdivided_bar(0.9, 0.15)
    instance = np.tile(np.arange(24), views)
    turns = Rotation.from_euler("YX", generator.uniform(-0.8, 0.8, (len(instance), 2))).as_matrix()
    roots = generator.uniform(-0.1, 0.1, (len(instance), 3))
    rows = generator.integers(len(vertices), size=(len(instance), POINTS))
    points = [
        bend(vertices[chosen], 0.08 * (number - 12)) @ turn.T + root
        for number, chosen, turn, root in zip(instance, rows, turns, roots, strict=True)
    ]
    return {
        "points": np.stack(points).astype(np.float16),
        "labels": (vertices[rows][..., 1] > 0).astype(np.uint8),
        "canonical": vertices[rows].astype(np.float16),
        "root_rotation": turns.astype(np.float32),
        "root_translation": roots.astype(np.float32),
        "split": np.zeros(len(instance), dtype=np.uint8),
        "instance": instance.astype(np.int32),
    }


def write_posed_clouds(path: Path, change: dict[str, np.ndarray | None] | None = None, parts=PARTS) -> Archive:
    arrays = {name: value for name, value in {**cloud_arrays(), **(change or {})}.items() if value is not None}
    return write_archive(path, "clouds", {"part_names": list(parts)}, arrays)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    torch.set_num_threads(1)
    return write_posed_clouds(tmp_path_factory.mktemp("posed") / "clouds")


def problem_of(spam: Spam, clouds: PosedClouds, training: PoseEncoderTraining, steps: int = 100) -> PoseEncoderProblem:
    encoder = PoseEncoder(SMALL, CodeSpace.of(spam.pose_codes, SMALL.components))
    return PoseEncoderProblem(encoder, spam, clouds, training, steps, 0)


def test_only_clouds_of_training_instances_are_read_with_their_codes(archive: Archive):
    spam = tiny_model()
    clouds = read_posed_clouds(archive, spam, 50, 0)
    arrays = cloud_arrays()
    kept = np.isin(arrays["instance"], spam.posed_instance.numpy())
    assert len(clouds.points) == kept.sum() == 30
    np.testing.assert_array_equal(spam.posed_instance[clouds.code].numpy(), arrays["instance"][kept])
    for name in ("points", "root_rotation", "root_translation"):
        np.testing.assert_array_equal(getattr(clouds, name).numpy(), arrays[name][kept])
    assert clouds.shown.all()
    for person in range(2):
        # The surface pool of a person and part holds points of that person and part only.
        mine = kept & np.isin(arrays["instance"], spam.posed_instance[spam.instance_identity == person].numpy())
        for part in range(2):
            known = {tuple(p) for p in arrays["canonical"][mine][arrays["labels"][mine] == part].tolist()}
            assert {tuple(p) for p in clouds.surface[person, part].tolist()} <= known


def test_a_part_that_no_cloud_shows_does_not_count(tmp_path: Path):
    spam = tiny_model()
    clouds = read_posed_clouds(
        write_posed_clouds(tmp_path / "a", {"labels": np.zeros_like(cloud_arrays()["labels"])}), spam, 8, 0
    )
    assert clouds.shown.tolist() == [[True, False], [True, False]]
    problem = problem_of(spam, clouds, PoseEncoderTraining(batch=4, augment=STILL))
    before = problem.losses(0, torch.Generator().manual_seed(0))
    clouds.surface[:, 1] = 7.0
    after = problem.losses(0, torch.Generator().manual_seed(0))
    assert before["flow"] == after["flow"]
    assert before["root"] == after["root"]


def test_one_part_takes_every_point(archive: Archive):
    spam = tiny_model(replace(TINY, part_names=("body",)))
    clouds = read_posed_clouds(archive, spam, 200, 0)
    assert clouds.surface.shape == (2, 1, 200, 3)
    heights = clouds.surface[0, 0, :, 1]
    assert 0.2 < (heights > 0).float().mean() < 0.8
    assert problem_of(spam, clouds, PoseEncoderTraining(batch=4, augment=STILL)).validate()


def test_distortion_moves_the_root_with_the_points():
    arrays = cloud_arrays()
    settings = replace(STILL, tilt_degrees=12, yaw_degrees=180, scale=0.05, cut_probability=0.5, hole_probability=0.5)
    points = torch.from_numpy(arrays["points"]).float()
    seen = distort(points, settings, torch.Generator().manual_seed(3))
    rotation = seen.rotation @ torch.from_numpy(arrays["root_rotation"])
    translation = (seen.linear @ torch.from_numpy(arrays["root_translation"])[..., None]).squeeze(-1) + seen.shift
    before = points.gather(1, seen.chosen[..., None].expand(-1, -1, 3))
    posed = (before - torch.from_numpy(arrays["root_translation"])[:, None]) @ torch.from_numpy(arrays["root_rotation"])
    scale = torch.linalg.det(seen.linear) ** (1 / 3)
    assert scale.min() < 0.98
    assert scale.max() > 1.02
    expected = scale[:, None, None] * posed @ rotation.mT + translation[:, None]
    torch.testing.assert_close(seen.points, expected, atol=1e-5, rtol=0)


class _Told(PoseEncoder):
    """An encoder that says what it is told."""

    answer: PoseEstimate

    def forward(self, points: torch.Tensor) -> PoseEstimate:
        return self.answer


def test_errors_vanish_at_the_truth_and_have_known_values(archive: Archive):
    spam = tiny_model()
    clouds = read_posed_clouds(archive, spam, 50, 0)
    space = CodeSpace.of(spam.pose_codes, 8)
    told = _Told(SMALL, space)
    problem = PoseEncoderProblem(told, spam, clouds, PoseEncoderTraining(validation_share=0.1), 100, 0)
    held_out = problem._held_out
    assert len(torch.unique(clouds.code[held_out])) == 1
    assert not set(clouds.code[held_out].tolist()) & set(clouds.code[problem._rows].tolist())
    codes = spam.pose_codes[clouds.code[held_out]]
    truth = PoseEstimate(
        space.encode(codes), codes, clouds.root_rotation[held_out], clouds.root_translation[held_out]
    )  # fmt: skip
    told.answer = truth
    figures = problem.validate()
    assert figures["end_point_error"] == pytest.approx(0, abs=1e-6)
    assert figures["flow_error"] == 0
    assert figures["root_error_deg"] < 0.1  # arc cosine near 1
    told.answer = truth._replace(root_translation=truth.root_translation + torch.tensor([0.3, 0.4, 0.0]))
    assert problem.validate()["end_point_error"] == pytest.approx(0.5, rel=1e-5)
    turn = torch.from_numpy(Rotation.from_euler("y", 25, degrees=True).as_matrix()).float()
    told.answer = truth._replace(root_rotation=turn @ truth.root_rotation)
    figures = problem.validate()
    assert figures["root_error_deg"] == pytest.approx(25, abs=1e-2)
    assert figures["flow_error"] == 0
    told.answer = truth._replace(pose_codes=codes + 0.5)
    figures = problem.validate()
    # With the true root, the flow's error is the end point's.
    assert figures["end_point_error"] == pytest.approx(figures["flow_error"], rel=1e-4)
    assert figures["flow_error"] > 1e-4


def test_loss_terms_vanish_at_the_truth(archive: Archive):
    spam = tiny_model()
    clouds = read_posed_clouds(archive, spam, 50, 0)
    told = _Told(SMALL, CodeSpace.of(spam.pose_codes, 8))
    training = PoseEncoderTraining(batch=5, augment=STILL)
    problem = PoseEncoderProblem(told, spam, clouds, training, 100, 0)
    rows = problem._rows[torch.randint(len(problem._rows), (5,), generator=torch.Generator().manual_seed(6))]
    # Without distortion the clouds are centred on their medians, and the root with them.
    shift = clouds.points[rows].float().median(1).values
    codes = spam.pose_codes[clouds.code[rows]]
    told.answer = PoseEstimate(
        told.space.encode(codes), codes, clouds.root_rotation[rows], clouds.root_translation[rows] - shift
    )  # fmt: skip
    terms = problem.losses(0, torch.Generator().manual_seed(6))
    assert set(terms) == {"flow", "root", "coefficients"}
    assert terms["flow"] == 0
    assert float(terms["root"]) == pytest.approx(0, abs=1e-6)
    assert terms["coefficients"] == 0
    told.answer = told.answer._replace(coefficients=told.answer.coefficients + 2)
    off = problem.losses(0, torch.Generator().manual_seed(6))
    assert float(off["coefficients"]) == pytest.approx(training.coefficient_weight * 4, rel=1e-5)


def test_overfits_a_few_clouds(archive: Archive, tmp_path: Path):
    spam = tiny_model()
    with torch.no_grad():
        spam.pose_decoders.last.weight.mul_(20)  # as drawn, all codes flow alike
    clouds = read_posed_clouds(archive, spam, 50, 0)
    few = replace(
        clouds, points=clouds.points[:9], code=clouds.code[:9], root_rotation=clouds.root_rotation[:9],
        root_translation=clouds.root_translation[:9],
    )  # fmt: skip
    training = PoseEncoderTraining(batch=16, augment=STILL, network_rate=5e-3)
    problem = problem_of(spam, few, training)
    first = problem.losses(0, torch.Generator().manual_seed(0))
    run_to_end(run_training(problem, LoopSettings(200), tmp_path / "c", seed=0, fingerprint={}))
    last = problem.losses(0, torch.Generator().manual_seed(0))
    for name in ("flow", "root"):
        assert float(last[name].detach()) < 0.2 * float(first[name].detach()), name


def model_folder(path: Path) -> Path:
    spam = tiny_model()
    for network in ("shape", "pose"):
        write_network(path, network, spam, {})
    return path


def training_of(data: Path, out: Path, steps: int) -> Task[tuple[Path, History]]:
    return train_pose_encoder(
        data, out, preset="compact", steps=steps, checkpoint_every_s=1e-9, device=torch.device("cpu"), seed=0,
        training=PoseEncoderTraining(batch=2, validation_clouds=2),
    )  # fmt: skip


def test_a_killed_training_resumes_bit_for_bit(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("spams_core.training.pose_encoder.VALIDATE_EVERY", 2)
    a, b = model_folder(tmp_path / "a"), model_folder(tmp_path / "b")
    whole, history = run_to_end(training_of(archive.path, a, 4))
    assert whole == a / "encoder"
    assert [step for step, _ in history.validation] == [2, 4]
    assert set(history.validation[0][1]) == {"end_point_error", "flow_error", "root_error_deg"}
    killed = training_of(archive.path, b, 4)
    for _ in range(3):
        next(killed)
    killed.close()
    assert read_archive(b / "checkpoints" / "encoder").manifest["step"] == 2
    assert not (b / "encoder").exists()
    resumed, again = run_to_end(training_of(archive.path, b, 4))
    assert again.losses == history.losses
    first, second = (read_pose_encoder(path, torch.device("cpu")).state_dict() for path in (whole, resumed))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_the_train_command_makes_an_encoder(archive: Archive, tmp_path: Path):
    out = model_folder(tmp_path / "model")
    found = run_to_end(train(TrainSettings("encoder", archive.path, out, steps=1)))
    assert found.path == out / "encoder"
    assert "end_point_error" in found.summary()
    encoder = read_pose_encoder(found.path, torch.device("cpu"))
    assert encoder.mean.shape == (2, 4)
    assert len(encoder.basis) == 8  # what two codes of length four can span


def test_an_encoder_needs_a_model(archive: Archive, tmp_path: Path):
    with pytest.raises(InputError, match="no such folder"):
        run_to_end(training_of(archive.path, tmp_path / "none", 1))


def test_clouds_of_older_versions_and_of_other_subjects_are_refused(archive: Archive, tmp_path: Path):
    spam = tiny_model()
    with pytest.raises(InputError, match="Make the clouds again"):
        read_posed_clouds(write_posed_clouds(tmp_path / "old", {"root_rotation": None}), spam, 8, 0)
    others = np.full(72, 100, dtype=np.int32)
    with pytest.raises(InputError, match="no instance that the model was trained on"):
        read_posed_clouds(write_posed_clouds(tmp_path / "others", {"instance": others}), spam, 8, 0)
    with pytest.raises(InputError, match="other parts"):
        read_posed_clouds(write_posed_clouds(tmp_path / "parts", parts=("upper", "lower")), spam, 8, 0)
    one = tiny_model(replace(TINY, part_names=("body",)))
    with pytest.raises(InputError, match="exceeds its 1 part names"):
        read_posed_clouds(write_posed_clouds(tmp_path / "labels", parts=("body",)), one, 8, 0)
    single = np.full(72, 3, dtype=np.int32)
    clouds = read_posed_clouds(write_posed_clouds(tmp_path / "single", {"instance": single}), spam, 8, 0)
    with pytest.raises(InputError, match="fewer than two"):
        problem_of(spam, clouds, PoseEncoderTraining())
    spam.posed_instance = torch.zeros(0, dtype=torch.long)
    with pytest.raises(InputError, match="Train its pose again"):
        read_posed_clouds(archive, spam, 8, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"batch": 0},
        {"network_rate": 0.0},
        {"ramp": 0.0},
        {"coefficient_weight": -1.0},
        {"validation_share": 1.0},
        {"augment": AugmentSettings()},
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object]):
    with pytest.raises(InputError, match="pose encoder training"):
        PoseEncoderTraining(**change)
