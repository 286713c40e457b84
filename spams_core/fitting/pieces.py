"""A body as a few rigid pieces joined in a tree, learnt from a model's own example poses.

Lengths are metres, canonical points included: canonical units / `CANONICAL_PER_METRE`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.rigid import weighted_procrustes
from spams_core.models.spam import Spam

__all__ = ["Joints", "PieceSettings", "Pieces", "draw_rows", "model_pieces", "rigid_pieces", "rotation_vector"]


@dataclass(frozen=True)
class PieceSettings:
    """Number and making of the rigid pieces."""

    pieces: int = 12
    """Most rigid pieces of the whole body; parts are split where they bend most."""
    piece_tolerance_m: float = 0.008
    """A piece that moves rigidly to within this is not split further, metres."""
    example_poses: int = 32
    """Training poses that tell where the body bends."""
    template_points: int = 200
    """Points of the model's surface per piece."""

    def __post_init__(self) -> None:
        if min(self.pieces, self.template_points) < 1 or self.example_poses < 2 or self.piece_tolerance_m < 0:
            raise InputError("pieces: counts must be 1 or more, example_poses 2 or more, the tolerance not negative.")


@dataclass(frozen=True)
class Joints:
    """What holds K pieces together: a tree of J = K − 1 joints.

    Attributes:
        ends: [J, 2] the two pieces.
        place_m: [J, 3] canonical point that both move alike.
        slack_m: [J] how far it comes apart in the example poses (root mean square).
        turn: [J, 3, 3] mean turn of the second piece as the first sees it.
        stiffness: [J, 3, 3] inverse covariance of the rotation vector from that mean, 1/radians².
    """

    ends: Int[Tensor, "J 2"]
    place_m: Float[Tensor, "J 3"]
    slack_m: Float[Tensor, "J"]
    turn: Float[Tensor, "J 3 3"]
    stiffness: Float[Tensor, "J 3 3"]


@dataclass(frozen=True)
class Pieces:
    """Rigid approximation of a body: M surface points in K pieces; every piece belongs to one part.

    Attributes:
        points_m: [M, 3] canonical.
        normals: [M, 3] unit, canonical.
        piece: [M] piece of each point.
        bend_m: [M] how far the point departs from its piece's rigid motion in the example poses (root mean square).
        part: [K] part of each piece.
        center_m: [K, 3] mean of the piece's points.
        root: The piece that lies nearest to the canonical origin.
        joints: The tree that joins the pieces.
    """

    points_m: Float[Tensor, "M 3"]
    normals: Float[Tensor, "M 3"]
    piece: Int[Tensor, "M"]
    bend_m: Float[Tensor, "M"]
    part: Int[Tensor, "K"]
    center_m: Float[Tensor, "K 3"]
    root: int
    joints: Joints

    @property
    def count(self) -> int:
        """K."""
        return len(self.part)


