"""What real recordings do to a partial cloud that rendered ones don't show, with the truth that goes along."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE

__all__ = ["AugmentSettings", "Distorted", "distort"]


@dataclass(frozen=True)
class AugmentSettings:
    """What real recordings do to a cloud that rendered ones don't show; all draws are uniform up to these values."""

    tilt_degrees: float = 12.0
    """Largest tilt about the horizontal axes, for cameras whose pitch and roll are unknown."""
    yaw_degrees: float = 10.0
    """Largest turn about the vertical axis; the data hold all yaws, so this only fills gaps."""
    scale: float = 0.05
    """Largest relative error of the scale, for estimated intrinsics."""
    widen: float = 0.3
    """Largest relative widening of half of the clouds, for coats and wide trousers; a third of it in height."""
    flatten: float = 0.4
    """Largest relative loss of depth relief in the same clouds, as quantised or smoothed readings show."""
    jitter_m: float = 0.008
    """Largest standard deviation of independent noise per point."""
    bend_m: float = 0.03
    """Largest standard deviation of a smooth displacement field, for clothes, hair and warped depth."""
    cut_probability: float = 0.4
    """How often a half-space is missing, as behind furniture or outside the image."""
    hole_probability: float = 0.4
    """How often a ball is missing, as behind an object."""
    least_points: int = 512
    """Fewest points of a batch's clouds."""
    most_points: int = 1024
    """Most points of a batch's clouds."""
    mirror: bool = True
    """Whether half of the clouds are mirrored; left and right parts swap, and where one lacks the other none is."""

    def __post_init__(self) -> None:
        sizes = (self.tilt_degrees, self.yaw_degrees, self.scale, self.widen, self.flatten, self.jitter_m, self.bend_m)
        if min(sizes) < 0 or max(self.scale, self.flatten) >= 1:
            raise InputError("augmentation: angles and sizes must not be negative, scale and flatten below 1.")
        if (
            not (0 <= self.cut_probability <= 1 and 0 <= self.hole_probability <= 1)
            or not 1 <= self.least_points <= self.most_points
        ):
            raise InputError("augmentation: give probabilities in [0, 1] and 1 ≤ least_points ≤ most_points.")

    def scaled(self, strength: float) -> AugmentSettings:
        """The same kinds of change, each of them `strength` times as large or as frequent; a mirror stays a mirror."""
        names = (
            "tilt_degrees",
            "yaw_degrees",
            "scale",
            "widen",
            "flatten",
            "jitter_m",
            "bend_m",
            "cut_probability",
            "hole_probability",
        )
        return replace(self, **{name: strength * getattr(self, name) for name in names})


@dataclass(frozen=True)
class Distorted:
    """Changed clouds, and what became of a point of the body: x → linear · x + shift.

    Noise and the smooth bend are not in it.

    Attributes:
        points: [B, M, 3] what is left, M the same for the whole batch. Clouds of which a crop leaves fewer than M
            points repeat some of them.
        chosen: [B, M] the row of the undistorted cloud that each point comes from.
        rotation: [B, 3, 3] the turn in `linear`, without scale and widening.
        linear: [B, 3, 3].
        shift: [B, 3].
    """

    points: Float[Tensor, "B M 3"]
    chosen: Int[Tensor, "B M"]
    rotation: Float[Tensor, "B 3 3"]
    linear: Float[Tensor, "B 3 3"]
    shift: Float[Tensor, "B 3"]


