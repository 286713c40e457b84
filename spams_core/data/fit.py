"""The result of fitting a model to a recording, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from spams_core.data.fit_checkpoint import is_checkpoint
from spams_core.data.fit_history import FitHistory
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE, enlargement
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import Archive, read_archive, write_archive
from spams_core.resources import remember_parts

__all__ = ["Fit", "FrameObservation", "MatchReason", "read_fit", "write_fit"]

_OPTIONAL = frozenset({"match_reasons"})
"""Arrays that an archive may lack."""
_NO_ARRAY = frozenset({"manifest", "history"})
_HISTORY = "history/"
_HISTORY_VERSION = 1


class MatchReason(IntEnum):
    """Why a pair of an observed point and its nearest vertex of the same part was rejected; the first that holds."""

    KEPT = 0
    PART = 1
    """The surface has no vertex of the point's part."""
    DISTANCE = 2
    """They are farther apart than the gate."""
    VISIBILITY = 3
    """The camera cannot see that side of the surface."""
    NORMAL = 4
    """Their normals differ by more than the gate."""


@dataclass(frozen=True)
class FrameObservation:
    """What one frame showed and how it was paired with the fitted surface at the end.

    Attributes:
        points_world: [N, 3] subject points in metres.
        labels: [N] part of each point, from the segmenter.
        matched_world: [N, 3] the nearest vertex of the same part for each observed point.
        match_weights: [N] 1, or 0 where the pair was rejected.
        reasons: [N] why, as `MatchReason`; None where the fit does not say.
    """

    points_world: Float[np.ndarray, "N 3"]
    labels: Int[np.ndarray, "N"]
    matched_world: Float[np.ndarray, "N 3"]
    match_weights: Float[np.ndarray, "N"]
    reasons: Int[np.ndarray, "N"] | None = None


@dataclass(frozen=True)
class Fit:
    """Fitted codes, the mesh they give in every frame, and what it was fitted to.

    Arrays of the archive (kind "fit"); T fitted frames, Q parts, V vertices, one topology::

        shape_codes [Q, D_s] · pose_codes [T, Q, D_p] · root_rotation [T, 3, 3] · root_translation_m [T, 3]
        canonical_vertices [V, 3] canonical units · faces [F, 3] int32 · vertex_parts [V] int32
        vertices_world [T, V, 3] metres · frame_indices [T] frames of the recording
        residual_m [T] median distance of the observed points to the fitted surface
        observed_points [M, 3] · observed_labels [M] · matched_points [M, 3] · match_weights [M] and
        observed_offsets [T + 1]: the rows of frame t are offsets[t]:offsets[t + 1]
        loss_history [I, K] with the names of its K columns in the manifest as `loss_names`
        match_reasons [M] uint8, see `MatchReason`: 0 exactly where the weight is not; may be missing
        history/… the arrays of `FitHistory`, with "history_version" in the manifest; may be missing

    Attributes:
        manifest: Settings, hashes of inputs, part names, sequence path, model path, seconds and so on.
        history: The codes after each round; None where they were not kept.
    """

    manifest: Mapping[str, Any]
    shape_codes: Float[np.ndarray, "Q Ds"]
    pose_codes: Float[np.ndarray, "T Q Dp"]
    root_rotation: Float[np.ndarray, "T 3 3"]
    root_translation_m: Float[np.ndarray, "T 3"]
    canonical_vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    vertex_parts: Int[np.ndarray, "V"]
    vertices_world: Float[np.ndarray, "T V 3"]
    frame_indices: Int[np.ndarray, "T"]
    residual_m: Float[np.ndarray, "T"]
    observed_points: Float[np.ndarray, "M 3"]
    observed_labels: Int[np.ndarray, "M"]
    matched_points: Float[np.ndarray, "M 3"]
    match_weights: Float[np.ndarray, "M"]
    observed_offsets: Int[np.ndarray, "T1"]
    loss_history: Float[np.ndarray, "I K"]
    match_reasons: Int[np.ndarray, "M"] | None = None
    history: FitHistory | None = None

    @property
    def frame_count(self) -> int:
        """T, the number of fitted frames."""
        return len(self.frame_indices)

    @property
    def canonical_per_metre(self) -> float:
        """Canonical units per metre of the fitted subject's class."""
        return float(self.manifest.get("canonical_per_metre", CANONICAL_PER_METRE))

    @property
    def enlargement(self) -> float:
        """How many times larger the subject would be if it were as large as a person; see `frames.enlargement`."""
        return enlargement(self.canonical_per_metre)

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the columns of `loss_history`."""
        return tuple(self.manifest["loss_names"])

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the Q parts."""
        return tuple(self.manifest["part_names"])

    def canonical_mesh(self) -> Mesh:
        """The identity in the canonical pose, canonical units."""
        return Mesh(self.canonical_vertices, self.faces, self.vertex_parts)

    def mesh_world(self, t: int) -> Mesh:
        """The fitted surface in fitted frame t, metres."""
        return Mesh(self.vertices_world[t], self.faces, self.vertex_parts)

    def observation(self, t: int) -> FrameObservation:
        """What fitted frame t showed."""
        rows = slice(int(self.observed_offsets[t]), int(self.observed_offsets[t + 1]))
        return FrameObservation(
            self.observed_points[rows],
            self.observed_labels[rows],
            self.matched_points[rows],
            self.match_weights[rows],
            None if self.match_reasons is None else self.match_reasons[rows],
        )


