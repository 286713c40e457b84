from __future__ import annotations

import pickle

import numpy as np
import pytest
from recordings import DISTANCE_M, FAULTS, RADIUS_M, write_ball

from spams_core.data.recording import read_sequence, read_subject
from spams_core.errors import InputError


def read_everything(path) -> None:
    sequence = read_sequence(path)
    for t in range(sequence.frame_count):
        read_subject(sequence, t)
        if sequence.read_ground_truth is not None:
            sequence.read_ground_truth(t)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_line_that_names_file_and_remedy(fault, tmp_path):
    path = write_ball(tmp_path / "ball")
    read_everything(path)
    breaks, message = FAULTS[fault]
    breaks(path)
    with pytest.raises(InputError, match=message) as caught:
        read_everything(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_points_lie_on_the_ball_in_the_world(tmp_path):
    sequence = read_sequence(write_ball(tmp_path / "ball"))
    for t in range(4):
        subject = read_subject(sequence, t)
        centre = np.array([0.05 * t, 0.0, -DISTANCE_M])
        # Depth is rounded to 1 mm.
        assert np.abs(np.linalg.norm(subject.points_world - centre, axis=1) - RADIUS_M).max() < 0.6e-3
        assert len(subject.points_world) > 150


def test_a_sequence_says_what_it_is(tmp_path):
    sequence = read_sequence(write_ball(tmp_path / "ball"))
    assert (sequence.name, sequence.fps, sequence.frame_count) == ("ball", 15.0, 4)
    assert sequence.frame_names == ("000000", "000001", "000002", "000003")
    assert sequence.read_ground_truth is not None
    assert read_sequence(write_ball(tmp_path / "bare", ground_truth=False)).read_ground_truth is None


def test_a_sequence_travels_to_another_process(tmp_path):
    sequence = read_sequence(write_ball(tmp_path / "ball"))
    back = pickle.loads(pickle.dumps(sequence))
    assert np.array_equal(back.read_depth_m(2), sequence.read_depth_m(2))


def test_real_recording_shows_one_standing_person(shared_data):
    sequence = read_sequence(shared_data / "kinect_wave")
    assert sequence.frame_count == 54
    for t in (0, 20, 53):
        points = read_subject(sequence, t).points_world
        height, width, _ = np.ptp(points, axis=0)[[1, 0, 2]]
        # The person is about 1.71 m tall and stands at 2.6 m, upright along +y.
        assert 1.6 < height < 1.9
        assert width < 1.2
        assert abs(-np.median(points[:, 2]) - 2.6) < 0.1
