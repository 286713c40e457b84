"""Training of the pose encoder on rendered partial clouds, the model's decoders and codes frozen."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from spams_core.errors import InputError
from spams_core.io.archive import Archive, hash_file, read_archive
from spams_core.models.codes import CodeSpace
from spams_core.models.pose_encoder import COMPACT, PAPER, PoseEncoder, PoseEstimate, write_pose_encoder
from spams_core.models.spam import Spam, read_spam
from spams_core.progress import Task
from spams_core.settings import settings_to_dict
from spams_core.training.augment import AugmentSettings, distort
from spams_core.training.loop import History, LoopSettings, run_training
from spams_core.training.pose import flow_loss

__all__ = ["PoseEncoderProblem", "PoseEncoderTraining", "PosedClouds", "read_posed_clouds", "train_pose_encoder"]

logger = logging.getLogger(__name__)

VALIDATE_EVERY = 250
"""Steps between validations."""


def _gentle() -> AugmentSettings:
    # Widening and flattening don't keep the pose exactly, so there is less of them than a label bears.
    return AugmentSettings(widen=0.15, flatten=0.2, least_points=512, most_points=2048, mirror=False)


@dataclass(frozen=True)
class PoseEncoderTraining:
    """Batches, rate and weights of the pose encoder."""

    batch: int = 24
    """Clouds of one step."""
    points: int = 16
    """Surface points per cloud and part at which flow and root are compared."""
    pool: int = 256
    """Surface points per identity and part that those are drawn from."""
    network_rate: float = 1e-3
    """Adam's starting learning rate."""
    coefficient_weight: float = 0.02
    """Weight of the whitened coordinates' mean squared error."""
    ramp: float = 0.5
    """Share of the training over which the augmentation grows from a fifth to its full strength."""
    validation_share: float = 0.04
    """Share of the posed instances whose clouds are kept for validation."""
    validation_clouds: int = 256
    """Most clouds of a validation."""
    augment: AugmentSettings = field(default_factory=_gentle)
    """Augmentation; without a mirror, because pose codes have no mirror image."""

    def __post_init__(self) -> None:
        if min(self.batch, self.points, self.pool, self.validation_clouds) < 1 or self.network_rate <= 0:
            raise InputError("pose encoder training: batches, points, pool and network_rate must be positive.")
        if self.coefficient_weight < 0 or not 0 < self.ramp <= 1 or not 0 < self.validation_share < 1:
            raise InputError(
                "pose encoder training: coefficient_weight must not be negative, ramp must lie in (0, 1] and "
                "validation_share in (0, 1)."
            )
        if self.augment.mirror:
            raise InputError("pose encoder training: pose codes have no mirror image. Set augment.mirror to false.")


@dataclass(frozen=True)
class PosedClouds:
    """Partial clouds of training instances with their true root, and points of the bodies' surfaces.

    Attributes:
        points: [C, N, 3] upright frame, canonical units.
        code: [C] row of the model's training pose codes.
        root_rotation: [C, 3, 3] and
        root_translation: [C, 3]: x_upright = R · x_posed + t, canonical units.
        surface: [I, Q, M, 3] canonical coordinates of points that the clouds show of each identity's parts.
        shown: [I, Q] whether they show any.
    """

    points: Float[Tensor, "C N 3"]
    code: Int[Tensor, "C"]
    root_rotation: Float[Tensor, "C 3 3"]
    root_translation: Float[Tensor, "C 3"]
    surface: Float[Tensor, "I Q M 3"]
    shown: Bool[Tensor, "I Q"]


