"""Rigid pieces of a body placed in all frames of a recording at once.

A model whose parts bend is hard to place by descent on its codes: a limb that starts wrong stays wrong. Rigid pieces
joined in a tree have few unknowns with exact derivatives, so that some Gauss-Newton steps place them; codes follow by
`spams_core.fitting.projection`. Lengths are metres, canonical points included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.errors import InputError
from spams_core.fitting.observation import Observation
from spams_core.fitting.pieces import Pieces, draw_rows, rotation_vector
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.rigid import rotation_from_vector, skew, weighted_procrustes

__all__ = ["ArticulatedPoses", "ArticulatedSettings", "articulated_poses", "geman_mcclure_weight"]


@dataclass(frozen=True)
class ArticulatedSettings:
    """Weights and lengths of the articulated start."""

    observed_points: int = 75
    """Observed points per piece and frame, at most."""
    iterations: int = 10
    """Gauss-Newton steps; surfaces are paired in all but the first three."""
    start_scale_m: float = 0.15
    """Scale of the robust weights at the start, metres."""
    end_scale_m: float = 0.05
    """Scale of the robust weights of pairs at the end, metres."""
    correspondence_sigma_m: float = 0.15
    """Usual error of the predicted canonical coordinates, metres, where surfaces are paired too."""
    start_sigma_m: float = 0.05
    """The same before surfaces are paired."""
    surface_sigma_m: float = 0.012
    """Usual distance of an observed point from the piece's surface, metres."""
    independent_points: float = 12.0
    """A piece's points count as no more than this many independent ones: neighbours err alike."""
    normal_gate_deg: float = 60.0
    """Largest angle between the normals of a pair."""
    joint_slack_m: float = 0.008
    """How far joined pieces come apart, metres, beyond what they do in the example poses."""
    joint_prior: float = 1.0
    """Weight of the joints' usual turns."""
    temporal_sigma_m: float = 0.1
    """Usual way of a piece between neighbouring frames, metres."""
    temporal_sigma_rad: float = 0.6
    """Usual turn of a piece between neighbouring frames, radians."""

    def __post_init__(self) -> None:
        if min(self.observed_points, self.iterations) < 1:
            raise InputError("articulated start: counts must be 1 or more.")
        scales = (
            self.start_scale_m, self.end_scale_m, self.correspondence_sigma_m, self.start_sigma_m,
            self.surface_sigma_m, self.independent_points, self.joint_slack_m, self.temporal_sigma_m,
            self.temporal_sigma_rad,
        )  # fmt: skip
        if min(scales) <= 0 or self.joint_prior < 0 or not 0 < self.normal_gate_deg <= 90:
            raise InputError("articulated start: scales must be positive, weights not negative, the normal gate 0-90°.")


@dataclass(frozen=True)
class ArticulatedPoses:
    """Rigid motion of K pieces in T frames: x_world = R x + t for canonical x in metres.

    Attributes:
        rotation: [T, K, 3, 3].
        translation_m: [T, K, 3].
        certainty: [T, K] in [0, 1); 0 where the frame does not show the piece.
    """

    rotation: Float[Tensor, "T K 3 3"]
    translation_m: Float[Tensor, "T K 3"]
    certainty: Float[Tensor, "T K"]


@dataclass(frozen=True)
class _Seen:
    """Observed points of all frames, equally many per frame, in double precision; slots are sorted by part.

    Attributes:
        points, normals, canonical: [T, N, 3] metres; `canonical` as the segmenter predicts.
        weights: [T, N] 0 in slots of parts that a frame does not show.
        confidence: [T, N].
        piece: [T, N] piece of the template point nearest to the predicted coordinates.
        slots: Per part its slots.
        rows: Per part its template points.
    """

    points: Float[Tensor, "T N 3"]
    normals: Float[Tensor, "T N 3"]
    canonical: Float[Tensor, "T N 3"]
    weights: Float[Tensor, "T N"]
    confidence: Float[Tensor, "T N"]
    piece: Int[Tensor, "T N"]
    slots: tuple[slice, ...]
    rows: tuple[Int[Tensor, "m"], ...]


