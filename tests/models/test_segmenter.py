"""The point segmenter: sampling and grouping against slow references, symmetries, overfitting, whole clouds, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.camera import Camera
from spams_core.models.segmenter import (
    COMPACT,
    PAPER,
    CloudLabels,
    Segmenter,
    SegmenterSettings,
    agree_on_sides,
    ball_neighbours,
    farthest_points,
    interpolate,
    label_clouds,
    read_segmenter,
    write_segmenter,
)

TINY = SegmenterSettings(
    part_names=("head", "left_arm", "right_arm"), points=128, centroids=(32, 8), radii=(0.3, 0.8), neighbours=(8, 8),
    widths=(32, 32), global_width=32, decoder_widths=(32, 32, 32),
)  # fmt: skip


def random_points(batch: int, count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(seed)) * 0.4


def test_farthest_points_equal_the_greedy_definition():
    points = random_points(2, 60)
    chosen = farthest_points(points, 12)
    for cloud, indices in zip(points.double().numpy(), chosen.tolist(), strict=True):
        expected = [int(np.linalg.norm(cloud - cloud.mean(0), axis=1).argmax())]
        while len(expected) < 12:
            reach = [min(np.linalg.norm(p - cloud[k]) for k in expected) for p in cloud]
            expected.append(int(np.argmax(reach)))
        assert indices == expected


def test_farthest_points_of_a_small_cloud_are_all_its_points():
    assert sorted(farthest_points(random_points(1, 5), 9)[0].tolist()) == [0, 1, 2, 3, 4]


def test_ball_neighbours_equal_a_loop():
    points = random_points(2, 50)
    centroids = farthest_points(points, 10)
    found = ball_neighbours(points, centroids, 0.35, 6)
    lengths = set()
    for b in range(2):
        for m in range(10):
            centre = int(centroids[b, m])
            distance = (points[b] - points[b, centre]).norm(dim=-1)
            expected = {int(k) for k in distance.argsort()[:6] if distance[k] <= 0.35}
            assert set(found[b, m].tolist()) == expected
            lengths.add(len(expected))
    assert min(lengths) < 6 == max(lengths)  # both a full and a sparse neighbourhood were met


def test_interpolation_equals_a_loop():
    target, source = random_points(2, 20, 1), random_points(2, 7, 2)
    features = random_points(2, 7, 3)
    found = interpolate(target, source, features)
    for b in range(2):
        for n in range(20):
            distance = [float((target[b, n] - p).norm()) for p in source[b]]
            nearest = np.argsort(distance)[:3]
            weight = np.array([1 / distance[k] ** 2 for k in nearest])
            expected = sum(w * features[b, k].numpy() for w, k in zip(weight / weight.sum(), nearest, strict=True))
            np.testing.assert_allclose(found[b, n].numpy(), expected, atol=1e-3)


def test_interpolation_at_a_source_point_is_its_feature():
    source, features = random_points(1, 30), random_points(1, 30, 1)
    # 1e-6 beside the squared distances keeps weights finite; neighbours 0.1 away enter with 1e-4.
    np.testing.assert_allclose(interpolate(source, source, features), features, atol=5e-3)


def test_order_of_points_does_not_matter():
    segmenter = Segmenter(TINY).eval()
    points = random_points(2, 100)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        for straight, permuted in zip(segmenter(points), segmenter(points[:, order]), strict=True):
            torch.testing.assert_close(straight[:, order], permuted, atol=1e-4, rtol=1e-4)


def test_clouds_of_a_batch_do_not_touch_each_other():
    segmenter = Segmenter(TINY).eval()
    points = random_points(3, 100)
    with torch.no_grad():
        for together, alone in zip(segmenter(points), segmenter(points[1:2]), strict=True):
            torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("settings", [COMPACT, PAPER, TINY])
def test_shapes(settings: SegmenterSettings):
    logits, canonical, log_scale = Segmenter(settings).eval()(random_points(1, 70))
    assert logits.shape == (1, 70, len(settings.part_names))
    assert canonical.shape == (1, 70, 3)
    assert log_scale.shape == (1, 70)


@pytest.fixture(scope="module")
def trained() -> tuple[Segmenter, torch.Tensor, torch.Tensor]:
    """A tiny network that knows one cloud of 400 points by heart, from subsets of 128; its parts are slices along x."""
    segmenter = Segmenter(TINY)
    points = random_points(1, 400)[0]
    points = points - points.median(0).values
    labels = (points[:, 0] > -0.2).long() + (points[:, 0] > 0.2).long()
    optimizer = torch.optim.Adam(segmenter.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(1)
    for step in range(200):
        rows = torch.rand(4, 400, generator=generator).argsort(1)[:, :128]
        logits, canonical, _ = segmenter(points[rows])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[rows].flatten())
        loss = loss + 10 * (canonical - points[rows] * 0.5).square().mean()
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 200)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return segmenter.eval(), points, labels


def test_overfits_a_tiny_sample(trained: tuple[Segmenter, torch.Tensor, torch.Tensor]):
    segmenter, points, labels = trained
    with torch.no_grad():
        logits, canonical, _ = segmenter(points[None, :128])
    assert (logits[0].argmax(-1) == labels[:128]).float().mean() > 0.95
    assert (canonical[0] - points[:128] * 0.5).norm(dim=-1).median() < 0.05


def test_whole_clouds_are_labelled_in_their_own_order(trained: tuple[Segmenter, torch.Tensor, torch.Tensor]):
    segmenter, points, labels = trained
    # Seen by a camera far along +z, upright axes are the world's; subsets and spreading must keep the points' order.
    world_from_camera = np.diag([1.0, -1.0, -1.0, 1.0])
    world_from_camera[2, 3] = 1000.0
    camera = Camera(64, 64, 60.0, 60.0, 32.0, 32.0, world_from_camera)
    cloud = points.numpy() / CANONICAL_PER_METRE
    whole, few = label_clouds(segmenter, [cloud, cloud[:40]], camera, np.random.default_rng(0))
    assert (whole.labels == labels.numpy()).mean() > 0.9
    assert np.median(np.linalg.norm(whole.canonical - points.numpy() * 0.5, axis=1)) < 0.06
    np.testing.assert_allclose(whole.probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(whole.labels, whole.probabilities.argmax(1))
    assert (whole.canonical_sigma > 0).all()
    assert len(few.labels) == 40
    (alone,) = label_clouds(segmenter, [cloud], camera, np.random.default_rng(0))
    np.testing.assert_array_equal(alone.labels, whole.labels)


SIDES = ("torso", "left_arm", "right_arm")


def turning_person(turn_degrees: np.ndarray, certainty: np.ndarray) -> tuple[list[CloudLabels], list[np.ndarray]]:
    """A flat body seen turning about the vertical axis, labelled rightly with the given probability."""
    generator = np.random.default_rng(0)
    labelled, clouds = [], []
    for angle, sure in zip(np.radians(turn_degrees), certainty, strict=True):
        canonical = generator.uniform((-0.5, -0.6, -0.1), (0.5, 0.6, 0.1), (400, 3)).astype(np.float32)
        labels = np.where(canonical[:, 0] > 0.2, 1, np.where(canonical[:, 0] < -0.2, 2, 0)).astype(np.int32)
        probabilities = np.full((400, 3), (1 - sure) / 2, dtype=np.float32)
        probabilities[np.arange(400), labels] = sure
        labelled.append(CloudLabels(labels, probabilities, canonical, np.full(400, 0.05, dtype=np.float32)))
        rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        clouds.append((canonical / CANONICAL_PER_METRE) @ rotation.T + [1.0, 0.9, -3.0])
    return labelled, clouds


def exchanged(found: CloudLabels) -> CloudLabels:
    other = np.array([0, 2, 1])
    turned = found.canonical * np.float32([-1, 1, -1])
    return CloudLabels(
        other[found.labels].astype(np.int32), found.probabilities[:, other], turned, found.canonical_sigma
    )


def test_exchanged_sides_are_put_right_while_real_turns_stay():
    certainty = np.full(40, 0.97)
    wrong = [0, 1, 2, 3, 4, 17, 18, 19, 39]
    certainty[wrong] = 0.6
    truth, clouds = turning_person(np.linspace(0, 360, 40), certainty)
    confused = [exchanged(found) if t in wrong else found for t, found in enumerate(truth)]
    settled = agree_on_sides(confused, clouds, SIDES, np.arange(40) / 15)
    for found, expected in zip(settled, truth, strict=True):
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
        np.testing.assert_array_equal(found.canonical, expected.canonical)


def test_sides_far_apart_in_time_are_left_alone():
    truth, clouds = turning_person(np.zeros(4), np.full(4, 0.9))
    confused = [truth[0], exchanged(truth[1]), truth[2], truth[3]]
    apart = agree_on_sides(confused, clouds, SIDES, [0.0, 10.0, 20.0, 30.0])
    np.testing.assert_array_equal(apart[1].labels, confused[1].labels)
    close = agree_on_sides(confused, clouds, SIDES, [0.0, 0.1, 0.2, 0.3])
    np.testing.assert_array_equal(close[1].labels, truth[1].labels)


@pytest.mark.parametrize("part_names", [("body", "lid", "stand"), ("body", "left_arm", "stand")])
def test_parts_without_pairs_of_sides_stay(part_names: tuple[str, ...]):
    truth, clouds = turning_person(np.array([0.0, 180.0]), np.full(2, 0.9))
    settled = agree_on_sides(truth, clouds, part_names, [0.0, 0.1])
    assert settled[0] is truth[0]
    assert settled[1] is truth[1]


def test_file_round_trip(tmp_path, trained: tuple[Segmenter, torch.Tensor, torch.Tensor]):
    segmenter, points, _ = trained
    write_segmenter(tmp_path / "model", segmenter, {"seed": 0})
    again = read_segmenter(tmp_path / "model", torch.device("cpu"))
    assert again.settings == segmenter.settings
    with torch.no_grad():
        for before, after in zip(segmenter(points[None]), again(points[None]), strict=True):
            assert torch.equal(before, after)


def test_weights_of_another_size_are_refused(tmp_path, trained: tuple[Segmenter, torch.Tensor, torch.Tensor]):
    write_segmenter(tmp_path / "model", trained[0], {})
    path = tmp_path / "model" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["model"]["widths"] = [32, 64]
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="do not fit"):
        read_segmenter(tmp_path / "model", torch.device("cpu"))


@pytest.mark.parametrize(
    "change", [{"centroids": (8,)}, {"decoder_widths": (8, 8)}, {"part_names": ()}, {"points": 0}, {"widths": (1, 8)}]
)
def test_impossible_sizes_are_refused(change: dict[str, object]):
    values = {name: getattr(TINY, name) for name in TINY.__dataclass_fields__}
    with pytest.raises(InputError, match="segmenter"):
        SegmenterSettings(**{**values, **change})
