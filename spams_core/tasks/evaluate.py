"""Measure a fit against its recording and, where there is one, against the ground truth."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from tyro.conf import Positional

from spams_core.data.fit import Fit, FrameObservation, read_fit
from spams_core.data.isolation import fitted_subject
from spams_core.data.recording import read_sequence, read_subject, read_true_parts
from spams_core.data.saved_settings import fitted_reading
from spams_core.data.sequence import DepthSequence, SubjectPoints, subject_silhouette
from spams_core.data.synthetic_bodies import PART_NAMES
from spams_core.device import DeviceName, choose_device
from spams_core.errors import InputError
from spams_core.frames import enlargement
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import closest_on_surface, nearest_points
from spams_core.metrics.jitter import PartImage, part_movement, still_parts
from spams_core.metrics.sides import mirrored_pairs, sides_swapped, sides_swapped_over_time
from spams_core.metrics.silhouette import silhouette_iou
from spams_core.metrics.surface import compare_surfaces, intersection_over_union
from spams_core.metrics.tracking import Binding, bind_samples, end_point_errors, errors_by_part
from spams_core.progress import Progress, Task

__all__ = ["FIGURES", "EvaluateSettings", "Evaluation", "evaluate", "mean_figures"]

logger = logging.getLogger(__name__)

FIGURES = (
    "iou",
    "chamfer_l2",
    "normal_consistency",
    "epe",
    "epe_mm",
    "depth_residual_mm",
    "seconds_per_frame",
    "silhouette_iou",
    "jitter_mm",
    "part_jitter_mm",
    "part_epe_mm",
    "sides_swapped",
)
"""What is measured. `iou`, `chamfer_l2` and `epe` are in normalised units; the others are named after theirs.

Those that begin with `part_` map part names to numbers; `sides_swapped` is true or false, in a mean the share of true.
"""

_SAME_PLACE_M = 0.05
"""Another recording of the same motion, with other noise, lies within this of the observed points; no foreign one."""


@dataclass(frozen=True)
class EvaluateSettings:
    """Measure a fit: against the truth where there is one, its silhouette, jitter and left and right without."""

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

    A figure is a number, true or false, or a mapping from part names to numbers.

    Attributes:
        mean: Each of `FIGURES`, averaged over the frames that have it.
        frames: Each of `FIGURES` per fitted frame, with the recording's frame number as `frame`.
    """

    mean: Mapping[str, Any]
    frames: Sequence[Mapping[str, Any]]

    @property
    def swapped_frames(self) -> int | None:
        """In how many frames left and right are exchanged; None where no frame can tell."""
        known = [frame["sides_swapped"] for frame in self.frames if frame["sides_swapped"] is not None]
        return sum(known) if known else None

    def summary(self) -> dict[str, Any]:
        """The same as data that JSON can hold."""
        return {
            "mean": dict(self.mean),
            "frames": [dict(frame) for frame in self.frames],
            "swapped_frames": self.swapped_frames,
        }