@torch.no_grad()
def model_pieces(
    spam: Spam,
    vertices: Float[Tensor, "V 3"],
    normals: Float[Tensor, "V 3"],
    weights: Float[Tensor, "V Q"],
    shape_codes: Float[Tensor, "Q Ds"],
    settings: PieceSettings,
    generator: torch.Generator,
) -> Pieces:
    """Rigid pieces of an identity, from training poses drawn at random.

    Args:
        spam: The model.
        vertices, normals, weights: The identity's canonical surface, canonical units, and its part weights.
        shape_codes: The identity.
        settings: Counts.
        generator: Draws vertices and poses.

    Raises:
        InputError: A part has no vertex.
    """
    parts = weights.argmax(-1)
    for q, name in enumerate(spam.settings.part_names):
        if not (parts == q).any():
            raise InputError(f"The model's surface shows no {name}. Train its part and shape decoders longer.")
    share = -(-settings.pieces * settings.template_points // spam.part_count)
    rows = torch.cat([draw_rows(torch.nonzero(parts == q)[:, 0], share, generator) for q in range(spam.part_count)])
    poses = spam.pose_codes[draw_rows(torch.arange(len(spam.pose_codes)), settings.example_poses, generator)]
    posed = vertices[rows] + spam.flow(vertices[rows], shape_codes, poses, weights[rows])
    unit = 1 / CANONICAL_PER_METRE
    return rigid_pieces(vertices[rows] * unit, normals[rows], parts[rows], posed * unit, settings)


@torch.no_grad()
def rigid_pieces(
    points_m: Float[Tensor, "M 3"],
    normals: Float[Tensor, "M 3"],
    parts: Int[Tensor, "M"],
    examples_m: Float[Tensor, "P M 3"],
    settings: PieceSettings,
) -> Pieces:
    """Split a surface into pieces that move rigidly in example poses (James & Twigg 2005, Skinning mesh animations).

    The parts are the first pieces. The piece with the largest sum of squared departures from a rigid motion is halved,
    again and again.

    Args:
        points_m: Canonical surface points.
        normals: Their unit normals.
        parts: Their parts.
        examples_m: The same points in P poses.
        settings: `pieces` and `piece_tolerance_m`.
    """
    points, examples = points_m.double(), examples_m.double()
    groups = [torch.nonzero(parts == q)[:, 0] for q in sorted(set(parts.tolist()))]
    departures = [_departure(points[rows], examples[:, rows]) for rows in groups]
    whole: set[int] = set()
    while len(groups) < settings.pieces:
        # The sum of squares of a piece: many points that bend somewhat matter as much as few that bend much.
        sums = [
            float(d.sum()) if k not in whole and d.mean() > settings.piece_tolerance_m**2 else 0.0
            for k, d in enumerate(departures)
        ]
        k = max(range(len(sums)), key=sums.__getitem__)
        if sums[k] == 0:
            break
        side = _halve(points[groups[k]], examples[:, groups[k]])
        halves = [groups[k][side], groups[k][~side]]
        if min(len(rows) for rows in halves) < _LEAST_POINTS:
            whole.add(k)
            continue
        groups[k : k + 1] = halves
        departures[k : k + 1] = [_departure(points[rows], examples[:, rows]) for rows in halves]
        whole = {other + (other > k) for other in whole}
    piece, bend = torch.zeros_like(parts), points.new_zeros(len(points))
    for k, (rows, departure) in enumerate(zip(groups, departures, strict=True)):
        piece[rows], bend[rows] = k, departure.sqrt()
    center = torch.stack([points[rows].mean(0) for rows in groups])
    # The piece whose points crowd around the origin, not the one whose centre happens to lie there.
    nearness = torch.stack([torch.exp(-(points[rows].norm(dim=-1) / 0.3).square()).sum() for rows in groups])
    dtype = points_m.dtype
    return Pieces(
        points_m, normals, piece, bend.to(dtype), torch.stack([parts[rows[0]] for rows in groups]), center.to(dtype),
        int(nearness.argmax()), _join(points, examples, groups, dtype),
    )  # fmt: skip


_LEAST_POINTS = 12
"""Smaller pieces have no reliable motion."""


def draw_rows(rows: Int[Tensor, "N"], count: int, generator: torch.Generator) -> Int[Tensor, "n"]:
    """At most `count` of the rows, without repetition."""
    return rows[torch.randperm(len(rows), generator=generator)[:count].to(rows.device)]


def _motions(source: Float[Tensor, "n 3"], examples: Float[Tensor, "P n 3"]) -> tuple[Tensor, Tensor]:
    ones = source.new_ones(1, len(source)).expand(len(examples), -1)
    return weighted_procrustes(source.expand(len(examples), -1, -1), examples, ones)


def _departure_from(
    source: Float[Tensor, "n 3"], examples: Float[Tensor, "P n 3"], motion: tuple[Tensor, Tensor]
) -> Float[Tensor, "n"]:
    """Mean squared distance over the poses between points and a rigid motion per pose."""
    rotation, translation = motion
    squared: Tensor = (source @ rotation.mT + translation[:, None] - examples).square().sum(-1).mean(0)
    return squared


def _departure(source: Float[Tensor, "n 3"], examples: Float[Tensor, "P n 3"]) -> Float[Tensor, "n"]:
    return _departure_from(source, examples, _motions(source, examples))


def _halve(source: Float[Tensor, "n 3"], examples: Float[Tensor, "P n 3"]) -> Bool[Tensor, "n"]:
    """Two sides of a piece that move most rigidly: alternate between motions and sides, from cuts along its length."""
    _, _, axes = torch.linalg.svd(source - source.mean(0), full_matrices=False)
    along = (source - source.mean(0)) @ axes[0]
    best: Tensor = along > along.median()
    least = math.inf
    for cut in (0.35, 0.5, 0.65):
        side = along > along.min() + cut * (along.max() - along.min())
        for _ in range(8):
            if min(int(side.sum()), int((~side).sum())) < _LEAST_POINTS:
                break
            ends = [_departure_from(source, examples, _motions(source[s], examples[:, s])) for s in (side, ~side)]
            total = float(torch.minimum(*ends).sum())
            if total < least:
                best, least = side, total
            side = ends[0] < ends[1]
    return best


def _join(
    points: Float[Tensor, "M 3"], examples: Float[Tensor, "P M 3"], groups: list[Int[Tensor, "n"]], dtype: torch.dtype
) -> Joints:
    """The tree of joints that come apart least, at the places that the two pieces move most alike."""
    motions = [_motions(points[rows], examples[:, rows]) for rows in groups]
    found = []
    for a in range(len(groups)):
        for b in range(a + 1, len(groups)):
            distance = torch.cdist(points[groups[a]], points[groups[b]])
            gaps, flat = distance.flatten().topk(min(10, distance.numel()), largest=False)
            i, j = flat // distance.shape[1], flat % distance.shape[1]
            middle = (points[groups[a][i]] + points[groups[b][j]]).mean(0) / 2
            turn, shift = motions[a][0] - motions[b][0], motions[b][1] - motions[a][1]
            # The places on a hinge's axis are equally good; take the one in the middle of the seam.
            matrix = (turn.mT @ turn).mean(0) + 0.02 * torch.eye(3).to(turn)
            right = (turn.mT @ shift[..., None]).mean(0)[:, 0] + 0.02 * middle
            place = torch.linalg.solve(matrix, right)
            slack = (turn @ place - shift).square().sum(-1).mean().sqrt()
            found.append((float(slack + gaps.mean()), a, b, place, slack))
    tree, belongs = [], list(range(len(groups)))
    for _, a, b, place, slack in sorted(found, key=lambda edge: edge[0]):
        if belongs[a] != belongs[b]:
            belongs = [belongs[a] if label == belongs[b] else label for label in belongs]
            relative = motions[a][0].mT @ motions[b][0]
            u, _, vh = torch.linalg.svd(relative.mean(0))
            turn = u @ torch.diag(torch.stack([u.new_ones(()), u.new_ones(()), torch.det(u @ vh)])) @ vh
            spread = rotation_vector(turn.mT @ relative)
            # 0.15 rad of leeway: the examples are few.
            covariance = (spread.mT @ spread) / len(spread) + 0.15**2 * torch.eye(3).to(spread)
            tree.append((torch.tensor([a, b]), place, slack, turn, torch.linalg.inv(covariance)))
    if not tree:
        empty = points.new_zeros(0, dtype=dtype)
        return Joints(
            torch.zeros(0, 2, dtype=torch.long, device=points.device), empty.reshape(0, 3), empty,
            empty.reshape(0, 3, 3), empty.reshape(0, 3, 3),
        )  # fmt: skip
    ends, place, slack, turn, stiffness = (torch.stack(column) for column in zip(*tree, strict=True))
    return Joints(ends.to(points.device), place.to(dtype), slack.to(dtype), turn.to(dtype), stiffness.to(dtype))


def rotation_vector(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Inverse of `rotation_from_vector`, for turns below half a circle."""
    odd = (rotation - rotation.mT) / 2
    sine = torch.stack([odd[..., 2, 1], odd[..., 0, 2], odd[..., 1, 0]], -1)
    cosine = (rotation.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    norm = sine.norm(dim=-1)
    vector: Tensor = sine * (torch.atan2(norm, cosine) / norm.clamp_min(1e-12)).unsqueeze(-1)
    return vector
