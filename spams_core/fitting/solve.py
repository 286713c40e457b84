"""The fit itself: whitened codes and root transforms that explain every frame, by Gauss-Newton on the energy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.data.fit_history import FitHistory, HistoryRecorder
from spams_core.errors import InputError
from spams_core.fitting.controls import Controls, WeightChange
from spams_core.fitting.iterate import Iterate
from spams_core.fitting.normal_equations import NormalEquations
from spams_core.fitting.observation import Observation, Samples, draw_samples
from spams_core.fitting.pairing import Matcher
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.state import SolveState
from spams_core.fitting.surface import CanonicalSurface, canonical_surface
from spams_core.fitting.terms import Terms
from spams_core.geometry.rigid import rotation_from_vector
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam
from spams_core.progress import Progress, Task

__all__ = ["Solution", "Solver", "Start"]

logger = logging.getLogger(__name__)


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
        weight_changes: Weights that were changed while it ran.
        rounds: The codes after each round, if they were to be kept.
    """

    shape_codes: Float[Tensor, "Q Ds"]
    pose_codes: Float[Tensor, "T Q Dp"]
    root_rotation: Float[Tensor, "T 3 3"]
    root_translation_m: Float[Tensor, "T 3"]
    surface: CanonicalSurface
    loss_names: tuple[str, ...]
    loss_history: Float[np.ndarray, "I K"]
    weight_changes: tuple[WeightChange, ...] = ()
    rounds: FitHistory | None = None


_LONGEST_STEP = 1.0  # standard deviations; what is linear ends about there
_LONGEST_TURN = 0.3  # radians