def _draw_seen(
    pieces: Pieces, observations: list[Observation], settings: ArticulatedSettings, generator: torch.Generator
) -> _Seen:
    slots, rows, end = [], [], 0
    picks: list[list[Tensor]] = [[] for _ in observations]
    weights: list[list[Tensor]] = [[] for _ in observations]
    for q in sorted(set(pieces.part.tolist())):
        count = settings.observed_points * int((pieces.part == q).sum())
        slots.append(slice(end, end + count))
        rows.append(torch.nonzero(pieces.part[pieces.piece] == q)[:, 0])
        end += count
        for t, seen in enumerate(observations):
            mine = torch.nonzero(seen.labels == q)[:, 0]
            # A handful of points of a part is as likely mislabelled.
            pick = draw_rows(mine, count, generator) if len(mine) >= 8 else mine[:0]
            picks[t].append(torch.cat([pick, pick.new_zeros(count - len(pick))]))
            weights[t].append(torch.arange(count, device=pick.device) < len(pick))
    drawn = [(seen, torch.cat(pick)) for seen, pick in zip(observations, picks, strict=True)]
    canonical = torch.stack([seen.canonical[pick] for seen, pick in drawn]) / CANONICAL_PER_METRE
    piece = torch.cat(
        [
            pieces.piece[mine][
                torch.cdist(canonical[:, slot], pieces.points_m[mine].expand(len(drawn), -1, -1)).argmin(-1)
            ]
            for slot, mine in zip(slots, rows, strict=True)
        ],
        1,
    )
    return _Seen(
        torch.stack([seen.points_world[pick] for seen, pick in drawn]).double(),
        torch.stack([seen.normals_world[pick] for seen, pick in drawn]).double(),
        canonical.double(),
        torch.stack([torch.cat(weight) for weight in weights]).double(),
        torch.stack([seen.confidence[pick] for seen, pick in drawn]).double(),
        piece,
        tuple(slots),
        tuple(rows),
    )


@torch.no_grad()
def articulated_poses(
    pieces: Pieces,
    observations: list[Observation],
    adjacent: Bool[Tensor, "T1"],
    settings: ArticulatedSettings,
    generator: torch.Generator,
) -> ArticulatedPoses:
    """Place the pieces in every frame.

    Robust Procrustes alignment of the predicted canonical coordinates gives the start. Gauss-Newton steps then
    minimise, for each frame with the neighbours' last motions held fixed, the sum of squares of

    - distances between observed points and their predicted canonical points (all the time),
    - distances along the normal between observed points and the nearest point of their part's pieces whose normal
      agrees (symmetric point-to-plane; from the fourth step on),

    both with Geman-McClure weights of shrinking scale, and of

    - what comes apart at the joints, and the joints' turns from those in the example poses,
    - motion between neighbouring frames.

    Args:
        pieces: From `model_pieces` or `rigid_pieces`.
        observations: T frames.
        adjacent: Whether each two frames follow each other closely in time.
        settings: Weights and lengths.
        generator: Draws the observed points.
    """
    seen = _draw_seen(pieces, observations, settings, generator)
    placement = _Placement(pieces, seen, settings)
    first_paired = min(3, settings.iterations - 1)
    for step in range(settings.iterations):
        done = step / max(settings.iterations - 1, 1)
        scale = settings.start_scale_m * (settings.end_scale_m / settings.start_scale_m) ** done
        placement.step(adjacent, scale, paired=step >= first_paired)
    dtype = pieces.points_m.dtype
    return ArticulatedPoses(
        placement.rotation.to(dtype), placement.translation.to(dtype), placement.certainty.to(dtype)
    )


