"""Pull a point of the surface: the pose deviations of its part that bring it to a target."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import Float

__all__ = ["Decoder", "pull"]

_STEPS = 4
_TOLERANCE = 0.01
_LIMIT_SIGMA = 3.0
_DIFFERENCE_SIGMA = 0.02


class Decoder(Protocol):
    """What a pull needs of the workbench."""

    pose_directions: Float[np.ndarray, "Q K Dp"]

    def point_in_poses(
        self,
        point: Float[np.ndarray, "3"],
        shape_codes: Float[np.ndarray, "Q Ds"],
        pose_codes: Float[np.ndarray, "M Q Dp"],
    ) -> Float[np.ndarray, "M 3"]:
        """One canonical point in many poses; posed frame, canonical units."""


def pull(
    bench: Decoder,
    point: Float[np.ndarray, "3"],
    shape: Float[np.ndarray, "Q Ds"],
    pose: Float[np.ndarray, "Q Dp"],
    part: int,
    sigma: Float[np.ndarray, "K"],
    target: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "K"]:
    """Deviations of one part's pose that bring a canonical point near a target, by four Gauss-Newton steps.

    Minimises |x(σ) − target|² / 0.01² + |σ − σ₀|²: the target is a soft constraint of 0.01 canonical units (12.5 mm)
    and the pose stays as close to where it began as that allows. No deviation exceeds 3, or its start where that is
    larger.

    Args:
        point: Canonical frame, canonical units.
        pose: Codes that hold `sigma` already.
        sigma: Deviations σ₀ at the start.
        target: Posed frame, canonical units.
    """
    start, directions = np.asarray(sigma, dtype=float), bench.pose_directions[part, : len(sigma)]
    limit = np.maximum(_LIMIT_SIGMA, np.abs(start))
    tries = _DIFFERENCE_SIGMA * np.concatenate([np.zeros((1, len(start))), np.eye(len(start))])
    now = start.copy()
    for _ in range(_STEPS):
        codes = np.repeat(pose[None], len(tries), 0).astype(np.float32)
        codes[:, part] += (now - start + tries) @ directions
        places = bench.point_in_poses(point, shape, codes).astype(float)
        jacobian = (places[1:] - places[0]).T / _DIFFERENCE_SIGMA / _TOLERANCE
        residual = (places[0] - target) / _TOLERANCE
        normal = jacobian.T @ jacobian + np.eye(len(start))
        now = np.clip(now - np.linalg.solve(normal, jacobian.T @ residual + now - start), -limit, limit)
    return now
