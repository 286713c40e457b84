"""From fitted codes to the arrays of a fit: one topology, every frame's vertices, pairs and residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spams_core.data.fit import Fit, MatchReason
from spams_core.fitting.surface import CanonicalSurface, posed_vertices
from spams_core.frames import enlargement, world_from_posed
from spams_core.geometry.mesh import Mesh, vertex_normals
from spams_core.geometry.nearest import closest_on_surface, nearest_points
from spams_core.models.spam import Spam

__all__ = ["Observed", "build_fit"]

Observed = tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "N 3"], Int[np.ndarray, "N"]]
"""Points, normals and labels of one frame."""

_FACING = 0.1
"""Cosine between normal and the way to the camera from which on a vertex is visible, as in `pairing`."""


def build_fit(
    spam: Spam,
    surface: CanonicalSurface,
    shape_codes: Float[Tensor, "Q Ds"],
    pose_codes: Float[Tensor, "T Q Dp"],
    root_rotation: Float[Tensor, "T 3 3"],
    root_translation_m: Float[Tensor, "T 3"],
    observed: Sequence[Observed],
    frame_indices: Int[np.ndarray, "T"],
    loss_history: Float[np.ndarray, "I K"],
    manifest: Mapping[str, Any],
    *,
    normal_gate_deg: float = 65.0,
    distance_gate_m: float = 0.1,
    eye_world: Float[np.ndarray, "3"] | None = None,
) -> Fit:
    """Warp the canonical surface to every frame and pair the observed points with it.

    All metres are those of the recording, as the fit keeps them: not enlarged.

    An observed point is paired with the nearest vertex of its own part. The pair weighs 1, or 0 when it is rejected:
    no vertex of the part, farther apart than the distance gate, on a side that the camera cannot see, or normals that
    differ by more than the normal gate.

    Args:
        manifest: Everything of the archive's manifest that is known already.
        eye_world: Where the camera is; None asks no pair whether it is seen.
        distance_gate_m: For subjects of human size; narrower in proportion for others.
    """
    per_metre = spam.settings.canonical_per_metre
    distance_gate_m /= enlargement(per_metre)
    posed = posed_vertices(spam, surface, shape_codes, pose_codes)
    world = world_from_posed(posed, root_rotation, root_translation_m, per_metre).cpu().numpy()
    faces = surface.faces.cpu().numpy().astype(np.int32)
    parts = surface.parts.cpu().numpy().astype(np.int32)
    gate = np.cos(np.radians(normal_gate_deg))
    matched, rejected, residual = [], [], []
    for (points, normals, labels), vertices in zip(observed, world, strict=True):
        mesh = Mesh(vertices, faces, parts)
        normals_here = vertex_normals(torch.from_numpy(vertices), surface.faces.cpu()).numpy()
        target, reason = np.zeros_like(points), np.full(len(points), MatchReason.PART, dtype=np.uint8)
        for q in range(spam.part_count):
            rows, candidates = np.nonzero(labels == q)[0], surface.of_part[q].cpu().numpy()
            if len(rows) == 0 or len(candidates) == 0:
                continue
            distance, nearest = nearest_points(points[rows], vertices[candidates])
            index = candidates[nearest]
            agree = (normals[rows] * normals_here[index]).sum(-1) > gate
            target[rows] = vertices[index]
            hidden = np.zeros(len(rows), dtype=bool)
            if eye_world is not None:
                towards = eye_world - vertices[index]
                towards /= np.linalg.norm(towards, axis=1, keepdims=True)
                hidden = (normals_here[index] * towards).sum(1) <= _FACING
            reason[rows] = np.select(
                [distance >= distance_gate_m, hidden, ~agree],
                [MatchReason.DISTANCE, MatchReason.VISIBILITY, MatchReason.NORMAL],
                MatchReason.KEPT,
            )
        matched.append(target)
        rejected.append(reason)
        residual.append(np.median(closest_on_surface(points, mesh)[0]) if len(points) else np.nan)
    offsets = np.concatenate([[0], np.cumsum([len(points) for points, _, _ in observed])]).astype(np.int64)
    return Fit(
        manifest=manifest,
        shape_codes=shape_codes.cpu().numpy(),
        pose_codes=pose_codes.cpu().numpy(),
        root_rotation=root_rotation.cpu().numpy(),
        root_translation_m=root_translation_m.cpu().numpy(),
        canonical_vertices=surface.vertices.cpu().numpy(),
        faces=faces,
        vertex_parts=parts,
        vertices_world=world.astype(np.float32),
        frame_indices=np.asarray(frame_indices, dtype=np.int32),
        residual_m=np.asarray(residual, dtype=np.float32),
        observed_points=np.concatenate([points for points, _, _ in observed]).astype(np.float32),
        observed_labels=np.concatenate([labels for _, _, labels in observed]).astype(np.int32),
        matched_points=np.concatenate(matched).astype(np.float32),
        match_weights=(np.concatenate(rejected) == MatchReason.KEPT).astype(np.float32),
        observed_offsets=offsets,
        loss_history=loss_history,
        match_reasons=np.concatenate(rejected),
    )
