"""Pairs of observed points and model vertices: nearest of the same part, behind gates."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.fitting.coverage import Coverage
from spams_core.fitting.observation import Observation, Samples
from spams_core.fitting.surface import CanonicalSurface
from spams_core.geometry.mesh import vertex_normals

__all__ = ["Matcher"]

_FACING = 0.1  # cosine between normal and the way to the camera from which on a vertex is visible


@dataclass(frozen=True)
class Matcher:
    """The model's surface in some frames, in the poses at its making, ready to be paired.

    Attributes:
        surface: Its canonical surface.
        world: [T, V, 3] metres.
        normals: [T, V, 3] unit.
        facing: [T, V] the camera sees this side.
        least_cosine: Between the normals of a pair; None switches all gates off.
        gate_m: Longest pair.
        coverage: Its image; None where nobody asks for it.
    """

    surface: CanonicalSurface
    world: Float[Tensor, "T V 3"]
    normals: Float[Tensor, "T V 3"]
    facing: Bool[Tensor, "T V"]
    least_cosine: float | None
    gate_m: float
    coverage: Coverage | None = None

    @classmethod
    def at(
        cls,
        surface: CanonicalSurface,
        world: Float[Tensor, "T V 3"],
        observations: list[Observation],
        normal_gate_deg: float | None,
        gate_m: float,
        coverage: bool = False,
    ) -> Matcher:
        """Prepare a surface in its present poses.

        Args:
            surface: Canonical surface.
            world: Its vertices in each frame, metres.
            observations: The frames.
            normal_gate_deg: Largest angle between a pair's normals; None: pairs are the nearest vertices of the part.
            gate_m: Longest pair.
            coverage: Whether to draw it, to know which points it covers in the image.
        """
        normals = vertex_normals(world, surface.faces)
        eye = torch.as_tensor(observations[0].distance.camera.world_from_camera[:3, 3]).to(world)
        facing = (normals * torch.nn.functional.normalize(eye - world, dim=-1)).sum(-1) > _FACING
        least = None if normal_gate_deg is None else math.cos(math.radians(normal_gate_deg))
        image = Coverage.of(surface, world, observations[0].distance.camera) if coverage else None
        return cls(surface, world, normals, facing, least, gate_m, image)

    def of(self, frames: Int[Tensor, "F"]) -> Matcher:
        """The same for some of its frames."""
        return replace(
            self, world=self.world[frames], normals=self.normals[frames], facing=self.facing[frames],
            coverage=self.coverage and self.coverage.of_frames(frames),
        )  # fmt: skip

    def normals_at(self, vertex: Int[Tensor, "Q T n"]) -> Float[Tensor, "Q T n 3"]:
        """World normals of paired vertices."""
        frames = torch.arange(vertex.shape[1], device=vertex.device)[None, :, None]
        return self.normals[frames, vertex]

    def pair(self, seen: Samples) -> tuple[Int[Tensor, "Q T n"], Float[Tensor, "Q T n"]]:
        """Nearest admissible vertex of each observed point and the pair's weight, 0 where every vertex is rejected."""
        vertices, weights = [], []
        for q, rows in enumerate(self.surface.of_part):
            distance = torch.cdist(seen.points_world[q], self.world[:, rows])
            if self.least_cosine is not None:
                admissible = seen.normals_world[q] @ self.normals[:, rows].mT > self.least_cosine
                admissible &= self.facing[:, None, rows]
                distance = torch.where(admissible, distance, torch.inf)
            nearest, index = distance.min(-1)
            vertices.append(rows[index])
            limit = torch.inf if self.least_cosine is None else self.gate_m
            weights.append(seen.weights[q] * (nearest < limit))
        return torch.stack(vertices), torch.stack(weights)
