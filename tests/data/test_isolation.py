"""The subject is found in a room with a floor, a wall and two people, whose true pixels are known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from recordings import write_ball
from scenes import STANDER, WALKER, Shot, scene_camera, shoot, write_scene

from spams_core.data.isolation import fitted_subject, isolate, sequence_floor
from spams_core.data.recording import read_sequence, read_subject
from spams_core.data.sequence import DepthSequence
from spams_core.data.subject import SubjectSettings, join_fragments, label_surfaces
from spams_core.data.virtual_camera import EXACT, SensorNoise
from spams_core.errors import InputError
from spams_core.progress import Stopped, until_stopped
from spams_core.settings import settings_to_dict

Scene = tuple[DepthSequence, list[Shot]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    path = tmp_path_factory.mktemp("scene") / "room"
    shots = write_scene(path)
    return read_sequence(path), shots


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    path = tmp_path_factory.mktemp("scene") / "noisy"
    shots = write_scene(path, noise=SensorNoise())
    return read_sequence(path), shots


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def pixel_of(shot: Shot, owner: int) -> tuple[int, int]:
    """Column and row in the middle of somebody's chest."""
    rows, columns = np.nonzero(shot.readings_of(owner))
    top = rows < np.quantile(rows, 0.5)
    middle = np.argmin((columns - np.median(columns[top])) ** 2 + (rows - np.median(rows[top])) ** 2)
    return int(columns[middle]), int(rows[middle])


def picked(shots: list[Shot], owner: int, frame: int, **more: object) -> SubjectSettings:
    return SubjectSettings(keep="picked", pick=(frame, *pixel_of(shots[frame], owner)), remove_floor=True, **more)


@pytest.mark.parametrize("elevation_deg", [5.0, 14.0, 30.0])
@pytest.mark.parametrize("noise", [EXACT, SensorNoise()])
def test_floor_is_found_within_a_degree(elevation_deg: float, noise: SensorNoise, scene: Scene) -> None:
    camera = scene_camera(elevation_deg)
    shot = shoot(-0.5, camera, noise)
    sequence = dataclasses.replace(scene[0], camera=camera, frame_count=1, read_depth_m=lambda _: shot.depth_m)
    floor = sequence_floor(sequence)
    assert floor is not None
    assert np.degrees(np.arccos(min(1.0, floor.normal[1]))) < 1.0
    assert abs(floor.offset_m) < 0.02
    # A camera whose pose nobody wrote down is thought to be level: the floor's normal tells its tilt.
    unposed = dataclasses.replace(camera, world_from_camera=np.diag([1.0, -1.0, -1.0, 1.0]))
    floor = sequence_floor(dataclasses.replace(sequence, camera=unposed))
    assert floor is not None
    assert np.degrees(np.arccos(floor.normal[1])) == pytest.approx(elevation_deg, abs=1.0)


@pytest.mark.parametrize("owner", [WALKER, STANDER])
@pytest.mark.parametrize("frame", [0, 7])
def test_picked_person_is_followed_through_all_frames(scene: Scene, owner: int, frame: int) -> None:
    sequence, shots = scene
    isolated = isolate(sequence, picked(shots, owner, frame))
    for t in (4, 0, 7, 1, 2, 3, 5, 6):
        assert iou(isolated.read_mask(t), shots[t].readings_of(owner)) >= 0.97


def test_picked_person_is_followed_through_sensor_noise(noisy: Scene) -> None:
    sequence, shots = noisy
    isolated = isolate(sequence, picked(shots, WALKER, 2))
    assert min(iou(isolated.read_mask(t), shots[t].readings_of(WALKER)) for t in range(8)) >= 0.97


