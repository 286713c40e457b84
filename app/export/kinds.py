"""What can be exported: meshes, animations and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from app.export.page import ExportKind, spoken_bytes
from app.jobs import run_task

if TYPE_CHECKING:
    from spams_core.data.fit import Fit
    from spams_core.tasks.export import ExportPlan, ExportSettings

__all__ = ["mesh_kind"]

_SHOWN_FILES = 2


def mesh_kind(fit: Fit) -> ExportKind:
    """Meshes, animations and arrays of a fit; its numerics must be loaded by now."""
    from spams_core.tasks.export import ExportSettings, format_titles, out_name

    def name(chosen: Mapping[str, Any], stem: str) -> str:
        return out_name(chosen["format"], stem)

    return ExportKind(
        ExportSettings,
        ("format", "frames", "fps", "out"),
        {"format": format_titles()},
        name,
        partial(_describe, fit),
        partial(run_task, "export"),
        "Export",
        {"frames": f"all {fit.frame_count}, or 0:10:2", "fps": f"{fit_fps(fit):g}, as recorded"},
    )


def fit_fps(fit: Fit) -> float:
    """Frames per second of the recording that was fitted, 30 where the fit doesn't know."""
    told = fit.manifest.get("fps")
    return float(told) if isinstance(told, (int, float)) and told > 0 else 30.0


def _describe(fit: Fit, settings: ExportSettings) -> Sequence[str]:
    from spams_core.tasks.export import plan_export

    plan = plan_export(settings, fit.frame_indices, len(fit.vertex_parts), len(fit.faces), fit_fps(fit))
    return describe_plan(plan, settings.fps or fit_fps(fit))


def describe_plan(plan: ExportPlan, fps: float) -> list[str]:
    """Files, size, frames and duration, a line each."""
    count = f"{len(plan.files)} files" if plan.folder else "1 file"
    lines = [f"<b>{count}, about {spoken_bytes(plan.bytes)}</b>"]
    numbered = [name for name in plan.files if name != "manifest.json"]
    others = [name for name in plan.files if name == "manifest.json"]
    if len(numbered) > _SHOWN_FILES:
        numbered = [f"{numbered[0]} … {numbered[-1]}"]
    lines.append(", ".join([*numbered, *others]))
    first, last = plan.recording_frames[0], plan.recording_frames[-1]
    if len(plan.recording_frames) == 1:
        lines.append(f"Frame {first} of the recording")
    else:
        lines.append(
            f"{len(plan.recording_frames)} frames, {first} to {last} of the recording · "
            f"{plan.seconds:.3g} s at {fps:g} fps"
        )
    return lines
