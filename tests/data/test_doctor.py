"""What the capture doctor says of recordings whose truth is known: a room, a ball, a wrong scale, a person cut off."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from recordings import DISTANCE_M, RADIUS_M, write_ball
from scenes import HEIGHT_M, WALKER, Shot, write_scene

from spams_core.data.doctor import Findings, examine
from spams_core.data.isolation import isolate
from spams_core.data.recording import read_sequence
from spams_core.data.sequence import DepthSequence
from spams_core.data.subject import SubjectSettings
from spams_core.geometry.camera import Camera
from spams_core.progress import run_to_end


def facts_of(sequence: DepthSequence) -> Findings:
    return run_to_end(examine(sequence))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[DepthSequence, list[Shot]]:
    path = tmp_path_factory.mktemp("scene") / "room"
    shots = write_scene(path, 6)
    return read_sequence(path), shots


def picked(sequence: DepthSequence, shots: list[Shot]) -> DepthSequence:
    rows, columns = np.nonzero(shots[0].readings_of(WALKER))
    pick = (0, int(np.median(columns)), int(np.quantile(rows, 0.3)))
    return isolate(sequence, SubjectSettings(keep="picked", pick=pick, remove_floor=True))


def test_a_person_in_a_room_is_measured(scene: tuple[DepthSequence, list[Shot]]) -> None:
    facts = facts_of(picked(*scene))
    assert facts.size_m is not None
    # 3 cm go with the floor.
    assert facts.size_m[1] == pytest.approx(HEIGHT_M - 0.03, abs=0.03)
    assert facts.floor_found
    assert facts.camera_tilt_deg == pytest.approx(14.0, abs=1.0)
    assert facts.camera_height_m == pytest.approx(0.85 + 3.4 * np.sin(np.radians(14)), abs=0.02)
    assert facts.missing_share == 0
    assert facts.floor_tilt_deg == pytest.approx(0, abs=0.3)
    assert (facts.people, facts.has_background) == (1, False)
    assert facts.warnings() == {}
    whole = facts_of(scene[0])
    assert whole.has_background
    assert whole.people is None
    assert set(whole.borders.values()) == {1.0}
    assert list(whole.warnings()) == ["background"]


def test_a_wrong_scale_is_told(scene: tuple[DepthSequence, list[Shot]]) -> None:
    sequence, shots = scene
    masked = dataclasses.replace(
        sequence, read_depth_m=lambda t: 10 * sequence.read_depth_m(t), read_mask=lambda t: shots[t].owner == WALKER
    )
    facts = facts_of(masked)
    assert facts.size_m is not None
    assert facts.size_m[1] == pytest.approx(17.0, abs=0.3)
    warning = facts.warnings()["scale"]
    assert warning.startswith(
        "The subject is 16.9 m tall. If only the person is kept, the scale is wrong. With a depth "
    )
    assert warning.endswith("of 0.0001 instead of 0.001 it would be 1.69 m (--reading.depth-scale 0.0001).")


def test_a_ball_without_a_floor(tmp_path: Path) -> None:
    facts = facts_of(read_sequence(write_ball(tmp_path / "ball")))
    assert not facts.floor_found
    assert facts.camera_height_m is None
    assert facts.camera_tilt_deg == 0
    assert facts.depth_range_m is not None
    assert facts.depth_range_m[0] == pytest.approx(DISTANCE_M - RADIUS_M, abs=0.01)
    assert facts.gap_share == 0
    assert (facts.width, facts.height, facts.fps, facts.frames) == (32, 24, 15.0, 4)


def test_nobody_gaps_and_few_frames_are_told(scene: tuple[DepthSequence, list[Shot]]) -> None:
    sequence, shots = scene
    nobody = dataclasses.replace(sequence, read_mask=lambda t: np.zeros(shots[t].owner.shape, bool), fps=2.0)
    facts = facts_of(nobody)
    assert facts.size_m is None
    assert list(facts.warnings()) == ["subject", "slow"]

    def holes(t: int) -> np.ndarray:
        depth_m = sequence.read_depth_m(t).copy()
        depth_m[::2, ::2] = 0
        depth_m[1::4, 1::4] = 0
        return depth_m

    gappy = dataclasses.replace(sequence, read_depth_m=holes, read_mask=lambda t: shots[t].owner == WALKER)
    facts = facts_of(gappy)
    # Holes at the outline are no longer inside it, or are closed to it.
    assert facts.gap_share == pytest.approx(0.25 + 1 / 16, abs=0.06)
    assert "of the subject has no reading" in facts.warnings()["missing"]


@pytest.mark.parametrize("side", ["left", "right", "bottom"])
def test_a_floor_tells_how_images_are_turned(side: str, scene: tuple[DepthSequence, list[Shot]]) -> None:
    sequence, shots = scene
    turns = {"left": 1, "right": 3, "bottom": 2}[side]
    upright = sequence.camera
    height, width = np.rot90(shots[0].depth_m, turns).shape
    camera = Camera(width, height, upright.fx, upright.fy, (width - 1) / 2, (height - 1) / 2)
    turned = dataclasses.replace(
        sequence,
        camera=camera,
        read_depth_m=lambda t: np.rot90(shots[t].depth_m, turns).astype(np.float32),
        read_mask=lambda t: np.rot90(shots[t].owner == WALKER, turns),
    )
    facts = facts_of(turned)
    assert facts.up_side == side
    assert facts.warnings()["upright"].startswith(f"No floor is seen, but one if the image's {side} were up.")
    # The same images before a camera that stands upright: the floor is where it should be.
    level = dataclasses.replace(sequence, read_mask=lambda t: shots[t].owner == WALKER)
    assert facts_of(level).up_side is None