def write_fit(path: Path, fit: Fit, *, replace: bool = False) -> Archive:
    """Write a fit as an archive of kind "fit"; whole or not at all.

    Raises:
        InputError: The folder exists and `replace` is false, or cannot be written.
    """
    arrays = {field.name: getattr(fit, field.name) for field in fields(Fit) if field.name not in _NO_ARRAY}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    manifest = {name: value for name, value in fit.manifest.items() if name != "history_version"}
    if fit.history is not None:
        arrays |= {f"{_HISTORY}{name}": array for name, array in fit.history.arrays().items()}
        manifest["history_version"] = _HISTORY_VERSION
    return write_archive(path, "fit", manifest, arrays, replace=replace)


def read_fit(path: Path) -> Fit:
    """Read a fit.

    Raises:
        InputError: It is missing, corrupted, of another kind, or its arrays do not belong together.
    """
    if is_checkpoint(path):
        raise InputError(
            f"{path} keeps a fit that was interrupted. Go on with it: the command that began it, with --resume; the "
            "window continues it under Runs."
        )
    archive = read_archive(path, "fit")
    remember_parts(archive.manifest)
    lacking = _OPTIONAL.difference(archive.names())
    names = [field.name for field in fields(Fit) if field.name not in _NO_ARRAY | lacking]
    arrays: dict[str, Any] = {name: archive.array(name) for name in names}
    # A history of a later version is nothing that this one can show; the fit itself is.
    if archive.manifest.get("history_version") == _HISTORY_VERSION:
        arrays["history"] = FitHistory.of_arrays(archive.arrays(_HISTORY))
    fit = Fit(archive.manifest, **arrays)
    frames, vertices = len(fit.frame_indices), len(fit.canonical_vertices)
    whole = (
        fit.vertices_world.shape == (frames, vertices, 3)
        and fit.pose_codes.shape[0] == fit.root_rotation.shape[0] == fit.root_translation_m.shape[0] == frames
        and fit.observed_offsets.shape == (frames + 1,)
        and fit.vertex_parts.shape == (vertices,)
        and frames > 0
        and len(fit.faces) > 0
        and 0 <= int(fit.faces.min()) <= int(fit.faces.max()) < vertices
        and bool(np.isfinite(fit.vertices_world).all())
        and int(fit.observed_offsets[-1]) == len(fit.observed_points) == len(fit.observed_labels)
        and len(fit.matched_points) == len(fit.match_weights) == len(fit.observed_points)
        and (fit.match_reasons is None or fit.match_reasons.shape == fit.match_weights.shape)
        and fit.residual_m.shape == (frames,)
        and 0 <= int(fit.vertex_parts.min()) <= int(fit.vertex_parts.max()) < len(archive.words("part_names"))
        and fit.loss_history.ndim == 2
        and fit.loss_history.shape[1] == len(archive.words("loss_names"))
        and (
            fit.history is None
            or fit.history.belongs_to(frames, len(fit.loss_history), fit.shape_codes.shape, fit.pose_codes.shape[1:])
        )
    )
    if not whole:
        raise InputError(f"{path}: the arrays of this fit do not belong together; it is corrupted. Fit again.")
    return fit