@dataclass
class Solver:
    """State of one fit: whitened codes, roots, the current surface.

    Attributes:
        spam: The model, frozen.
        observations: T frames.
        adjacent: [T − 1] whether two fitted frames follow each other closely in time.
        interval_s: Time between such frames, seconds.
        starts: Where to start; each frame takes the start that explains it best. None with a state to go on from.
        settings: Weights and lengths.
        generator: Source of every random draw.
        history: Weighted terms of every step so far.
        controls: Weights that may change before any step.
        weight_changes: Those that did.
        keep_rounds: Whether the codes after each round are kept.
        state: Where the same fit stood when it was interrupted, to go on from there as if it had not been.
        keep_state: Is told after each round where the fit stands.
    """

    spam: Spam
    observations: list[Observation]
    adjacent: Bool[Tensor, "T1"]
    interval_s: float
    starts: list[Start]
    settings: SolveSettings
    generator: torch.Generator
    history: list[dict[str, float]] = field(default_factory=list)
    controls: Controls | None = None
    weight_changes: list[WeightChange] = field(default_factory=list)
    keep_rounds: bool = False
    state: SolveState | None = None
    keep_state: Callable[[SolveState], None] | None = None

    def __post_init__(self) -> None:
        if not self.starts and self.state is None:
            raise InputError("A fit needs at least one start.")
        spam, settings = self.spam, self.settings
        shape_space = CodeSpace.of(spam.shape_codes, settings.shape_components, joined=settings.joint_prior)
        pose_space = CodeSpace.of(spam.pose_codes, settings.pose_components, joined=settings.joint_prior)
        z_shape = spam.shape_codes.new_zeros(len(shape_space.basis))
        if self.state is not None:
            self.state.require(len(self.observations), len(shape_space.basis), len(pose_space.basis))
            z_shape = torch.from_numpy(self.state.z_surface).to(z_shape)
        surface = canonical_surface(spam, shape_space.decode(z_shape), settings.match_resolution)
        for name, rows in zip(spam.settings.part_names, surface.of_part, strict=True):
            if len(rows) == 0:
                raise InputError(f"The model's surface shows no {name}. Train its part and shape decoders longer.")
        # Poses and roots come from the starts, or from the state.
        nowhere = [spam.shape_codes.new_zeros(len(self.observations), *size) for size in ((0,), (3, 3), (3,))]
        self.iterate = Iterate(spam, shape_space, pose_space, z_shape, nowhere[0], nowhere[1], nowhere[2], surface)
        self._hold_shape()
        self._terms = self._make_terms()
        self._steps_done, self._steps, self._legs_done = 0, self._count_steps(), 0
        self._recorder = HistoryRecorder(self._count_rounds()) if self.keep_rounds else None
        if self.state is None:
            self._begin()
        else:
            self._restore(self.state)

    def _hold_shape(self) -> None:
        """For fits whose shape is given."""

    def _make_terms(self) -> Terms:
        return Terms(
            self.iterate, self.observations, self.adjacent, self.interval_s, self.settings, self.generator
        )  # fmt: skip

    def _take_changes(self) -> None:
        """Go on with the weights that were changed since the last step."""
        iteration = len(self.history)
        taken = self.controls.take(iteration) if self.controls is not None else {}
        changed: dict[str, Any] = {
            name: value for name, value in taken.items() if value != getattr(self.settings, name)
        }
        if changed:
            self.weight_changes += [WeightChange(iteration, name, value) for name, value in changed.items()]
            self.settings = replace(self.settings, **changed)
            self._terms = self._make_terms()

    @torch.no_grad()
    def _begin(self) -> None:
        """Each frame takes the start whose surface lies nearest to its points."""
        costs, poses = [], []
        for start in self.starts:
            z = self.iterate.pose_space.encode(start.pose_codes).clamp(-3, 3)
            poses.append(z)
            costs.append(self._distance_of(z, start.root_rotation, start.root_translation_m))
            logger.info("start %s: %.1f mm", start.name, 1000 * float(costs[-1].mean()))
        best = torch.stack(costs).argmin(0)
        frames = torch.arange(len(best), device=best.device)
        self.iterate.z_pose = torch.stack(poses)[best, frames]
        self.iterate.root_rotation = torch.stack([start.root_rotation for start in self.starts])[best, frames]
        self.iterate.translation_m = torch.stack([start.root_translation_m for start in self.starts])[best, frames]

    @torch.no_grad()
    def _distance_of(
        self, z_pose: Tensor, rotation: Tensor, translation_m: Tensor, frames: Int[Tensor, "F"] | None = None
    ) -> Float[Tensor, "F"]:
        """Mean distance of each frame's points to the vertices of their own part, at most 0.2 m each."""
        chosen = range(len(self.observations)) if frames is None else frames.tolist()
        world = self.iterate.surface_world(z_pose, rotation, translation_m)
        fixed = torch.Generator().manual_seed(0)
        seen = draw_samples([self.observations[t] for t in chosen], self.spam.part_count, 48, fixed)
        total, weight = seen.weights.new_zeros(2, 1)
        for q, rows in enumerate(self.iterate.surface.of_part):
            nearest = torch.cdist(seen.points_world[q], world[:, rows]).amin(-1).clamp_max(0.2)
            total = total + (nearest * seen.weights[q]).sum(-1)
            weight = weight + seen.weights[q].sum(-1)
        mean: Tensor = total / weight.clamp_min(1e-9)
        return mean

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

    def _restore(self, state: SolveState) -> None:
        """Stand where the interrupted fit stood."""
        now, like = self.iterate, self.spam.shape_codes
        now.z_shape, now.z_pose, now.root_rotation, now.translation_m = (
            torch.from_numpy(array.copy()).to(like)
            for array in (state.z_shape, state.z_pose, state.root_rotation, state.root_translation_m)
        )
        self.generator.set_state(torch.from_numpy(state.generator.copy()))
        self.history, self.weight_changes = list(state.losses), list(state.weight_changes)
        if self.weight_changes:
            changed: dict[str, Any] = {change.name: change.value for change in self.weight_changes}
            self.settings = replace(self.settings, **changed)
            self._terms = self._make_terms()
        self._steps_done, self._legs_done = state.steps_done, state.rounds_done
        if self.keep_rounds:
            self._recorder = state.recorder(self._count_rounds())

    def _state(self, rounds: int) -> SolveState:
        """Where the fit stands now, between two rounds."""
        now = self.iterate
        z_shape, z_surface, z_pose, rotation, shift = (
            tensor.detach().cpu().numpy().copy()
            for tensor in (now.z_shape, now.z_surface, now.z_pose, now.root_rotation, now.translation_m)
        )
        return SolveState(
            self._legs_done, rounds, self._steps_done, z_shape, z_surface, z_pose, rotation, shift,
            self.generator.get_state().numpy().copy(), tuple(self.history), tuple(self.weight_changes),
            None if self._recorder is None else self._recorder.copy(),
        )  # fmt: skip

    def _count_rounds(self) -> int:
        """Snapshots that `run` will take: the start, and one after each alignment and each round."""
        align = int(self.settings.dense_correspondence)
        _, waves = self._keyframes()
        return 1 + align + self.settings.rounds + len(waves) * (align + 2) + self.settings.joint_rounds

    def run(self) -> Task[Solution]:
        """Keyframes, then the frames between them, then all: align, pair, and descend."""
        yield from self._go(self._legs(), torch.arange(len(self.observations)))
        yield Progress(self._steps_done, self._steps, "Extracting the canonical mesh")
        self.iterate.extract(self.settings.mesh_resolution)
        return self._solution()

    def _go(self, legs: list[Iterator[Progress]], frames: Int[Tensor, "F"]) -> Iterator[Progress]:
        """What of the schedule is left to do; between two legs nothing counts but what `SolveState` holds."""
        if self._legs_done == 0:
            self._keep("start", frames)
        for leg in legs[self._legs_done :]:
            yield from leg
            self._legs_done += 1
            if self.keep_state is not None:
                self.keep_state(self._state(len(legs)))

    def _legs(self) -> list[Iterator[Progress]]:
        """The schedule: one leg for each alignment and each round."""
        settings = self.settings
        keys, waves = self._keyframes()
        every = torch.arange(len(self.observations))
        legs = [self._align(keys, "Aligning to canonical coordinates", "aligning")]
        for turn in range(settings.rounds):
            done = turn / (settings.rounds + settings.joint_rounds)
            message = f"Fitting surfaces, round {turn + 1} of {settings.rounds}"
            with_shape = turn >= settings.rigid_rounds
            legs.append(self._round(keys, done, settings.iterations, with_shape, message, "keyframes"))
        for place, wave in enumerate(waves):
            message = f"Fitting frames between keyframes, {place + 1} of {len(waves)}"
            legs.append(self._follow(wave, message))
            for turn in range(2):
                done = max((settings.rounds - 2 + turn) / (settings.rounds + settings.joint_rounds), 0.0)
                legs.append(self._round(wave, done, 2, False, message, "between keyframes"))
        for turn in range(settings.joint_rounds):
            done = (settings.rounds + turn + 1) / (settings.rounds + settings.joint_rounds)
            message = f"Fitting all frames, round {turn + 1} of {settings.joint_rounds}"
            legs.append(self._round(every, done, settings.iterations, True, message, "joint"))
        return legs

    def _follow(self, wave: Int[Tensor, "G"], message: str) -> Iterator[Progress]:
        """Let the frames between start from those that are fitted, and align them."""
        self._take_neighbours(wave)
        yield from self._align(wave, message, "between keyframes")

    @torch.no_grad()
    def _take_neighbours(self, wave: Int[Tensor, "G"]) -> None:
        """Frames next to fitted ones start from the neighbour's pose where that explains them better."""
        now = self.iterate
        for step in (-1, 1):
            inside = (wave + step >= 0) & (wave + step < len(self.observations))
            frames = wave[inside]
            if not len(frames):
                continue
            near = frames + step
            own = self._distance_of(now.z_pose[frames], now.root_rotation[frames], now.translation_m[frames], frames)
            # The root goes on with the points' middle, the pose stays.
            shift = torch.stack([
                self.observations[int(t)].points_world.mean(0) - self.observations[int(n)].points_world.mean(0)
                for t, n in zip(frames, near, strict=True)
            ])  # fmt: skip
            moved = now.translation_m[near] + shift
            other = self._distance_of(now.z_pose[near], now.root_rotation[near], moved, frames)
            better = (other < own).cpu()
            take = frames[better]
            now.z_pose[take] = now.z_pose[near[better]]
            now.root_rotation[take] = now.root_rotation[near[better]]
            now.translation_m[take] = moved[better]

    # Steps

    def _draw(self, frames: Int[Tensor, "F"]) -> Samples:
        chosen = [self.observations[t] for t in frames.tolist()]
        return draw_samples(chosen, self.spam.part_count, self.settings.part_points, self.generator)

    @torch.no_grad()
    def _keep(self, stage: str, frames: Int[Tensor, "F"]) -> None:
        """Take a snapshot of the frames that have moved, if one is due."""
        if self._recorder is None or not self._recorder.due(frames.cpu().numpy()):
            return
        now = self.iterate
        rows = torch.from_numpy(self._recorder.pending.astype(np.int64)).to(now.z_pose.device)
        codes = now.pose_space.decode(now.z_pose[rows]), now.root_rotation[rows], now.translation_m[rows]
        pose, rotation, shift = (tensor.cpu().numpy() for tensor in codes)
        self._recorder.record(len(self.history), stage, now.shape_codes.cpu().numpy(), pose, rotation, shift)

    def _align(self, frames: Int[Tensor, "F"], message: str, stage: str) -> Iterator[Progress]:
        if not self.settings.dense_correspondence:
            return
        for iteration in range(self.settings.align_iterations):
            seen = self._draw(frames)
            scale = 0.2 if iteration < 2 else 0.12
            yield self._report(message, self._step(frames, seen, None, scale, with_shape=False)[0])
        self._keep(stage, frames)

    def _round(
        self, frames: Int[Tensor, "F"], done: float, iterations: int, with_shape: bool, message: str, stage: str
    ) -> Iterator[Progress]:
        """Re-sample the surface, pair it with the frames, descend."""
        if with_shape:
            self.iterate.extract(self.settings.match_resolution)
        preview = self._preview()
        matcher = Matcher.at(
            self.iterate.surface,
            self.iterate.frames_world(frames),
            [self.observations[t] for t in frames.tolist()],
            self.settings.normal_gate_deg if self.settings.gates else None,
            self.settings.icp_gate_m * (1 - 2 / 3 * done),
            coverage=self.settings.coverage_weight > 0,
        )
        scale = self.settings.icp_scale_m * (1 - 2 / 3 * done)
        moving = torch.arange(len(frames))
        for iteration in range(iterations):
            if not len(moving):
                self._steps_done += 1
                continue
            terms, moved_m = self._step(
                frames[moving], self._draw(frames[moving]), matcher.of(moving), scale, with_shape=with_shape, done=done
            )
            yield self._report(message, terms, preview if iteration == 0 else {})
            # The shape pulls at all frames, so none of them rests while it changes.
            if not with_shape:
                moving = moving[(moved_m > self.settings.converged_m).cpu()]
        self._keep(stage, frames)

    def _report(
        self, message: str, terms: dict[str, float], preview: dict[str, np.ndarray[Any, Any]] | None = None
    ) -> Progress:
        self._steps_done += 1
        self.history.append(terms)
        total = max(self._steps, self._steps_done)
        return Progress(self._steps_done, total, message, {**terms, "total": sum(terms.values())}, preview or {})

    @torch.no_grad()
    def _step(
        self,
        frames: Int[Tensor, "F"],
        seen: Samples,
        matcher: Matcher | None,
        scale_m: float,
        *,
        with_shape: bool,
        done: float = 0.0,
    ) -> tuple[dict[str, float], Float[Tensor, "F"]]:
        """One Gauss-Newton step of some frames' poses and roots, and of the shape: the terms, and how far it moved.

        Without a matcher only the canonical coordinates count.
        """
        self._take_changes()
        settings, now = self.settings, self.iterate
        shared = self._terms.surface_samples() if matcher is not None else None
        sums: dict[str, float] = {}
        systems: list[NormalEquations] = []
        for chunk in torch.split(torch.arange(len(frames)), settings.window):
            rows = frames[chunk]
            system = NormalEquations(
                now.pose_space.basis,
                now.shape_space.basis if with_shape else None,
                now.root_rotation[rows],
                now.translation_m[rows],
            )
            part = Samples(**{name: value[:, chunk] for name, value in vars(seen).items()})
            surfaces = matcher and matcher.of(chunk)
            for name, cost in self._terms.collect(system, rows, part, surfaces, scale_m, shared, done).items():
                sums[name] = sums.get(name, 0.0) + float(cost.sum()) / len(frames)
            systems.append(system)
        system = NormalEquations.joined(systems)
        z = now.z_pose[frames]
        sums["prior"] = settings.pose_prior_weight * float(z.square().mean()) + settings.shape_prior_weight * float(
            now.z_shape.square().mean()
        )
        step, turn, shift, step_shape = system.solve(
            z, now.z_shape, settings.pose_prior_weight, settings.shape_prior_weight, settings.damping
        )
        shrink = torch.minimum(
            _LONGEST_STEP / step.abs().amax(1).clamp_min(1e-9), _LONGEST_TURN / turn.norm(dim=1).clamp_min(1e-9)
        ).clamp_max(1.0)[:, None]
        now.z_pose[frames] = z + shrink * step
        now.root_rotation[frames] = rotation_from_vector(shrink * turn) @ now.root_rotation[frames]
        now.translation_m[frames] = now.translation_m[frames] + shrink * shift
        if with_shape:
            longest = step_shape.abs().max().clamp_min(1e-9)
            now.z_shape = now.z_shape + step_shape * (0.5 * _LONGEST_STEP / longest).clamp_max(1.0)
        # A standard deviation of one of some hundred coordinates moves a point by about 10 mm.
        moved_m = (shrink * shift).norm(dim=1) + 0.01 * (shrink * step).abs().amax(1)
        return sums, moved_m

    def _solution(self) -> Solution:
        names = tuple(dict.fromkeys(name for terms in self.history for name in terms))
        history = np.array([[terms.get(name, 0.0) for name in names] for terms in self.history], dtype=np.float32)
        now = self.iterate
        return Solution(
            now.shape_codes,
            now.pose_space.decode(now.z_pose),
            now.root_rotation,
            now.translation_m,
            now.surface,
            names,
            history,
            tuple(self.weight_changes),
            self._recorder.history() if self._recorder is not None else None,
        )

    @torch.no_grad()
    def _preview(self) -> dict[str, np.ndarray[Any, Any]]:
        """The current surface in every frame, for a viewer."""
        world, surface = self.iterate.frames_world(torch.arange(len(self.observations))), self.iterate.surface
        return {
            "vertices_world": world.cpu().numpy(),
            "faces": surface.faces.cpu().numpy().astype(np.int32),
            "vertex_parts": surface.parts.cpu().numpy().astype(np.int32),
        }
