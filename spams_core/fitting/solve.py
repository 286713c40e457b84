"""The fit itself: whitened codes and root transforms that explain every frame, by Adam on the fitting energy."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.errors import InputError
from spams_core.fitting.energy import (
    code_prior,
    correspondence_term,
    free_space_term,
    icp_term,
    reconstruction_term,
    temporal_term,
)
from spams_core.fitting.observation import Observation, Samples, draw_samples
from spams_core.frames import CANONICAL_PER_METRE, world_from_posed
from spams_core.geometry.isosurface import extract_isosurface
from spams_core.geometry.mesh import vertex_normals
from spams_core.geometry.rigid import rotation_from_vector, weighted_procrustes
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam
from spams_core.progress import Progress, Task

__all__ = [
    "CanonicalSurface",
    "Solution",
    "SolveSettings",
    "Solver",
    "canonical_surface",
    "initial_roots",
    "posed_vertices",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SolveSettings:
    """Weights, lengths and gates of a fit."""

    align_iterations: int = 80
    """Adam steps on the segmenter's canonical coordinates, before surfaces are compared."""
    rounds: int = 6
    """Times the model's surface is re-sampled and paired with the observation anew (every I_resample steps)."""
    rigid_rounds: int = 2
    """Rounds at the start in which the shape stays the mean: a shape that follows wrong poses seldom comes back."""
    iterations: int = 15
    """Adam steps between two samplings: I_resample."""
    part_points: int = 96
    """Observed points per part and frame in a step."""
    surface_points: int = 64
    """Model points around the canonical surface per part in a step."""
    shape_components: int = 40
    """Principal directions of the joined shape codes that are fitted."""
    pose_components: int = 128
    """Principal directions of the joined pose codes that are fitted."""
    pose_rate: float = 0.06
    """Adam's learning rate of the pose coordinates, in standard deviations of the training codes."""
    shape_rate: float = 0.05
    """Adam's learning rate of the shape coordinates."""
    root_rate: float = 0.01
    """Adam's learning rate of the root's rotation in radians and translation in metres."""
    reconstruction_weight: float = 20.0
    """Weight of L_r, per canonical unit of distance."""
    free_space_weight: float = 40.0
    """Weight of model points in front of the seen surface or outside the silhouette, per canonical unit."""
    icp_weight: float = 0.3
    """Weight of L_icp; 10 mm count 1."""
    correspondence_weight: float = 0.1
    """Weight of the segmenter's canonical coordinates while aligning; later a tenth of it."""
    temporal_weight: float = 2.0
    """Weight of L_t between neighbouring frames."""
    pose_prior_weight: float = 0.1
    """Weight of L_c on pose coordinates."""
    shape_prior_weight: float = 0.03
    """Weight of L_c on shape coordinates."""
    observed_band_m: float = 0.02
    """Width of the occlusion mask M_o around the observed surface, metres."""
    truncation: float = 0.04
    """Signed distances are clamped to this, canonical units."""
    part_mask: bool = True
    """Compare distances only where the seen part is the model point's part (M_part)."""
    icp_scale_m: float = 0.06
    """Pairs farther apart than this hardly count at the start; half of it at the end."""
    normal_gate_deg: float = 65.0
    """Largest angle between the normals of a pair."""
    match_resolution: int = 96
    """Cells per axis of the surface that points are paired with."""
    mesh_resolution: int = 128
    """Cells per axis of the final canonical mesh."""
    window: int = 16
    """Frames whose gradients are held in memory at once."""

    def __post_init__(self) -> None:
        counts = (self.align_iterations, self.rounds, self.iterations, self.part_points, self.surface_points)
        if min(counts) < 1 or min(self.match_resolution, self.mesh_resolution) < 16 or self.window < 2:
            raise InputError(
                "fit settings: counts must be 1 or more, resolutions 16 or more, and the window 2 or more frames."
            )
        if min(self.observed_band_m, self.truncation, self.icp_scale_m) <= 0 or not 0 < self.normal_gate_deg <= 90:
            raise InputError("fit settings: bands, truncation and scales must be positive, the normal gate 0-90°.")


