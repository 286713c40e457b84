"""The fit itself: whitened codes and root transforms that explain every frame, by Gauss-Newton on the energy."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.errors import InputError
from spams_core.fitting.energy import (
    correspondence_rows,
    free_space_rows,
    icp_rows,
    isometry_rows,
    reconstruction_rows,
    temporal_rows,
)
from spams_core.fitting.normal_equations import NormalEquations, Probe
from spams_core.fitting.observation import Observation, Samples, draw_samples
from spams_core.fitting.pairing import Matcher
from spams_core.fitting.surface import CanonicalSurface, canonical_surface, posed_vertices
from spams_core.frames import CANONICAL_PER_METRE, world_from_posed
from spams_core.geometry.rigid import rotation_from_vector
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam
from spams_core.progress import Progress, Task

__all__ = ["Solution", "SolveSettings", "Solver", "Start"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SolveSettings:
    """Weights, lengths, gates and switches of a fit."""

    pose_encoder: bool = True
    """Start from the pose encoder's codes and roots."""
    articulated: bool = True
    """Start from part-rigid articulated ICP on the labelled points as well; each frame takes the better start."""
    dense_correspondence: bool = True
    """Use the segmenter's canonical coordinates: to align before surfaces are compared, and a little afterwards."""
    gates: bool = True
    """Reject pairs by distance, normal and visibility, and weigh them robustly, with gates that narrow."""
    staged: bool = True
    """Fit keyframes first, then the frames between them from their neighbours, then all together."""
    joint_prior: bool = True
    """Measure codes by how all parts' training codes go together; otherwise by each part's alone."""
    part_mask: bool = True
    """Compare distances only where the seen part is the model point's part (M_part)."""
    align_iterations: int = 4
    """Gauss-Newton steps on the segmenter's canonical coordinates, before surfaces are compared."""
    rounds: int = 4
    """Times the model's surface is re-sampled and paired with the observation anew (every I_resample steps)."""
    rigid_rounds: int = 1
    """Rounds at the start in which the shape stays the mean: a shape that follows wrong poses seldom comes back."""
    joint_rounds: int = 12
    """Rounds over all frames together at the end."""
    iterations: int = 3
    """Gauss-Newton steps between two samplings: I_resample."""
    keyframe_stride: int = 4
    """Every so manieth frame is a keyframe."""
    part_points: int = 64
    """Observed points per part and frame in a step."""
    surface_points: int = 40
    """Model points around the canonical surface per part in a step."""
    shape_components: int = 48
    """Principal directions of the joined shape codes that are fitted."""
    pose_components: int = 128
    """Principal directions of the joined pose codes that are fitted."""
    reconstruction_weight: float = 20.0
    """Weight of L_r, per canonical unit of distance."""
    free_space_weight: float = 40.0
    """Weight of model points in front of the seen surface or outside the silhouette, per canonical unit."""
    icp_weight: float = 0.6
    """Weight of L_icp; 10 mm count 1."""
    correspondence_weight: float = 0.1
    """Weight of the segmenter's canonical coordinates while aligning. Later a tenth of it, along the surface and for the
    pose alone: the predictions lean to the mean body."""
    temporal_weight: float = 6.0
    """Weight of L_t at 30 frames per second, at the end; 10 mm off an even motion count 1. The weight falls with the
    fourth power of the frames' interval, because that is how much farther the same acceleration leads."""
    isometry_weight: float = 5.0
    """Weight of the squared strain between close surface points, for regions that nobody sees."""
    pose_prior_weight: float = 0.3
    """Weight of L_c on pose coordinates."""
    shape_prior_weight: float = 0.03
    """Weight of L_c on shape coordinates."""
    damping: float = 0.002
    """Levenberg-Marquardt's factor on the diagonal of the normal equations."""
    observed_band_m: float = 0.02
    """Width of the occlusion mask M_o around the observed surface, metres."""
    truncation: float = 0.04
    """Signed distances are clamped to this, canonical units."""
    sample_band: float = 0.01
    """Standard deviation of the surface points' distance from the surface (ε_icp), canonical units."""
    icp_scale_m: float = 0.06
    """Pairs farther apart than this hardly count at the start; a third of it at the end."""
    icp_gate_m: float = 0.25
    """Pairs farther apart than this do not count at the start; a third of it at the end."""
    normal_gate_deg: float = 60.0
    """Largest angle between the normals of a pair."""
    match_resolution: int = 112
    """Cells per axis of the surface that points are paired with."""
    mesh_resolution: int = 160
    """Cells per axis of the final canonical mesh."""
    window: int = 8
    """Frames whose derivatives are held in memory at once."""
    converged_m: float = 0.0003
    """A frame rests until the next pairing once a step moves it by less than this, metres."""

    def __post_init__(self) -> None:
        counts = (
            self.align_iterations, self.rounds, self.joint_rounds, self.iterations, self.keyframe_stride,
            self.part_points, self.surface_points, self.shape_components, self.pose_components,
        )  # fmt: skip
        if min(counts) < 1 or min(self.match_resolution, self.mesh_resolution) < 16 or self.window < 1:
            raise InputError(
                "fit settings: counts must be 1 or more, resolutions 16 or more, and the window 1 or more frames."
            )
        sizes = (self.observed_band_m, self.truncation, self.icp_scale_m, self.icp_gate_m)
        if min(sizes) <= 0 or not 0 < self.normal_gate_deg <= 90:
            raise InputError("fit settings: bands, truncation and scales must be positive, the normal gate 0-90°.")