def evaluate(settings: EvaluateSettings) -> Task[Evaluation]:
    """Measure a fit frame by frame.

    Surfaces are compared in normalised units: moved by the centre of the true surface's bounding box and scaled by the
    model's canonical units per metre, so that a body fills the unit box [-1, 1]³. The end-point error binds surface
    samples at the first fitted frame. The depth residual is the median over the observed subject points of their
    distance to the fitted surface.

    What needs the recording but no ground truth: `silhouette_iou` compares the projected surface with
    `subject_silhouette`; `jitter_mm` is the median way of the vertices since the fitted frame before, over all parts
    that `still_parts` finds at rest in between, and `part_jitter_mm` the same for each of them.

    `sides_swapped` asks the recording's true parts where it has labels (`metrics.sides.sides_swapped`), and else the
    other frames of the fit (`sides_swapped_over_time`).

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
    before: PartImage | None = None
    pairs = mirrored_pairs(fit.part_names)
    swapped = sides_swapped_over_time(fit.vertices_world, fit.vertex_parts, pairs)
    frames: list[dict[str, Any]] = []
    for t, index in enumerate(fit.frame_indices.tolist()):
        yield Progress(t, fit.frame_count, f"Measure frame {index}")
        generator = np.random.default_rng([settings.seed, index])
        figures: dict[str, Any] = dict.fromkeys(FIGURES)
        figures["seconds_per_frame"] = seconds
        figures["depth_residual_mm"] = _depth_residual_mm(fit, t)
        figures["sides_swapped"] = None if swapped is None else bool(swapped[t])
        if sequence is not None:
            subject = read_subject(sequence, index)
            after = _part_image(sequence, index, subject, fit.observation(t))
            figures["silhouette_iou"] = silhouette_iou(fit.mesh_world(t), after.silhouette, sequence.camera)
            if before is not None:
                figures |= _jitter(fit, t, still_parts(before, after, len(fit.part_names)))
            before = after
            true_parts = read_true_parts(sequence, index, subject, len(fit.part_names)) if pairs else None
            if true_parts is not None:
                figures["sides_swapped"] = sides_swapped(
                    subject.points_world, true_parts, fit.vertices_world[t], fit.vertex_parts, pairs
                )
        if read_ground_truth is not None:
            truth = read_ground_truth(index)
            truth_parts = truth.vertex_parts
            center = (truth.vertices.max(0).astype(np.float64) + truth.vertices.min(0)) / 2
            truth, predicted = (
                _normalised(mesh, center, fit.canonical_per_metre) for mesh in (truth, fit.mesh_world(t))
            )
            agreement = compare_surfaces(predicted, truth, generator, settings.surface_samples)
            figures["chamfer_l2"] = agreement.chamfer_l2
            figures["normal_consistency"] = agreement.normal_consistency
            figures["iou"] = intersection_over_union(predicted, truth, generator, settings.volume_samples)
            if binding is None:
                binding = bind_samples(predicted, truth, generator, settings.surface_samples)
            errors = end_point_errors(binding, predicted.vertices, truth.vertices)
            epe = float(errors.mean())
            figures["epe"], figures["epe_mm"] = epe, epe * 1000 / fit.canonical_per_metre
            errors_mm = 1000 / fit.canonical_per_metre * errors
            figures["part_epe_mm"] = _part_epe_mm(errors_mm, binding, truth_parts, fit.part_names)
        frames.append({"frame": index, **figures})
    evaluation = Evaluation(mean_figures(frames, FIGURES), frames)
    shown = {name: value for name, value in evaluation.mean.items() if isinstance(value, float)}
    yield Progress(fit.frame_count, fit.frame_count, "Measured", shown)
    return evaluation


def mean_figures(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """The mean of each figure over the rows that have it; None where no row has.

    Of a figure that is a mapping, the mean is the mapping of the means.
    """
    mean: dict[str, Any] = {}
    for name in names:
        values = [value for row in rows if (value := row.get(name)) is not None]
        if values and isinstance(values[0], Mapping):
            mean[name] = mean_figures(values, list(dict.fromkeys(key for value in values for key in value)))
        else:
            mean[name] = float(np.mean(values)) if values else None
    return mean


def _read_truth(settings: EvaluateSettings, fit: Fit) -> DepthSequence | None:
    """The recording to compare with; None if the fit names none."""
    named = fit.manifest.get("sequence")
    path = settings.against or (Path(named) if named else None)
    if path is None:
        return None
    if settings.against is None and not path.exists():
        raise InputError(f"{settings.fit} was made from {path}, which is gone. Give its present place with --against.")
    sequence = read_sequence(path, fitted_subject(fit.manifest), fitted_reading(fit.manifest))
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
    if len(observed) and np.median(nearest_points(observed, shown)[0]) > _SAME_PLACE_M / enlargement(
        fit.canonical_per_metre
    ):
        raise InputError(
            f"{path} shows something else in frame {first} than {settings.fit} was fitted to. "
            "Give the recording that was fitted with --against."
        )
    return sequence


def _normalised(mesh_world: Mesh, center_m: Float[np.ndarray, "3"], per_metre: float) -> Mesh:
    """Metres in the world to normalised units around a point."""
    return Mesh((mesh_world.vertices - center_m) * per_metre, mesh_world.faces)


def _depth_residual_mm(fit: Fit, t: int) -> float | None:
    points = fit.observation(t).points_world
    if len(points) == 0:
        return None
    distance_m, _, _ = closest_on_surface(points, fit.mesh_world(t))
    return float(np.median(distance_m)) * 1000


def _part_image(sequence: DepthSequence, index: int, subject: SubjectPoints, seen: FrameObservation) -> PartImage:
    """A frame's subject pixel by pixel; each takes the label of the nearest point that the fit keeps."""
    depth_m, size = sequence.read_depth_m(index), (sequence.camera.height, sequence.camera.width)
    points, normals = (np.zeros((*size, 3), dtype=np.float32) for _ in range(2))
    labels = np.full(size, -1, dtype=np.int32)
    if len(seen.points_world):
        _, nearest = nearest_points(subject.points_world, seen.points_world)
        columns, rows = subject.pixels.T
        points[rows, columns], normals[rows, columns] = subject.points_world, subject.normals_world
        labels[rows, columns] = seen.labels[nearest]
    return PartImage(depth_m, points, normals, labels, subject_silhouette(depth_m, sequence.read_mask(index)))


def _jitter(fit: Fit, t: int, still: Sequence[int]) -> dict[str, Any]:
    """How far the fitted surface moves from the fitted frame before to t in parts that the recording shows at rest."""
    if not still:
        return {}

    def movement_mm(parts: Sequence[int]) -> float | None:
        way_m = part_movement(fit.vertices_world[t - 1], fit.vertices_world[t], fit.vertex_parts, parts)
        return None if way_m is None else way_m * 1000

    by_part = {name: movement_mm([part]) if part in still else None for part, name in enumerate(fit.part_names)}
    return {"jitter_mm": movement_mm(still), "part_jitter_mm": by_part}


def _part_epe_mm(
    errors_mm: Float[np.ndarray, "N"], binding: Binding, truth_parts: Int[np.ndarray, "W"] | None, names: Sequence[str]
) -> dict[str, float | None] | None:
    """End-point error per true part, millimetres; None where the ground truth names no parts, or others.

    A fit of one part is measured by the six parts of the synthetic bodies, so that it compares with a fit of six.
    """
    names = PART_NAMES if len(names) == 1 else names
    if truth_parts is None or not 0 <= truth_parts.min() <= truth_parts.max() < len(names):
        return None
    return errors_by_part(errors_mm, binding, truth_parts, names)