@dataclass(frozen=True)
class CanonicalSurface:
    """The identity's surface in the canonical frame.

    Attributes:
        vertices: [V, 3] canonical units.
        faces: [F, 3].
        normals: [V, 3] unit normals.
        weights: [V, Q] blending weights of the parts.
        parts: [V] most confident part.
        of_part: Q index arrays: the vertices where a part counts for at least a third.
    """

    vertices: Float[Tensor, "V 3"]
    faces: Int[Tensor, "F 3"]
    normals: Float[Tensor, "V 3"]
    weights: Float[Tensor, "V Q"]
    parts: Int[Tensor, "V"]
    of_part: tuple[Int[Tensor, "M"], ...]


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


def canonical_surface(spam: Spam, shape_codes: Float[Tensor, "Q Ds"], resolution: int) -> CanonicalSurface:
    """Isosurface of an identity, with part weights at its vertices.

    Raises:
        InputError: The codes give no surface.
    """
    device = shape_codes.device
    mesh = extract_isosurface(
        lambda points: spam.signed_distance(points, shape_codes), resolution, largest_component=True, device=device
    )
    if len(mesh.faces) == 0:
        raise InputError("These shape codes give no surface. Move them closer to the training codes.")
    vertices = torch.from_numpy(np.asarray(mesh.vertices, dtype=np.float32)).to(device)
    with torch.no_grad():
        weights = spam.confidences(vertices, shape_codes)
    of_part = tuple(torch.nonzero(weights[:, q] > 1 / 3)[:, 0] for q in range(spam.part_count))
    faces = torch.from_numpy(np.asarray(mesh.faces, dtype=np.int64)).to(device)
    return CanonicalSurface(vertices, faces, vertex_normals(vertices, faces), weights, weights.argmax(-1), of_part)


@torch.no_grad()
def posed_vertices(
    spam: Spam,
    surface: CanonicalSurface,
    shape_codes: Float[Tensor, "Q Ds"],
    pose_codes: Float[Tensor, "T Q Dp"],
    chunk: int = 16,
) -> Float[Tensor, "T V 3"]:
    """Vertices of the canonical surface in T poses; posed frame, canonical units."""
    flows = [
        spam.flow(surface.vertices, shape_codes, pose_codes[start : start + chunk], surface.weights)
        for start in range(0, len(pose_codes), chunk)
    ]
    return surface.vertices + torch.cat(flows)


def initial_roots(observations: list[Observation]) -> tuple[Float[Tensor, "T 3 3"], Float[Tensor, "T 3"]]:
    """Root rotation and translation per frame from predicted canonical coordinates.

    Points near the canonical origin move with the root, so they are aligned rigidly (weighted Procrustes), with
    Geman-McClure weights from the residuals of the round before.
    """
    rotations, translations = [], []
    for seen in observations:
        source = seen.canonical / CANONICAL_PER_METRE
        base = seen.confidence * torch.exp(-(seen.canonical.norm(dim=-1) / 0.3).square()) + 1e-6
        weights = base
        for _ in range(5):
            rotation, translation = weighted_procrustes(source, seen.points_world, weights)
            residual = (source @ rotation.mT + translation - seen.points_world).square().sum(-1)
            weights = base / (1 + residual / 0.08**2).square()
        rotations.append(rotation)
        translations.append(translation)
    return torch.stack(rotations), torch.stack(translations)