@dataclass(frozen=True)
class Start:
    """Where a fit may start.

    Attributes:
        name: For the log.
        pose_codes: [T, Q, D_p].
        root_rotation, root_translation_m: [T, 3, 3], [T, 3].
    """

    name: str
    pose_codes: Float[Tensor, "T Q Dp"]
    root_rotation: Float[Tensor, "T 3 3"]
    root_translation_m: Float[Tensor, "T 3"]


@dataclass(frozen=True)
class Solution:
    """What a fit found.

    Attributes:
        shape_codes: [Q, D_s].
        pose_codes: [T, Q, D_p].
        root_rotation, root_translation_m: [T, 3, 3], [T, 3].
        surface: The final canonical surface.
        loss_names: Columns of the loss history.
        loss_history: [I, K] weighted terms per step.
    """

    shape_codes: Float[Tensor, "Q Ds"]
    pose_codes: Float[Tensor, "T Q Dp"]
    root_rotation: Float[Tensor, "T 3 3"]
    root_translation_m: Float[Tensor, "T 3"]
    surface: CanonicalSurface
    loss_names: tuple[str, ...]
    loss_history: Float[np.ndarray, "I K"]


_LONGEST_STEP = 1.0  # standard deviations; what is linear ends about there
_LONGEST_TURN = 0.3  # radians
_TEMPORAL_SCALE_M = 0.01
_TEMPORAL_INTERVAL_S = 1 / 30
_STRAIN_SCALE = 0.3
_PARTNER_DISTANCE = 0.03  # canonical units