def read_posed_clouds(archive: Archive, spam: Spam, pool: int, seed: int) -> PosedClouds:
    """Read the clouds whose posed instance has a training code.

    Args:
        archive: Of kind "clouds", made from the subjects that the model was trained on.
        spam: The model. One with a single part takes every point as its own.
        pool: M, surface points per identity and part.
        seed: Chooses them.

    Raises:
        InputError: The archive tells no roots, its parts are not the model's, no cloud shows a training instance, or
            the model doesn't tell which instances its codes belong to.
    """
    if not {"root_rotation", "root_translation"} <= set(archive.names()):
        raise InputError(
            f"{archive.path} holds no roots; an older version wrote it. Make the clouds again with 'spams clouds'."
        )
    part_names = archive.words("part_names")
    if spam.part_count > 1 and part_names != spam.settings.part_names:
        raise InputError(f"{archive.path} has other parts than the model. Make clouds of the model's own subjects.")
    if not len(spam.pose_codes) or len(spam.posed_instance) != len(spam.pose_codes):
        raise InputError("The model doesn't tell which instances its pose codes belong to. Train its pose again.")
    code_of = {int(instance): row for row, instance in enumerate(spam.posed_instance.tolist())}
    code = np.array([code_of.get(int(instance), -1) for instance in archive.array("instance")], dtype=np.int64)
    rows = np.nonzero(code >= 0)[0]
    if not len(rows):
        raise InputError(f"{archive.path} shows no instance that the model was trained on. Use the same subjects.")
    code, labels, canonical = code[rows], archive.array("labels")[rows], archive.array("canonical")[rows]
    if labels.max() >= len(part_names):
        raise InputError(f"{archive.path}: a label exceeds its {len(part_names)} part names. Make the archive again.")
    labels = np.zeros_like(labels) if spam.part_count == 1 else labels
    identity = spam.instance_identity.cpu().numpy()[code]
    surface = np.zeros((len(spam.shape_codes), spam.part_count, pool, 3), dtype=np.float32)
    shown = np.zeros(surface.shape[:2], dtype=bool)
    generator = np.random.default_rng(seed)
    for person in np.unique(identity):
        seen = np.nonzero(identity == person)[0]
        for part in range(spam.part_count):
            places = canonical[seen][labels[seen] == part]
            if len(places):
                surface[person, part] = places[generator.integers(len(places), size=pool)]
                shown[person, part] = True
    points, rotation, translation = (
        torch.from_numpy(archive.array(name)[rows]) for name in ("points", "root_rotation", "root_translation")
    )
    return PosedClouds(
        points, torch.from_numpy(code), rotation, translation, torch.from_numpy(surface), torch.from_numpy(shown)
    )  # fmt: skip


