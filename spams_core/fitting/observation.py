"""What a fit knows of each frame: points, normals, labels, canonical coordinates, observed signed distance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spams_core.geometry.tsdf import ObservedDistance

__all__ = ["Observation", "Samples", "draw_samples"]


@dataclass(frozen=True)
class Observation:
    """One frame's subject.

    Attributes:
        points_world: [N, 3] metres.
        normals_world: [N, 3] unit, towards the camera.
        labels: [N] parts.
        canonical: [N, 3] canonical coordinates that the segmenter predicts.
        confidence: [N] in (0, 1], of those coordinates.
        distance: Observed signed distance and the part grid.
    """

    points_world: Float[Tensor, "N 3"]
    normals_world: Float[Tensor, "N 3"]
    labels: Int[Tensor, "N"]
    canonical: Float[Tensor, "N 3"]
    confidence: Float[Tensor, "N"]
    distance: ObservedDistance


@dataclass(frozen=True)
class Samples:
    """Equally many observed points of every part and frame.

    Attributes:
        points_world, normals_world, canonical: [Q, T, n, 3].
        weights: [Q, T, n]; 0 throughout where a frame does not show a part.
        confidence: [Q, T, n].
    """

    points_world: Float[Tensor, "Q T n 3"]
    normals_world: Float[Tensor, "Q T n 3"]
    canonical: Float[Tensor, "Q T n 3"]
    confidence: Float[Tensor, "Q T n"]
    weights: Float[Tensor, "Q T n"]


def draw_samples(observations: list[Observation], parts: int, count: int, generator: torch.Generator) -> Samples:
    """Draw points per part and frame; a part's weight grows with the square root of its seen points.

    A frame that shows a part with fewer than eight points does not show it: labels are not that reliable.
    """
    columns: dict[str, list[Tensor]] = {"p": [], "n": [], "c": [], "s": [], "w": []}
    for q in range(parts):
        for seen in observations:
            rows = torch.nonzero(seen.labels == q)[:, 0]
            enough = len(rows) >= 8
            if not enough:
                rows = torch.zeros(1, dtype=torch.long, device=seen.labels.device)
            pick = rows[torch.randint(len(rows), (count,), generator=generator).to(rows.device)]
            columns["p"].append(seen.points_world[pick])
            columns["n"].append(seen.normals_world[pick])
            columns["c"].append(seen.canonical[pick])
            columns["s"].append(seen.confidence[pick])
            share = (len(rows) / len(seen.labels)) ** 0.5 if enough else 0.0
            columns["w"].append(torch.full((count,), share, device=seen.labels.device))
    shape = (parts, len(observations), count)
    stacked = {name: torch.stack(values) for name, values in columns.items()}
    return Samples(
        stacked["p"].reshape(*shape, 3),
        stacked["n"].reshape(*shape, 3),
        stacked["c"].reshape(*shape, 3),
        stacked["s"].reshape(shape),
        stacked["w"].reshape(shape),
    )
