"""Recordings that are mirrored, lie on their side or lean: what is stated of them puts the body back in its place."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import WALKER, Shot, scene_camera, shoot

from spams_core.data.recording import ReadingSettings, open_source, read_sequence, read_subject
from spams_core.data.sequence import as_sequence
from spams_core.errors import InputError
from spams_core.frames import transform_points
from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.mesh import Mesh
from spams_core.io.native_sequence import sequence_writer


@pytest.fixture(scope="module")
def shot() -> Shot:
    return shoot(-0.4, scene_camera())


def record(path: Path, depth_m: np.ndarray, camera: Camera, mask: np.ndarray | None = None) -> Path:
    truth = Mesh(np.array([[0, 0, -2], [1, 0, -2], [0, 1, -2]], np.float32), np.array([[0, 1, 2]]))
    with sequence_writer(path, camera, 30, depth_scale=0.0001) as append:
        append(depth_m, mask, truth)
    return path


def test_mirrored_images_are_turned_back(shot: Shot, tmp_path: Path) -> None:
    camera = dataclasses.replace(scene_camera(), cx=100.0)
    right = read_sequence(record(tmp_path / "right", shot.depth_m, camera, shot.owner == WALKER))
    mirrored = dataclasses.replace(camera, cx=camera.width - 1 - 100.0)
    path = record(tmp_path / "mirrored", shot.depth_m[:, ::-1], mirrored, (shot.owner == WALKER)[:, ::-1])
    back = read_sequence(path, reading=ReadingSettings(mirrored=True))
    assert np.array_equal(back.read_depth_m(0), right.read_depth_m(0))
    assert np.array_equal(read_subject(back, 0).points_world, read_subject(right, 0).points_world)
    assert back.camera.cx == 100.0
    assert back.read_ground_truth is None
    assert "Ground truth is left out" in back.source.notes[0]


@pytest.mark.parametrize(("side", "turns"), [("top", 0), ("left", 1), ("bottom", 2), ("right", 3)])
def test_a_side_of_the_image_is_up_and_the_floor_level(side: str, turns: int, shot: Shot, tmp_path: Path) -> None:
    """The camera looks 14° down; nobody wrote down how it stood, and the images were turned."""
    depth_m = np.rot90(shot.depth_m, turns)
    height, width = depth_m.shape
    camera = Camera(width, height, 190.0, 190.0, (width - 1) / 2, (height - 1) / 2)
    path = record(tmp_path / "r", depth_m, camera)
    sequence = as_sequence(open_source(path, ReadingSettings(up=side)))
    walker = np.rot90(shot.owner == WALKER, turns)
    found = transform_points(
        sequence.camera.world_from_camera, back_project(sequence.read_depth_m(0), sequence.camera)[walker]
    )
    true = transform_points(
        scene_camera().world_from_camera, back_project(shot.depth_m, scene_camera())[shot.owner == WALKER]
    )
    # The world's place and its turn about +y are free; heights above the floor are not.
    assert np.ptp(found[:, 1]) == pytest.approx(np.ptp(true[:, 1]), abs=0.01)
    assert sequence.room is None
    axis = sequence.camera.world_from_camera[:3, 2]
    assert np.degrees(np.arcsin(-axis[1])) == pytest.approx(14, abs=0.3)


def test_the_floor_levels_what_was_recorded_and_moves_the_truth_with_it(shot: Shot, tmp_path: Path) -> None:
    camera = dataclasses.replace(scene_camera(), world_from_camera=np.diag([1.0, -1.0, -1.0, 1.0]))
    path = record(tmp_path / "r", shot.depth_m, camera)
    before, after = read_sequence(path), read_sequence(path, reading=ReadingSettings(up="floor"))
    moved = after.camera.world_from_camera @ np.linalg.inv(before.camera.world_from_camera)
    assert np.degrees(np.arccos(moved[1, 1])) == pytest.approx(14, abs=0.3)
    truth = transform_points(moved, before.read_ground_truth(0).vertices)
    assert after.read_ground_truth(0).vertices == pytest.approx(truth, abs=1e-6)
    wall = record(tmp_path / "wall", np.full((200, 240), 2.0), camera)
    assert open_source(wall, ReadingSettings(up="floor")).notes == ("No floor is seen to level the world by.",)


def test_another_up_is_refused() -> None:
    with pytest.raises(InputError, match=r"reading: up is 'sky'\. Choose one of: recorded, floor, top"):
        ReadingSettings(up="sky")


def test_given_intrinsics_go_before_the_recordings_own(shot: Shot, tmp_path: Path) -> None:
    path = record(tmp_path / "r", shot.depth_m, scene_camera())
    source = open_source(path, ReadingSettings(fx=200, fy=201, cx=3, cy=4))
    assert (source.camera.fx, source.camera.cy, source.intrinsics_from) == (200, 4, "given")
    assert np.array_equal(source.camera.world_from_camera, scene_camera().world_from_camera)


def test_frames_are_decoded_once_and_kept_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for t in range(40):
        Image.fromarray(np.full((480, 640), 2000 + t, np.uint16)).save(tmp_path / f"{t}.png", compress_level=1)
    sequence = read_sequence(tmp_path)
    decoded: list[Path] = []
    opening = Image.open
    monkeypatch.setattr(Image, "open", lambda path, **how: (decoded.append(path), opening(path, **how))[1])
    for t in range(40):
        depth_m, mask = sequence.read_depth_m(t), sequence.read_mask(t)
        assert mask.all()
        assert sequence.read_depth_m(t) is depth_m
        assert not depth_m.flags.writeable
    assert len(decoded) == 40
    assert sequence.read_depth_m.nbytes == 13 * 480 * 640 * 4
    sequence.read_depth_m(0)
    assert len(decoded) == 41