class PoseEncoderProblem:
    """What the training loop minimises, checked on clouds of instances that it does not see."""

    def __init__(
        self,
        encoder: PoseEncoder,
        spam: Spam,
        clouds: PosedClouds,
        settings: PoseEncoderTraining,
        steps: int,
        seed: int,
    ) -> None:
        self._encoder, self._spam, self._clouds, self._settings = encoder, spam, clouds, settings
        self._device = encoder.mean.device
        self._ramp_steps = settings.ramp * steps
        instances = torch.unique(clouds.code)
        if len(instances) < 2:
            raise InputError("The clouds show fewer than two training instances. Make clouds of more instances.")
        order = torch.randperm(len(instances), generator=torch.Generator().manual_seed(seed))
        count = max(1, round(settings.validation_share * len(instances)))
        held_out = torch.isin(clouds.code, instances[order[:count]])
        self._rows, self._held_out = (mask.nonzero().squeeze(1) for mask in (~held_out, held_out))

    @property
    def module(self) -> nn.Module:
        """The encoder."""
        return self._encoder

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group."""
        return [{"params": list(self._encoder.parameters()), "lr": self._settings.network_rate}]

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean ℓ2 lengths of the flow's and of the root's error, and squared error of the whitened coordinates."""
        settings, clouds = self._settings, self._clouds
        rows = self._rows[torch.randint(len(self._rows), (settings.batch,), generator=generator)]
        strength = 0.2 + 0.8 * min(1.0, step / self._ramp_steps)
        seen = distort(clouds.points[rows].float(), settings.augment.scaled(strength), generator)
        # The root is a point of the body and moves along; a widened body stands as it stood.
        rotation = seen.rotation @ clouds.root_rotation[rows]
        translation = (seen.linear @ clouds.root_translation[rows][..., None]).squeeze(-1) + seen.shift
        found = self._encoder(seen.points.to(self._device))
        codes = self._spam.pose_codes[clouds.code[rows].to(self._device)]
        flow, root, _ = self._errors(rows, found, codes, rotation, translation, settings.points, generator)
        coefficients = (found.coefficients - self._encoder.space.encode(codes)).square().mean()
        return {"flow": flow, "root": root, "coefficients": settings.coefficient_weight * coefficients}

    def _errors(
        self,
        rows: Tensor,
        found: PoseEstimate,
        codes: Tensor,
        rotation: Tensor,
        translation: Tensor,
        count: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean ℓ2 errors of the flow, of the root applied to the true posed points, and of both together."""
        spam, clouds, device = self._spam, self._clouds, self._device
        identity = spam.instance_identity.cpu()[clouds.code[rows]]
        pool = clouds.surface.shape[2]
        choice = torch.randint(pool, (spam.part_count, len(rows), count), generator=generator)
        parts = torch.arange(spam.part_count)[:, None, None]
        points = clouds.surface[identity[None, :, None], parts, choice].to(device)
        weights = clouds.shown[identity].T[..., None].expand(-1, -1, count).float().to(device)
        shape = spam.shape_codes[identity.to(device)]
        flows = [
            spam.pose_decoders(points, spam.pose_decoders.film(torch.cat([shape, p], dim=-1).transpose(0, 1)))
            for p in (found.pose_codes, codes)
        ]
        flow, true_flow = flows[0], flows[1].detach()

        def upright(posed: Tensor, turn: Tensor, place: Tensor) -> Tensor:
            return posed @ turn.mT + place[:, None]

        truth = upright(points + true_flow, rotation.to(device), translation.to(device))
        place = (found.root_rotation, found.root_translation)
        return (
            flow_loss(flow, true_flow, weights),
            flow_loss(upright(points + true_flow, *place), truth, weights),
            flow_loss(upright(points + flow, *place), truth, weights),
        )

    def validate(self) -> dict[str, float]:
        """Errors on unseen instances, undistorted.

        Returns:
            "end_point_error" of surface points in the upright frame and "flow_error" in the posed one, mean lengths in
            canonical units, and "root_error_deg", the mean angle between found and true root rotation.
        """
        clouds, seen = self._clouds, self._encoder.settings.points
        chosen = torch.linspace(0, len(self._held_out) - 1, min(len(self._held_out), self._settings.validation_clouds))
        generator = torch.Generator().manual_seed(1)
        sums, total = np.zeros(3), 0
        for rows in torch.split(self._held_out[chosen.round().long()], 32):
            with torch.no_grad():
                found = self._encoder(clouds.points[rows, :seen].float().to(self._device))
                codes = self._spam.pose_codes[clouds.code[rows].to(self._device)]
                rotation, translation = clouds.root_rotation[rows], clouds.root_translation[rows]
                flow, _, end_point = self._errors(rows, found, codes, rotation, translation, 32, generator)
            turn = found.root_rotation.cpu().mT @ rotation
            cosine = (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
            degrees = torch.rad2deg(cosine.clamp(-1, 1).acos()).mean()
            sums += len(rows) * np.array([float(end_point), float(flow), float(degrees)])
            total += len(rows)
        return dict(zip(("end_point_error", "flow_error", "root_error_deg"), (sums / total).tolist(), strict=True))


def train_pose_encoder(
    data: Path,
    out: Path,
    *,
    preset: Literal["compact", "paper"],
    steps: int,
    checkpoint_every_s: float,
    device: torch.device,
    seed: int,
    training: PoseEncoderTraining | None = None,
) -> Task[tuple[Path, History]]:
    """Train the pose encoder of a model on an archive of clouds, or go on with a training that was killed.

    Args:
        data: Archive of kind "clouds", made from the subjects that the model was trained on.
        out: Model folder with shape and pose decoders; the archive goes to `encoder` in it, the checkpoint to
            `checkpoints/encoder`.
        preset: Sizes of the network; those of the codes are the model's.
        steps: Optimiser steps.
        checkpoint_every_s: Seconds between checkpoints.
        device: Where to compute.
        seed: Seeds weights, held-out instances and batches.
        training: Batches, rate and weights; the defaults when None.

    Returns:
        The archive's folder and the training curves.

    Raises:
        InputError: Model or clouds are missing, incomplete or do not belong together, the checkpoint belongs to other
            settings, or `out` cannot be written.
    """
    training = training or PoseEncoderTraining()
    archive = read_archive(data, "clouds")
    spam = read_spam(out, device, networks=("shape", "pose"))
    clouds = read_posed_clouds(archive, spam, training.pool, seed)
    sizes = {"compact": COMPACT, "paper": PAPER}[preset]
    encoder = PoseEncoder(sizes, CodeSpace.of(spam.pose_codes, sizes.components), seed=seed).to(device)
    problem = PoseEncoderProblem(encoder, spam, clouds, training, steps, seed)
    loop = LoopSettings(steps, checkpoint_every_s=checkpoint_every_s, validate_every=VALIDATE_EVERY)
    made_from = {
        "training": settings_to_dict(training), "seed": seed, "data_sha256": hash_file(data / "arrays.safetensors"),
        "pose_sha256": hash_file(out / "pose" / "arrays.safetensors"),
    }  # fmt: skip
    fingerprint = {**made_from, "model": settings_to_dict(sizes), "steps": steps}
    logger.info("training encoder on %s, %d clouds, %d steps", device, len(clouds.points), steps)
    history = yield from run_training(
        problem, loop, out / "checkpoints" / "encoder", seed=seed, fingerprint=fingerprint
    )  # fmt: skip
    encoder.eval()
    manifest: Mapping[str, Any] = {
        **made_from, "loop": settings_to_dict(loop), "history": history.manifest(), "torch": torch.__version__,
    }  # fmt: skip
    write_pose_encoder(out / "encoder", encoder, manifest, replace=True)
    return out / "encoder", history
