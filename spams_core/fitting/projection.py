"""From rigid pieces to pose codes: the codes and roots whose warp moves the surface as the pieces move."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.errors import InputError
from spams_core.fitting.articulated import ArticulatedPoses, geman_mcclure_weight
from spams_core.fitting.pieces import Pieces, draw_rows
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.rigid import rotation_from_vector, skew
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam

__all__ = ["CodePoses", "ProjectionSettings", "project_to_codes"]


@dataclass(frozen=True)
class ProjectionSettings:
    """Counts and lengths of the projection to codes."""

    points: int = 12
    """Points per piece whose motion the codes shall give."""
    steps: int = 4
    """Gauss-Newton steps."""
    sigma_m: float = 0.015
    """Usual departure of the warp from the pieces' motion, metres."""
    scale_m: float = 0.15
    """Scale of the robust weights, metres."""
    least_certainty: float = 0.1
    """Weight of pieces that a frame does not show: they follow their neighbours' likely motion."""

    def __post_init__(self) -> None:
        if min(self.points, self.steps) < 1 or min(self.sigma_m, self.scale_m, self.least_certainty) <= 0:
            raise InputError("projection: counts must be 1 or more, lengths and weights positive.")


@dataclass(frozen=True)
class CodePoses:
    """Pose codes and roots.

    Attributes:
        z_pose: [T, C] whitened.
        root_rotation, root_translation_m: [T, 3, 3], [T, 3].
    """

    z_pose: Float[Tensor, "T C"]
    root_rotation: Float[Tensor, "T 3 3"]
    root_translation_m: Float[Tensor, "T 3"]


