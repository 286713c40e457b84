from __future__ import annotations

import itertools

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from spams_core.errors import InputError
from spams_core.resources import part_colors, part_titles, resource_path

HUMAN = ("head", "torso", "right_arm", "right_leg", "left_arm", "left_leg")

# Dichromacy in linear RGB (Machado, Oliveira, Fernandes 2009, table 1, severity 1.0).
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen_lab(colors: np.ndarray, vision: str) -> np.ndarray:
    srgb = colors / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("vision", VISION)
def test_any_two_parts_differ_for_every_eye(vision):
    lab = seen_lab(part_colors(HUMAN), vision)
    # 2.3 is a just noticeable difference; five of them still tell shaded surfaces apart.
    assert min(deltaE_ciede2000(a, b) for a, b in itertools.combinations(lab, 2)) > 12


@pytest.mark.parametrize("background", [(27, 30, 36), (246, 247, 249)])
def test_parts_stand_out_on_dark_and_light(background):
    lab = rgb2lab(np.array([*part_colors(HUMAN), background]) / 255.0)
    assert min(deltaE_ciede2000(color, lab[-1]) for color in lab[:-1]) > 20


def test_unknown_parts_get_distinct_colors_and_known_ones_keep_theirs():
    colors = part_colors(["tail", "head", "left_wing", "right_wing"])
    assert colors.shape == (4, 3)
    assert len(np.unique(colors, axis=0)) == 4
    assert (colors[1] == part_colors(HUMAN)[0]).all()
    assert part_colors([]).shape == (0, 3)


def test_titles_are_words():
    assert part_titles(["right_arm", "tail_tip"]) == ["Right arm", "Tail tip"]


def test_a_missing_resource_says_so():
    with pytest.raises(InputError, match=r"resources/nothing\.bin is missing"):
        resource_path("nothing.bin")
