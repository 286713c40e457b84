"""The pose encoder: a 3-D convolutional network from one partial cloud to initial pose codes and the root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from spams_core.data.partial_clouds import upright_frame
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.camera import Camera
from spams_core.io.archive import read_archive, write_archive
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam
from spams_core.settings import settings_from_dict, settings_to_dict

__all__ = [
    "COMPACT",
    "PAPER",
    "PoseEncoder",
    "PoseEncoderSettings",
    "PoseEstimate",
    "encode_clouds",
    "read_pose_encoder",
    "require_same_codes",
    "rotation_from_columns",
    "voxelise",
    "write_pose_encoder",
]

_CHANNELS = 4  # occupancy and mean offset


@dataclass(frozen=True)
class PoseEncoderSettings:
    """Sizes of the network; level k halves the grid and uses entry k of the tuples."""

    points: int = 2048
    """Points of a cloud that the network sees; larger clouds are thinned evenly, smaller ones repeat points."""
    grid: int = 32
    """Cells per axis."""
    extent: float = 1.1
    """Half the edge of the gridded cube around the cloud's median, canonical units; points outside are not seen."""
    widths: tuple[int, ...] = (24, 48)
    """Features of each level."""
    layers: tuple[int, ...] = (1, 2)
    """Convolutions of each level; the first one halves the grid."""
    squeeze: int = 8
    """Features per cell of the last level that go on to the fully connected layers."""
    hidden: int = 256
    """Units of the fully connected layer."""
    components: int = 96
    """Principal directions of the training pose codes that are predicted; fewer where the codes span fewer."""

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.layers) or not self.widths:
            raise InputError("pose encoder: widths and layers need one entry per level, and at least one level.")
        numbers = (self.points, self.squeeze, self.hidden, self.components, *self.widths, *self.layers)
        if min(numbers) < 1 or not self.extent > 0:
            raise InputError("pose encoder: all sizes must be positive.")
        if self.grid < 1 or self.grid % 2 ** len(self.widths):
            raise InputError(
                f"pose encoder: grid is {self.grid}. Give a multiple of {2 ** len(self.widths)}: every level halves it."
            )


COMPACT = PoseEncoderSettings()
"""Trains on one CPU core in about a quarter of an hour."""

PAPER = PoseEncoderSettings(
    points=8192, grid=64, widths=(32, 64, 128), layers=(1, 2, 2), squeeze=32, hidden=1024, components=256
)
"""A grid of 64³ cells, for a GPU."""


def voxelise(points: Float[Tensor, "B N 3"], grid: int, extent: float) -> Float[Tensor, "B 4 R R R"]:
    """Which cells of the cube [−extent, extent]³ hold points, and where in the cell these lie.

    Args:
        points: Upright frame, canonical units; points outside the cube are left out.
        grid: R, cells per axis.
        extent: Half the cube's edge.

    Returns:
        Per cell, axes x, y, z: 1 where it holds a point, and the mean offset of its points from the cell's centre in
        half cells, each in [−1, 1]; 0 in empty cells. Channels lie innermost in memory, as convolutions like them.
    """
    batch = len(points)
    place = (points + extent) * (grid / (2 * extent))
    cell = place.floor()
    inside = ((cell >= 0) & (cell < grid)).all(-1)
    number = torch.arange(batch, device=points.device)[:, None]
    for axis in range(3):
        number = number * grid + cell[..., axis].long()
    # Whatever lies outside goes into one row behind the cells, which is cut off.
    number = torch.where(inside, number, batch * grid**3).flatten()
    values = torch.cat([torch.ones_like(place[..., :1]), 2 * (place - cell) - 1], dim=-1)
    sums = points.new_zeros(batch * grid**3 + 1, _CHANNELS).index_add_(0, number, values.flatten(0, 1))[:-1]
    means = sums / sums[:, :1].clamp_min(1)
    return means.reshape(batch, grid, grid, grid, _CHANNELS).permute(0, 4, 1, 2, 3)