@torch.no_grad()
def project_to_codes(
    spam: Spam,
    pieces: Pieces,
    shape_codes: Float[Tensor, "Q Ds"],
    pose_space: CodeSpace,
    poses: ArticulatedPoses,
    settings: ProjectionSettings,
    generator: torch.Generator,
) -> CodePoses:
    """Pose codes and roots whose warp moves the surface as the pieces move.

    Gauss-Newton steps minimise, per frame, Σ w ρ(‖warp(x) − (R x + t)‖) + ‖z‖² over points x of the pieces; ρ is the
    Geman-McClure penalty, w falls with the piece's uncertainty and with how far the piece bends at x: there no rigid
    motion says where the point goes. The root starts at the motion of the piece around the canonical origin.

    Args:
        spam: The model.
        pieces: The pieces of this identity.
        shape_codes: The identity.
        pose_space: Whose coordinates are sought; their squared length is the prior.
        poses: Motions of the pieces.
        settings: The projection's counts and lengths.
        generator: Draws the points.
    """
    owners = pieces.part[pieces.piece]
    count = settings.points * -(-pieces.count // spam.part_count)
    rows = torch.stack([_redraw(owners == q, count, generator) for q in range(spam.part_count)])
    points, piece = CANONICAL_PER_METRE * pieces.points_m[rows], pieces.piece[rows]
    certainty = poses.certainty.clamp_min(settings.least_certainty)[:, piece]
    base = certainty / (pieces.bend_m[rows].square() + settings.sigma_m**2)
    moved = torch.einsum("tqnij,qnj->tqni", poses.rotation[:, piece], pieces.points_m[rows])
    target = moved + poses.translation_m[:, piece]
    found = []
    # In chunks, so that long recordings need no more memory.
    for chunk in torch.split(torch.arange(len(target), device=target.device), 8):
        start = poses.rotation[chunk, pieces.root], poses.translation_m[chunk, pieces.root]
        found.append(_project(spam, points, shape_codes, pose_space, target[chunk], base[chunk], start, settings))
    return CodePoses(*(torch.cat(column) for column in zip(*found, strict=True)))


def _redraw(mine: Bool[Tensor, "M"], count: int, generator: torch.Generator) -> Int[Tensor, "n"]:
    """Exactly `count` rows, repeated only if there are fewer."""
    rows = torch.nonzero(mine)[:, 0]
    return draw_rows(rows.repeat(-(-count // len(rows))), count, generator)


def _project(
    spam: Spam,
    points: Float[Tensor, "Q n 3"],
    shape_codes: Float[Tensor, "Q Ds"],
    pose_space: CodeSpace,
    target: Float[Tensor, "T Q n 3"],
    base: Float[Tensor, "T Q n"],
    root: tuple[Tensor, Tensor],
    settings: ProjectionSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    (rotation, translation), frames = root, len(target)
    size = len(pose_space.basis)
    z = target.new_zeros(frames, size)
    # One for the prior, and one for damping.
    diagonal = torch.diag(torch.cat([target.new_full((size,), 2.0), target.new_ones(6)]))
    for _ in range(settings.steps):
        posed, slopes = _posed_and_slopes(spam, points, shape_codes, pose_space.decode(z))
        inner = torch.einsum("qtnid,cqd->tqnic", slopes, pose_space.basis)
        turned = torch.einsum("tij,qtnj->tqni", rotation, posed)
        by_codes = torch.einsum("tij,tqnjc->tqnic", rotation, inner)
        by_shift = torch.eye(3).to(turned).expand(*turned.shape, 3)
        rows = torch.cat([by_codes, -skew(turned), by_shift], -1).reshape(frames, -1, size + 6)
        residual = target - turned - translation[:, None, None]
        weights = base * geman_mcclure_weight(residual.square().sum(-1), settings.scale_m)
        weighted = (rows * weights[..., None].expand(residual.shape).reshape(frames, -1, 1)).mT
        right = weighted @ residual.reshape(frames, -1, 1)
        right[:, :size, 0] -= z
        factor = torch.linalg.cholesky((weighted @ rows + diagonal).double())
        change = torch.cholesky_solve(right.double(), factor)[..., 0].to(z)
        z = z + change[:, :size]
        turn = rotation_from_vector(change[:, size : size + 3])
        rotation, translation = turn @ rotation, translation + change[:, size + 3 :]
    return z, rotation, translation


def _posed_and_slopes(
    spam: Spam, points: Float[Tensor, "Q n 3"], shape_codes: Float[Tensor, "Q Ds"], codes: Float[Tensor, "T Q Dp"]
) -> tuple[Float[Tensor, "Q T n 3"], Float[Tensor, "Q T n 3 Dp"]]:
    """Posed points in metres, each part's points by its own decoder, and their derivatives by the part's code.

    The code acts through the modulation alone. A point has three coordinates and a code many entries, so the decoder
    is differentiated backwards, to each point's own copy of the modulation, and the mapping network forwards.
    """
    parts, count, frames = len(points), points.shape[1], len(codes)

    # The mapping network is piecewise linear, so that differences are derivatives but for rounding. The parts' codes
    # are apart, so one direction per entry of a code serves all parts at once; directions stand where poses stand.
    length, step = codes.shape[-1], 1e-3
    ahead = codes + step * torch.eye(length).to(codes)[:, None, None]
    film = spam.pose_film(shape_codes, codes).flatten(2)
    film_slopes = spam.pose_film(shape_codes, ahead.flatten(0, 1)).reshape(parts, length, frames, -1)
    film_slopes = (film_slopes - film[:, None]) / step
    with torch.enable_grad():
        film = spam.pose_film(shape_codes, codes)
        film = film.repeat_interleave(count, dim=1).detach().requires_grad_()
        where = points[:, None].expand(-1, frames, -1, -1).reshape(parts, frames * count, 1, 3)
        flow = spam.pose_decoders(where, film)
        grads = [torch.autograd.grad(flow[..., c].sum(), film, retain_graph=c < 2)[0] for c in range(3)]
    rows = torch.stack(grads, 2).reshape(parts, frames, count * 3, -1)
    slopes = rows @ film_slopes.permute(0, 2, 3, 1)
    posed = (where + flow.detach()).reshape(parts, frames, count, 3)
    return posed / CANONICAL_PER_METRE, slopes.reshape(parts, frames, count, 3, -1) / CANONICAL_PER_METRE
