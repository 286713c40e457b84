"""Measure a fit against its recording and, where there is one, against the ground truth."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from tyro.conf import Positional

from spams_core.data.fit import Fit, read_fit
from spams_core.data.recording import read_sequence, read_subject
from spams_core.data.sequence import DepthSequence
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import closest_on_surface, nearest_points
from spams_core.metrics.surface import compare_surfaces, intersection_over_union
from spams_core.metrics.tracking import Binding, bind_samples, end_point_errors
from spams_core.progress import Progress, Task

__all__ = ["FIGURES", "EvaluateSettings", "Evaluation", "evaluate", "mean_figures"]

logger = logging.getLogger(__name__)

FIGURES = ("iou", "chamfer_l2", "normal_consistency", "epe", "epe_mm", "depth_residual_mm", "seconds_per_frame")
"""What is measured. `iou`, `chamfer_l2` and `epe` are in normalised units; the others are named after theirs."""

_MILLIMETRES_PER_UNIT = 1000 / CANONICAL_PER_METRE

_SAME_PLACE_M = 0.05
"""Another recording of the same motion, with other noise, lies within this of the observed points; no foreign one."""


@dataclass(frozen=True)
class EvaluateSettings:
    """Measure a fit: IoU, Chamfer distance, normal consistency, end-point error, depth residual, time."""

    fit: Positional[Path]
    """Fit archive from 'spams fit'."""
    against: Path | None = None
    """Recording with the ground truth; by default the one that was fitted."""
    volume_samples: int = 1_000_000
    """Points in the unit box for the intersection over union."""
    surface_samples: int = 100_000
    """Samples per surface for Chamfer distance, normals and end-point error."""
    device: DeviceName = "auto"
    """Taken for uniformity with the other commands; the metrics themselves run on the CPU."""
    seed: int = 0
    """Seed of all samples."""

    def __post_init__(self) -> None:
        if self.volume_samples < 1 or self.surface_samples < 1:
            raise InputError("--volume-samples and --surface-samples must be 1 or more.")


@dataclass(frozen=True)
class Evaluation:
    """Figures of a fit; None stands where there is no ground truth, or nothing was observed.

    Attributes:
        mean: Each of `FIGURES`, averaged over the frames that have it.
        frames: Each of `FIGURES` per fitted frame, with the recording's frame number as `frame`.
    """

    mean: Mapping[str, float | None]
    frames: Sequence[Mapping[str, float | None]]

    def summary(self) -> dict[str, Any]:
        """The same as data that JSON can hold."""
        return {"mean": dict(self.mean), "frames": [dict(frame) for frame in self.frames]}


def evaluate(settings: EvaluateSettings) -> Task[Evaluation]:
    """Measure a fit frame by frame.

    Surfaces are compared in normalised units: moved by the centre of the true surface's bounding box and scaled by
    `CANONICAL_PER_METRE`, so that a body fills the unit box [-1, 1]³. The end-point error binds surface samples at the
    first fitted frame. The depth residual is the median over the observed subject points of their distance to the
    fitted surface.

    Raises:
        InputError: Fit or recording are missing or corrupted, or the recording lacks frames that were fitted.
    """
    choose_device(settings.device)
    fit = read_fit(settings.fit)
    sequence = _read_truth(settings, fit)
    read_ground_truth = sequence.read_ground_truth if sequence else None
    seconds = fit.manifest.get("seconds_per_frame")
    logger.info("Evaluate %d frames of %s", fit.frame_count, settings.fit)
    binding: Binding | None = None
    frames: list[dict[str, float | None]] = []
    for t, index in enumerate(fit.frame_indices.tolist()):
        yield Progress(t, fit.frame_count, f"Measure frame {index}")
        generator = np.random.default_rng([settings.seed, index])
        figures: dict[str, float | None] = dict.fromkeys(FIGURES)
        figures["seconds_per_frame"] = seconds
        figures["depth_residual_mm"] = _depth_residual_mm(fit, t)
        if read_ground_truth is not None:
            truth = read_ground_truth(index)
            center = (truth.vertices.max(0).astype(np.float64) + truth.vertices.min(0)) / 2
            truth, predicted = _normalised(truth, center), _normalised(fit.mesh_world(t), center)
            agreement = compare_surfaces(predicted, truth, generator, settings.surface_samples)
            figures["chamfer_l2"] = agreement.chamfer_l2
            figures["normal_consistency"] = agreement.normal_consistency
            figures["iou"] = intersection_over_union(predicted, truth, generator, settings.volume_samples)
            if binding is None:
                binding = bind_samples(predicted, truth, generator, settings.surface_samples)
            epe = float(end_point_errors(binding, predicted.vertices, truth.vertices).mean())
            figures["epe"], figures["epe_mm"] = epe, epe * _MILLIMETRES_PER_UNIT
        frames.append({"frame": index, **figures})
    evaluation = Evaluation(mean_figures(frames, FIGURES), frames)
    shown = {name: value for name, value in evaluation.mean.items() if value is not None}
    yield Progress(fit.frame_count, fit.frame_count, "Measured", shown)
    return evaluation


def mean_figures(rows: Sequence[Mapping[str, float | None]], names: Sequence[str]) -> dict[str, float | None]:
    """The mean of each figure over the rows that have it; None where no row has."""
    values = {name: [value for row in rows if (value := row.get(name)) is not None] for name in names}
    return {name: float(np.mean(found)) if found else None for name, found in values.items()}


def _read_truth(settings: EvaluateSettings, fit: Fit) -> DepthSequence | None:
    """The recording to compare with; None if the fit names none."""
    named = fit.manifest.get("sequence")
    path = settings.against or (Path(named) if named else None)
    if path is None:
        return None
    if settings.against is None and not path.exists():
        raise InputError(f"{settings.fit} was made from {path}, which is gone. Give its present place with --against.")
    sequence = read_sequence(path)
    last = int(fit.frame_indices.max())
    if last >= sequence.frame_count:
        raise InputError(
            f"{path} has {sequence.frame_count} frames, but frame {last} was fitted in {settings.fit}. "
            "Give the recording that was fitted with --against."
        )
    if settings.against is None:
        return sequence
    first = int(fit.frame_indices[0])
    observed, shown = fit.observation(0).points_world, read_subject(sequence, first).points_world
    if len(observed) and np.median(nearest_points(observed, shown)[0]) > _SAME_PLACE_M:
        raise InputError(
            f"{path} shows something else in frame {first} than {settings.fit} was fitted to. "
            "Give the recording that was fitted with --against."
        )
    return sequence


def _normalised(mesh_world: Mesh, center_m: Float[np.ndarray, "3"]) -> Mesh:
    """Metres in the world to normalised units around a point."""
    return Mesh((mesh_world.vertices - center_m) * CANONICAL_PER_METRE, mesh_world.faces)


def _depth_residual_mm(fit: Fit, t: int) -> float | None:
    points = fit.observation(t).points_world
    if len(points) == 0:
        return None
    distance_m, _, _ = closest_on_surface(points, fit.mesh_world(t))
    return float(np.median(distance_m)) * 1000
