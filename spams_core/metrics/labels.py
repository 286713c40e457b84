"""How well points are labelled with body parts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

__all__ = ["label_accuracy"]


def label_accuracy(predicted: Int[np.ndarray, "N"], truth: Int[np.ndarray, "N"]) -> float:
    """Share of the points with the true label; at least one point is needed."""
    assert predicted.shape == truth.shape and len(truth) > 0  # noqa: PT018 - one invariant
    return float((predicted == truth).mean())
