"""The rows of the benchmark's table: the part-based model, the one-part baseline, and what each part is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from spams_core.device import DeviceName
from spams_core.errors import InputError
from spams_core.tasks.fit import PRESETS, FitSettings, Method, Preset, default_model

__all__ = ["METHODS", "BenchmarkMethod", "MethodName", "method_fit", "method_model"]

MethodName = Literal[
    "spam",
    "npm",
    "npm_no_encoder",
    "npm_extended",
    "spam_no_encoder",
    "spam_no_part_mask",
    "spam_no_encoder_no_part_mask",
    "spam_true_labels",
    "spam_no_articulated",
    "spam_no_dense",
    "spam_no_gates",
    "spam_no_schedule",
    "spam_no_free_space",
    "spam_no_coverage",
    "spam_no_isometry",
    "spam_no_joint_prior",
]


@dataclass(frozen=True)
class BenchmarkMethod:
    """What a row of the table fits.

    Attributes:
        title: What a reader of the table is told.
        method: Part-based model (spam), or one-part baseline (npm).
        solve: Settings of the fit's energy and lengths that differ from the preset's.
        fit: Settings of the task `fit` that differ from its defaults.
    """

    title: str
    method: Method = "spam"
    solve: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)


# The baseline as it was published knows none of what this program adds.
_AS_PUBLISHED: Mapping[str, Any] = {
    "articulated": False,
    "dense_correspondence": False,
    "gates": False,
    "staged": False,
    "free_space_weight": 0.0,
    "coverage_weight": 0.0,
    "isometry_weight": 0.0,
}

METHODS: Mapping[MethodName, BenchmarkMethod] = {
    "npm": BenchmarkMethod("NPMs (one part)", "npm", _AS_PUBLISHED),
    "npm_no_encoder": BenchmarkMethod("NPMs, no pose encoder", "npm", {**_AS_PUBLISHED, "pose_encoder": False}),
    "npm_extended": BenchmarkMethod("NPMs with all our extensions", "npm"),
    "spam": BenchmarkMethod("SPAMs"),
    "spam_no_encoder": BenchmarkMethod("SPAMs, no pose encoder", solve={"pose_encoder": False}),
    "spam_no_part_mask": BenchmarkMethod("SPAMs, no part mask", solve={"part_mask": False}),
    "spam_no_encoder_no_part_mask": BenchmarkMethod(
        "SPAMs, no pose encoder, no part mask", solve={"pose_encoder": False, "part_mask": False}
    ),
    "spam_true_labels": BenchmarkMethod("SPAMs, true part labels", fit={"labels": "recording"}),
    "spam_no_articulated": BenchmarkMethod("SPAMs, no articulated start", solve={"articulated": False}),
    "spam_no_dense": BenchmarkMethod("SPAMs, no dense correspondence", solve={"dense_correspondence": False}),
    "spam_no_gates": BenchmarkMethod("SPAMs, no gates", solve={"gates": False}),
    "spam_no_schedule": BenchmarkMethod("SPAMs, no schedule", solve={"staged": False}),
    "spam_no_free_space": BenchmarkMethod("SPAMs, no free-space term", solve={"free_space_weight": 0.0}),
    "spam_no_coverage": BenchmarkMethod("SPAMs, no coverage term", solve={"coverage_weight": 0.0}),
    "spam_no_isometry": BenchmarkMethod("SPAMs, no isometry term", solve={"isometry_weight": 0.0}),
    "spam_no_joint_prior": BenchmarkMethod("SPAMs, no joint prior", solve={"joint_prior": False}),
}
"""Every row in the table's order: the paper's own comparisons, then each extension switched off by itself."""


def method_model(name: MethodName, model: Path | None, one_part_model: Path | None) -> Path:
    """The folder of a row's model: the given one, or the bundled one.

    Raises:
        InputError: The row fits a one-part model, none is given and none is bundled.
    """
    method = METHODS[name].method
    chosen = model if method == "spam" else one_part_model
    if chosen is not None:
        return chosen
    try:
        return default_model(method)
    except InputError as error:
        if method == "spam":
            raise
        raise InputError(
            f"The row {name} needs a one-part model, and this installation has none. Give --one-part-model, made by "
            "'spams train shape --data SUBJECTS --out MODEL --one-part' and "
            "'spams train pose --data SUBJECTS --out MODEL --one-part', or name other rows with --methods."
        ) from error


def method_fit(
    name: MethodName,
    sequence: Path,
    out: Path,
    *,
    model: Path,
    preset: Preset,
    frames: str,
    device: DeviceName,
    seed: int,
) -> FitSettings:
    """The fit of a recording by a row's method."""
    row = METHODS[name]
    settings = FitSettings(
        sequence=sequence,
        out=out,
        model=model,
        method=row.method,
        preset=preset,
        frames=frames,
        device=device,
        seed=seed,
        solve=replace(PRESETS[preset], **row.solve),
        saved="ignore",
    )
    return replace(settings, **row.fit)
