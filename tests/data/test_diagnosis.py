from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from fits import FRAMES, ball_fit
from recordings import write_ball

from spams_core.data.diagnosis import diagnose_frame, write_diagnosis
from spams_core.data.recording import read_sequence
from spams_core.errors import InputError


def fit_with_points(points, labels, row=1):
    fit = ball_fit()
    counts = np.zeros(FRAMES + 1, np.int64)
    counts[row + 1 :] = len(points)
    return replace(
        fit, observed_points=np.asarray(points, np.float32), observed_labels=np.asarray(labels, np.int32),
        matched_points=np.asarray(points, np.float32), match_weights=np.array([1, 1, 0, 1], np.float32),
        observed_offsets=counts,
    )  # fmt: skip


def test_each_part_has_the_median_of_its_points():
    fit = ball_fit()
    vertices = fit.vertices_world[1]
    center = vertices.mean(0)
    outside = [
        center + (vertices[k] - center) * (1 + d / 0.5) for k, d in zip((0, 1, 2), (0.01, 0.02, 0.03), strict=True)
    ]
    measured = diagnose_frame(fit_with_points([*outside, vertices[3]], [0, 0, 0, -1]), 1)
    assert measured.part_residual_m[0] == pytest.approx(0.02, abs=1e-5)
    assert np.isnan(measured.part_residual_m[1])  # no point of that part
    assert measured.kept_share == 0.75
    assert np.isnan(measured.missing_share)
    assert measured.frame == 2


def test_jitter_is_zero_in_steady_movement_and_the_step_of_one_frame_out_of_line():
    fit = ball_fit()
    assert [diagnose_frame(fit, row).jitter_m for row in (1, 2, 3)] == pytest.approx([0, 0, 0], abs=1e-6)
    assert np.isnan([diagnose_frame(fit, row).jitter_m for row in (0, FRAMES - 1)]).all()
    shaken = fit.vertices_world.copy()
    shaken[2] += (0, 0.01, 0)
    shaken = replace(fit, vertices_world=shaken)
    assert [diagnose_frame(shaken, row).jitter_m for row in (1, 2, 3)] == pytest.approx([0.005, 0.01, 0.005], abs=1e-6)
    gap = replace(fit, frame_indices=np.array([0, 2, 5, 6, 8], np.int32))
    assert np.isnan([diagnose_frame(gap, row).jitter_m for row in (1, 2, 3)]).all()


def test_missing_depth_is_counted_inside_the_subject(tmp_path):
    sequence = read_sequence(write_ball(tmp_path / "ball", 10))
    fit = ball_fit()
    assert diagnose_frame(fit, 1, sequence).missing_share == 0
    mask = sequence.read_mask(2)
    rows, columns = np.nonzero(mask)
    lost = rows < np.median(rows)

    def read(frame):
        depth = sequence.read_depth_m(frame).copy()
        depth[rows[lost], columns[lost]] = 0
        return depth

    holed = replace(sequence, read_depth_m=read)
    assert diagnose_frame(fit, 1, holed).missing_share == pytest.approx(lost.mean())


def test_table_has_a_row_per_frame_and_overwrites_nothing(tmp_path):
    fit = ball_fit()
    rows = [diagnose_frame(fit, row) for row in range(FRAMES)]
    path = write_diagnosis(tmp_path / "table.csv", rows, fit.part_names)
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in table] == fit.frame_indices.tolist()
    assert float(table[1]["residual_mm"]) == 5
    assert table[0]["torso_residual_mm"] == table[0]["missing_percent"] == table[0]["jitter_mm"] == ""
    assert float(table[0]["kept_percent"]) == 100
    with pytest.raises(InputError, match="exists already"):
        write_diagnosis(path, rows, fit.part_names)
