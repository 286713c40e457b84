"""The structured-implicit parametric model: part, shape and pose decoders and their latent codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.io.archive import Archive, read_archive, write_archive
from spams_core.models.siren import PartSirens, SirenSettings, gather_blocks, scatter_blocks
from spams_core.resources import remember_parts
from spams_core.settings import settings_from_dict, settings_to_dict

__all__ = [
    "COMPACT",
    "ONE_PART",
    "PAPER",
    "Network",
    "Spam",
    "SpamSettings",
    "read_scale",
    "read_spam",
    "write_network",
]

Network = Literal["shape", "parts", "pose"]


@dataclass(frozen=True)
class SpamSettings:
    """Sizes of the decoders and codes; the defaults are the paper's."""

    part_names: tuple[str, ...] = ("head", "torso", "right_arm", "right_leg", "left_arm", "left_leg")
    """Names of the Q parts; one name gives the one-part baseline."""
    shape_code: int = 128
    """D_s, length of a part's shape code."""
    pose_code: int = 64
    """D_p, length of a part's pose code."""
    parts: SirenSettings = field(default_factory=lambda: SirenSettings(layers=6, width=256, omega=30.0))
    """Part decoder: all shape codes and a point to Q confidences."""
    shape: SirenSettings = field(default_factory=lambda: SirenSettings(layers=6, width=256, omega=30.0))
    """Shape decoders: a part's shape code and a point to a signed distance."""
    pose: SirenSettings = field(default_factory=lambda: SirenSettings(layers=4, width=256, omega=15.0))
    """Pose decoders: a part's shape and pose codes and a point to a flow."""
    confidence_threshold: float = 0.05
    """A part is evaluated at a point where its confidence exceeds this."""
    canonical_per_metre: float = CANONICAL_PER_METRE
    """Canonical units per metre of the subjects: 0.8 for people."""

    def __post_init__(self) -> None:
        if not 0 < self.canonical_per_metre < math.inf:
            raise InputError("model: canonical_per_metre must be positive.")
        if not self.part_names or min(self.shape_code, self.pose_code) < 1:
            raise InputError("model: at least one part and codes of length 1 or more are needed.")
        if not 0 <= self.confidence_threshold < 0.5:
            raise InputError("model: confidence_threshold must lie in [0, 0.5).")


PAPER = SpamSettings()
"""The paper's sizes, for a GPU."""

COMPACT = SpamSettings(
    shape_code=32,
    pose_code=32,
    parts=SirenSettings(layers=3, width=64, omega=15.0, mapping_layers=2, mapping_width=64),
    shape=SirenSettings(layers=4, width=96, omega=20.0, mapping_layers=2, mapping_width=64),
    pose=SirenSettings(layers=4, width=128, omega=10.0, mapping_layers=3, mapping_width=96, rigid=True),
)
"""Sizes that train on two CPU cores in hours."""

# Six parts' width in one network: the same number of weights, so that a comparison is fair.
ONE_PART = SpamSettings(
    part_names=("body",),
    shape_code=192,
    pose_code=192,
    shape=SirenSettings(layers=4, width=232, omega=20.0, mapping_layers=2, mapping_width=64),
    pose=SirenSettings(layers=4, width=312, omega=10.0, mapping_layers=3, mapping_width=96),
)
"""The NPMs baseline: one part, about as many weights and code entries as `COMPACT`."""


