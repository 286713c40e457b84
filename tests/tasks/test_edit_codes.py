"""What edits do to codes: ways between two, mirrors, maps."""

from __future__ import annotations

import numpy as np
import pytest

from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import nearest_points
from spams_core.tasks.code_map import CodeMap
from spams_core.tasks.edit import Workbench, interpolate_codes, open_workbench
from spams_core.tasks.mirror import opposite_parts
from spams_core.tasks.pull import pull, seam_points


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return open_workbench()


@pytest.fixture(scope="module")
def maps(bench: Workbench) -> tuple[np.ndarray, np.ndarray]:
    return bench.mirror_maps()


@pytest.fixture(scope="module")
def mean_body(bench: Workbench) -> Mesh:
    return bench.canonical_mesh(bench.mean_shape, 48)


@pytest.mark.parametrize("deviations", [-2.0, 0.5, 2.0])
def test_a_body_is_the_same_looked_for_around_the_mean_one(bench: Workbench, mean_body: Mesh, deviations: float):
    codes = bench.mean_shape + np.float32(deviations) * bench.shape_directions[:, 0]
    everywhere, near = bench.canonical_mesh(codes, 64), bench.canonical_mesh(codes, 64, mean_body)
    assert len(near.vertices) == len(everywhere.vertices)
    assert len(near.faces) == len(everywhere.faces)
    distance, _ = nearest_points(near.vertices, everywhere.vertices)
    # Points evaluated in other batches differ in their last digits.
    assert distance.max() < 1e-5


def test_the_spherical_way_keeps_the_distance_from_the_centre_and_halves_the_angle():
    center = np.full((1, 3), 5.0)
    a, b = center + np.array([[2.0, 0, 0]]), center + np.array([[0, 4.0, 0]])
    half = interpolate_codes(a, b, 0.5, center=center) - center
    assert np.linalg.norm(half) == pytest.approx(3.0)
    np.testing.assert_allclose(half, [[3 / 2**0.5, 3 / 2**0.5, 0]], rtol=1e-6)
    for amount, end in ((0.0, a), (1.0, b)):
        np.testing.assert_allclose(interpolate_codes(a, b, amount, center=center), end, rtol=1e-6)


@pytest.mark.parametrize("b", [[[-2.0, 0, 0]], [[0.0, 0, 0]], [[4.0, 0, 0]]])
def test_without_one_circle_the_spherical_way_is_straight(b: list[list[float]]):
    a, end = np.array([[2.0, 0, 0]]), np.array(b)
    np.testing.assert_allclose(
        interpolate_codes(a, end, 0.25, center=np.zeros((1, 3))), interpolate_codes(a, end, 0.25), atol=1e-6
    )


def test_parts_pair_by_name():
    assert opposite_parts(("head", "left_arm", "tail", "right_arm", "left_leg")) == (None, 3, None, 1, None)


@pytest.mark.parametrize(("limb", "other"), [("left_arm", "right_arm"), ("right_leg", "left_leg")])
@pytest.mark.parametrize("direction", [0, 1, 2])
def test_mirrored_deviations_mirror_the_motion(
    bench: Workbench, maps: tuple[np.ndarray, np.ndarray], mean_body: Mesh, limb: str, other: str, direction: int
):
    q, p = bench.part_names.index(limb), bench.part_names.index(other)
    pose_map, flip = maps[1], np.array([-1, 1, 1])
    own = mean_body.vertices[mean_body.vertex_parts == q]
    mirrored = (own * flip).astype(np.float32)

    def motion(points: np.ndarray, part: int, sigma: np.ndarray) -> np.ndarray:
        codes = bench.mean_pose.copy()
        codes[part] += sigma @ bench.pose_directions[part]
        still = bench.pose_vertices(points, bench.mean_shape, bench.mean_pose)
        return bench.pose_vertices(points, bench.mean_shape, codes) - still

    sigma = np.eye(len(pose_map[q]))[direction]
    wanted = motion(own, q, sigma) * flip
    error = np.linalg.norm(motion(mirrored, p, pose_map[q] @ sigma) - wanted)
    same_number = [np.linalg.norm(motion(mirrored, p, sign * sigma) - wanted) for sign in (1, -1)]
    assert error < 0.25 * np.linalg.norm(wanted)
    assert error < min(same_number)


def test_mirroring_twice_comes_back(bench: Workbench, maps: tuple[np.ndarray, np.ndarray]):
    for mirror in maps:
        left, right = (bench.part_names.index(name) for name in ("left_leg", "right_leg"))
        there_and_back = mirror[right] @ mirror[left]
        # The strong directions come back; the weak ones hardly move the surface and are not told apart.
        np.testing.assert_allclose(there_and_back[:3, :3], np.eye(3), atol=0.25)
    head = bench.part_names.index("head")
    assert not maps[0][head].any()


