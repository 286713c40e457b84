"""All terms of the energy at the present iterate, collected into normal equations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.fitting.energy import (
    correspondence_rows,
    coverage_rows,
    free_space_rows,
    icp_rows,
    isometry_rows,
    reconstruction_rows,
    temporal_rows,
)
from spams_core.fitting.iterate import Iterate
from spams_core.fitting.normal_equations import NormalEquations, Probe
from spams_core.fitting.observation import Observation, Samples
from spams_core.fitting.pairing import Matcher
from spams_core.fitting.settings import SolveSettings
from spams_core.frames import CANONICAL_PER_METRE

__all__ = ["Terms"]

_COVERAGE_SCALE_M = 0.06
_TEMPORAL_SCALE_M = 0.01
_TEMPORAL_INTERVAL_S = 1 / 30
_STRAIN_SCALE = 0.3
_PARTNER_DISTANCE = 0.03  # canonical units


class Terms:
    """The energy of an iterate's frames.

    Args:
        iterate: Read whenever terms are collected.
        observations: What each frame showed.
        adjacent: [T − 1] whether two fitted frames follow each other closely in time.
        interval_s: Time between such frames, seconds.
        settings: Weights and lengths.
        generator: Draws the surface points.
    """

    def __init__(
        self,
        iterate: Iterate,
        observations: list[Observation],
        adjacent: Bool[Tensor, "T1"],
        interval_s: float,
        settings: SolveSettings,
        generator: torch.Generator,
    ) -> None:
        self._iterate, self._observations = iterate, observations
        self._adjacent, self._interval_s = adjacent, interval_s
        self._settings, self._generator = settings, generator

    def collect(
        self,
        system: NormalEquations,
        frames: Int[Tensor, "F"],
        seen: Samples,
        matcher: Matcher | None,
        scale_m: float,
        shared: tuple[Tensor, Tensor] | None,
        done: float,
    ) -> dict[str, Float[Tensor, "F"]]:
        """Add all terms of some frames to their normal equations.

        Args:
            system: Of those frames.
            frames: Which.
            seen: Observed points of them.
            matcher: Their surfaces, to be paired; without one only the canonical coordinates count.
            scale_m: Robust scale of the pairs.
            shared: From `surface_samples`, the same for all frames of a step.
            done: Share of the rounds that are done.

        Returns:
            The weighted costs of each frame by the term's name.
        """
        settings, by_shape = self._settings, system.with_shape
        costs: dict[str, Tensor] = {}

        def add(name: str, rows: Any, probe: Probe, weight: float) -> None:
            rows = rows.scaled(weight)
            system.add(rows, probe)
            costs[name] = rows.cost

        if settings.dense_correspondence:
            # Predictions lean to the mean body: they guide the pose, and the shape does not follow them.
            probe = self._iterate.probe(seen.canonical, frames, False, distance=False)
            weights = seen.weights * seen.confidence
            scale = scale_m if matcher is None else 0.1
            share = 1.0 if matcher is None else 0.1
            rows = correspondence_rows(probe.world, seen.points_world, weights, scale if settings.gates else None)
            add("correspondence", rows, probe, share * settings.correspondence_weight)
        if matcher is None or shared is None:
            return costs
        vertex, weights = matcher.pair(seen)
        probe, model, normals = self._on_surface(vertex, frames, matcher, by_shape)
        rows = icp_rows(
            model, normals, seen.points_world, seen.normals_world, weights, scale_m if settings.gates else None
        )
        add("icp", rows, probe, settings.icp_weight)
        if matcher.coverage is not None and settings.coverage_weight > 0:
            bare = matcher.coverage.uncovered(seen, self._iterate.surface.of_part)
            probe, model, normals = self._on_surface(bare.vertex, frames, matcher, by_shape)
            rows = coverage_rows(model, normals, bare.target, bare.direction, bare.weights, _COVERAGE_SCALE_M)
            add("coverage", rows, probe, settings.coverage_weight)
        self._add_surface_terms(add, system, frames, matcher, shared, by_shape, costs, done)
        return costs

    def _on_surface(
        self, vertex: Int[Tensor, "Q T n"], frames: Int[Tensor, "F"], matcher: Matcher, by_shape: bool
    ) -> tuple[Probe, Float[Tensor, "Q T n 3"], Float[Tensor, "Q T n 3"]]:
        """What moves some vertices, where the present shape has them, in metres, and their normals.

        A surface point moves with the shape: from its place on the extracted surface by −f along the normal.
        """
        probe = self._iterate.probe(self._iterate.surface.vertices[vertex], frames, by_shape)
        normals = matcher.normals_at(vertex)
        return (
            probe,
            probe.world - probe.distance.clamp(-0.05, 0.05)[..., None] * normals / CANONICAL_PER_METRE,
            normals,
        )

    def surface_samples(self) -> tuple[Int[Tensor, "Q n"], Float[Tensor, "Q n 3"]]:
        """Surface vertices of every part, and points near them."""
        surface, count = self._iterate.surface, self._settings.surface_points
        picks = torch.stack(
            [
                rows[torch.randint(len(rows), (count,), generator=self._generator).to(rows.device)]
                for rows in surface.of_part
            ]
        )
        noise = torch.randn(*picks.shape, 3, generator=self._generator).to(surface.vertices.device)
        return picks, surface.vertices[picks] + self._settings.sample_band * noise

    def _temporal_weight(self, done: float) -> float:
        """Grows with the rounds, and falls with the frames' interval: the same acceleration leads farther then."""
        interval = max(self._interval_s / _TEMPORAL_INTERVAL_S, 1.0)
        return self._settings.temporal_weight * done**2 / interval**7

    def _add_surface_terms(
        self,
        add: Any,
        system: NormalEquations,
        frames: Int[Tensor, "F"],
        matcher: Matcher,
        shared: tuple[Tensor, Tensor],
        by_shape: bool,
        costs: dict[str, Tensor],
        done: float,
    ) -> None:
        """L_r, free space, L_t and near-isometry at points around the canonical surface, the same in all frames."""
        settings, (picks, points) = self._settings, shared
        probe = self._iterate.probe(points[:, None], frames, by_shape)
        with torch.enable_grad():
            world = probe.world.clone().requires_grad_()
            parts, count = picks.shape
            part = torch.arange(parts, device=world.device)[:, None].expand(parts, count).reshape(-1)
            found = [
                self._observations[t].distance.query(world[:, k].reshape(-1, 3), settings.observed_band_m)
                for k, t in enumerate(frames.tolist())
            ]
            distance = CANONICAL_PER_METRE * torch.stack([one.distance_m.reshape(parts, -1) for one in found], 1)
            (gradient,) = torch.autograd.grad(distance.sum(), world)
        distance = distance.detach()
        known = torch.stack([
            (one.known & (one.part == part) if settings.part_mask else one.known).reshape(parts, -1) for one in found
        ], 1)  # fmt: skip
        free = torch.stack([one.free.reshape(parts, -1) for one in found], 1)
        # The far side of a thin limb lies within the band too, but the camera does not see it.
        mask = known & matcher.facing[:, picks].transpose(0, 1)
        rows = reconstruction_rows(probe.distance, distance, gradient, mask, settings.truncation)
        add("reconstruction", rows, probe, settings.reconstruction_weight)
        if settings.free_space_weight > 0:
            rows = free_space_rows(probe.distance, distance, gradient, free, settings.truncation)
            add("free_space", rows, probe, settings.free_space_weight)
        weight = self._temporal_weight(done)
        if weight > 0:
            expected, weights = self._expected(points, frames)
            # The neighbours' points move with the shape as this frame's do, so the way between them says nothing of it.
            rows = temporal_rows(probe.world, expected, weights, _TEMPORAL_SCALE_M)
            add("temporal", rows, replace(probe, posed_by_shape=None), weight)
        if settings.isometry_weight > 0:
            shift = torch.nn.functional.normalize(points.roll(1, 1) - points, dim=-1) * _PARTNER_DISTANCE
            partner = self._iterate.probe((points + shift)[:, None], frames, False, distance=False)
            rest = shift.norm(dim=-1)[:, None]
            rows = isometry_rows(probe.posed, partner.posed, rest, _STRAIN_SCALE).scaled(settings.isometry_weight)
            system.add_posed(rows, probe.by_pose - partner.by_pose)
            costs["isometry"] = rows.cost

    def _expected(
        self, points: Float[Tensor, "Q n 3"], frames: Int[Tensor, "F"]
    ) -> tuple[Float[Tensor, "Q F n 3"], Float[Tensor, "F"]]:
        """Where the neighbours in time expect points, the middle between both; 0 weight where one is missing."""
        count = len(self._observations)
        near = torch.stack([frames - 1, frames + 1])
        link = torch.stack([frames - 1, frames])
        there = (near >= 0) & (near < count)
        there &= self._adjacent[link.clamp(0, max(len(self._adjacent) - 1, 0))] if len(self._adjacent) else False
        wanted, place = torch.unique(near.clamp(0, count - 1), return_inverse=True)
        world = self._iterate.warped(points, wanted)
        return (world[:, place[0]] + world[:, place[1]]) / 2, there.all(0).to(world)
