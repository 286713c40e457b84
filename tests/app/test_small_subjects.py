"""What the window goes by where the subject is as small as a hand."""

from __future__ import annotations

import numpy as np
import pytest
from fits import ball_fit

from app.actors import floor_cell_m
from app.edit.decoding import BodyRequest, decode_body
from app.inspect.strips import DiagnosisStrips
from app.match_lines import FAR_MM, match_lines
from app.theme import THEMES
from app.timeline import Strip


@pytest.mark.parametrize(
    ("extent", "cell"),
    [((0.8, 1.75, 0.5), 0.5), ((3.0, 1.0, 0.5), 0.5), ((0.12, 0.2, 0.1), 0.05), ((0.02, 0.01, 0.02), 0.005)],
)
def test_the_floor_has_cells_of_the_subjects_size(extent, cell):
    assert floor_cell_m(np.array(extent)) == pytest.approx(cell)


def test_a_fit_tells_how_much_smaller_its_subject_is():
    assert ball_fit().enlargement == 1
    assert ball_fit(canonical_per_metre=6.4).enlargement == pytest.approx(8)


def test_residuals_are_judged_by_the_subjects_size(qtbot):
    strip, theme = Strip(), THEMES["dark"]
    strip.set_theme(theme)
    qtbot.addWidget(strip)
    strip.set_residuals(np.array([0, 1]), np.array([0.005, 0.005]))
    good = strip._heat(5.0)
    strip.set_residuals(np.array([0, 1]), np.array([0.005, 0.005]), 8.0)
    bad = strip._heat(5.0)
    assert good.name() == theme.good
    assert bad.name() == theme.danger
    scale = strip.scales()[0]
    assert (scale.low, scale.high) == ("≤ 1.2", "≥ 5 mm")


def test_parts_and_matches_are_coloured_by_the_subjects_size(qtbot):
    strips = DiagnosisStrips()
    qtbot.addWidget(strips)
    strips.set_parts(["Palm"], 6.0)
    assert strips.scales()[0].high == "≥ 5 mm"
    seen = ball_fit().observation(0)
    seen = type(seen)(seen.points_world, seen.labels, np.add(seen.points_world, [0.005, 0, 0]), seen.match_weights)
    far, near = match_lines(seen, {0}, FAR_MM / 8), match_lines(seen, {0})
    assert (far.colors != near.colors).any()
    longer = type(seen)(seen.points_world, seen.labels, np.add(seen.points_world, [0.04, 0, 0]), seen.match_weights)
    np.testing.assert_array_equal(far.colors, match_lines(longer, {0}).colors)


def test_an_edited_body_is_as_large_as_its_kind(bench):
    request = BodyRequest(
        0, np.zeros((2, 8), np.float32), np.zeros((2, 4), np.float32), np.eye(3), np.array([0.0, 1.0, 0.0]), None, 64
    )
    person = decode_body(bench, {}, request).vertices_world
    bench.canonical_per_metre = 6.4
    hand = decode_body(bench, {}, request).vertices_world
    np.testing.assert_allclose(8 * (hand - [0, 1, 0]), person - [0, 1, 0], atol=1e-5)
