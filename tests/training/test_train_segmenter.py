"""Training of the segmenter: augmentation keeps truth attached, losses have known values, runs resume bit for bit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spams_core.errors import InputError
from spams_core.io.archive import read_archive, write_archive
from spams_core.models.segmenter import COMPACT, Segmenter, mirrored_parts, read_segmenter
from spams_core.progress import Task, run_to_end
from spams_core.training.augment import AugmentSettings
from spams_core.training.loop import History
from spams_core.training.segmenter import (
    Clouds,
    SegmenterProblem,
    SegmenterTraining,
    augment,
    canonical_loss,
    read_clouds,
    train_segmenter,
)

PARTS = ("head", "torso", "right_arm", "right_leg", "left_arm", "left_leg")
STILL = AugmentSettings(0, 0, 0, 0, 0, 0, 0, 0, 0, least_points=256, mirror=False)


def labelled_cloud(count: int = 256) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One cloud whose canonical coordinates are the points; parts are octants."""
    points = torch.randn(1, count, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    points = points - points.median(1, keepdim=True).values
    labels = (points[..., 0] > 0).long() * 2 + (points[..., 1] > 0).long()
    return points, labels, points.clone()


def test_without_augmentation_only_the_order_changes():
    points, labels, canonical = labelled_cloud()
    found = augment(points, labels, canonical, torch.arange(6), STILL, torch.Generator().manual_seed(1))
    order, expected = found[0][0, :, 0].argsort(), points[0, :, 0].argsort()
    for value, truth in zip(found, (points, labels, canonical), strict=True):
        torch.testing.assert_close(value[0, order], truth[0, expected])


def test_tilt_and_scale_are_a_similarity():
    settings = replace(STILL, tilt_degrees=12, yaw_degrees=10, scale=0.05)
    moved, _, truth = augment(*labelled_cloud(), torch.arange(6), settings, torch.Generator().manual_seed(2))
    before, after = torch.cdist(truth, truth), torch.cdist(moved, moved)
    off = ~torch.eye(256, dtype=torch.bool)
    ratio = (after / before)[0][off]
    assert 0.95 <= ratio.median() <= 1.05
    assert abs(float(ratio.median()) - 1) > 1e-3
    torch.testing.assert_close(ratio, ratio.median().expand_as(ratio), atol=2e-3, rtol=0)
    torch.testing.assert_close(moved.median(1).values, torch.zeros(1, 3))
    # A proper rotation: the determinant of the least-squares map is positive.
    assert torch.linalg.det(torch.linalg.lstsq(truth[0], moved[0]).solution) > 0


def test_crops_remove_at_most_three_fifths_and_keep_truth_attached():
    settings = replace(STILL, cut_probability=1, hole_probability=1)
    points, labels, canonical = labelled_cloud()
    kept = []
    for seed in range(20):
        found, found_labels, truth = augment(
            points, labels, canonical, torch.arange(6), settings, torch.Generator().manual_seed(seed)
        )
        shift = found[0] - truth[0]
        torch.testing.assert_close(shift, shift[:1].expand_as(shift))
        octants = (truth[..., 0] > 0).long() * 2 + (truth[..., 1] > 0).long()
        assert torch.equal(octants, found_labels)
        kept.append(len(truth[0].unique(dim=0)))
    assert min(kept) >= math.floor(0.4 * 256)
    assert min(kept) < 0.8 * 256


def test_noise_and_bend_have_the_stated_size():
    jitter = replace(STILL, jitter_m=0.008)
    bend = replace(STILL, bend_m=0.02)
    many = [value.expand(200, *value.shape[1:]) for value in labelled_cloud()]
    for settings, largest in ((jitter, 0.008 * 0.8), (bend, 0.02 * 0.8)):
        found, _, truth = augment(*many, torch.arange(6), settings, torch.Generator().manual_seed(0))
        # The strength is uniform in [0, largest], so the mean variance is a third of its square.
        deviation = (found - truth).square().mean().sqrt()
        assert float(deviation) == pytest.approx(largest / math.sqrt(3), rel=0.25)


def test_clothes_widen_and_readings_flatten_half_of_the_clouds():
    settings = replace(STILL, widen=0.3, flatten=0.4)
    many = [value.expand(200, *value.shape[1:]) for value in labelled_cloud()]
    found, _, truth = augment(*many, torch.arange(6), settings, torch.Generator().manual_seed(0))
    wider, taller, deeper = (found.std(1) / truth.std(1)).T
    assert 80 <= int(((deeper - 1).abs() < 1e-4).sum()) <= 120
    assert wider.min() >= 0.91 - 1e-4
    assert 1.2 < wider.max() <= 1.3 + 1e-4
    assert (taller - 1).abs().max() <= 0.1 + 1e-4
    assert deeper.max() <= 1 + 1e-4
    assert 0.6 - 1e-4 <= deeper.min() < 0.7


def test_scaled_augmentation_goes_from_nothing_to_all():
    full = AugmentSettings()
    assert full.scaled(1.0) == full
    settings = replace(full.scaled(0.0), mirror=False, least_points=256, most_points=256)
    points, labels, canonical = labelled_cloud()
    found, _, truth = augment(points, labels, canonical, torch.arange(6), settings, torch.Generator().manual_seed(1))
    torch.testing.assert_close(found, truth)


def test_rear_views_are_rare_at_first(monkeypatch: pytest.MonkeyPatch):
    front, rear = torch.full((10, 64, 3), 0.1), torch.full((10, 64, 3), -0.1)
    canonical = torch.cat([front, rear])
    points = torch.randn(20, 64, 3, generator=torch.Generator().manual_seed(0))
    clouds = Clouds(PARTS, points, torch.zeros(20, 64, dtype=torch.uint8), canonical)
    settings = SegmenterTraining(batch=400, ramp=0.5, rear_weights=(0.1, 1.0))
    problem = SegmenterProblem(Segmenter(COMPACT), clouds, clouds, settings, 100)
    drawn: list[torch.Tensor] = []

    def stop(points: torch.Tensor, labels: torch.Tensor, canonical: torch.Tensor, *_: object) -> None:
        drawn.append(canonical[:, 0, 2] < 0)
        raise InterruptedError

    monkeypatch.setattr("spams_core.training.segmenter.augment", stop)
    for step in (0, 50, 99):
        with pytest.raises(InterruptedError):
            problem.losses(step, torch.Generator().manual_seed(step))
    shares = [float(rear.float().mean()) for rear in drawn]
    assert shares[0] == pytest.approx(0.1 / 1.1, abs=0.05)  # 400 draws: standard deviation 0.014
    assert shares[1] == pytest.approx(0.5, abs=0.1)
    assert shares[2] == pytest.approx(0.5, abs=0.1)


def test_a_mirror_swaps_sides():
    mirrored = mirrored_parts(PARTS)
    assert mirrored is not None
    assert mirrored.tolist() == [0, 1, 4, 5, 2, 3]
    points, labels, canonical = (value.expand(40, *value.shape[1:]) for value in labelled_cloud())
    found, found_labels, truth = augment(
        points, labels + 2, canonical, mirrored, replace(STILL, mirror=True), torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(found, truth)
    flipped = 0
    for cloud, cloud_labels in zip(truth, found_labels, strict=True):
        octants = (cloud[:, 0] > 0).long() * 2 + (cloud[:, 1] > 0).long() + 2
        if torch.equal(octants, cloud_labels):
            continue
        octants = (cloud[:, 0] < 0).long() * 2 + (cloud[:, 1] > 0).long() + 2
        assert torch.equal(mirrored[octants], cloud_labels)
        flipped += 1
    assert 10 <= flipped <= 30


def test_a_side_without_counterpart_cannot_be_mirrored():
    assert mirrored_parts(("body", "left_wing")) is None


def test_canonical_loss_value_and_optimum():
    target = torch.zeros(1, 3, dtype=torch.float64)
    error = torch.tensor([[0.0, 0.3, 0.4]], dtype=torch.float64)

    def at(scale: float) -> float:
        return float(canonical_loss(error, torch.tensor([math.log(scale)], dtype=torch.float64), target))

    assert at(0.25) == pytest.approx(0.5 / 0.25 + 3 * math.log(0.25), rel=1e-6)
    best = at(0.5 / 3)
    assert best < at(0.16)
    assert best < at(0.175)


def test_canonical_loss_gradient():
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((2, 5, 3), (2, 5), (2, 5, 3))]
    values = [value.requires_grad_() for value in values]
    assert torch.autograd.gradcheck(canonical_loss, values)
    at_zero = torch.zeros(4, 3, requires_grad=True)
    canonical_loss(at_zero, torch.zeros(4), torch.zeros(4, 3)).backward()
    assert torch.equal(at_zero.grad, torch.zeros(4, 3))


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    points = (generator.normal(size=(9, 96, 3)) * 0.3).astype(np.float16)
    labels = ((points[..., 0] > 0) * 2 + (points[..., 1] > 0)).astype(np.uint8)
    arrays = {"points": points, "labels": labels, "canonical": points, "split": np.arange(9, dtype=np.uint8) % 3}
    write_archive(tmp_path / "clouds", "clouds", {"part_names": list(PARTS)}, arrays)
    return tmp_path / "clouds"


def training_of(clouds: Path, out: Path, steps: int) -> Task[tuple[Path, History]]:
    return train_segmenter(
        clouds, out, preset="compact", steps=steps, checkpoint_every_s=1e-9, device=torch.device("cpu"), seed=0,
        training=SegmenterTraining(batch=2, augment=AugmentSettings(least_points=64), validation_clouds=2),
    )  # fmt: skip


def test_a_killed_training_resumes_bit_for_bit(clouds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("spams_core.training.segmenter.VALIDATE_EVERY", 2)
    whole, history = run_to_end(training_of(clouds, tmp_path / "a", 4))
    assert [step for step, _ in history.validation] == [2, 4]
    killed = training_of(clouds, tmp_path / "b", 4)
    for _ in range(3):
        next(killed)
    killed.close()
    assert read_archive(tmp_path / "b" / "checkpoints" / "segmenter").manifest["step"] == 2
    assert not (tmp_path / "b" / "segmenter").exists()
    resumed, _ = run_to_end(training_of(clouds, tmp_path / "b", 4))
    first, again = (read_segmenter(path, torch.device("cpu")).state_dict() for path in (whole, resumed))
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
    figures = read_archive(resumed, "segmenter").manifest["metrics"]["test"]
    assert set(figures) == {"accuracy", "worst_part_accuracy", "canonical_median", "canonical_mean"}


def test_a_checkpoint_of_other_settings_is_refused(clouds: Path, tmp_path: Path):
    run_to_end(training_of(clouds, tmp_path / "a", 2))
    with pytest.raises(InputError, match="other settings"):
        run_to_end(training_of(clouds, tmp_path / "a", 4))


def test_missing_split_and_foreign_labels_are_refused(clouds: Path, tmp_path: Path):
    archive = read_archive(clouds)
    arrays = archive.arrays()
    only_train = {**arrays, "split": np.zeros(9, dtype=np.uint8)}
    write_archive(tmp_path / "one", "clouds", {"part_names": list(PARTS)}, only_train)
    with pytest.raises(InputError, match="no test clouds"):
        read_clouds(read_archive(tmp_path / "one"), "test")
    write_archive(tmp_path / "two", "clouds", {"part_names": ["head", "torso"]}, arrays)
    with pytest.raises(InputError, match="exceeds its 2 part names"):
        read_clouds(read_archive(tmp_path / "two"), "train")
