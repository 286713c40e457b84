from __future__ import annotations

import numpy as np
import pytest

from spams_core.metrics.labels import label_accuracy


def test_share_of_right_labels() -> None:
    truth = np.array([0, 1, 2, 3, 4, 5, 0, 0])
    assert label_accuracy(truth, truth) == 1.0
    assert label_accuracy(np.where(truth == 0, 1, truth), truth) == 5 / 8


def test_no_points_have_no_accuracy() -> None:
    with pytest.raises(AssertionError):
        label_accuracy(np.array([], dtype=int), np.array([], dtype=int))
