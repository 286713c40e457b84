"""Where a fit stands: codes, roots and surface, and what the model says of canonical points there."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spams_core.fitting.normal_equations import Probe
from spams_core.fitting.surface import CanonicalSurface, canonical_surface, posed_vertices
from spams_core.frames import world_from_posed
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam

__all__ = ["Iterate"]


@dataclass
class Iterate:
    """The unknowns of a fit of T frames at their present values, and the surface that was extracted last.

    Attributes:
        spam: The model, frozen.
        shape_space, pose_space: Whose whitened coordinates are fitted.
        z_shape: [S] of the subject.
        z_pose: [T, K] of each frame.
        root_rotation, translation_m: [T, 3, 3], [T, 3] root of each frame.
        surface: Canonical surface; the shape may have moved on since.
        held_shape: Shape codes that do not move; without them those of `z_shape`.
        z_surface: `z_shape` when the surface was extracted.
    """

    spam: Spam
    shape_space: CodeSpace
    pose_space: CodeSpace
    z_shape: Float[Tensor, "S"]
    z_pose: Float[Tensor, "T K"]
    root_rotation: Float[Tensor, "T 3 3"]
    translation_m: Float[Tensor, "T 3"]
    surface: CanonicalSurface
    held_shape: Float[Tensor, "Q Ds"] | None = None
    z_surface: Float[Tensor, "S"] = field(init=False)

    def __post_init__(self) -> None:
        self.z_surface = self.z_shape

    @property
    def shape_codes(self) -> Float[Tensor, "Q Ds"]:
        """Shape codes of the subject."""
        return self.held_shape if self.held_shape is not None else self.shape_space.decode(self.z_shape)

    def extract(self, resolution: int) -> None:
        """Make the surface that of the present shape, with so many cells per axis."""
        self.surface = canonical_surface(self.spam, self.shape_codes, resolution)
        self.z_surface = self.z_shape

    def surface_world(
        self, z_pose: Float[Tensor, "F K"], rotation: Float[Tensor, "F 3 3"], translation_m: Float[Tensor, "F 3"]
    ) -> Float[Tensor, "F V 3"]:
        """The surface in some poses, metres."""
        posed = posed_vertices(self.spam, self.surface, self.shape_codes, self.pose_space.decode(z_pose))
        return world_from_posed(posed, rotation, translation_m)

    def frames_world(self, frames: Int[Tensor, "F"]) -> Float[Tensor, "F V 3"]:
        """The surface in some frames, metres."""
        return self.surface_world(self.z_pose[frames], self.root_rotation[frames], self.translation_m[frames])

    def warped(self, points: Float[Tensor, "Q n 3"], frames: Int[Tensor, "F"]) -> Float[Tensor, "Q F n 3"]:
        """Canonical points of each part in some frames, metres."""
        film = self.spam.pose_film(self.shape_codes, self.pose_space.decode(self.z_pose[frames]))
        posed = points[:, None] + self.spam.pose_decoders(points[:, None], film)
        return world_from_posed(posed, self.root_rotation[frames], self.translation_m[frames])

    def probe(
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
