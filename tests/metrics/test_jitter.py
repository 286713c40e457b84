from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spams_core.geometry.camera import Camera, back_project
from spams_core.metrics.jitter import PartImage, part_movement, still_parts

CAMERA = Camera(160, 120, 200.0, 200.0, 79.5, 59.5)
STILL = (0.0, 0.0, 0.0)


def balls(*shifts: tuple[float, float, float], noise_m: float = 0.0, seed: int = 0, side: int = 0) -> PartImage:
    """Balls of 0.25 m in two metres distance, one per shift and side by side, ball k being part k; exact normals.

    With `side`, a border of that many pixels of each ball carries the label of the other one at random.
    """
    generator = np.random.default_rng(seed)
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    ways = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], axis=-1)
    depth_m, labels = np.zeros(u.shape), np.full(u.shape, -1)
    normals = np.zeros((*u.shape, 3))
    for part, shift in enumerate(shifts):
        center = np.array([-0.35 + 0.7 * part, 0.0, 2.0]) + shift
        a, b, c = (ways**2).sum(-1), ways @ center, center @ center - 0.25**2
        hit = b**2 > a * c
        z = (b - np.sqrt(np.where(hit, b**2 - a * c, 0))) / a
        depth_m[hit], labels[hit] = z[hit], part
        normals[hit] = (ways * z[..., None] - center)[hit] / 0.25
        if side:
            rim = hit & ~ndimage.binary_erosion(hit, iterations=side)
            labels[rim & (generator.random(u.shape) < 0.5)] = 1 - part
    silhouette = labels >= 0
    depth_m = np.where(silhouette, depth_m + generator.normal(0, noise_m, depth_m.shape), 0)
    return PartImage(depth_m, back_project(depth_m, CAMERA), normals, labels, silhouette)


def test_still_balls_are_still_with_noise_and_flickering_labels() -> None:
    assert still_parts(balls(STILL, STILL), balls(STILL, STILL), 2) == [0, 1]
    for seed in range(3):
        noisy = [balls(STILL, STILL, noise_m=0.006, seed=2 * seed + k, side=4) for k in range(2)]
        assert still_parts(*noisy, 2) == [0, 1]


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.01), (0.0, 0.0, 0.1), (0.01, 0.0, 0.0), (0.0, -0.01, 0.0),
                                   (0.1, 0.0, 0.0), (0.006, 0.006, 0.006)])  # fmt: skip
def test_a_centimetre_in_any_direction_is_movement_of_that_part_only(shift: tuple[float, float, float]) -> None:
    for noise_m in (0.0, 0.004):
        before, after = balls(STILL, STILL, noise_m=noise_m), balls(STILL, shift, noise_m=noise_m, seed=1)
        assert still_parts(before, after, 2) == [0]


def test_three_millimetres_are_still() -> None:
    assert still_parts(balls(STILL, STILL), balls(STILL, (0.0, 0.0, 0.003)), 2) == [0, 1]


def test_lost_readings_are_no_movement_but_leaving_the_silhouette_is() -> None:
    before, after = balls(STILL), balls(STILL)
    lost = np.random.default_rng(0).random(after.labels.shape) < 0.4
    lossy = replace(after, labels=np.where(lost, -1, after.labels), depth_m=np.where(lost, 0, after.depth_m))
    assert still_parts(before, lossy, 1) == [0]
    assert still_parts(lossy, before, 1) == [0]
    assert still_parts(before, replace(lossy, silhouette=lossy.labels >= 0), 1) == []


def test_part_out_of_sight_is_not_called_still() -> None:
    assert still_parts(balls(STILL), balls(STILL), 3) == [0]
    hidden = balls(STILL)
    hidden = replace(hidden, labels=np.full_like(hidden.labels, -1), silhouette=np.zeros_like(hidden.silhouette))
    assert still_parts(balls(STILL), hidden, 1) == []
    assert still_parts(hidden, hidden, 1) == []


def test_movement_is_the_median_way_of_the_chosen_vertices() -> None:
    parts = np.array([0, 0, 0, 1, 1])
    before = np.random.default_rng(0).normal(size=(5, 3))
    after = before + np.array([[0.003, 0, 0.004], [0, 0.001, 0], [0, 0, 0.009], [0.02, 0, 0], [0, 0.02, 0]])
    assert part_movement(before, after, parts, [0]) == pytest.approx(0.005)
    assert part_movement(before, after, parts, [1]) == pytest.approx(0.02)
    assert part_movement(before, after, parts, [0, 1]) == pytest.approx(0.009)
    assert part_movement(before, after, parts, []) is None