def test_walker_is_what_moves(scene: Scene) -> None:
    sequence, shots = scene
    moving = isolate(sequence, SubjectSettings(keep="moving", remove_floor=True))
    assert min(iou(moving.read_mask(t), shots[t].readings_of(WALKER)) for t in range(8)) >= 0.97
    # Without the floor's help: the background knows floor, wall and the one who stands.
    front = isolate(sequence, SubjectSettings(remove_background=True))
    assert iou(front.read_mask(0), shots[0].readings_of(WALKER)) > 0.9
    assert not (front.read_mask(0) & shots[0].readings_of(STANDER)).any()


def test_range_and_box_are_metres(scene: Scene) -> None:
    sequence, shots = scene
    near = isolate(sequence, SubjectSettings(near_m=2.5, far_m=3.25))
    depth_m = sequence.read_depth_m(0)
    np.testing.assert_array_equal(near.read_mask(0), (depth_m >= 2.5) & (depth_m <= 3.25))
    low, high = (-1.2, 0.03, -0.4), (0.1, 1.8, 0.7)
    boxed = isolate(sequence, SubjectSettings(box_low_m=low, box_high_m=high))
    assert iou(boxed.read_mask(0), shots[0].readings_of(WALKER)) >= 0.97
    points = read_subject(boxed, 0).points_world
    assert (points >= np.array(low) - 1e-6).all()
    assert (points <= np.array(high) + 1e-6).all()
    # Largest of what the range left: the nearer of the two people.
    largest = isolate(sequence, SubjectSettings(far_m=4.2, remove_floor=True, keep="largest"))
    assert iou(largest.read_mask(0), shots[0].readings_of(WALKER)) >= 0.97


def test_masks_of_the_recording_still_hold(scene: Scene) -> None:
    sequence, shots = scene
    masked = dataclasses.replace(sequence, read_mask=lambda t: shots[t].owner == STANDER)
    isolated = isolate(masked, SubjectSettings(remove_floor=True, keep="largest"))
    assert iou(isolated.read_mask(3), shots[3].readings_of(STANDER)) >= 0.97
    same = isolate(isolated, SubjectSettings())
    assert same.read_mask is masked.read_mask
    assert same.room is isolated.room


def test_the_order_of_reading_changes_nothing(scene: Scene) -> None:
    sequence, shots = scene
    settings = picked(shots, WALKER, 3)
    forwards, backwards = isolate(sequence, settings), isolate(sequence, settings)
    first = [forwards.read_mask(t) for t in range(8)]
    second = [backwards.read_mask(t) for t in reversed(range(8))]
    np.testing.assert_array_equal(first, second[::-1])


def test_following_ends_when_it_is_not_wanted_any_more(scene: Scene) -> None:
    sequence, shots = scene
    read: list[int] = []

    def depth_m(t: int) -> np.ndarray:
        read.append(t)
        return shots[t].depth_m

    settings = dataclasses.replace(picked(shots, WALKER, 0), remove_floor=False)
    isolated = isolate(dataclasses.replace(sequence, read_depth_m=depth_m), settings)
    with until_stopped(lambda: 2 in read), pytest.raises(Stopped):
        isolated.read_mask(7)
    assert max(read) == 2
    assert isolated.read_mask(7).any()  # wanted again, it goes on


def test_subject_out_of_sight_is_nowhere_and_found_again(scene: Scene) -> None:
    sequence, shots = scene
    hidden = (3, 4)

    def mask(t: int) -> np.ndarray:
        return shots[t].owner != WALKER if t in hidden else np.ones(shots[t].owner.shape, bool)

    isolated = isolate(dataclasses.replace(sequence, read_mask=mask), picked(shots, WALKER, 0, far_m=4.2))
    assert not (isolated.read_mask(3) & shots[3].readings_of(STANDER)).any()
    assert iou(isolated.read_mask(5), shots[5].readings_of(WALKER)) >= 0.97
    with pytest.raises(InputError, match=r"frame 000003: nothing is left of it as the subject\. Widen"):
        read_subject(isolated, 3)


