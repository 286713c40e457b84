"""Left and right: what to do to one limb so that it mirrors the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from spams_core.fitting.surface import canonical_surface
from spams_core.models.spam import Spam

__all__ = ["mirror_maps", "opposite_parts"]

_RESOLUTION = 48
_POINTS = 400
# Directions that hardly move the surface would otherwise take large values to explain nothing.
_RELATIVE_CUTOFF = 1e-2


def opposite_parts(part_names: Sequence[str]) -> tuple[int | None, ...]:
    """Index of each part's counterpart: `left_arm` and `right_arm`; None for a part without one."""
    swap = {"left_": "right_", "right_": "left_"}
    found: list[int | None] = []
    for name in part_names:
        side = next((side for side in swap if name.startswith(side)), None)
        other = swap[side] + name.removeprefix(side) if side is not None else ""
        found.append(list(part_names).index(other) if other in part_names else None)
    return tuple(found)


def mirror_maps(
    spam: Spam,
    mean_shape: Float[Tensor, "Q Ds"],
    mean_pose: Float[Tensor, "Q Dp"],
    shape_directions: Float[Tensor, "Q K Ds"],
    pose_directions: Float[Tensor, "Q K Dp"],
) -> tuple[Float[np.ndarray, "Q K K"], Float[np.ndarray, "Q K K"]]:
    """For shape and pose, the map M of each part with a counterpart: counterpart's deviations = M · own deviations.

    Each part has its own decoder and its own codes, so no code mirrors another. What mirrors is the surface: the mean
    body is symmetric about x = 0. Each direction of the limb changes the flow (pose) or the signed distance (shape) at
    points of its surface; M is the least-squares combination of the counterpart's directions that does the same at the
    mirrored points. With the bundled model it leaves 2 to 21 % of a pose direction's motion unexplained, where
    the same value on the counterpart's direction of the same number leaves 11 to 124 %, whatever its sign.
    Parts without a counterpart have zeros.

    Raises:
        InputError: The mean codes give no surface.
    """
    parts, count = shape_directions.shape[:2]
    shape_maps, pose_maps = np.zeros((parts, count, count)), np.zeros((parts, count, count))
    opposites = opposite_parts(spam.settings.part_names)
    if not any(other is not None for other in opposites):
        return shape_maps, pose_maps
    surface = canonical_surface(spam, mean_shape, _RESOLUTION)
    flip = torch.tensor([-1.0, 1.0, 1.0], device=mean_shape.device)

    def distances(q: int, points: Tensor, step: float) -> Tensor:
        values = []
        for direction in shape_directions[q]:
            codes = mean_shape.clone()
            codes[q] += step * direction
            values.append(spam.signed_distance(points, codes, _only(q, points, parts)))
        return torch.stack(values)

    def flows(q: int, points: Tensor, step: float) -> Tensor:
        codes = mean_pose.expand(count, -1, -1).clone()
        codes[:, q] += step * pose_directions[q]
        return spam.flow(points, mean_shape, codes, _only(q, points, parts))

    with torch.no_grad():
        for q, other in enumerate(opposites):
            own = torch.nonzero(surface.parts == q)[:, 0]
            if other is None or len(own) == 0:
                continue
            rows = own[torch.linspace(0, len(own) - 1, min(_POINTS, len(own)), device=own.device).long()]
            points = surface.vertices[rows]
            mirrored = points * flip
            shape_maps[q] = _solve(_slope(distances, other, mirrored), _slope(distances, q, points))
            pose_maps[q] = _solve(_slope(flows, other, mirrored), _slope(flows, q, points) * flip)
    return shape_maps, pose_maps


def _only(q: int, points: Tensor, parts: int) -> Tensor:
    weights = points.new_zeros(len(points), parts)
    weights[:, q] = 1.0
    return weights


def _slope(response: Callable[[int, Tensor, float], Tensor], q: int, points: Tensor) -> Tensor:
    """Change per deviation, by central differences one deviation wide: the middle of the slider's range."""
    return (response(q, points, 1.0) - response(q, points, -1.0)) / 2


def _solve(counterpart: Tensor, own: Tensor) -> Float[np.ndarray, "K K"]:
    a, b = (values.flatten(1).T.double().cpu().numpy() for values in (counterpart, own))
    result: np.ndarray = np.linalg.lstsq(a, b, rcond=_RELATIVE_CUTOFF)[0]
    return result