@dataclass
class Solver:
    """State of one fit: whitened codes, roots, the current surface.

    Attributes:
        spam: The model, frozen.
        observations: T frames.
        adjacent: [T − 1] whether two fitted frames follow each other closely in time.
        interval_s: Time between such frames, seconds.
        starts: Where to start; each frame takes the start that explains it best.
        settings: Weights and lengths.
        generator: Source of every random draw.
    """

    spam: Spam
    observations: list[Observation]
    adjacent: Bool[Tensor, "T1"]
    interval_s: float
    starts: list[Start]
    settings: SolveSettings
    generator: torch.Generator
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        spam, settings = self.spam, self.settings
        self.shape_space = CodeSpace.of(spam.shape_codes, settings.shape_components, joined=settings.joint_prior)
        self.pose_space = CodeSpace.of(spam.pose_codes, settings.pose_components, joined=settings.joint_prior)
        self.z_shape = spam.shape_codes.new_zeros(len(self.shape_space.basis))
        self.surface = self._extract(settings.match_resolution)
        for name, rows in zip(spam.settings.part_names, self.surface.of_part, strict=True):
            if len(rows) == 0:
                raise InputError(f"The model's surface shows no {name}. Train its part and shape decoders longer.")
        self._begin()
        self._steps_done, self._steps = 0, self._count_steps()
        self._done = 0.0

    @property
    def shape_codes(self) -> Float[Tensor, "Q Ds"]:
        """Shape codes of the subject."""
        return self.shape_space.decode(self.z_shape)

    def _extract(self, resolution: int) -> CanonicalSurface:
        return canonical_surface(self.spam, self.shape_codes, resolution)

    @torch.no_grad()
    def _begin(self) -> None:
        """Each frame takes the start whose surface lies nearest to its points."""
        if not self.starts:
            raise InputError("A fit needs at least one start.")
        costs, poses = [], []
        for start in self.starts:
            z = self.pose_space.encode(start.pose_codes).clamp(-3, 3)
            poses.append(z)
            costs.append(self._distance_of(z, start.root_rotation, start.root_translation_m))
            logger.info("start %s: %.1f mm", start.name, 1000 * float(costs[-1].mean()))
        best = torch.stack(costs).argmin(0)
        frames = torch.arange(len(best), device=best.device)
        self.z_pose = torch.stack(poses)[best, frames]
        self.root_rotation = torch.stack([start.root_rotation for start in self.starts])[best, frames]
        self.translation_m = torch.stack([start.root_translation_m for start in self.starts])[best, frames]

    @torch.no_grad()
    def _distance_of(
        self, z_pose: Tensor, rotation: Tensor, translation_m: Tensor, frames: Int[Tensor, "F"] | None = None
    ) -> Float[Tensor, "F"]:
        """Mean distance of each frame's points to the vertices of their own part, at most 0.2 m each."""
        chosen = range(len(self.observations)) if frames is None else frames.tolist()
        world = self._posed_world(z_pose, rotation, translation_m)
        fixed = torch.Generator().manual_seed(0)
        seen = draw_samples([self.observations[t] for t in chosen], self.spam.part_count, 48, fixed)
        total, weight = seen.weights.new_zeros(2, 1)
        for q, rows in enumerate(self.surface.of_part):
            nearest = torch.cdist(seen.points_world[q], world[:, rows]).amin(-1).clamp_max(0.2)
            total = total + (nearest * seen.weights[q]).sum(-1)
            weight = weight + seen.weights[q].sum(-1)
        mean: Tensor = total / weight.clamp_min(1e-9)
        return mean

    def _posed_world(self, z_pose: Tensor, rotation: Tensor, translation_m: Tensor) -> Float[Tensor, "T V 3"]:
        posed = posed_vertices(self.spam, self.surface, self.shape_codes, self.pose_space.decode(z_pose))
        return world_from_posed(posed, rotation, translation_m)

    # The schedule

    def _keyframes(self) -> tuple[Int[Tensor, "F"], list[Int[Tensor, "G"]]]:
        """Keyframes, and waves of the other frames by their distance in time to the nearest keyframe."""
        count = len(self.observations)
        every = torch.arange(count)
        stride = min(self.settings.keyframe_stride, max(1, count // 2))
        if not self.settings.staged or stride == 1:
            return every, []
        keys = torch.arange(stride // 2, count, stride)
        away = (every[:, None] - keys).abs().amin(1)
        return keys, [torch.nonzero(away == d)[:, 0] for d in range(1, int(away.max()) + 1)]

    def _count_steps(self) -> int:
        settings = self.settings
        _, waves = self._keyframes()
        align = settings.align_iterations if settings.dense_correspondence else 0
        joint = settings.joint_rounds * settings.iterations
        return (1 + len(waves)) * align + settings.rounds * settings.iterations + len(waves) * 2 * 2 + joint

    def run(self) -> Task[Solution]:
        """Keyframes, then the frames between them, then all: align, pair, and descend."""
        settings = self.settings
        keys, waves = self._keyframes()
        yield from self._align(keys, "Aligning to canonical coordinates")
        for turn in range(settings.rounds):
            done = turn / (settings.rounds + settings.joint_rounds)
            message = f"Fitting surfaces, round {turn + 1} of {settings.rounds}"
            yield from self._round(keys, done, settings.iterations, turn >= settings.rigid_rounds, message)
        for place, wave in enumerate(waves):
            message = f"Fitting frames between keyframes, {place + 1} of {len(waves)}"
            self._follow(wave)
            yield from self._align(wave, message)
            for turn in range(2):
                done = (settings.rounds - 2 + turn) / (settings.rounds + settings.joint_rounds)
                yield from self._round(wave, max(done, 0.0), 2, False, message)
        every = torch.arange(len(self.observations))
        for turn in range(settings.joint_rounds):
            done = (settings.rounds + turn + 1) / (settings.rounds + settings.joint_rounds)
            message = f"Fitting all frames, round {turn + 1} of {settings.joint_rounds}"
            yield from self._round(every, done, settings.iterations, True, message)
        yield Progress(self._steps_done, self._steps, "Extracting the canonical mesh")
        self.surface = self._extract(settings.mesh_resolution)
        return self._solution()

    @torch.no_grad()
    def _follow(self, wave: Int[Tensor, "G"]) -> None:
        """Frames next to fitted ones start from the neighbour's pose where that explains them better."""
        for step in (-1, 1):
            inside = (wave + step >= 0) & (wave + step < len(self.observations))
            frames = wave[inside]
            if not len(frames):
                continue
            near = frames + step
            own = self._distance_of(self.z_pose[frames], self.root_rotation[frames], self.translation_m[frames], frames)
            # The root goes on with the points' middle, the pose stays.
            shift = torch.stack([
                self.observations[int(t)].points_world.mean(0) - self.observations[int(n)].points_world.mean(0)
                for t, n in zip(frames, near, strict=True)
            ])  # fmt: skip
            moved = self.translation_m[near] + shift
            other = self._distance_of(self.z_pose[near], self.root_rotation[near], moved, frames)
            better = (other < own).cpu()
            take = frames[better]
            self.z_pose[take] = self.z_pose[near[better]]
            self.root_rotation[take] = self.root_rotation[near[better]]
            self.translation_m[take] = moved[better]

    # Steps

    def _draw(self, frames: Int[Tensor, "F"]) -> Samples:
        chosen = [self.observations[t] for t in frames.tolist()]
        return draw_samples(chosen, self.spam.part_count, self.settings.part_points, self.generator)

    def _align(self, frames: Int[Tensor, "F"], message: str) -> Iterator[Progress]:
        if not self.settings.dense_correspondence:
            return
        for iteration in range(self.settings.align_iterations):
            seen = self._draw(frames)
            scale = 0.2 if iteration < 2 else 0.12
            yield self._report(message, self._step(frames, seen, None, scale, with_shape=False)[0])

    def _round(
        self, frames: Int[Tensor, "F"], done: float, iterations: int, with_shape: bool, message: str
    ) -> Iterator[Progress]:
        """Re-sample the surface, pair it with the frames, descend."""
        self._done = done
        if with_shape:
            self.surface = self._extract(self.settings.match_resolution)
        preview = self._preview()
        matcher = Matcher.at(
            self.surface,
            self._posed_world(self.z_pose[frames], self.root_rotation[frames], self.translation_m[frames]),
            [self.observations[t] for t in frames.tolist()],
            self.settings.normal_gate_deg if self.settings.gates else None,
            self.settings.icp_gate_m * (1 - 2 / 3 * done),
        )
        scale = self.settings.icp_scale_m * (1 - 2 / 3 * done)
        moving = torch.arange(len(frames))
        for iteration in range(iterations):
            if not len(moving):
                self._steps_done += 1
                continue
            terms, moved_m = self._step(
                frames[moving], self._draw(frames[moving]), matcher.of(moving), scale, with_shape=with_shape
            )
            yield self._report(message, terms, preview if iteration == 0 else {})
            # The shape pulls at all frames, so none of them rests while it changes.
            if not with_shape:
                moving = moving[(moved_m > self.settings.converged_m).cpu()]

    def _report(
        self, message: str, terms: dict[str, float], preview: dict[str, np.ndarray[Any, Any]] | None = None
    ) -> Progress:
        self._steps_done += 1
        self.history.append(terms)
        total = max(self._steps, self._steps_done)
        return Progress(self._steps_done, total, message, {**terms, "total": sum(terms.values())}, preview or {})

    @torch.no_grad()
    def _step(
        self, frames: Int[Tensor, "F"], seen: Samples, matcher: Matcher | None, scale_m: float, *, with_shape: bool
    ) -> tuple[dict[str, float], Float[Tensor, "F"]]:
        """One Gauss-Newton step of some frames' poses and roots, and of the shape: the terms, and how far it moved.

        Without a matcher only the canonical coordinates count.
        """
        settings = self.settings
        shared = self._surface_samples() if matcher is not None else None
        sums: dict[str, float] = {}
        systems: list[NormalEquations] = []
        for chunk in torch.split(torch.arange(len(frames)), settings.window):
            rows = frames[chunk]
            system = NormalEquations(
                self.pose_space.basis,
                self.shape_space.basis if with_shape else None,
                self.root_rotation[rows],
                self.translation_m[rows],
            )
            part = Samples(**{name: value[:, chunk] for name, value in vars(seen).items()})
            for name, cost in self._collect(system, rows, part, matcher and matcher.of(chunk), scale_m, shared).items():
                sums[name] = sums.get(name, 0.0) + float(cost.sum()) / len(frames)
            systems.append(system)
        system = NormalEquations.joined(systems)
        z = self.z_pose[frames]
        sums["prior"] = settings.pose_prior_weight * float(z.square().mean()) + settings.shape_prior_weight * float(
            self.z_shape.square().mean()
        )
        step, turn, shift, step_shape = system.solve(
            z, self.z_shape, settings.pose_prior_weight, settings.shape_prior_weight, settings.damping
        )
        shrink = torch.minimum(
            _LONGEST_STEP / step.abs().amax(1).clamp_min(1e-9), _LONGEST_TURN / turn.norm(dim=1).clamp_min(1e-9)
        ).clamp_max(1.0)[:, None]
        self.z_pose[frames] = z + shrink * step
        self.root_rotation[frames] = rotation_from_vector(shrink * turn) @ self.root_rotation[frames]
        self.translation_m[frames] = self.translation_m[frames] + shrink * shift
        if with_shape:
            longest = step_shape.abs().max().clamp_min(1e-9)
            self.z_shape = self.z_shape + step_shape * (0.5 * _LONGEST_STEP / longest).clamp_max(1.0)
        # A standard deviation of one of some hundred coordinates moves a point by about 10 mm.
        moved_m = (shrink * shift).norm(dim=1) + 0.01 * (shrink * step).abs().amax(1)
        return sums, moved_m

    def _probe(
        self, points: Float[Tensor, "Q T n 3"], frames: Int[Tensor, "F"], by_shape: bool, distance: bool = True
    ) -> Probe:
        """What the model says at canonical points in some frames, with derivatives."""
        shape_codes, parts = self.shape_codes, self.spam.part_count
        pose_codes = self.pose_space.decode(self.z_pose[frames]).transpose(0, 1)
        codes = torch.cat([shape_codes[:, None].expand(-1, len(frames), -1), pose_codes], dim=-1)
        length = shape_codes.shape[1]
        flow, by_codes = self.spam.pose_decoders.with_jacobian(points, codes, 0 if by_shape else length)
        by_pose = by_codes[..., length:] if by_shape else by_codes
        posed = points + flow
        world = world_from_posed(posed, self.root_rotation[frames], self.translation_m[frames])
        value, slope = posed.new_zeros(parts, 1, 1), None
        if distance:
            flat = points.flatten(1, 2)[:, None]
            if by_shape:
                value, slope = self.spam.shape_decoders.with_jacobian(flat, shape_codes[:, None])
                slope = slope.reshape(*points.shape[:3], -1)
                slope = slope.expand(-1, len(frames), -1, -1)
            else:
                value = self.spam.shape_decoders(flat, self.spam.shape_decoders.film(shape_codes[:, None]))
            value = value.reshape(points.shape[:3]).expand(-1, len(frames), -1)
        return Probe(posed, world, by_pose, value, by_codes[..., :length] if by_shape else None, slope)

    def _collect(
        self,
        system: NormalEquations,
        frames: Int[Tensor, "F"],
        seen: Samples,
        matcher: Matcher | None,
        scale_m: float,
        shared: tuple[Tensor, Tensor] | None,
    ) -> dict[str, Float[Tensor, "F"]]:
        """Add all terms of some frames to their normal equations; the weighted costs by name."""
        settings, by_shape = self.settings, system.with_shape
        costs: dict[str, Tensor] = {}

        def add(name: str, rows: Any, probe: Probe, weight: float) -> None:
            rows = rows.scaled(weight)
            system.add(rows, probe)
            costs[name] = rows.cost

        if settings.dense_correspondence:
            probe = self._probe(seen.canonical, frames, False, distance=False)
            weights = seen.weights * seen.confidence
            scale = scale_m if matcher is None else 0.1
            share = 1.0 if matcher is None else 0.1
            normals = None if matcher is None else seen.normals_world
            rows = correspondence_rows(probe.world, seen.points_world, weights, scale if settings.gates else None, normals)
            add("correspondence", rows, probe, share * settings.correspondence_weight)
        if matcher is None or shared is None:
            return costs
        vertex, weights = matcher.pair(seen)
        probe = self._probe(self.surface.vertices[vertex], frames, by_shape)
        # A surface point moves with the shape: from its place on the extracted surface by −f along the normal.
        normals = matcher.normals_at(vertex)
        model = probe.world - probe.distance.clamp(-0.05, 0.05)[..., None] * normals / CANONICAL_PER_METRE
        rows = icp_rows(
            model, normals, seen.points_world, seen.normals_world, weights, scale_m if settings.gates else None
        )
        add("icp", rows, probe, settings.icp_weight)
        self._add_surface_terms(add, system, frames, matcher, shared, by_shape, costs)
        return costs

    def _temporal_weight(self) -> float:
        interval = max(self.interval_s / _TEMPORAL_INTERVAL_S, 1.0)
        return self.settings.temporal_weight * self._done**2 / interval**4

    def _surface_samples(self) -> tuple[Int[Tensor, "Q n"], Float[Tensor, "Q n 3"]]:
        """Surface vertices of every part, and points near them."""
        surface, count = self.surface, self.settings.surface_points
        picks = torch.stack(
            [
                rows[torch.randint(len(rows), (count,), generator=self.generator).to(rows.device)]
                for rows in surface.of_part
            ]
        )
        noise = torch.randn(*picks.shape, 3, generator=self.generator).to(surface.vertices.device)
        return picks, surface.vertices[picks] + self.settings.sample_band * noise

    def _add_surface_terms(
        self,
        add: Any,
        system: NormalEquations,
        frames: Int[Tensor, "F"],
        matcher: Matcher,
        shared: tuple[Tensor, Tensor],
        by_shape: bool,
        costs: dict[str, Tensor],
    ) -> None:
        """L_r, free space, L_t and near-isometry at points around the canonical surface, the same in all frames."""
        settings, (picks, points) = self.settings, shared
        probe = self._probe(points[:, None], frames, by_shape)
        with torch.enable_grad():
            world = probe.world.clone().requires_grad_()
            parts, count = picks.shape
            part = torch.arange(parts, device=world.device)[:, None].expand(parts, count).reshape(-1)
            found = [
                self.observations[t].distance.query(world[:, k].reshape(-1, 3), settings.observed_band_m)
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
        weight = self._temporal_weight()
        if weight > 0:
            expected, weights = self._expected(points, frames)
            add("temporal", temporal_rows(probe.world, expected, weights, _TEMPORAL_SCALE_M), probe, weight)
        if settings.isometry_weight > 0:
            shift = torch.nn.functional.normalize(points.roll(1, 1) - points, dim=-1) * _PARTNER_DISTANCE
            partner = self._probe((points + shift)[:, None], frames, False, distance=False)
            rest = shift.norm(dim=-1)[:, None]
            rows = isometry_rows(probe.posed, partner.posed, rest, _STRAIN_SCALE).scaled(settings.isometry_weight)
            system.add_posed(rows, probe.by_pose - partner.by_pose)
            costs["isometry"] = rows.cost

    def _expected(
        self, points: Float[Tensor, "Q n 3"], frames: Int[Tensor, "F"]
    ) -> tuple[Float[Tensor, "Q F n 3"], Float[Tensor, "F"]]:
        """Where the neighbours in time expect points, the middle between both; 0 weight where one is missing."""
        count = len(self.observations)
        near = torch.stack([frames - 1, frames + 1])
        link = torch.stack([frames - 1, frames])
        there = (near >= 0) & (near < count)
        there &= self.adjacent[link.clamp(0, max(len(self.adjacent) - 1, 0))] if len(self.adjacent) else False
        wanted, place = torch.unique(near.clamp(0, count - 1), return_inverse=True)
        film = self.spam.pose_film(self.shape_codes, self.pose_space.decode(self.z_pose[wanted]))
        posed = points[:, None] + self.spam.pose_decoders(points[:, None], film)
        world = world_from_posed(posed, self.root_rotation[wanted], self.translation_m[wanted])
        return (world[:, place[0]] + world[:, place[1]]) / 2, there.all(0).to(world)

    def _solution(self) -> Solution:
        names = tuple(dict.fromkeys(name for terms in self.history for name in terms))
        history = np.array([[terms.get(name, 0.0) for name in names] for terms in self.history], dtype=np.float32)
        return Solution(
            self.shape_codes,
            self.pose_space.decode(self.z_pose),
            self.root_rotation,
            self.translation_m,
            self.surface,
            names,
            history,
        )

    @torch.no_grad()
    def _preview(self) -> dict[str, np.ndarray[Any, Any]]:
        """The current surface in every frame, for a viewer."""
        world = self._posed_world(self.z_pose, self.root_rotation, self.translation_m)
        return {
            "vertices_world": world.cpu().numpy(),
            "faces": self.surface.faces.cpu().numpy().astype(np.int32),
            "vertex_parts": self.surface.parts.cpu().numpy().astype(np.int32),
        }