def test_the_map_measures_in_deviations_of_the_training_codes():
    random = np.random.default_rng(0)
    codes = random.normal(size=(500, 2, 3)) * np.array([[5.0, 0.5, 0.1], [3.0, 0.5, 0.1]])
    directions = np.zeros((2, 2, 3))
    for q in range(2):
        _, singular, rows = np.linalg.svd(codes[:, q] - codes[:, q].mean(0), full_matrices=False)
        directions[q] = rows[:2] * singular[:2, None] / 499**0.5
    plane = CodeMap.of(codes, directions)
    np.testing.assert_allclose(plane.points.std(0, ddof=1), 1.0, rtol=1e-6)
    moved = codes[0] + plane.shift((1.5, -0.5))
    np.testing.assert_allclose(plane.place(moved) - plane.place(codes[0]), [1.5, -0.5], atol=1e-9)
    # Two Gaussian coordinates: 99 % lie within the root of chi-square's quantile, 9.21.
    np.testing.assert_allclose(plane.limit, 9.21**0.5, rtol=0.1)
    np.testing.assert_allclose(plane.distance(plane.mean + 3 * directions[:, 0]), 3.0, rtol=1e-6)
    far = plane.mean.copy()
    far[1] += 4 * directions[1, 1]
    assert plane.unusual(far) == [1]
    assert plane.unusual(plane.mean) == []


@pytest.mark.parametrize("limb", ["left_arm", "right_leg"])
def test_a_pulled_point_comes_within_the_tolerance_and_other_parts_stay(bench: Workbench, mean_body: Mesh, limb: str):
    part = bench.part_names.index(limb)
    tip = mean_body.vertices[np.where(mean_body.vertex_parts == part, -mean_body.vertices[:, 1], -9).argmax()]
    wanted = bench.mean_pose.copy()
    wanted[part] += 0.8 * bench.pose_directions[part, 0] - 0.6 * bench.pose_directions[part, 1]
    here, target = bench.points_in_poses(tip[None], bench.mean_shape, np.stack([bench.mean_pose, wanted]))
    assert np.linalg.norm(target - here) > 0.05
    none = np.zeros(bench.pose_directions.shape[:2])

    def pulled(to: np.ndarray) -> np.ndarray:
        return pull(bench, tip[None], to, bench.mean_shape, bench.mean_pose, [part], none)

    sigma = pulled(target)
    assert not np.delete(sigma, part, axis=0).any()
    assert np.linalg.norm(places(bench, tip[None], sigma) - target) < 0.01
    # The nearest pose is wanted, and a pose with 1 deviation in all is known to reach the target.
    assert np.linalg.norm(sigma) < 1.0 + 1e-2
    assert np.abs(pulled(target + 5)).max() <= 3.0
    assert pulled(here) == pytest.approx(none, abs=1e-3)


def places(bench: Workbench, points: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Where points of the mean body are when its pose has some deviations."""
    codes = bench.mean_pose + np.einsum("qk,qkd->qd", sigma, bench.pose_directions)
    return bench.points_in_poses(points, bench.mean_shape, codes[None].astype(np.float32))[0]


def test_pinned_points_stay_while_another_is_pulled(bench: Workbench, mean_body: Mesh):
    arm, leg = (bench.part_names.index(name) for name in ("left_arm", "right_leg"))
    own = mean_body.vertices[mean_body.vertex_parts == arm]
    hand, elbow = own[own[:, 1].argmin()], own[np.argsort(own[:, 1])[len(own) // 2]]
    foot = mean_body.vertices[np.where(mean_body.vertex_parts == leg, -mean_body.vertices[:, 1], -9).argmax()]
    none = np.zeros(bench.pose_directions.shape[:2])
    points = np.stack([hand, elbow, foot])
    rest = places(bench, points, none)
    target = rest + np.array([[0.0, 0.08, 0.04], [0, 0, 0], [0, 0, 0]])
    alone = pull(bench, points[:1], target[:1], bench.mean_shape, bench.mean_pose, [arm], none)
    pinned = pull(bench, points, target, bench.mean_shape, bench.mean_pose, [arm, leg], none)
    moved, kept = (np.linalg.norm(places(bench, points, sigma) - rest, axis=1) for sigma in (alone, pinned))
    assert kept[1] < 0.5 * moved[1], "the elbow is held"
    assert kept[2] < 1e-3, "nothing pulls the leg"
    assert kept[0] > 0.3 * moved[0], "the hand follows all the same"


def test_a_part_that_stays_is_not_carried_along_at_its_seam(bench: Workbench, mean_body: Mesh):
    arm, torso = (bench.part_names.index(name) for name in ("left_arm", "torso"))
    seam = seam_points(mean_body.vertices, mean_body.vertex_parts, [torso], [arm])
    assert 0 < len(seam) <= 12
    own = mean_body.vertices[mean_body.vertex_parts == arm]
    away = np.linalg.norm(seam[:, None] - own[None], axis=2).min(1)
    assert away.max() < 0.12
    assert len(seam_points(mean_body.vertices, mean_body.vertex_parts, [], [arm])) == 0
    hand = own[own[:, 1].argmin()][None]
    none = np.zeros(bench.pose_directions.shape[:2])
    target = places(bench, hand, none) + np.array([0.1, 0.1, 0.0])
    free, held = (
        pull(bench, hand, target, bench.mean_shape, bench.mean_pose, [arm], none, staying) for staying in (None, seam)
    )
    rest = places(bench, seam, none)
    carried = [np.linalg.norm(places(bench, seam, sigma) - rest, axis=1).mean() for sigma in (free, held)]
    assert carried[1] < carried[0]