def test_a_shin_behind_the_other_leg_belongs_to_the_body() -> None:
    depth = np.zeros((60, 60))
    depth[5:44, 10:25] = 2.0  # body
    depth[47:55, 10:25] = 2.0  # shin: readings between them are lost
    depth[20:30, 40:45] = 2.0  # something small, 15 columns away
    labels = label_surfaces(depth, depth > 0, 0.08)
    assert labels.max() == 3
    u, v = np.meshgrid(np.arange(60), np.arange(60))
    points = np.stack([0.01 * u, 0.01 * v, depth], axis=-1)
    np.testing.assert_array_equal(join_fragments(labels, 1, points, 0.05), (depth > 0) & (u < 30))
    np.testing.assert_array_equal(join_fragments(labels, 1, points, 0.17), depth > 0)
    np.testing.assert_array_equal(join_fragments(labels, 1, points, 0.0), labels == 1)


def test_surfaces_agree_with_a_flood_fill() -> None:
    generator = np.random.default_rng(0)
    depth = np.round(generator.random((18, 23)) * 3) / 3 + 1.0
    kept = generator.random(depth.shape) < 0.7
    labels = label_surfaces(depth, kept, 0.1)
    steps = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)]
    steps += [(-v, -u) for v, u in steps]
    seen = np.zeros(depth.shape, int)
    for start in zip(*np.nonzero(kept), strict=True):
        if seen[start]:
            continue
        number, waiting = seen.max() + 1, [start]
        while waiting:
            v, u = waiting.pop()
            if seen[v, u]:
                continue
            seen[v, u] = number
            waiting += [
                (v + dv, u + du) for dv, du in steps
                if 0 <= v + dv < 18 and 0 <= u + du < 23 and kept[v + dv, u + du]
                and abs(depth[v + dv, u + du] - depth[v, u]) < 0.1
            ]  # fmt: skip
    assert np.array_equal(labels == 0, seen == 0)
    pairs = {(a, b) for a, b in zip(labels[kept].tolist(), seen[kept].tolist(), strict=True)}
    assert len(pairs) == labels.max() == seen.max()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"near_m": -1.0}, "near_m is -1"),
        ({"near_m": 2.0, "far_m": 1.0}, "beyond near_m"),
        ({"box_low_m": (0.0, 0.0, 0.0)}, "needs both"),
        ({"box_low_m": (0.0, 0.0, 0.0), "box_high_m": (1.0, 0.0, 1.0)}, "is empty"),
        ({"keep": "picked"}, "needs a pixel"),
        ({"pick": (0, -1, 2)}, "frame, column and row"),
        ({"depth_jump_m": 0.0}, "cuts everything apart"),
        ({"floor_band_m": float("nan")}, "floor_band_m is nan"),
    ],
)
def test_wrong_settings_say_so(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SubjectSettings(**wrong)


def test_a_pick_beside_the_subject_says_so(scene: Scene) -> None:
    sequence, _ = scene
    with pytest.raises(InputError, match="frame 9, column 0, row 0"):
        isolate(sequence, SubjectSettings(keep="picked", pick=(9, 0, 0)))
    floor = isolate(sequence, SubjectSettings(keep="picked", pick=(0, 120, 199), remove_floor=True))
    with pytest.raises(InputError, match="is taken away by mask, range, box, floor or background"):
        floor.read_mask(2)


def test_a_manifest_gives_the_settings_back() -> None:
    settings = SubjectSettings(
        far_m=3.0, box_low_m=(-1.0, 0.0, 0.0), box_high_m=(1.0, 2.0, 1.0), keep="picked", pick=(1, 2, 3)
    )
    assert fitted_subject({"subject": settings_to_dict(settings)}) == settings
    assert fitted_subject({}) == SubjectSettings()


def test_a_ball_alone_has_no_floor(tmp_path: Path) -> None:
    assert sequence_floor(read_sequence(write_ball(tmp_path / "ball"))) is None
