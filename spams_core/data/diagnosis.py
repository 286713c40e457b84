"""Where in time a fit is good or bad: a few numbers per fitted frame, from the fit and its recording alone."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from spams_core.data.fit import Fit
from spams_core.data.sequence import DepthSequence, subject_silhouette
from spams_core.geometry.nearest import closest_on_surface
from spams_core.io.archive import new_file

__all__ = ["FrameDiagnosis", "diagnose_frame", "write_diagnosis"]


@dataclass(frozen=True)
class FrameDiagnosis:
    """One fitted frame.

    Attributes:
        frame: Of the recording.
        residual_m: Median distance of the observed points to the surface.
        part_residual_m: [Q] the same for the points of each part; NaN for a part without points.
        kept_share: Share of the observed points whose pair was kept.
        missing_share: Share of the subject's pixels without a reading; NaN without a recording.
        jitter_m: Median distance of the vertices from the middle between their places in the fitted frames before and
            after; NaN at the ends and beside a gap. It is half the acceleration: zero for any steady movement.
    """

    frame: int
    residual_m: float
    part_residual_m: Float[np.ndarray, "Q"]
    kept_share: float
    missing_share: float
    jitter_m: float


def diagnose_frame(fit: Fit, row: int, sequence: DepthSequence | None = None) -> FrameDiagnosis:
    """Measure fitted frame `row`.

    Raises:
        InputError: The recording's frame cannot be read.
    """
    seen = fit.observation(row)
    count = len(fit.part_names)
    by_part = np.full(count, np.nan)
    if len(seen.points_world):
        distance = closest_on_surface(seen.points_world, fit.mesh_world(row))[0]
        for part in range(count):
            own = distance[seen.labels == part]
            by_part[part] = np.median(own) if len(own) else np.nan
    frame = int(fit.frame_indices[row])
    missing = float("nan")
    if sequence is not None and frame < sequence.frame_count:
        depth, mask = sequence.read_depth_m(frame), sequence.read_mask(frame)
        subject = subject_silhouette(depth, mask)
        missing = float((depth[subject] == 0).mean()) if subject.any() else 1.0
    return FrameDiagnosis(
        frame,
        float(fit.residual_m[row]),
        by_part,
        float(seen.match_weights.mean()) if len(seen.match_weights) else float("nan"),
        missing,
        _jitter_m(fit, row),
    )


def _jitter_m(fit: Fit, row: int) -> float:
    if not 0 < row < fit.frame_count - 1:
        return float("nan")
    before, here, after = (int(fit.frame_indices[row + step]) for step in (-1, 0, 1))
    if here - before != after - here:
        return float("nan")
    middle = (fit.vertices_world[row - 1].astype(np.float64) + fit.vertices_world[row + 1]) / 2
    return float(np.median(np.linalg.norm(fit.vertices_world[row] - middle, axis=1)))


def write_diagnosis(
    path: Path, rows: Sequence[FrameDiagnosis], part_names: Sequence[str], *, replace: bool = False
) -> Path:
    """Write a table: one row per frame, millimetres and per cent; what is not known stays empty.

    Raises:
        InputError: The file exists and `replace` is false, or cannot be written.
    """
    with new_file(path, replace=replace) as work, work.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["frame", "residual_mm", *(f"{name}_residual_mm" for name in part_names), "kept_percent", "missing_percent",
             "jitter_mm"]
        )  # fmt: skip
        for row in rows:
            lengths = [1e3 * value for value in (row.residual_m, *row.part_residual_m)]
            shares = [1e2 * row.kept_share, 1e2 * row.missing_share]
            numbers = [*lengths, *shares, 1e3 * row.jitter_m]
            table.writerow([row.frame, *(f"{value:.3f}" if np.isfinite(value) else "" for value in numbers)])
    return path
