"""Edit shape and pose: the workbench behind the sliders, and shape or pose transfer between fits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from tyro.conf import Positional

from spams_core.data.fit import Fit, read_fit, write_fit
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.fitting.result import build_fit
from spams_core.fitting.surface import canonical_surface
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import hash_file, require_new
from spams_core.models.codes import part_directions
from spams_core.models.spam import Spam, read_spam
from spams_core.progress import Progress, Task
from spams_core.settings import settings_to_dict
from spams_core.tasks.fit import Method, default_model

__all__ = ["EditSettings", "Workbench", "edit", "interpolate_codes", "open_workbench"]

_DIRECTIONS = 6
_CODE_NETWORKS = ("shape", "pose")


def interpolate_codes(
    a: Float[np.ndarray, "*batch Q D"], b: Float[np.ndarray, "*batch Q D"], amount: float, parts: Any = None
) -> Float[np.ndarray, "*batch Q D"]:
    """Codes on the straight line from a (amount 0) to b (amount 1), for some or all parts.

    Args:
        parts: Indices of the parts that change; None changes all.
    """
    chosen = np.zeros(a.shape[-2], dtype=bool)
    chosen[slice(None) if parts is None else parts] = True
    result: np.ndarray = np.where(chosen[:, None], (1 - amount) * a + amount * b, a).astype(np.float32)
    return result


@dataclass
class Workbench:
    """Decodes codes into meshes as fast as a slider moves; numpy in, numpy out; calls do not change it.

    Attributes:
        spam: The model.
        mean_shape, mean_pose: [Q, D_s] and [Q, D_p] means of the training codes.
        shape_directions, pose_directions: [Q, K, D] principal directions of each part's training codes, one standard
            deviation long, largest first.
    """

    spam: Spam
    mean_shape: Float[np.ndarray, "Q Ds"]
    mean_pose: Float[np.ndarray, "Q Dp"]
    shape_directions: Float[np.ndarray, "Q K Ds"]
    pose_directions: Float[np.ndarray, "Q K Dp"]

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the Q parts."""
        return self.spam.settings.part_names

    def canonical_mesh(self, shape_codes: Float[np.ndarray, "Q Ds"], resolution: int = 64) -> Mesh:
        """The identity of some shape codes in the canonical pose, canonical units.

        Raises:
            InputError: The codes give no surface.
        """
        surface = canonical_surface(self.spam, self._tensor(shape_codes), resolution)
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

    @staticmethod
    def interpolate_codes(
        a: Float[np.ndarray, "Q D"], b: Float[np.ndarray, "Q D"], amount: float
    ) -> Float[np.ndarray, "Q D"]:
        """Codes between a and b; see the function of the same name."""
        return interpolate_codes(a, b, amount)

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
    if settings.shape_from is not None:
        other = _matching(settings.shape_from, start)
        shape = interpolate_codes(shape, other.shape_codes, settings.amount, parts)
    if settings.pose_from is not None:
        other = _matching(settings.pose_from, start)
        frames = min(frames, other.frame_count)
        pose = interpolate_codes(pose[:frames], other.pose_codes[:frames], settings.amount, parts)
    device = spam.shape_codes.device
    yield Progress(1, 2, "Decoding")
    shape_codes = torch.from_numpy(shape).to(device)
    surface = canonical_surface(spam, shape_codes, 128)
    manifest = {
        **start.manifest, "task": "edit", "edit": settings_to_dict(settings), "model": str(Path(model).resolve()),
    }  # fmt: skip
    observed: list[tuple[np.ndarray, np.ndarray, Int[np.ndarray, "N"]]] = []
    for t in range(frames):
        seen = start.observation(t)
        observed.append((seen.points_world, np.zeros_like(seen.points_world), seen.labels))
    result = build_fit(
        spam, surface, shape_codes, torch.from_numpy(pose[:frames]).to(device),
        torch.from_numpy(start.root_rotation[:frames]).to(device),
        torch.from_numpy(start.root_translation_m[:frames]).to(device),
        observed, start.frame_indices[:frames], np.zeros((0, len(start.loss_names)), dtype=np.float32), manifest,
    )  # fmt: skip
    # An edited body no longer explains the recording: no pair of points is claimed.
    result = dataclasses.replace(result, match_weights=np.zeros_like(result.match_weights))
    manifest["depth_residual_mm"] = float(1000 * np.nanmedian(result.residual_m))
    write_fit(settings.out, result)
    return result


def _model_of(settings: EditSettings, start: Fit) -> Path:
    """The model whose codes the fit holds."""
    model = settings.model or (Path(start.manifest["model"]) if "model" in start.manifest else None)
    if model is None:
        raise InputError(f"{settings.fit} does not say which model it was made with. Give the model with --model.")
    if settings.model is None and not model.is_dir():
        model = default_model(start.manifest.get("method", "spam"))  # fitted on another machine, perhaps with this one
    for network, fitted in zip(_CODE_NETWORKS, _code_hashes(start), strict=True):
        arrays = model / network / "arrays.safetensors"
        if fitted is not None and arrays.is_file() and hash_file(arrays) != fitted:
            raise InputError(
                f"{model} is not the model that {settings.fit} was fitted with; codes mean nothing to another model. "
                "Give that model with --model, or fit again."
            )
    return model


def _code_hashes(fit: Fit) -> list[str | None]:
    """Hashes of the networks that give a fit's codes their meaning; None where the fit does not tell."""
    inputs = fit.manifest.get("inputs", {})
    return [inputs.get(f"model/{network}") for network in _CODE_NETWORKS]


def _matching(path: Path, start: Fit) -> Fit:
    other = read_fit(path)
    same = (
        other.shape_codes.shape == start.shape_codes.shape and other.pose_codes.shape[1:] == start.pose_codes.shape[1:]
    )
    if not same or _code_hashes(start) != _code_hashes(other):
        raise InputError(
            f"{path} was fitted with another model; codes of different models cannot be mixed. Fit it again."
        )
    return other