@dataclass
class Solver:
    """State of one fit: whitened codes, roots, the current surface.

    Attributes:
        spam: The model, frozen.
        observations: T frames.
        adjacent: [T − 1] whether two fitted frames follow each other closely in time.
        settings: Weights and lengths.
        generator: Source of every random draw.
    """

    spam: Spam
    observations: list[Observation]
    adjacent: Bool[Tensor, "T1"]
    settings: SolveSettings
    generator: torch.Generator
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        spam, settings = self.spam, self.settings
        self.shape_space = CodeSpace.of(spam.shape_codes, settings.shape_components)
        self.pose_space = CodeSpace.of(spam.pose_codes, settings.pose_components)
        device, frames = spam.shape_codes.device, len(self.observations)
        self.z_shape = torch.zeros(len(self.shape_space.basis), device=device, requires_grad=True)
        self.z_pose = torch.zeros(frames, len(self.pose_space.basis), device=device, requires_grad=True)
        self.root_start, translation = initial_roots(self.observations)
        self.root_vector = torch.zeros(frames, 3, device=device, requires_grad=True)
        self.translation_m = translation.clone().requires_grad_()
        self.surface: CanonicalSurface | None = None

    @property
    def root_rotation(self) -> Float[Tensor, "T 3 3"]:
        """Root rotations of all frames."""
        return rotation_from_vector(self.root_vector) @ self.root_start

    @property
    def shape_codes(self) -> Float[Tensor, "Q Ds"]:
        """Shape codes of the subject."""
        return self.shape_space.decode(self.z_shape)

    def run(self) -> Task[Solution]:
        """Align to the predicted canonical coordinates, then alternate re-sampling and descent."""
        settings = self.settings
        total = settings.align_iterations + settings.rounds * settings.iterations
        step = 0
        optimizer = self._optimizer()
        for iteration in range(settings.align_iterations):
            self._scale_rates(optimizer, iteration / settings.align_iterations, lowest=0.2)
            terms = self._descend(optimizer, self._align_terms)
            step += 1
            yield Progress(step, total, "Aligning to canonical coordinates", terms)
        optimizer = self._optimizer()
        for turn in range(settings.rounds):
            if turn == settings.rigid_rounds:
                optimizer.add_param_group(self._shape_group())
            self.surface = canonical_surface(self.spam, self.shape_codes.detach(), settings.match_resolution)
            for name, rows in zip(self.spam.settings.part_names, self.surface.of_part, strict=True):
                if len(rows) == 0:
                    raise InputError(f"The model's surface shows no {name}. Train its part and shape decoders longer.")
            preview = self._preview()
            matcher = _Matcher(self)
            for iteration in range(settings.iterations):
                done = (turn * settings.iterations + iteration) / (settings.rounds * settings.iterations)
                self._scale_rates(optimizer, done, lowest=0.05)
                terms = self._descend(optimizer, partial(self._surface_terms, matcher=matcher, done=done))
                step += 1
                message = f"Fitting surfaces, round {turn + 1} of {settings.rounds}"
                yield Progress(step, total, message, terms, preview if iteration == 0 else {})
        yield from self._finish_reports(step, total)
        return self._solution()

    def _finish_reports(self, step: int, total: int) -> Iterator[Progress]:
        yield Progress(step, total, "Extracting the canonical mesh")
        self.surface = canonical_surface(self.spam, self.shape_codes.detach(), self.settings.mesh_resolution)

    def _solution(self) -> Solution:
        assert self.surface is not None
        names = tuple(dict.fromkeys(name for terms in self.history for name in terms))
        history = np.array([[terms.get(name, 0.0) for name in names] for terms in self.history], dtype=np.float32)
        return Solution(
            self.shape_codes.detach(),
            self.pose_space.decode(self.z_pose.detach()),
            self.root_rotation.detach(),
            self.translation_m.detach(),
            self.surface,
            names,
            history,
        )

    def _shape_group(self) -> dict[str, Any]:
        return {"params": [self.z_shape], "lr": self.settings.shape_rate, "start": self.settings.shape_rate}

    def _optimizer(self) -> torch.optim.Adam:
        settings = self.settings
        groups: list[dict[str, Any]] = [
            {"params": [self.z_pose], "lr": settings.pose_rate},
            {"params": [self.root_vector, self.translation_m], "lr": settings.root_rate},
        ]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
        for group in optimizer.param_groups:
            group["start"] = group["lr"]
        return optimizer

    @staticmethod
    def _scale_rates(optimizer: torch.optim.Adam, done: float, lowest: float) -> None:
        scale = max(lowest, 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimizer.param_groups:
            group["lr"] = group["start"] * scale

    def _windows(self) -> list[slice]:
        """Windows of frames that overlap by one, so that every pair of neighbours is inside one."""
        frames, size = len(self.observations), self.settings.window
        return [slice(start, min(start + size, frames)) for start in range(0, max(frames - 1, 1), size - 1)]

    def _descend(self, optimizer: torch.optim.Adam, terms_of: Any) -> dict[str, float]:
        optimizer.zero_grad()
        frames = len(self.observations)
        sums: dict[str, float] = {}
        for window in self._windows():
            share = (window.stop - window.start) / frames
            terms = {name: share * value for name, value in terms_of(window).items()}
            torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
        optimizer.step()
        self.history.append(sums)
        return {**sums, "total": sum(sums.values())}

    def _pose_film(self, window: slice) -> Tensor:
        return self.spam.pose_film(self.shape_codes.detach(), self.pose_space.decode(self.z_pose[window]))

    def _world(self, posed: Float[Tensor, "Q T n 3"], window: slice) -> Float[Tensor, "Q T n 3"]:
        return world_from_posed(posed, self.root_rotation[window][None], self.translation_m[window][None])

    def _shared_terms(self, film: Tensor, window: slice) -> dict[str, Tensor]:
        """Priors, and the temporal term at points that all frames of the window share."""
        settings = self.settings
        terms = {"prior": settings.pose_prior_weight * code_prior(self.z_pose[window])}
        surface = self.surface
        if surface is None or window.stop - window.start < 2:
            return terms
        picks = torch.stack(
            [
                rows[torch.randint(len(rows), (24,), generator=self.generator).to(rows.device)]
                for rows in surface.of_part
            ]
        )
        flow = self.spam.pose_decoders(surface.vertices[picks][:, None], film)
        adjacent = self.adjacent[window.start : window.stop - 1]
        terms["temporal"] = settings.temporal_weight * temporal_term(
            flow.permute(1, 0, 2, 3).flatten(1, 2), adjacent
        )  # fmt: skip
        return terms

    def _align_terms(self, window: slice) -> dict[str, Tensor]:
        settings = self.settings
        seen = draw_samples(self.observations[window], self.spam.part_count, settings.part_points, self.generator)
        film = self._pose_film(window)
        model = self._world(seen.canonical + self.spam.pose_decoders(seen.canonical, film), window)
        weights = seen.weights * seen.confidence
        term = correspondence_term(model, seen.points_world, weights, 0.15)
        return {
            "correspondence": settings.correspondence_weight * term,
            **self._shared_terms(film, window),
        }

    def _surface_terms(self, window: slice, matcher: _Matcher, done: float) -> dict[str, Tensor]:
        settings, surface = self.settings, self.surface
        assert surface is not None
        film = self._pose_film(window)
        seen = draw_samples(self.observations[window], self.spam.part_count, settings.part_points, self.generator)
        vertex, weights = matcher.pair(seen, window)
        canonical = self._moved_by_shape(surface.vertices[vertex], surface.normals[vertex])
        model = self._world(canonical + self.spam.pose_decoders(canonical, film), window)
        scale = settings.icp_scale_m * (1 - 0.5 * done)
        terms = {"icp": settings.icp_weight * icp_term(model, seen.points_world, seen.normals_world, weights, scale)}
        guided = self._world(seen.canonical + self.spam.pose_decoders(seen.canonical, film), window)
        terms["correspondence"] = (
            0.1
            * settings.correspondence_weight
            * correspondence_term(guided, seen.points_world, seen.weights * seen.confidence, 0.1)
        )
        terms |= self._distance_terms(film, window, matcher)
        terms |= self._shared_terms(film, window)
        terms["prior"] = terms["prior"] + settings.shape_prior_weight * code_prior(self.z_shape)
        return terms

    def _moved_by_shape(
        self, points: Float[Tensor, "Q T n 3"], normals: Float[Tensor, "Q T n 3"]
    ) -> Float[Tensor, "Q T n 3"]:
        """Surface points as functions of the shape codes: the zero set moves by −f(x; s) n where |∇f| = 1.

        This is what lets pairs of points pull at the shape, not at the pose alone.
        """
        film = self.spam.shape_decoders.film(self.shape_codes[:, None])
        value: Tensor = self.spam.shape_decoders(points.flatten(1, 2)[:, None], film).reshape(*points.shape[:3], 1)
        return points - value.clamp(-0.05, 0.05) * normals

    def _distance_terms(self, film: Tensor, window: slice, matcher: _Matcher) -> dict[str, Tensor]:
        """L_r and the free-space term at points around the canonical surface, the same in all frames of the window."""
        settings, surface, parts = self.settings, self.surface, self.spam.part_count
        assert surface is not None
        picks = torch.stack(
            [
                rows[torch.randint(len(rows), (settings.surface_points,), generator=self.generator).to(rows.device)]
                for rows in surface.of_part
            ]
        )
        noise = torch.randn(*picks.shape, 3, generator=self.generator).to(surface.vertices.device)
        points = surface.vertices[picks] + 0.25 * settings.truncation * noise
        predicted = self.spam.shape_decoders(points[:, None], self.spam.shape_decoders.film(self.shape_codes[:, None]))
        predicted = predicted[..., 0].expand(parts, window.stop - window.start, -1)
        world = self._world(points[:, None] + self.spam.pose_decoders(points[:, None], film), window)
        facing = matcher.facing[window][:, picks].transpose(0, 1)
        distance, observed, free = [], [], []
        part = torch.arange(parts, device=world.device)[:, None].expand(parts, picks.shape[1]).reshape(-1)
        for index, seen in enumerate(self.observations[window]):
            found = seen.distance.query(world[:, index].reshape(-1, 3), settings.observed_band_m)
            known = found.known & (found.part == part) if settings.part_mask else found.known
            distance.append(found.distance_m.reshape(parts, -1))
            observed.append(known.reshape(parts, -1))
            free.append(found.free.reshape(parts, -1))
        s = CANONICAL_PER_METRE * torch.stack(distance, 1)
        # The far side of a thin limb lies within the band too, but the camera does not see it.
        mask = torch.stack(observed, 1) & facing
        return {
            "reconstruction": settings.reconstruction_weight
            * reconstruction_term(predicted, s, mask, settings.truncation),
            "free_space": settings.free_space_weight
            * free_space_term(predicted, s, torch.stack(free, 1), settings.truncation),
        }

    @torch.no_grad()
    def _preview(self) -> dict[str, np.ndarray[Any, Any]]:
        """The current surface in every frame, for a viewer."""
        surface = self.surface
        assert surface is not None
        posed = posed_vertices(self.spam, surface, self.shape_codes, self.pose_space.decode(self.z_pose))
        world = world_from_posed(posed, self.root_rotation, self.translation_m)
        return {
            "vertices_world": world.cpu().numpy(),
            "faces": surface.faces.cpu().numpy().astype(np.int32),
            "vertex_parts": surface.parts.cpu().numpy().astype(np.int32),
        }


class _Matcher:
    """Pairs observed points with vertices of the same part whose normals agree, in the poses at its making."""

    @torch.no_grad()
    def __init__(self, solver: Solver) -> None:
        surface = solver.surface
        assert surface is not None
        self.surface, self.settings = surface, solver.settings
        posed = posed_vertices(solver.spam, surface, solver.shape_codes, solver.pose_space.decode(solver.z_pose))
        self.world = world_from_posed(posed, solver.root_rotation, solver.translation_m)
        self.normals = vertex_normals(self.world, surface.faces)
        eye = torch.as_tensor(solver.observations[0].distance.camera.world_from_camera[:3, 3]).to(self.world)
        self.facing = (self.normals * torch.nn.functional.normalize(eye - self.world, dim=-1)).sum(-1) > 0.1

    @torch.no_grad()
    def pair(self, seen: Samples, window: slice) -> tuple[Int[Tensor, "Q T n"], Float[Tensor, "Q T n"]]:
        """Nearest admissible vertex of each observed point and the pair's weight."""
        least = math.cos(math.radians(self.settings.normal_gate_deg))
        vertices, weights = [], []
        for q, rows in enumerate(self.surface.of_part):
            world, normals = self.world[window][:, rows], self.normals[window][:, rows]
            distance = torch.cdist(seen.points_world[q], world)
            admissible = seen.normals_world[q] @ normals.mT > least
            distance = torch.where(admissible, distance, torch.inf)
            nearest, index = distance.min(-1)
            vertices.append(rows[index])
            weights.append(seen.weights[q] * torch.isfinite(nearest))
        return torch.stack(vertices), torch.stack(weights)
