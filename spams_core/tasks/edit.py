"""Edit shape and pose: the workbench behind the sliders, and shape or pose transfer between fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from tyro.conf import Positional

from spams_core.data.fit import Fit, read_fit, write_fit
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.fitting.surface import canonical_surface
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import require_new
from spams_core.models.codes import part_directions
from spams_core.models.spam import Spam, read_spam
from spams_core.progress import Progress, Task
from spams_core.settings import settings_to_dict
from spams_core.tasks.bake import EditedMotion, code_hashes, decode_fit, require_model_of
from spams_core.tasks.fit import Method, default_model
from spams_core.tasks.mirror import mirror_maps

__all__ = ["EditSettings", "Workbench", "edit", "interpolate_codes", "open_workbench"]

_DIRECTIONS = 6
_PARALLEL = 1e-3


def interpolate_codes(
    a: Float[np.ndarray, "*batch Q D"],
    b: Float[np.ndarray, "*batch Q D"],
    amount: float,
    parts: Any = None,
    *,
    center: Float[np.ndarray, "Q D"] | None = None,
) -> Float[np.ndarray, "*batch Q D"]:
    """Codes between a (amount 0) and b (amount 1), for some or all parts.

    Args:
        parts: Indices of the parts that change; None changes all.
        center: Without it the way is a straight line. With it each part turns around this point: the direction from
            the centre moves along the great circle (Shoemake 1985, slerp) while the distance from it changes evenly,
            so that two unusual bodies are not joined by an ordinary one. Where the two directions are parallel or
            opposite, or a code lies in the centre, there is no one circle and the way is straight.
    """
    chosen = np.zeros(a.shape[-2], dtype=bool)
    chosen[slice(None) if parts is None else parts] = True
    between = (1 - amount) * a + amount * b
    if center is not None:
        from_a, from_b = a - center, b - center
        far_a, far_b = (np.linalg.norm(x, axis=-1, keepdims=True) for x in (from_a, from_b))
        cosine = (from_a * from_b).sum(-1, keepdims=True) / np.maximum(far_a * far_b, 1e-12)
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        sine = np.sin(angle)
        round_trip = sine > _PARALLEL
        safe = np.where(round_trip, sine, 1.0)
        direction = (
            np.sin((1 - amount) * angle) / safe * from_a / np.maximum(far_a, 1e-12)
            + np.sin(amount * angle) / safe * from_b / np.maximum(far_b, 1e-12)
        )  # fmt: skip
        reach = (1 - amount) * far_a + amount * far_b
        known = round_trip & (np.minimum(far_a, far_b) > 1e-6)
        between = np.where(known, center + reach * direction, between)
    result: np.ndarray = np.where(chosen[:, None], between, a).astype(np.float32)
    return result


@dataclass
class Workbench:
    """Decodes codes into meshes as fast as a slider moves; numpy in, numpy out; calls do not change it.

    Attributes:
        spam: The model.
        mean_shape, mean_pose: [Q, D_s] and [Q, D_p] means of the training codes.
        shape_directions, pose_directions: [Q, K, D] principal directions of each part's training codes, one standard
            deviation long, largest first.
        training_shape, training_pose: [I, Q, D_s] and [P, Q, D_p] training codes.
    """

    spam: Spam
    mean_shape: Float[np.ndarray, "Q Ds"]
    mean_pose: Float[np.ndarray, "Q Dp"]
    shape_directions: Float[np.ndarray, "Q K Ds"]
    pose_directions: Float[np.ndarray, "Q K Dp"]
    training_shape: Float[np.ndarray, "I Q Ds"]
    training_pose: Float[np.ndarray, "P Q Dp"]

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the Q parts."""
        return self.spam.settings.part_names

    @property
    def canonical_per_metre(self) -> float:
        """Canonical units per metre of the model's subjects."""
        return self.spam.settings.canonical_per_metre

    def canonical_mesh(
        self, shape_codes: Float[np.ndarray, "Q Ds"], resolution: int = 64, near: Mesh | None = None
    ) -> Mesh:
        """The identity of some shape codes in the canonical pose, canonical units.

        Args:
            near: The mesh of similar codes, as the last one while a slider moves: the same comes out several times
                faster.

        Raises:
            InputError: The codes give no surface.
        """
        surface = canonical_surface(
            self.spam, self._tensor(shape_codes), resolution, None if near is None else near.vertices
        )
        return Mesh(
            surface.vertices.cpu().numpy(),
            surface.faces.cpu().numpy().astype(np.int32),
            surface.parts.cpu().numpy().astype(np.int32),
        )

    @torch.no_grad()
    def pose_vertices(
        self,
        canonical_vertices: Float[np.ndarray, "V 3"],
        shape_codes: Float[np.ndarray, "Q Ds"],
        pose_codes: Float[np.ndarray, "Q Dp"],
    ) -> Float[np.ndarray, "V 3"]:
        """Canonical vertices moved into one pose; posed frame, canonical units."""
        vertices, shape = self._tensor(canonical_vertices), self._tensor(shape_codes)
        weights = self.spam.confidences(vertices, shape)
        flow = self.spam.flow(vertices, shape, self._tensor(pose_codes)[None], weights)[0]
        result: np.ndarray = (vertices + flow).cpu().numpy()
        return result

    @torch.no_grad()
    def points_in_poses(
        self,
        points: Float[np.ndarray, "N 3"],
        shape_codes: Float[np.ndarray, "Q Ds"],
        pose_codes: Float[np.ndarray, "M Q Dp"],
    ) -> Float[np.ndarray, "M N 3"]:
        """Canonical points in many poses; posed frame, canonical units."""
        here, shape = self._tensor(points), self._tensor(shape_codes)
        flow = self.spam.flow(here, shape, self._tensor(pose_codes), self.spam.confidences(here, shape))
        result: np.ndarray = (here + flow).cpu().numpy()
        return result

    def mirror_maps(self) -> tuple[Float[np.ndarray, "Q K K"], Float[np.ndarray, "Q K K"]]:
        """For shape and for pose: deviations of a limb to those that move the opposite one as its mirror image."""
        return mirror_maps(
            self.spam, *(self._tensor(c) for c in (self.mean_shape, self.mean_pose)),
            *(self._tensor(d) for d in (self.shape_directions, self.pose_directions)),
        )  # fmt: skip

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values, dtype=np.float32), device=self.spam.shape_codes.device)


