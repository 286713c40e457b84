from __future__ import annotations

import numpy as np
import pytest

from spams_core.metrics.sides import mirrored_pairs, sides_swapped, sides_swapped_over_time

PARTS = ("head", "torso", "right_arm", "right_leg", "left_arm", "left_leg")
PAIRS = [(4, 2), (5, 3)]
PLACES = {0: (0.0, 1.6, 0.0), 1: (0.0, 1.2, 0.0), 2: (-0.4, 1.2, 0.0), 3: (-0.15, 0.5, 0.0), 4: (0.4, 1.2, 0.0),
          5: (0.15, 0.5, 0.0)}  # fmt: skip


def figure(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Six balls of points in the places of the body parts."""
    generator = np.random.default_rng(1)
    points = np.concatenate([np.array(PLACES[part]) + generator.normal(0, 0.05, (count, 3)) for part in range(6)])
    return points, np.repeat(np.arange(6), count)


def exchanged(parts: np.ndarray, *pairs: tuple[int, int]) -> np.ndarray:
    other = np.arange(6)
    for a, b in pairs:
        other[[a, b]] = b, a
    return other[parts]


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


def test_pairs_are_named_left_and_right() -> None:
    assert mirrored_pairs(PARTS) == PAIRS
    assert mirrored_pairs(("body",)) == []
    assert mirrored_pairs(("left", "right", "left_wing")) == []


@pytest.mark.parametrize(("pairs", "expected"), [((), False), (PAIRS, True), (PAIRS[:1], True), (PAIRS[1:], True)])
def test_exchanged_limbs_are_found_by_the_true_parts(pairs: list[tuple[int, int]], expected: bool) -> None:
    points, parts = figure()
    assert sides_swapped(points, parts, points, exchanged(parts, *pairs), PAIRS) is expected


def test_a_body_turned_around_is_swapped_and_one_moved_is_not() -> None:
    points, parts = figure()
    assert sides_swapped(points, parts, turned(points, 180), parts, PAIRS) is True
    assert sides_swapped(points, parts, turned(points, 60) + np.array([0.05, 0.1, 0.05]), parts, PAIRS) is False


def test_one_visible_limb_is_enough_but_not_a_few_points() -> None:
    points, parts = figure()
    arm = np.where(parts == 4, 4, -1)
    assert sides_swapped(points, arm, points, exchanged(parts, *PAIRS), PAIRS) is True
    few = np.flatnonzero(parts == 4)[:19]
    assert sides_swapped(points[few], parts[few], points, parts, PAIRS) is None
    assert sides_swapped(points, parts, points, np.where(parts == 2, 1, parts), PAIRS[:1]) is None


def test_minority_of_the_frames_is_swapped() -> None:
    points, parts = figure()
    other = points.copy()
    for a, b in PAIRS:
        other[parts == a], other[parts == b] = points[parts == b], points[parts == a]
    sway = np.linspace(0, 0.5, 7)[:, None, None] * np.array([1.0, 0.0, 0.2])
    for states in ([0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]):
        frames = np.stack([other if state else points for state in states]) + sway
        found = sides_swapped_over_time(frames, parts, PAIRS)
        assert found is not None
        assert found.tolist() == [bool(state) for state in states]


def test_one_exchanged_pair_is_enough() -> None:
    points, parts = figure()
    other = points.copy()
    other[parts == 5], other[parts == 3] = points[parts == 3], points[parts == 5]
    found = sides_swapped_over_time(np.stack([points, points, other]), parts, PAIRS)
    assert found is not None
    assert found.tolist() == [False, False, True]


def test_at_a_tie_the_first_frame_is_right() -> None:
    points, parts = figure()
    found = sides_swapped_over_time(np.stack([points, turned(points, 180)]), parts, PAIRS)
    assert found is not None
    assert found.tolist() == [False, True]


@pytest.mark.parametrize("degrees", [30.0, 80.0])
def test_walking_far_and_turning_less_than_a_quarter_is_no_jump(degrees: float) -> None:
    points, parts = figure()
    frames = np.stack([turned(points, degrees * k) + np.array([0.8, 0.0, 0.5]) * k for k in range(6)])
    found = sides_swapped_over_time(frames, parts, PAIRS)
    assert found is not None
    assert not found.any()


def test_one_frame_or_no_limbs_tell_nothing() -> None:
    points, parts = figure()
    assert sides_swapped_over_time(points[None], parts, PAIRS) is None
    assert sides_swapped_over_time(np.stack([points, points]), parts, []) is None
    assert sides_swapped_over_time(np.stack([points, points]), np.zeros_like(parts), PAIRS) is None
