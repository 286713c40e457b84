"""One Gauss-Newton step solves what is linear exactly, the shape eliminated or not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spams_core.fitting.energy import Rows
from spams_core.fitting.normal_equations import NormalEquations, Probe
from spams_core.frames import CANONICAL_PER_METRE, world_from_posed
from spams_core.geometry.rigid import rotation_from_vector

Q, T, N, K, S, DP, DS = 2, 3, 40, 4, 3, 5, 6


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


POSE_BASIS, SHAPE_BASIS = draw(0, K, Q, DP), draw(1, S, Q, DS)
ROTATION = rotation_from_vector(draw(2, T, 3))
TRANSLATION_M = draw(3, T, 3)
POSED, BY_POSE = draw(4, Q, T, N, 3), draw(5, Q, T, N, 3, DP)
BY_SHAPE = draw(6, Q, T, N, DS)
POSED_BY_SHAPE = draw(9, Q, T, N, 3, DS)
BY_DISTANCE, WEIGHT = draw(7, Q, T, N, 3), draw(8, Q, T, N, 3).abs()


def probe(shape: bool = True) -> Probe:
    world = world_from_posed(POSED.transpose(0, 1).flatten(1, 2), ROTATION, TRANSLATION_M)
    world = world.reshape(T, Q, N, 3).transpose(0, 1)
    by_shape = (POSED_BY_SHAPE, BY_SHAPE) if shape else (None, None)
    return Probe(POSED, world, BY_POSE, torch.zeros(Q, T, N).double(), *by_shape)


def linear_moves(z: Tensor, turn: Tensor, shift: Tensor, z_shape: Tensor | None) -> tuple[Tensor, Tensor]:
    """How points (metres) and distances change with the unknowns, to first order; written out index by index."""
    moves = torch.zeros(Q, T, N, 3, dtype=torch.float64)
    distances = torch.zeros(Q, T, N, dtype=torch.float64)
    world = probe().world
    for q in range(Q):
        for t in range(T):
            codes = (z[t, :, None] * POSE_BASIS[:, q]).sum(0)
            flow = torch.einsum("ncd,d->nc", BY_POSE[q, t], codes)
            if z_shape is not None:
                shape_codes = (z_shape[:, None] * SHAPE_BASIS[:, q]).sum(0)
                flow = flow + torch.einsum("ncd,d->nc", POSED_BY_SHAPE[q, t], shape_codes)
            around = torch.linalg.cross(turn[t].expand(N, 3), world[q, t] - TRANSLATION_M[t])
            moves[q, t] = flow @ ROTATION[t].T / CANONICAL_PER_METRE + around + shift[t]
            if z_shape is not None:
                distances[q, t] = BY_SHAPE[q, t] @ shape_codes
    return moves, distances


def rows_of(moves: Tensor, distances: Tensor, shape: bool) -> Rows:
    """Three rows per point, one per coordinate, that vanish once the points have moved so."""
    residual = -moves - (BY_DISTANCE * distances[..., None] if shape else 0.0)
    by_point = torch.eye(3, dtype=torch.float64).expand(Q, T, N, 3, 3)
    cost = (WEIGHT * residual.square()).sum((0, 2, 3))
    return Rows(cost, residual, by_point, BY_DISTANCE if shape else None, WEIGHT)


def equations(rows: Rows, shape: bool) -> NormalEquations:
    system = NormalEquations(POSE_BASIS, SHAPE_BASIS if shape else None, ROTATION, TRANSLATION_M)
    system.add(rows, probe(shape))
    return system


@pytest.mark.parametrize("shape", [False, True])
def test_one_step_solves_a_linear_problem_exactly(shape: bool):
    z, turn, shift, z_shape = draw(10, T, K), draw(11, T, 3), draw(12, T, 3), draw(13, S)
    rows = rows_of(*linear_moves(z, turn, shift, z_shape if shape else None), shape)
    system = equations(rows, shape)
    torch.testing.assert_close(system.cost, rows.cost)
    found = system.solve(torch.zeros(T, K).double(), torch.zeros(S).double(), 0.0, 0.0, 0.0)
    wanted = (z, turn, shift, z_shape if shape else torch.zeros(S).double())
    for step, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(step, expected, rtol=1e-6, atol=1e-7)


def test_eliminating_the_poses_solves_the_whole_system():
    """Against a dense solve of all unknowns together, with residuals that no step removes, priors and damping."""
    rows = rows_of(draw(20, Q, T, N, 3), draw(21, Q, T, N), True)
    z, z_shape = draw(22, T, K), draw(23, S)
    pose_prior, shape_prior, damping = 0.7, 0.4, 0.05
    unknowns = T * (K + 6) + S
    columns = []
    for k in range(unknowns):
        unit = torch.zeros(unknowns, dtype=torch.float64)
        unit[k] = 1
        frames = unit[: T * (K + 6)].reshape(T, K + 6)
        moves, distances = linear_moves(frames[:, :K], frames[:, K : K + 3], frames[:, K + 3 :], unit[T * (K + 6) :])
        columns.append((moves + BY_DISTANCE * distances[..., None]).flatten())
    jacobian = torch.stack(columns, 1)
    weighted = jacobian * WEIGHT.flatten()[:, None]
    matrix = weighted.T @ jacobian
    prior = torch.zeros(T, K + 6, dtype=torch.float64)
    prior[:, :K] = pose_prior / K
    prior = torch.cat([prior.flatten(), torch.full((S,), T * shape_prior / S, dtype=torch.float64)])
    present = torch.cat([torch.cat([z, torch.zeros(T, 6).double()], 1).flatten(), z_shape])
    gradient = weighted.T @ rows.residual.flatten() + prior * present
    matrix = matrix + torch.diag(prior + damping * matrix.diagonal())
    dense = -torch.linalg.solve(matrix, gradient)

    step, turn, shift, step_shape = equations(rows, True).solve(z, z_shape, pose_prior, shape_prior, damping)
    torch.testing.assert_close(torch.cat([step, turn, shift], 1).flatten(), dense[: T * (K + 6)], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(step_shape, dense[T * (K + 6) :], rtol=1e-6, atol=1e-9)


def test_groups_of_frames_join_to_the_same_system():
    rows = rows_of(draw(20, Q, T, N, 3), draw(21, Q, T, N), True)
    whole = equations(rows, True)
    groups = []
    for chunk in (slice(0, 2), slice(2, 3)):
        part = NormalEquations(POSE_BASIS, SHAPE_BASIS, ROTATION[chunk], TRANSLATION_M[chunk])
        seen = probe()
        part.add(
            Rows(rows.cost[chunk], *(value[:, chunk] for value in
                 (rows.residual, rows.by_point, BY_DISTANCE, rows.weight))),
            Probe(*(value[:, chunk] for value in
                    (seen.posed, seen.world, seen.by_pose, seen.distance, POSED_BY_SHAPE, BY_SHAPE))),
        )  # fmt: skip
        groups.append(part)
    joined = NormalEquations.joined(groups)
    torch.testing.assert_close(joined.cost, whole.cost)
    arguments = (draw(22, T, K), draw(23, S), 0.1, 0.1, 0.01)
    for one, other in zip(joined.solve(*arguments), whole.solve(*arguments), strict=True):
        torch.testing.assert_close(one, other)


def test_a_term_in_the_posed_frame_moves_the_pose_only():
    """Root and shape are left to the terms that see them; here none do, so they rest."""
    z = draw(10, T, K)
    moves = torch.einsum("qtncd,tk,kqd->qtnc", BY_POSE, z, POSE_BASIS)
    by_point = torch.eye(3, dtype=torch.float64).expand(Q, T, N, 3, 3)
    system = NormalEquations(POSE_BASIS, SHAPE_BASIS, ROTATION, TRANSLATION_M)
    system.add_posed(Rows(torch.zeros(T).double(), -moves, by_point, None, WEIGHT), BY_POSE)
    step, turn, shift, step_shape = system.solve(torch.zeros(T, K).double(), torch.zeros(S).double(), 0.0, 0.0, 0.0)
    torch.testing.assert_close(step, z, rtol=1e-6, atol=1e-7)
    for rest in (turn, shift, step_shape):
        assert rest.abs().max() == 0


def test_the_prior_alone_leads_back_to_the_mean():
    system = NormalEquations(POSE_BASIS, SHAPE_BASIS, ROTATION, TRANSLATION_M)
    z, z_shape = draw(10, T, K), draw(13, S)
    step, _, _, step_shape = system.solve(z, z_shape, 0.3, 0.03, 0.0)
    torch.testing.assert_close(step, -z, rtol=1e-6, atol=0)
    torch.testing.assert_close(step_shape, -z_shape, rtol=1e-6, atol=0)
