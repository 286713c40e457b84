"""Garment-like offsets, on a ball that stands for a body part and on the body itself."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from spams_core.data.garments import REGIONS, Garments, Skin, dress, sample_garments, smoothing_operator, thickness_m

BALL = trimesh.creation.icosphere(3, 0.2)
VERTICES, FACES = np.asarray(BALL.vertices), np.asarray(BALL.faces)


def ball_skin(region: str) -> Skin:
    regions = np.zeros((len(VERTICES), len(REGIONS)))
    regions[:, REGIONS.index(region)] = 1.0
    return Skin(regions, smoothing_operator(FACES, len(VERTICES)))


def plain(**thickness: float) -> Garments:
    return Garments(thickness, 0.0, 0.0, 0.0, 0.0, np.zeros((1, 3)), np.zeros(1))


def test_smoothing_keeps_constants_and_never_overshoots():
    operator = smoothing_operator(FACES, len(VERTICES))
    np.testing.assert_allclose(operator @ np.ones(len(VERTICES)), 1.0, rtol=1e-12)
    spike = np.zeros(len(VERTICES))
    spike[0] = 1.0
    smooth = operator @ spike
    assert smooth[0] == pytest.approx(0.5)
    assert smooth.min() >= 0
    assert (smooth > 0).sum() == 1 + len(np.unique(FACES[(FACES == 0).any(1)])) - 1


def test_a_vest_makes_a_ball_thicker_by_its_thickness():
    skin = ball_skin("chest")
    worn = thickness_m(plain(chest=0.02), VERTICES, FACES, skin)
    np.testing.assert_allclose(worn, 0.02, rtol=1e-9)
    dressed = dress(VERTICES, FACES, skin, worn)
    np.testing.assert_allclose(np.linalg.norm(dressed, axis=1), 0.22, atol=2e-4)


def test_what_is_not_covered_stays_bare():
    worn = thickness_m(plain(foot=0.02), VERTICES, FACES, ball_skin("chest"))
    np.testing.assert_array_equal(worn, 0.0)


def test_trouser_legs_flare_towards_the_hem_and_leave_room_between_the_legs():
    skin = ball_skin("thigh")
    left_leg = VERTICES + np.array([0.3, 0.0, 0.0])
    flared = Garments({"thigh": 0.02}, 0.0, 0.0, 1.0, 0.0, np.zeros((1, 3)), np.zeros(1))
    worn = thickness_m(flared, left_leg, FACES, skin)
    bottom, top = left_leg[:, 1].argmin(), left_leg[:, 1].argmax()
    assert worn[bottom] > 1.6 * worn[top]
    outside, inside = left_leg[:, 0].argmax(), left_leg[:, 0].argmin()
    assert worn[inside] < 0.5 * worn[outside]


def test_draws_stay_within_what_people_wear_and_repeat_with_their_seed():
    for seed in range(40):
        garments = sample_garments(np.random.default_rng(seed))
        assert all(0 <= value <= 0.085 for value in garments.thickness_m.values())
        assert garments.thickness_m["hand"] == 0
        again = sample_garments(np.random.default_rng(seed))
        assert again.thickness_m == garments.thickness_m
        np.testing.assert_array_equal(again.fold_waves, garments.fold_waves)


def test_dressed_bodies_stay_closed_and_grow(bodies):
    identity = bodies.sample_identity(np.random.default_rng(3))
    naked = bodies.canonical(identity)
    volumes = []
    for seed in range(4):
        dressed = bodies.canonical(bodies.dressed(identity, np.random.default_rng(seed)))
        volumes.append(trimesh.Trimesh(dressed, bodies.faces, process=False).volume)
        hands = bodies.part_weights[:, bodies.part_names.index("left_arm")] > 0.99
        assert np.linalg.norm(dressed - naked, axis=1)[hands].min() == pytest.approx(0, abs=1e-4)
    assert min(volumes) > trimesh.Trimesh(naked, bodies.faces, process=False).volume