def distort(points: Float[Tensor, "B N 3"], settings: AugmentSettings, generator: torch.Generator) -> Distorted:
    """Random subsets of clouds, cropped, bent, widened, tilted, scaled, noisy, and centred on their medians again.

    Args:
        points: Upright frame, canonical units.
        settings: How much of everything; the mirror is not done here.
        generator: All draws.
    """
    batch, total, _ = points.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def symmetric(*shape: int) -> Tensor:
        return 2 * uniform(*shape) - 1

    least, most = min(settings.least_points, total), min(settings.most_points, total)
    count = int(torch.randint(least, most + 1, (), generator=generator))
    keep = _uncropped(points, settings, generator)
    # Kept points come first, in random order; where they are too few they repeat.
    order = (uniform(batch, total) + 2 * ~keep).argsort(dim=1)
    chosen = order.gather(1, torch.arange(count) % keep.sum(1, keepdim=True))
    points = points.gather(1, chosen[..., None].expand(-1, -1, 3))

    # A few plane waves make a smooth field; wavelengths of 0.4 to 1.5 m, from folds of clothes to warped depth.
    waves = 4
    direction = nn.functional.normalize(torch.randn(batch, waves, 3, generator=generator), dim=-1)
    wavelength = (0.4 + 1.1 * uniform(batch, waves, 1)) * CANONICAL_PER_METRE
    phase = points @ (2 * math.pi * direction / wavelength).mT + 2 * math.pi * uniform(batch, 1, waves)
    height = torch.randn(batch, waves, 3, generator=generator) * math.sqrt(2 / waves) * uniform(batch, 1, 1)
    points = points + settings.bend_m * CANONICAL_PER_METRE * phase.sin() @ height

    clothed = (uniform(batch, 1) < 0.5).float()
    wider = 1 + clothed * settings.widen * (uniform(batch, 1) * 1.3 - 0.3)
    taller = 1 + clothed * settings.widen / 3 * symmetric(batch, 1)
    deeper = 1 - clothed * settings.flatten * uniform(batch, 1)
    stretch = torch.stack([wider, taller, deeper], dim=-1)
    points = points * stretch

    tilt = math.radians(settings.tilt_degrees) * symmetric(batch, 2)
    yaw = math.radians(settings.yaw_degrees) * symmetric(batch)
    rotation = _axis_rotation(tilt[:, 0], 0) @ _axis_rotation(tilt[:, 1], 2) @ _axis_rotation(yaw, 1)
    scale = 1 + settings.scale * symmetric(batch, 1, 1)
    points = points @ rotation.mT * scale

    noise = torch.randn(points.shape, generator=generator)
    points = points + settings.jitter_m * CANONICAL_PER_METRE * uniform(batch, 1, 1) * noise
    median = points.median(dim=1, keepdim=True).values
    return Distorted(points - median, chosen, rotation, scale * rotation * stretch, -median.squeeze(1))


def _uncropped(
    points: Float[Tensor, "B N 3"], settings: AugmentSettings, generator: torch.Generator
) -> Bool[Tensor, "B N"]:
    """What remains after an occasional half-space and ball is cut away; at least two fifths of each cloud."""
    batch, total, _ = points.shape
    direction = nn.functional.normalize(torch.randn(batch, 3, 1, generator=generator), dim=1)
    along = (points @ direction).squeeze(-1)
    lost = 0.45 * torch.rand(batch, 1, generator=generator)
    sure = torch.rand(batch, 1, generator=generator) < settings.cut_probability
    rank = along.argsort(dim=1).argsort(dim=1)
    cut = sure & (rank < lost * total)

    seed = torch.randint(total, (batch,), generator=generator)
    centre = points[torch.arange(batch), seed].unsqueeze(1)
    radius = 0.05 + 0.2 * torch.rand(batch, 1, generator=generator)
    sure = torch.rand(batch, 1, generator=generator) < settings.hole_probability
    distance = (points - centre).norm(dim=-1)
    hole = sure & (distance < radius)
    keep = ~(cut | hole)
    enough = keep.sum(1, keepdim=True) >= 0.4 * total
    kept: Tensor = keep | ~enough
    return kept


def _axis_rotation(angle: Float[Tensor, "B"], axis: int) -> Float[Tensor, "B 3 3"]:
    """Right-handed rotation about a coordinate axis, radians."""
    rotation = torch.eye(3).repeat(len(angle), 1, 1)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    rotation[:, a, a] = rotation[:, b, b] = angle.cos()
    rotation[:, b, a] = angle.sin()
    rotation[:, a, b] = -angle.sin()
    return rotation