def open_workbench(model: Path | None = None, method: Method = "spam", device: DeviceName = "auto") -> Workbench:
    """Load a model for editing; without a path the bundled one.

    Raises:
        InputError: The model is missing or corrupted.
    """
    spam = read_spam(model or default_model(method), choose_device(device))
    return Workbench(
        spam,
        spam.shape_codes.mean(0).cpu().numpy(),
        spam.pose_codes.mean(0).cpu().numpy(),
        part_directions(spam.shape_codes, _DIRECTIONS).cpu().numpy(),
        part_directions(spam.pose_codes, _DIRECTIONS).cpu().numpy(),
        spam.shape_codes.cpu().numpy(),
        spam.pose_codes.cpu().numpy(),
    )


@dataclass(frozen=True)
class EditSettings:
    """Give a fit the shape, the poses, or some of both, of other fits; the result is a fit again."""

    fit: Positional[Path]
    """The fit to start from."""
    out: Path
    """Where the edited fit goes; a new folder."""
    shape_from: Path | None = None
    """A fit whose shape is taken over."""
    pose_from: Path | None = None
    """A fit whose poses are taken over, frame by frame; the shorter of the two ends the result."""
    amount: float = 1.0
    """How far to go: 0 changes nothing, 1 takes over everything, 0.5 stops half-way."""
    path: Literal["linear", "spherical"] = "linear"
    """The way there: straight, or around the mean body so that what is half-way is as unusual as both ends."""
    parts: tuple[str, ...] = ()
    """Names of the parts that change; none named means all."""
    model: Path | None = None
    """Model folder; without it the one that the fit was made with."""
    device: DeviceName = "auto"
    """Where to compute."""

    def __post_init__(self) -> None:
        if self.shape_from is None and self.pose_from is None:
            raise InputError("Nothing to edit: give --shape-from, --pose-from, or both.")
        if not -1 <= self.amount <= 2:
            raise InputError(f"--amount {self.amount}: codes lose their meaning far outside 0 to 1. Stay in [-1, 2].")


def edit(settings: EditSettings) -> Task[Fit]:
    """Transfer shape or pose between fits of one model, wholly or in part, for all or some parts.

    Raises:
        InputError: A fit or the model is missing or corrupted, they do not fit each other, or a part is unknown.
    """
    require_new(settings.out)
    start = read_fit(settings.fit)
    model = _model_of(settings, start)
    yield Progress(0, 2, "Loading the model")
    spam = read_spam(model, choose_device(settings.device))
    sizes = [codes.shape[-2:] for codes in (start.shape_codes, start.pose_codes)]
    if sizes != [tuple(codes.shape[1:]) for codes in (spam.shape_codes, spam.pose_codes)]:
        raise InputError(f"{model} has codes of another size than {settings.fit}. Give the fit's own with --model.")
    unknown = [name for name in settings.parts if name not in start.part_names]
    if unknown:
        raise InputError(
            f"--parts {unknown[0]}: the fit has the parts {', '.join(start.part_names)}. Name one of these."
        )
    parts = [start.part_names.index(name) for name in settings.parts] or None
    frames = start.frame_count
    shape, pose = start.shape_codes, start.pose_codes
    centers: tuple[Any, Any] = (None, None)
    if settings.path == "spherical":
        centers = (spam.shape_codes.mean(0).cpu().numpy(), spam.pose_codes.mean(0).cpu().numpy())
    if settings.shape_from is not None:
        other = _matching(settings.shape_from, start)
        shape = interpolate_codes(shape, other.shape_codes, settings.amount, parts, center=centers[0])
    if settings.pose_from is not None:
        other = _matching(settings.pose_from, start)
        frames = min(frames, other.frame_count)
        pose = interpolate_codes(pose[:frames], other.pose_codes[:frames], settings.amount, parts, center=centers[1])
    yield Progress(1, 2, "Decoding")
    motion = EditedMotion(
        shape, pose[:frames], start.root_rotation[:frames], start.root_translation_m[:frames],
        start.frame_indices[:frames],
    )  # fmt: skip
    result = decode_fit(spam, Path(model), motion, start, settings_to_dict(settings))
    write_fit(settings.out, result)
    return result


def _model_of(settings: EditSettings, start: Fit) -> Path:
    """The model whose codes the fit holds."""
    model = settings.model or (Path(start.manifest["model"]) if "model" in start.manifest else None)
    if model is None:
        raise InputError(f"{settings.fit} does not say which model it was made with. Give the model with --model.")
    if settings.model is None and not model.is_dir():
        model = default_model(start.manifest.get("method", "spam"))  # fitted on another machine, perhaps with this one
    require_model_of(start, model, settings.fit)
    return model


def _matching(path: Path, start: Fit) -> Fit:
    other = read_fit(path)
    same = (
        other.shape_codes.shape == start.shape_codes.shape and other.pose_codes.shape[1:] == start.pose_codes.shape[1:]
    )
    if not same or code_hashes(start) != code_hashes(other):
        raise InputError(
            f"{path} was fitted with another model; codes of different models cannot be mixed. Fit it again."
        )
    return other