def rotation_from_columns(columns: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation whose first two columns are two vectors, orthonormalised (Zhou et al. 2019, eq. 14-15).

    Args:
        columns: The first column, then the second; neither zero, not parallel.
    """
    first = nn.functional.normalize(columns[..., :3], dim=-1)
    second = columns[..., 3:]
    second = nn.functional.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


class PoseEstimate(NamedTuple):
    """What the encoder says about B clouds.

    Attributes:
        coefficients: [B, K] whitened coordinates of the pose codes.
        pose_codes: [B, Q, D_p] their codes.
        root_rotation: [B, 3, 3] and
        root_translation: [B, 3]: x_upright = R · x_posed + t, canonical units.
    """

    coefficients: Float[Tensor, "B K"]
    pose_codes: Float[Tensor, "B Q Dp"]
    root_rotation: Float[Tensor, "B 3 3"]
    root_translation: Float[Tensor, "B 3"]


class PoseEncoder(nn.Module):
    """Voxels → convolutions of stride 2 and 1 → one fully connected layer → pose codes and root.

    Sees a partial cloud in the upright frame, canonical units. Pose codes are predicted in the whitened space of the
    model's training codes, so that every output is a likely combination of the parts' codes.

    Buffers:
        mean [Q, D_p] and basis [K, Q, D_p]: that space.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, settings: PoseEncoderSettings, space: CodeSpace, *, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("mean", space.mean.detach().clone())
        self.register_buffer("basis", space.basis.detach().clone())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build()

    def _build(self) -> None:
        settings, inputs = self.settings, _CHANNELS
        convolutions: list[nn.Module] = []
        for width, layers in zip(settings.widths, settings.layers, strict=True):
            for layer in range(layers):
                stride = 2 if layer == 0 else 1
                convolutions += [
                    nn.Conv3d(inputs, width, 3, stride, padding=1, bias=False), nn.BatchNorm3d(width), nn.ReLU(),
                ]  # fmt: skip
                inputs = width
        squeeze = settings.squeeze
        # Few features of 8³ cells learn where the root and the limbs are far sooner than many features of 4³ cells.
        convolutions += [nn.Conv3d(inputs, squeeze, 1, bias=False), nn.BatchNorm3d(squeeze), nn.ReLU(), nn.Flatten()]
        self.convolutions = nn.Sequential(*convolutions)
        cells = (settings.grid // 2 ** len(settings.widths)) ** 3
        self.hidden = nn.Sequential(nn.Linear(cells * squeeze, settings.hidden), nn.ReLU())
        self.head = nn.Linear(settings.hidden, len(self.basis) + 9)
        with torch.no_grad():
            # Start from the mean pose, facing the camera, with the root at the cloud's median.
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
            self.head.bias[-9], self.head.bias[-5] = 1, 1

    @property
    def space(self) -> CodeSpace:
        """The whitened space of the pose codes."""
        return CodeSpace(self.mean, self.basis)

    def forward(self, points: Float[Tensor, "B N 3"]) -> PoseEstimate:
        """Estimate the pose of each cloud; upright frame, canonical units."""
        voxels = voxelise(points, self.settings.grid, self.settings.extent)
        out = self.head(self.hidden(self.convolutions(voxels)))
        coefficients, columns, translation = out.split([len(self.basis), 6, 3], dim=-1)
        return PoseEstimate(
            coefficients, self.space.decode(coefficients), rotation_from_columns(columns), translation
        )  # fmt: skip


def encode_clouds(
    encoder: PoseEncoder, clouds_world: Sequence[Float[np.ndarray, "N 3"]], camera: Camera, *, batch: int = 32
) -> tuple[Float[Tensor, "T Q Dp"], Float[Tensor, "T 3 3"], Float[Tensor, "T 3"]]:
    """Initial pose codes and roots of whole clouds of any size.

    Args:
        encoder: In evaluation mode.
        clouds_world: One cloud per frame in metres; each has at least one point. The same points in the same order
            give the same result.
        camera: The camera that saw them all.
        batch: Clouds that the network sees at once.

    Returns:
        Pose codes, root rotations and root translations in metres, so that
        `world_from_posed(points_posed, root_rotation, root_translation_m)` lies on the cloud; float32, on the
        encoder's device.
    """
    count, device = encoder.settings.points, encoder.mean.device
    codes, rotations, translations = [], [], []
    for start in range(0, len(clouds_world), batch):
        some = clouds_world[start : start + batch]
        frames = [upright_frame(points, camera) for points in some]
        seen = []
        for points, (turn, centre) in zip(some, frames, strict=True):
            # Clouds come in the order of their pixels, so an even choice of rows thins the image evenly.
            rows = (np.arange(count) + 0.5) * len(points) / count
            seen.append((points[rows.astype(np.int64)] - centre) @ turn.T * CANONICAL_PER_METRE)
        with torch.inference_mode():
            found = encoder(torch.from_numpy(np.stack(seen).astype(np.float32)).to(device))
            world_from_upright = torch.from_numpy(np.stack([turn.T for turn, _ in frames])).to(device)
            centres = torch.from_numpy(np.stack([centre for _, centre in frames])).to(device)
            moved = (world_from_upright @ found.root_translation.double()[..., None]).squeeze(-1)
            codes.append(found.pose_codes)
            rotations.append((world_from_upright @ found.root_rotation.double()).float())
            translations.append((moved / CANONICAL_PER_METRE + centres).float())
    if not codes:
        return (
            encoder.mean.new_zeros(0, *encoder.mean.shape),
            encoder.mean.new_zeros(0, 3, 3),
            encoder.mean.new_zeros(0, 3),
        )
    # Clones are no inference tensors: a fit goes on from them with gradients.
    return torch.cat(codes).clone(), torch.cat(rotations).clone(), torch.cat(translations).clone()


def require_same_codes(encoder: PoseEncoder, spam: Spam, path: Path) -> None:
    """Make sure that an encoder speaks of the pose codes of this model.

    Args:
        encoder: The encoder.
        spam: The model that decodes its codes.
        path: Where the encoder was read from, for the message.

    Raises:
        InputError: Number of parts or length of the codes differ, or the training codes have another mean, as after
            a new training of the pose decoders.
    """
    parts, length = encoder.mean.shape
    if (parts, length) != (spam.part_count, spam.settings.pose_code):
        raise InputError(
            f"{path} predicts {parts} pose codes of length {length}, but the model has {spam.part_count} of length "
            f"{spam.settings.pose_code}. Train the encoder on this model."
        )
    codes = spam.pose_codes
    # Both were rounded to 16 bits on disk; two trainings of the pose decoders differ by standard deviations.
    if len(codes) > 1 and ((encoder.mean - codes.mean(0)).abs() > 2e-3 + 0.1 * codes.std(0)).any():
        raise InputError(f"{path} was trained on other pose codes than the model's. Train the encoder on this model.")


def write_pose_encoder(path: Path, encoder: PoseEncoder, manifest: Mapping[str, Any], *, replace: bool = False) -> None:
    """Write a pose encoder as an archive of kind "encoder", weights rounded to 16 bits.

    Raises:
        InputError: The folder exists and `replace` is false, or cannot be written.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in encoder.state_dict().items():
        half = value.half() if value.is_floating_point() else value
        arrays[name] = half.detach().cpu().contiguous().numpy()
    model = {"model": settings_to_dict(encoder.settings)}
    write_archive(path, "encoder", {**manifest, **model}, arrays, replace=replace)


def read_pose_encoder(path: Path, device: torch.device) -> PoseEncoder:
    """Read a pose encoder, ready for evaluation; see `require_same_codes`.

    Raises:
        InputError: It is missing, corrupted, of another kind, or its arrays do not fit its settings.
    """
    archive = read_archive(path, "encoder")
    try:
        settings = settings_from_dict(PoseEncoderSettings, archive.manifest["model"])
        state = {}
        for name, value in archive.arrays().items():
            tensor = torch.from_numpy(value)
            state[name] = tensor.float() if tensor.is_floating_point() else tensor
        space = CodeSpace(state["mean"], state["basis"])
        if space.basis.shape[1:] != space.mean.shape:
            raise RuntimeError("mean and basis differ")
        encoder = PoseEncoder(settings, space)
        encoder.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{path}: the stored weights do not fit the encoder's settings. Train it again.") from error
    return encoder.to(device).eval().requires_grad_(False)
