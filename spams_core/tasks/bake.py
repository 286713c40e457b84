"""Decode edited codes into what can be kept: a fit, or a folder of meshes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from spams_core import __version__
from spams_core.data.fit import Fit, write_fit
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.fitting.result import build_fit
from spams_core.fitting.surface import canonical_surface, posed_vertices
from spams_core.frames import world_from_posed
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import FORMAT_VERSION, hash_file, new_folder, require_new
from spams_core.io.obj import write_obj
from spams_core.io.ply import write_ply
from spams_core.models.spam import Spam, read_spam
from spams_core.progress import Progress, Task
from spams_core.resources import part_colors
from spams_core.settings import json_ready

__all__ = ["EditedMotion", "MeshFormat", "bake_fit", "bake_meshes", "code_hashes", "decode_fit", "require_model_of"]

MeshFormat = Literal["ply", "obj"]
_RESOLUTION = 128
_CODE_NETWORKS = ("shape", "pose")


@dataclass(frozen=True)
class EditedMotion:
    """Codes over time and where the body stands.

    Attributes:
        shape_codes: [Q, D_s] one identity; for meshes also [T, Q, D_s], another one in each frame.
        pose_codes: [T, Q, D_p].
        root_rotation, root_translation_m: [T, 3, 3] and [T, 3], world from posed.
        frame_indices: [T] frames of the recording, or 0..T-1 without one.
    """

    shape_codes: Float[np.ndarray, "..."]
    pose_codes: Float[np.ndarray, "T Q Dp"]
    root_rotation: Float[np.ndarray, "T 3 3"]
    root_translation_m: Float[np.ndarray, "T 3"]
    frame_indices: Int[np.ndarray, "T"]


def decode_fit(spam: Spam, model: Path, motion: EditedMotion, start: Fit | None, edit: Mapping[str, Any]) -> Fit:
    """The fit that edited codes make.

    Args:
        model: The folder that `spam` was read from.
        start: The fit that was edited: its observations and its manifest are kept, and its first T frames are those of
            the motion. None makes a fit of nothing observed, its residuals unknown.
        edit: What the manifest tells of the edit.

    Raises:
        InputError: The codes give no surface.
    """
    device, frames = spam.shape_codes.device, len(motion.pose_codes)
    shape, pose, rotation, translation = (
        torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(device)
        for array in (motion.shape_codes, motion.pose_codes, motion.root_rotation, motion.root_translation_m)
    )
    surface = canonical_surface(spam, shape, _RESOLUTION)
    if start is not None:
        manifest = {**start.manifest, "task": "edit", "edit": dict(edit), "model": str(model.resolve())}
    else:
        manifest = _manifest_without_fit(spam, model, edit)
    observed: list[tuple[np.ndarray, np.ndarray, Int[np.ndarray, "N"]]] = []
    for t in range(frames):
        if start is not None:
            seen = start.observation(t)
            observed.append((seen.points_world, np.zeros_like(seen.points_world), seen.labels))
        else:
            observed.append((np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, dtype=np.int32)))
    history = np.zeros((0, len(manifest["loss_names"])), dtype=np.float32)
    result = build_fit(
        spam, surface, shape, pose, rotation, translation, observed, motion.frame_indices, history, manifest
    )
    # An edited body no longer explains the recording: no pair of points is claimed.
    result = dataclasses.replace(result, match_weights=np.zeros_like(result.match_weights), match_reasons=None)
    if np.isfinite(result.residual_m).any():
        manifest["depth_residual_mm"] = float(1000 * np.nanmedian(result.residual_m))
    return result


def bake_fit(
    model: Path,
    motion: EditedMotion,
    out: Path,
    start: Fit | None,
    edit: Mapping[str, Any],
    device: DeviceName = "auto",
) -> Task[Path]:
    """Write edited codes as a new fit; see `decode_fit`. The folder appears whole or not at all.

    Raises:
        InputError: The folder exists or cannot be written, the model is missing or is not the one of the fit, or the
            codes give no surface.
    """
    require_new(out)
    if start is not None:
        require_model_of(start, model, "the open fit")
    yield Progress(0, 2, "Loading the model")
    spam = read_spam(model, choose_device(device))
    yield Progress(1, 2, f"Decoding {len(motion.pose_codes)} frames")
    result = decode_fit(spam, Path(model), motion, start, {**edit, "out": str(out)})
    yield Progress(2, 2, "Writing")
    write_fit(out, result)
    return out


def bake_meshes(
    model: Path,
    motion: EditedMotion,
    out: Path,
    format: MeshFormat,
    edit: Mapping[str, Any],
    device: DeviceName = "auto",
) -> Task[Path]:
    """Write edited codes as 000000.ply, 000001.ply, … (or .obj), metres, world frame, +y up, with manifest.json.

    Where the shape stays, all meshes have one topology; where it changes, each frame has its own.

    Raises:
        InputError: The folder exists or cannot be written, the model is missing, or codes give no surface.
    """
    require_new(out)
    frames = len(motion.pose_codes)
    yield Progress(0, frames, "Loading the model")
    spam = read_spam(model, choose_device(device))
    names, per_metre = spam.settings.part_names, spam.settings.canonical_per_metre

    def tensor(array: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(array, dtype=np.float32), device=spam.shape_codes.device)

    comments = [f"spams {__version__}, metres, world frame, +y up"]
    colors, shapes, surface = part_colors(names), motion.shape_codes, None
    with new_folder(out) as folder:
        for t in range(frames):
            name = f"{t:06d}.{format}"
            yield Progress(t, frames, f"Write {name}")
            shape = tensor(shapes if shapes.ndim == 2 else shapes[t])
            if surface is None or shapes.ndim == 3:
                surface = canonical_surface(spam, shape, _RESOLUTION)
            posed = posed_vertices(spam, surface, shape, tensor(motion.pose_codes[t : t + 1]))[0]
            world = world_from_posed(
                posed, tensor(motion.root_rotation[t]), tensor(motion.root_translation_m[t]), per_metre
            )
            parts = surface.parts.cpu().numpy().astype(np.int32)
            mesh = Mesh(world.cpu().numpy(), surface.faces.cpu().numpy().astype(np.int32), parts)
            if format == "ply":
                write_ply(folder / name, mesh, colors, comments, normals=True)
            else:
                write_obj(folder / name, mesh, names, comments)
        told = {
            "format_version": FORMAT_VERSION, "kind": "export", "code_version": __version__,
            "part_names": list(names), "unit": "metre", "frame": "world, +y up", "model": str(Path(model).resolve()),
            "edit": json_ready({**edit, "out": str(out)}),
        }  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    yield Progress(frames, frames, f"Wrote {frames} meshes")
    return out


def require_model_of(fit: Fit, model: Path, name: object) -> None:
    """Refuse a model that is not the one a fit was made with.

    Args:
        name: What to call the fit in the message.

    Raises:
        InputError: The networks that give the codes their meaning differ.
    """
    for network, fitted in zip(_CODE_NETWORKS, code_hashes(fit), strict=True):
        arrays = model / network / "arrays.safetensors"
        if fitted is not None and arrays.is_file() and hash_file(arrays) != fitted:
            raise InputError(
                f"{model} is not the model that {name} was fitted with; codes mean nothing to another model. "
                "Give that model with --model, or fit again."
            )


def code_hashes(fit: Fit) -> list[str | None]:
    """Hashes of the networks that give a fit's codes their meaning; None where the fit does not tell."""
    inputs = fit.manifest.get("inputs", {})
    return [inputs.get(f"model/{network}") for network in _CODE_NETWORKS]


def _manifest_without_fit(spam: Spam, model: Path, edit: Mapping[str, Any]) -> dict[str, Any]:
    names = spam.settings.part_names
    return {
        "task": "edit", "edit": dict(edit), "model": str(model.resolve()), "part_names": list(names),
        "canonical_per_metre": spam.settings.canonical_per_metre,
        "loss_names": [], "method": "npm" if len(names) == 1 else "spam", "preset": "none",
        "inputs": {f"model/{n}": hash_file(model / n / "arrays.safetensors") for n in _CODE_NETWORKS},
        "depth_residual_mm": None, "seconds_per_frame": None, "fps": 30.0, "settings": {"out": str(edit.get("out"))},
    }  # fmt: skip