class Spam(nn.Module):
    """Decoders of Q parts and the codes of the training identities and instances.

    Buffers:
        shape_codes [I, Q, D_s] and pose_codes [P, Q, D_p]: the learned training codes, for means, principal
        directions and initial values.
        instance_identity [P]: the identity of each training instance.
        posed_instance [P]: the row of each training instance in the subjects archive.
    """

    shape_codes: Tensor
    pose_codes: Tensor
    instance_identity: Tensor
    posed_instance: Tensor

    def __init__(self, settings: SpamSettings, *, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        parts, generator = len(settings.part_names), torch.Generator().manual_seed(seed)
        self.part_decoder = PartSirens(1, parts * settings.shape_code, parts, settings.parts, generator)
        self.shape_decoders = PartSirens(parts, settings.shape_code, 1, settings.shape, generator)
        self.pose_decoders = PartSirens(
            parts, settings.shape_code + settings.pose_code, 3, settings.pose, generator
        )  # fmt: skip
        self.register_buffer("shape_codes", torch.zeros(0, parts, settings.shape_code))
        self.register_buffer("pose_codes", torch.zeros(0, parts, settings.pose_code))
        self.register_buffer("instance_identity", torch.zeros(0, dtype=torch.long))
        self.register_buffer("posed_instance", torch.zeros(0, dtype=torch.long))

    @property
    def part_count(self) -> int:
        """Q."""
        return len(self.settings.part_names)

    def part_logits(
        self, points: Float[Tensor, "G N 3"], shape_codes: Float[Tensor, "G Q Ds"]
    ) -> Float[Tensor, "G N Q"]:
        """Confidence logits of every part; canonical frame. One part needs no decoder: it is everywhere certain."""
        if self.part_count == 1:
            return torch.full((*points.shape[:2], 1), 20.0, dtype=points.dtype, device=points.device)
        film = self.part_decoder.film(shape_codes.flatten(1)[None])
        logits: Tensor = self.part_decoder(points[None], film)[0]
        return logits

    def confidences(self, points: Float[Tensor, "N 3"], shape_codes: Float[Tensor, "Q Ds"]) -> Float[Tensor, "N Q"]:
        """Blending weights of the parts: confidences below the threshold become 0, the rest sum to 1.

        The most confident part always counts, so that no point is left without any.
        """
        confidence = torch.sigmoid(self.part_logits(points[None], shape_codes[None])[0])
        best = torch.nn.functional.one_hot(confidence.argmax(-1), self.part_count).bool()
        kept = confidence * ((confidence > self.settings.confidence_threshold) | best)
        return kept / kept.sum(-1, keepdim=True)

    def signed_distance(
        self,
        points: Float[Tensor, "N 3"],
        shape_codes: Float[Tensor, "Q Ds"],
        weights: Float[Tensor, "N Q"] | None = None,
    ) -> Float[Tensor, "N"]:
        """Signed distance of the whole body, negative inside; canonical frame and units.

        Args:
            points: Canonical points.
            shape_codes: One identity.
            weights: From `confidences`, when they are known already.
        """
        if weights is None:
            weights = self.confidences(points, shape_codes)
        blocks = gather_blocks(weights > 0)
        film = self.shape_decoders.film(shape_codes[:, None])
        values = self.shape_decoders(points[blocks.point].unsqueeze(1), film, blocks.part)
        return scatter_blocks(values, blocks, weights)[0, :, 0]

    def flow(
        self,
        points: Float[Tensor, "N 3"],
        shape_codes: Float[Tensor, "Q Ds"],
        pose_codes: Float[Tensor, "T Q Dp"],
        weights: Float[Tensor, "N Q"],
    ) -> Float[Tensor, "T N 3"]:
        """Flow Δx from the canonical to the posed frame for T poses of one identity.

        Args:
            points: Canonical points, the same for all poses.
            shape_codes: The identity.
            pose_codes: The poses.
            weights: From `confidences`.
        """
        blocks = gather_blocks(weights > 0)
        film = self.pose_film(shape_codes, pose_codes)
        values = self.pose_decoders(points[blocks.point].unsqueeze(1), film, blocks.part)
        return scatter_blocks(values, blocks, weights)

    def pose_film(
        self, shape_codes: Float[Tensor, "Q Ds"], pose_codes: Float[Tensor, "T Q Dp"]
    ) -> Float[Tensor, "Q T L 2 w"]:
        """Modulation of the pose decoders for T poses of one identity."""
        shape = shape_codes[:, None].expand(-1, len(pose_codes), -1)
        return self.pose_decoders.film(torch.cat([shape, pose_codes.transpose(0, 1)], dim=-1))


_STATE = {
    "shape": ("shape_decoders.", "shape_codes"),
    "parts": ("part_decoder.",),
    "pose": ("pose_decoders.", "pose_codes", "instance_identity", "posed_instance"),
}


def write_network(folder: Path, network: Network, spam: Spam, manifest: Mapping[str, Any]) -> None:
    """Write one network of a model, with its codes, as the archive `folder/network`, replacing an older one.

    Raises:
        InputError: The folder cannot be written.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in spam.state_dict().items():
        if name.startswith(_STATE[network]):
            data = value.detach().cpu().numpy()
            # The many pose codes are the bulk; they stay below 1, so 16 bits err by less than 5e-4.
            arrays[name] = data.astype(np.float16) if name == "pose_codes" else data
    complete = {"model": settings_to_dict(spam.settings), **manifest}
    write_archive(folder / network, network, complete, arrays, replace=True)


def read_spam(folder: Path, device: torch.device, networks: tuple[Network, ...] = ("shape", "parts", "pose")) -> Spam:
    """Read a model's networks from the archives `folder/shape`, `folder/parts` and `folder/pose`.

    A one-part model has no part decoder, so its archive is not looked for.

    Raises:
        InputError: An archive is missing, corrupted or of another kind, or they do not fit each other.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no model: there is no such folder. Give one written by 'spams train'.")
    archives = {"shape": read_archive(folder / "shape", "shape")}
    settings = _stored_settings(archives["shape"])
    remember_parts(archives["shape"].manifest)
    spam = Spam(settings)
    wanted = [name for name in networks if name != "parts" or spam.part_count > 1]
    for name in wanted:
        archive = archives.get(name) or read_archive(folder / name, name)
        if _stored_settings(archive) != settings:
            raise InputError(f"{folder / name} has other sizes than {folder / 'shape'}. Train it again.")
        state = {}
        for key, value in archive.arrays().items():
            tensor = torch.from_numpy(value)
            state[key] = tensor.float() if tensor.is_floating_point() else tensor
        for key in _STATE[name]:
            if not key.endswith("."):
                if key not in state:
                    raise InputError(f"{folder / name} holds no {key}; it is incomplete. Train it again.")
                setattr(spam, key, state[key])
        expected = {key for key in spam.state_dict() if key.startswith(_STATE[name])}
        try:
            if set(state) != expected:
                raise RuntimeError("names differ")
            spam.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise InputError(f"{folder / name}: the weights do not fit the settings. Train it again.") from error
    return spam.to(device).eval().requires_grad_(False)


def read_scale(folder: Path) -> float:
    """Canonical units per metre of a model's subjects, without reading its networks.

    Raises:
        InputError: The folder is no model, or an unusable one.
    """
    return _stored_settings(read_archive(Path(folder) / "shape", "shape")).canonical_per_metre


def _stored_settings(archive: Archive) -> SpamSettings:
    try:
        return settings_from_dict(SpamSettings, archive.manifest["model"])
    except (KeyError, InputError) as error:
        raise InputError(f"{archive.path}: the manifest tells no usable model sizes. Train it again.") from error
