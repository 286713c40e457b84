"""Where a fit starts: roots and pose codes of every frame, from the segmenter, the pose encoder and articulated ICP."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from spams_core.fitting.articulated import ArticulatedSettings, articulated_poses
from spams_core.fitting.observation import Observation
from spams_core.fitting.pieces import PieceSettings, model_pieces
from spams_core.fitting.projection import ProjectionSettings, project_to_codes
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.solve import Start
from spams_core.fitting.surface import canonical_surface
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.camera import Camera
from spams_core.geometry.rigid import weighted_procrustes
from spams_core.models.codes import CodeSpace
from spams_core.models.pose_encoder import PoseEncoder, encode_clouds
from spams_core.models.spam import Spam

__all__ = ["articulated_start", "encoder_start", "initial_roots", "mean_start"]


def mean_start(spam: Spam, observations: list[Observation]) -> Start:
    """The mean training pose, placed by the predicted canonical coordinates."""
    rotation, translation_m = initial_roots(observations)
    return Start("mean pose", spam.pose_codes.mean(0).expand(len(observations), -1, -1), rotation, translation_m)


def encoder_start(encoder: PoseEncoder, observations: list[Observation], camera: Camera) -> Start:
    """What the pose encoder says of each frame."""
    clouds = [seen.points_world.cpu().numpy() for seen in observations]
    return Start("pose encoder", *encode_clouds(encoder, clouds, camera))


def articulated_start(
    spam: Spam,
    observations: list[Observation],
    adjacent: Bool[Tensor, "T1"],
    settings: SolveSettings,
    generator: torch.Generator,
) -> Start:
    """Part-rigid articulated ICP of the mean shape, projected to codes."""
    shape_codes = spam.shape_codes.mean(0)
    surface = canonical_surface(spam, shape_codes, settings.match_resolution)
    pieces = model_pieces(
        spam, surface.vertices, surface.normals, surface.weights, shape_codes, PieceSettings(), generator
    )  # fmt: skip
    poses = articulated_poses(pieces, observations, adjacent, ArticulatedSettings(), generator)
    space = CodeSpace.of(spam.pose_codes, settings.pose_components)
    found = project_to_codes(spam, pieces, shape_codes, space, poses, ProjectionSettings(), generator)
    return Start(
        "articulated", space.decode(found.z_pose), found.root_rotation, found.root_translation_m
    )  # fmt: skip


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
