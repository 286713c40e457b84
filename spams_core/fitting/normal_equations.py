"""Gauss-Newton's normal equations: whitened pose coordinates and root of every frame, shape coordinates of all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from spams_core.fitting.energy import Rows
from spams_core.frames import CANONICAL_PER_METRE

__all__ = ["NormalEquations", "Probe"]


@dataclass(frozen=True)
class Probe:
    """Model points with what moves them.

    Attributes:
        posed: [Q, T, n, 3] posed frame, canonical units.
        world: [Q, T, n, 3] metres.
        by_pose: [Q, T, n, 3, D_p] derivative of `posed` by the part's pose code.
        distance: [Q, T, n] predicted distance at the canonical points (T may be 1).
        posed_by_shape: [Q, T, n, 3, D_s] derivative of `posed` by the part's shape code, because where a thigh ends
            decides where the knee goes; None when the shape is held.
        distance_by_shape: [Q, T, n, D_s] derivative of `distance` by the part's shape code; None when the shape is
            held, or no distance was asked for.
    """

    posed: Float[Tensor, "Q T n 3"]
    world: Float[Tensor, "Q T n 3"]
    by_pose: Float[Tensor, "Q T n 3 Dp"]
    distance: Float[Tensor, "Q T n"]
    posed_by_shape: Float[Tensor, "Q T n 3 Ds"] | None = None
    distance_by_shape: Float[Tensor, "Q T n Ds"] | None = None


class NormalEquations:
    """Collects the rows of all terms and solves for one step.

    The unknowns of a frame are z_t (K whitened pose coordinates), a rotation vector and a translation; those of all
    frames together the S whitened shape coordinates. Rows are summed per part over pose code, root and shape code
    first, where they are short, and carried into the whitened coordinates at the end.

    Attributes:
        cost: [T] energy of every frame so far.
    """

    def __init__(
        self,
        pose_basis: Float[Tensor, "K Q Dp"],
        shape_basis: Float[Tensor, "S Q Ds"] | None,
        rotation: Float[Tensor, "T 3 3"],
        translation_m: Float[Tensor, "T 3"],
    ) -> None:
        self._pose_basis, self._shape_basis = pose_basis, shape_basis
        self._rotation, self._translation_m = rotation, translation_m
        frames, parts = len(rotation), pose_basis.shape[1]
        self._pose_length = pose_basis.shape[2]
        self._length = self._pose_length + 6 + (shape_basis.shape[2] if shape_basis is not None else 0)
        self._matrix = rotation.new_zeros(frames, parts, self._length, self._length)
        self._vector = rotation.new_zeros(frames, parts, self._length)
        self.cost = rotation.new_zeros(frames)

    @property
    def with_shape(self) -> bool:
        """Whether the shape is among the unknowns."""
        return self._shape_basis is not None

    @classmethod
    def joined(cls, systems: list[NormalEquations]) -> NormalEquations:
        """The systems of several groups of frames as one."""
        first = systems[0]
        whole = cls(
            first._pose_basis,
            first._shape_basis,
            torch.cat([system._rotation for system in systems]),
            torch.cat([system._translation_m for system in systems]),
        )
        whole._matrix = torch.cat([system._matrix for system in systems])
        whole._vector = torch.cat([system._vector for system in systems])
        whole.cost = torch.cat([system.cost for system in systems])
        return whole

    def add(self, rows: Rows, probe: Probe) -> None:
        """Rows of a term whose points are moved by pose, root and shape."""
        by_posed = rows.by_point @ self._rotation[:, None] / CANONICAL_PER_METRE
        arm = (probe.world - self._translation_m[:, None]).unsqueeze(-2).expand(rows.by_point.shape)
        columns = [by_posed @ probe.by_pose, torch.linalg.cross(arm, rows.by_point), rows.by_point]
        if self._shape_basis is not None:
            column = rows.residual.new_zeros(*rows.residual.shape, self._shape_basis.shape[2])
            if probe.posed_by_shape is not None:
                column = column + by_posed @ probe.posed_by_shape
            if rows.by_distance is not None and probe.distance_by_shape is not None:
                column = column + rows.by_distance.unsqueeze(-1) * probe.distance_by_shape.unsqueeze(-2)
            columns.append(column)
        self._add(rows, torch.cat(columns, dim=-1))

    def add_posed(self, rows: Rows, by_pose: Float[Tensor, "Q T n 3 Dp"]) -> None:
        """Rows of a term that the pose alone moves, in the posed frame."""
        columns = rows.by_point @ by_pose
        rest = rows.residual.new_zeros(*rows.residual.shape, self._length - self._pose_length)
        self._add(rows, torch.cat([columns, rest], dim=-1))

    def _add(self, rows: Rows, columns: Float[Tensor, "Q T n k E"]) -> None:
        self.cost += rows.cost
        flat = columns.flatten(2, 3)
        weighted = flat * rows.weight.flatten(2, 3).unsqueeze(-1)
        self._matrix += (weighted.mT @ flat).transpose(0, 1)
        self._vector += (weighted.mT @ rows.residual.flatten(2, 3).unsqueeze(-1))[..., 0].transpose(0, 1)

    def solve(
        self,
        z_pose: Float[Tensor, "T K"],
        z_shape: Float[Tensor, "S"],
        pose_prior: float,
        shape_prior: float,
        damping: float,
    ) -> tuple[Float[Tensor, "T K"], Float[Tensor, "T 3"], Float[Tensor, "T 3"], Float[Tensor, "S"]]:
        """Steps of pose coordinates, root rotation vector, root translation in metres, and shape coordinates.

        Solves the damped normal equations with the priors Σ_t pose_prior ‖z_t‖² / K + T shape_prior ‖z_s‖² / S; the
        poses are eliminated first (Schur complement).

        Args:
            z_pose, z_shape: The present coordinates.
            pose_prior, shape_prior: Weights of L_c.
            damping: Levenberg-Marquardt's factor on the diagonal.
        """
        frames, count = z_pose.shape
        pose, length = self._pose_length, self._pose_length + 6
        carry = self._pose_basis.new_zeros(self._pose_basis.shape[1], count + 6, length, dtype=torch.float64)
        carry[:, :count, :pose] = self._pose_basis.transpose(0, 1).double()
        carry[:, count:, pose:] = torch.eye(6, dtype=torch.float64, device=carry.device)
        matrix, vector = self._matrix.double(), self._vector.double()
        h = torch.einsum("qai,tqij,qbj->tab", carry, matrix[..., :length, :length], carry)
        g = torch.einsum("qai,tqi->ta", carry, vector[..., :length])
        diagonal = torch.zeros(count + 6, dtype=torch.float64, device=h.device)
        diagonal[:count] = pose_prior / count
        g[:, :count] += pose_prior / count * z_pose
        h = h + torch.diag_embed(diagonal + damping * h.diagonal(dim1=-2, dim2=-1) + 1e-9)
        factor = torch.linalg.cholesky(h)
        step_shape = torch.zeros_like(z_shape)
        step = -torch.cholesky_solve(g.unsqueeze(-1), factor)[..., 0]
        if self._shape_basis is not None:
            basis = self._shape_basis.transpose(0, 1).double()
            size = len(z_shape)
            h_shape = torch.einsum("qai,tqij,qbj->ab", basis, matrix[..., length:, length:], basis)
            g_shape = torch.einsum("qai,tqi->a", basis, vector[..., length:])
            cross = torch.einsum("qai,tqij,qbj->tab", carry, matrix[..., :length, length:], basis)
            solved = torch.cholesky_solve(cross, factor)
            g_shape = g_shape + frames * shape_prior / size * z_shape + torch.einsum("tab,ta->b", cross, step)
            h_shape = h_shape + torch.diag(
                damping * h_shape.diagonal() + frames * shape_prior / size + 1e-9
            )  # fmt: skip
            reduced = h_shape - torch.einsum("tab,tac->bc", cross, solved)
            found = -torch.linalg.solve(reduced, g_shape)
            step = step - torch.einsum("tab,b->ta", solved, found)
            step_shape = found.to(z_shape.dtype)
        step = step.to(z_pose.dtype)
        return step[:, :count], step[:, count : count + 3], step[:, count + 3 :], step_shape