class _Placement:
    """Motions of all pieces in all frames, and one Gauss-Newton step on them."""

    def __init__(self, pieces: Pieces, seen: _Seen, settings: ArticulatedSettings) -> None:
        self.pieces, self.seen, self.settings = pieces, seen, settings
        self.points, self.normals = pieces.points_m.double(), pieces.normals.double()
        self.center = pieces.center_m.double()
        self.frames, self.count = len(seen.points), pieces.count
        self.owner = torch.nn.functional.one_hot(seen.piece, self.count).to(seen.points)
        self.certainty = seen.points.new_zeros(self.frames, self.count)
        self._place()

    def _place(self) -> None:
        """Procrustes: first the whole body around the root, then each piece, held by the root's motion a little."""
        seen, scale = self.seen, self.settings.start_scale_m
        distance = seen.canonical.norm(dim=-1)
        base = seen.weights * seen.confidence
        rotation, translation = self._robust(
            # Points near the canonical origin move with the root; the others count where a frame shows none.
            seen.canonical,
            seen.points,
            base * (torch.exp(-(distance / 0.375).square()) + 1e-6) + 1e-12,
            0.08,
        )
        rotations, translations = [], []
        for k in range(self.count):
            mine = self.points[self.pieces.piece == k].expand(self.frames, -1, -1)
            held = mine @ rotation.mT + translation[:, None]
            # The hold weighs as much as three seen points.
            hold = mine.new_full(mine.shape[:2], 3 / mine.shape[1])
            turn, shift = self._robust(
                torch.cat([seen.canonical, mine], 1),
                torch.cat([seen.points, held], 1),
                torch.cat([base * self.owner[..., k], hold], 1),
                scale,
            )
            rotations.append(turn)
            translations.append(shift)
        self.rotation, self.translation = torch.stack(rotations, 1), torch.stack(translations, 1)

    @staticmethod
    def _robust(source: Tensor, target: Tensor, base: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        weights = base
        for _ in range(4):
            rotation, translation = weighted_procrustes(source, target, weights)
            squared = (source @ rotation.mT + translation[:, None] - target).square().sum(-1)
            weights = base * geman_mcclure_weight(squared, scale) + 1e-12
        return rotation, translation

    def step(self, adjacent: Bool[Tensor, "T1"], scale: float, *, paired: bool) -> None:
        """One damped Gauss-Newton step in all frames; the unknowns are a turn about each piece's centre and a shift."""
        settings, count = self.settings, self.count
        middle = self._move(self.center[:, None], self.rotation, self.translation)[:, :, 0]
        matrix = middle.new_zeros(self.frames, count, 6, count, 6)
        vector = middle.new_zeros(self.frames, count, 6)
        own = torch.arange(count, device=middle.device)
        # Alone they must place the limbs; once surfaces are paired they only keep them from sliding.
        sigma = settings.correspondence_sigma_m if paired else settings.start_sigma_m
        blocks, right, shown = self._correspondences(middle, max(scale, 0.5 * settings.start_scale_m), sigma)
        if paired:
            more, more_right, shown = self._pairs(middle, scale)
            blocks, right = blocks + more, right + more_right
        # A quarter of the points that a step takes of a piece place it half surely.
        self.certainty = shown / (shown + 0.25 * settings.observed_points)
        more, more_right = self._temporal(middle, adjacent)
        # A step of more than a radian or a metre is no improvement.
        eye = torch.eye(6).to(middle)
        matrix[:, own, :, own] += (blocks + more + eye).transpose(0, 1)
        vector += right + more_right
        self._join(middle, matrix, vector)
        size = 6 * count
        factor = torch.linalg.cholesky(matrix.reshape(self.frames, size, size))
        change = torch.cholesky_solve(vector.reshape(self.frames, size, 1), factor).reshape(self.frames, count, 6)
        turn = rotation_from_vector(change[..., :3])
        offset = (turn @ (self.translation - middle)[..., None])[..., 0]
        self.rotation, self.translation = turn @ self.rotation, offset + middle + change[..., 3:]

    @staticmethod
    def _move(points: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
        return points @ rotation.mT + translation[..., None, :]

    def _gather(self, points: Float[Tensor, "T N 3"], piece: Int[Tensor, "T N"]) -> Float[Tensor, "T N 3"]:
        """Canonical points moved by their pieces."""
        frame = torch.arange(self.frames, device=piece.device)[:, None]
        moved = (self.rotation[frame, piece] @ points[..., None])[..., 0]
        return moved + self.translation[frame, piece]

    def _blocks(
        self, rows: Float[Tensor, "T N r 6"], residual: Float[Tensor, "T N r"], weights: Tensor, owner: Tensor
    ) -> tuple[Float[Tensor, "T K 6 6"], Float[Tensor, "T K 6"], Float[Tensor, "T K"]]:
        """Normal equations per piece; many points of a piece count as `independent_points`."""
        shown = torch.einsum("tn,tnk->tk", weights, owner)
        limit = self.settings.independent_points
        share = owner * (limit / (limit + shown)).unsqueeze(1) * weights[..., None]
        full = torch.cat([rows, residual[..., None]], -1)
        products = torch.einsum("tnra,tnrb->tnab", full, full).flatten(2)
        sums = (share.mT @ products).reshape(self.frames, self.count, 7, 7)
        return sums[..., :6, :6], sums[..., :6, 6], shown

    def _correspondences(self, middle: Tensor, scale: float, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        seen = self.seen
        model = self._gather(seen.canonical, seen.piece)
        frame = torch.arange(self.frames, device=seen.piece.device)[:, None]
        rows = torch.cat([-skew(model - middle[frame, seen.piece]), torch.eye(3).to(model).expand(*model.shape, 3)], -1)
        residual = seen.points - model
        weights = seen.weights * seen.confidence * geman_mcclure_weight(residual.square().sum(-1), scale)
        return self._blocks(rows / sigma, residual / sigma, weights, self.owner)

    def _pairs(self, middle: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        seen, settings = self.seen, self.settings
        template = self._nearest()
        piece = self.pieces.piece[template]
        frame = torch.arange(self.frames, device=piece.device)[:, None]
        model = self._gather(self.points[template], piece)
        turned = (self.rotation[frame, piece] @ self.normals[template][..., None])[..., 0]
        cosine = (turned * seen.normals).sum(-1)
        # Symmetric point-to-plane (Rusinkiewicz 2019): exact where both surfaces are spheres' caps, too.
        normal = torch.nn.functional.normalize(turned + seen.normals, dim=-1)
        offset = seen.points - model
        admissible = cosine > math.cos(math.radians(settings.normal_gate_deg))
        weights = seen.weights * admissible * geman_mcclure_weight(offset.square().sum(-1), scale)
        rows = torch.cat([torch.linalg.cross(model - middle[frame, piece], normal), normal], -1)
        sigma = settings.surface_sigma_m
        owner = torch.nn.functional.one_hot(piece, self.count).to(model)
        residual = (offset * normal).sum(-1, keepdim=True)
        return self._blocks(rows[..., None, :] / sigma, residual / sigma, weights, owner)

    def _nearest(self) -> Int[Tensor, "T N"]:
        """Template point of the same part that is nearest in place and normal: 6 cm count as much as 60°."""
        seen, found = self.seen, []
        rotation, translation = self.rotation.float(), self.translation.float()
        piece, points, normals = self.pieces.piece, self.points.float(), 0.06 * self.normals.float()
        for slots, rows in zip(seen.slots, seen.rows, strict=True):
            turn = rotation[:, piece[rows]]
            world = (turn @ points[rows][..., None])[..., 0] + translation[:, piece[rows]]
            middle = world.mean(1, keepdim=True)
            model = torch.cat([world - middle, (turn @ normals[rows][..., None])[..., 0]], -1)
            query = torch.cat([seen.points[:, slots].float() - middle, 0.06 * seen.normals[:, slots].float()], -1)
            half = 0.5 * model.square().sum(-1)
            # In chunks, so that long recordings need no more memory.
            best = [
                torch.baddbmm(h[:, None], q, m.mT, alpha=-1).argmin(-1)
                for h, q, m in zip(*(torch.split(column, 32) for column in (half, query, model)), strict=True)
            ]
            found.append(rows[torch.cat(best)])
        return torch.cat(found, 1)

    def _temporal(self, middle: Tensor, adjacent: Bool[Tensor, "T1"]) -> tuple[Tensor, Tensor]:
        settings = self.settings
        blocks, right = middle.new_zeros(*middle.shape[:2], 6), middle.new_zeros(*middle.shape[:2], 6)
        inverse = torch.tensor([settings.temporal_sigma_rad] * 3 + [settings.temporal_sigma_m] * 3).to(middle) ** -2
        here, there = slice(None, -1), slice(1, None)
        for one, other in ((here, there), (there, here)):
            turn = rotation_vector(self.rotation[other] @ self.rotation[one].mT)
            way = torch.cat([turn, middle[other] - middle[one]], -1)
            weight = adjacent.to(middle)[:, None, None] * inverse
            blocks[one] += weight
            right[one] += weight * way
        return torch.diag_embed(blocks), right

    def _join(self, middle: Tensor, matrix: Tensor, vector: Tensor) -> None:
        """Add the joints to the normal equations."""
        joints, settings = self.pieces.joints, self.settings
        for j, (a, b) in enumerate(joints.ends.tolist()):
            place = joints.place_m[j].double()
            ends = [place @ self.rotation[:, k].mT + self.translation[:, k] for k in (a, b)]
            eye = torch.eye(3).to(middle)
            inverse = eye / (settings.joint_slack_m**2 + joints.slack_m[j].double().square())
            rows = [
                sign * torch.cat([-skew(end - middle[:, k]), eye.expand(self.frames, 3, 3)], -1)
                for sign, k, end in zip((-1.0, 1.0), (a, b), ends, strict=True)
            ]
            self._add(matrix, vector, (a, b), rows, ends[0] - ends[1], inverse)
            turn = self.rotation[:, a].mT @ self.rotation[:, b]
            away = rotation_vector(joints.turn[j].double().mT @ turn)
            spin = torch.cat([self.rotation[:, b].mT, torch.zeros_like(turn)], -1)
            stiffness = settings.joint_prior * joints.stiffness[j].double()
            self._add(matrix, vector, (a, b), [-spin, spin], -away, stiffness)

    @staticmethod
    def _add(
        matrix: Tensor, vector: Tensor, ends: tuple[int, int], rows: list[Tensor], residual: Tensor, inverse: Tensor
    ) -> None:
        for k, left in zip(ends, rows, strict=True):
            weighted = left.mT @ inverse
            vector[:, k] += (weighted @ residual[..., None])[..., 0]
            for other, right in zip(ends, rows, strict=True):
                matrix[:, k, :, other] += weighted @ right


def geman_mcclure_weight(squared: Tensor, scale: float) -> Tensor:
    """Weights of the Geman-McClure penalty σ² r² / (σ² + r²): 1 / (1 + r²/σ²)²."""
    return 1 / (1 + squared / scale**2).square()
