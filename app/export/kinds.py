"""What can be exported: meshes, animations and data; pictures and videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.export.page import ExportKind, spoken_bytes
from app.jobs import run_task
from app.translation import ntr, tr

if TYPE_CHECKING:
    from app.export.pictures import RenderSettings
    from spams_core.data.fit import Fit
    from spams_core.tasks.export import ExportPlan, ExportSettings

__all__ = ["mesh_kind", "picture_kind"]

_SHOWN_FILES = 2
_BYTES_PER_PIXEL = {"mp4": 0.03, "gif": 0.15, "png": 0.6}
"""Measured on a body before the plain background; good to a factor of two."""


def mesh_kind(fit: Fit) -> ExportKind:
    """Meshes, animations and arrays of a fit; its numerics must be loaded by now."""
    from spams_core.tasks.export import (
        ExportSettings,
        format_for,
        format_titles,
        out_name,
        program_titles,
        written_paths,
    )

    shown_program: list[str] = []

    def name(chosen: Mapping[str, Any], stem: str) -> str:
        return out_name(chosen["format"], stem)

    def amend(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
        """Another program gets the format that suits it; after that the user's choice of format stays."""
        program = chosen["program"]
        changed = bool(shown_program) and shown_program[-1] != program
        shown_program[:] = [program]
        return {"format": format_for(program)} if changed and format_for(program) != chosen["format"] else {}

    return ExportKind(
        ExportSettings,
        ("program", "format", "frames", "fps", "out"),
        {
            "format": {name: tr(title) for name, title in format_titles().items()},
            "program": {name: tr(title) for name, title in program_titles().items()},
        },
        name,
        partial(_describe, fit),
        partial(run_task, "export"),
        tr("Export"),
        {
            "frames": tr("all {count}, or 0:10:2", count=fit.frame_count),
            "fps": tr("{fps:g}, as recorded", fps=fit_fps(fit)),
        },
        writes=written_paths,
        told=_told_of_rig,
        initial={"format": "ply"},
        amend=amend,
    )


def _told_of_rig(path: Path) -> Sequence[str]:
    from spams_core.tasks.export_rig import told_distance

    told = told_distance(path)
    if told is None:
        return ()
    return (
        tr(
            "Distance to the fit: {mean_mm:.1f} mm on average, 95 % below {p95_mm:.1f} mm, at most {max_mm:.1f} mm",
            mean_mm=told["mean_mm"],
            p95_mm=told["p95_mm"],
            max_mm=told["max_mm"],
        ),
    )


def fit_fps(fit: Fit) -> float:
    """Frames per second of the recording that was fitted, 30 where the fit doesn't know."""
    told = fit.manifest.get("fps")
    return float(told) if isinstance(told, (int, float)) and told > 0 else 30.0


def _describe(fit: Fit, settings: ExportSettings) -> Sequence[str]:
    from spams_core.tasks.export import plan_export

    plan = plan_export(settings, fit.frame_indices.tolist(), len(fit.vertex_parts), len(fit.faces), fit_fps(fit))
    return describe_plan(plan, settings.fps or fit_fps(fit))


def describe_plan(plan: ExportPlan, fps: float) -> list[str]:
    """Files, size, frames and duration, a line each."""
    size = spoken_bytes(plan.bytes)
    files = ntr("{count} file, about {size}", "{count} files, about {size}", len(plan.files), size=size)
    lines = [f"<b>{files}</b>"]
    numbered = [name for name in plan.files if name != "manifest.json"]
    others = [name for name in plan.files if name == "manifest.json"]
    if len(numbered) > _SHOWN_FILES:
        numbered = [f"{numbered[0]} … {numbered[-1]}"]
    lines.append(", ".join([*numbered, *others]))
    first, last = plan.recording_frames[0], plan.recording_frames[-1]
    if len(plan.recording_frames) == 1:
        lines.append(tr("Frame {first} of the recording", first=first))
    else:
        lines.append(
            tr(
                "{count} frames, {first} to {last} of the recording",
                count=len(plan.recording_frames),
                first=first,
                last=last,
            )
        )
        lines.append(tr("{seconds:.3g} s at {fps:g} fps", seconds=plan.seconds, fps=fps))
    lines.append(plan.axes)
    return [*lines, plan.remark] if plan.remark else lines


def picture_kind(fit: Fit) -> ExportKind:
    """Stills, turntables and videos of a fit; its numerics must be loaded by now."""
    from app.export.pictures import RenderSettings, render_beside

    def name(chosen: Mapping[str, Any], stem: str) -> str:
        ending = "" if chosen["kind"] == "sequence" else f"_{chosen['kind']}"
        return f"{stem}{ending}.{chosen['format']}"

    def amend(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
        if chosen["kind"] == "still":
            return {} if chosen["format"] == "png" else {"format": "png"}
        return {"format": "mp4"} if chosen["format"] == "png" else {}

    return ExportKind(
        RenderSettings,
        ("kind", "format", "frames", "speed", "width", "height", "view", "background"),
        {
            "kind": {"sequence": tr("Video of the sequence"), "turntable": tr("Turntable"), "still": tr("Still")},
            "format": {"mp4": "MP4", "gif": "GIF", "png": "PNG"},
            "background": {"dark": tr("Dark"), "light": tr("Light"), "white": tr("White")},
            "view": {"sensor": tr("Sensor's side"), "back": tr("Behind"), "left": tr("Left"), "right": tr("Right")},
        },
        name,
        partial(_describe_pictures, fit),
        render_beside,
        tr("Render"),
        {"frames": tr("all {count}, or 0:10:2", count=fit.frame_count)},
        _pictures_and_sidecar,
        amend=amend,
        command="python -m app.export.render",
    )


def _pictures_and_sidecar(settings: RenderSettings) -> Sequence[Path]:
    from app.export.pictures import sidecar_path

    return settings.out, sidecar_path(settings.out)


def _describe_pictures(fit: Fit, settings: RenderSettings) -> Sequence[str]:
    from app.export.pictures import plan_pictures, sidecar_path

    plan = plan_pictures(settings, fit.frame_indices.tolist(), fit_fps(fit))
    count = len(plan.rows)
    size = count * settings.width * settings.height * _BYTES_PER_PIXEL[settings.format]
    first, last = (int(fit.frame_indices[row]) for row in (plan.rows[0], plan.rows[-1]))
    shown = (
        tr("Frame {first}", first=first) if first == last else tr("Frames {first} to {last}", first=first, last=last)
    )
    files = tr("2 files, roughly {size}", size=spoken_bytes(size))
    lines = [
        f"<b>{files}</b>",
        f"{settings.out.name}, {sidecar_path(settings.out).name}",
        tr("{shown} of the recording", shown=shown),
    ]
    if settings.kind != "still":
        lines.append(
            tr("{count} pictures, {seconds:.3g} s at {fps:.3g} fps", count=count, seconds=plan.seconds, fps=plan.fps)
        )
    return lines
