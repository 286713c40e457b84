"""Write a fit's animation in a format that other programs read."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tyro.conf import Positional

from spams_core.errors import InputError
from spams_core.io.archive import new_file, new_folder
from spams_core.progress import Progress, Task
from spams_core.settings import parse_frames, settings_to_dict
from spams_core.tasks.export_formats import FORMATS
from spams_core.tasks.export_programs import PROGRAMS, axes_for
from spams_core.tasks.export_source import ExportJob, FittedMeshes, fit_provenance

__all__ = [
    "ExportFormat",
    "ExportPlan",
    "ExportProgram",
    "ExportSettings",
    "export",
    "format_for",
    "format_titles",
    "out_name",
    "plan_export",
    "program_titles",
    "written_paths",
]

logger = logging.getLogger(__name__)

ExportFormat = Literal[
    "ply",
    "obj",
    "glb",
    "glb_animation",
    "glb_rigged",
    "bvh",
    "usd",
    "usdz",
    "abc",
    "pc2",
    "vtu",
    "stl",
    "csv",
    "html",
    "npz",
]
ExportProgram = Literal["any", "blender", "maya", "unreal", "houdini", "paraview"]


@dataclass(frozen=True)
class ExportSettings:
    """Write a fit's meshes for other programs: metres with +y up, or as the program likes it."""

    fit: Positional[Path]
    """Fit folder, written by 'spams fit'."""
    out: Path
    """What to write: one file with the format's suffix, or a folder where each frame is a file."""
    format: ExportFormat | None = None
    """By default what the suffix of --out says, or ply where it has none. ply, obj: a mesh per frame; glb: the first
    chosen frame; glb_animation: a morph target per frame, for short clips; glb_rigged: a skeleton of the parts that
    moves the canonical body, near the fit but not equal to it; bvh: that skeleton alone; usd, usdz: one mesh with time
    samples; abc: the same as Alembic; pc2: a mesh and the cache that moves it; vtu: a series for ParaView; stl: bare
    triangles; csv: figures, roots and codes as tables; html: a player in one file that needs no network; npz: vertices,
    faces, part labels, codes and roots."""
    frames: str = ":"
    """Fitted frames to write, as a:b:step or one number."""
    fps: float | None = None
    """Frames of the recording per second of the export; by default as recorded. Slower than recorded is slow motion."""
    program: ExportProgram = "any"
    """Who reads it; sets vertical axis, unit and file names. glb, html, npz and csv always have metres and +y up."""
    overwrite: bool = False
    """Replace an earlier export of that name. A folder is replaced only where an export wrote it."""

    def __post_init__(self) -> None:
        if self.format is None:
            object.__setattr__(self, "format", _format_of(self.out))
        suffix = FORMATS[self.kind].suffix
        if suffix and self.out.suffix.lower() != f".{suffix}":
            raise InputError(f"--out {self.out}: name the file {self.out.stem}.{suffix}, or choose another --format.")
        if self.fps is not None and not (math.isfinite(self.fps) and 0 < self.fps <= 1000):
            raise InputError(
                f"--fps {self.fps:g}: it must be above 0 and at most 1000. The recording's own is default."
            )

    @property
    def kind(self) -> ExportFormat:
        """The format, chosen or told by the name."""
        assert self.format is not None
        return self.format


@dataclass(frozen=True)
class ExportPlan:
    """What an export will write.

    Attributes:
        files: Names within the folder, or the name of the one file.
        folder: Whether a folder is written.
        bytes: Size of all files, estimated.
        recording_frames: The frames that are written, counted in the recording.
        seconds: How long they last, from the first to the end of the last.
        axes: Unit and vertical axis, in words.
        remark: What else a person should know, or nothing.
    """

    files: tuple[str, ...]
    folder: bool
    bytes: int
    recording_frames: tuple[int, ...]
    seconds: float
    axes: str
    remark: str = ""


def plan_export(
    settings: ExportSettings, frame_indices: Sequence[int], vertices: int, faces: int, fps: float
) -> ExportPlan:
    """What the settings would write of a fit with so many vertices and triangles; reads nothing.

    Raises:
        InputError: The frames choose nothing.
    """
    row = FORMATS[settings.kind]
    chosen = parse_frames(settings.frames, len(frame_indices))
    remark = row.remark
    if row.one_frame and len(chosen) > 1:
        remark = f"Only the first of the {len(chosen)} chosen frames"
        chosen = chosen[:1]
    recorded = tuple(int(frame_indices[t]) for t in chosen)
    files = tuple(path.name for path in written_paths(settings))
    if not row.suffix:
        files = (*(_frame_names(settings, len(chosen)) if row.each else ()), *_beside(settings))
    size = len(chosen) * row.bytes_each(vertices, faces) + row.bytes_once(vertices, faces)
    rate = settings.fps or fps
    step = (recorded[-1] - recorded[0]) / (len(recorded) - 1) if len(recorded) > 1 else 0.0
    program = PROGRAMS[settings.program]
    up, _, unit = axes_for(program, settings.kind, fixed=row.fixed_axes)
    lasting = (recorded[-1] - recorded[0] + step) / rate
    if len(chosen) > 1 and settings.kind in program.advice:
        advice = program.advice[settings.kind].format(fps=f"{rate:g}", samples=f"{rate / step:g}")
        remark = f"{remark}. {advice}" if remark else advice
    return ExportPlan(files, not row.suffix, round(size), recorded, lasting, f"{unit.capitalize()}, +{up} up", remark)


def export(settings: ExportSettings) -> Task[Path]:
    """Write the chosen frames; the result appears whole or not at all.

    Meshes are streamed: one frame is in memory at a time. Each file, or the manifest beside it, tells where it comes
    from: the fit's settings and input hashes, the fit's own hash and this program's version.

    Raises:
        InputError: The fit is no whole fit, the frames choose nothing, or the result exists or cannot be written.
    """
    row = FORMATS[settings.kind]
    for place in written_paths(settings):
        if settings.overwrite:
            _require_replaceable(place, folder=not row.suffix)
        elif place.exists():
            raise InputError(f"{place} exists already. Choose another name, or give --overwrite to replace it.")
    source = FittedMeshes.read(settings.fit)
    frames = parse_frames(settings.frames, len(source.frame_indices))
    chosen = len(frames)
    if row.one_frame:
        frames = frames[:1]
    up, unit_m, unit = axes_for(PROGRAMS[settings.program], settings.kind, fixed=row.fixed_axes)
    provenance = {
        **fit_provenance(settings.fit, settings_to_dict(settings)),
        "unit": unit,
        "frame": f"world frame, +{up} up",
    }
    names = _frame_names(settings, len(frames)) if row.each else ()
    job = ExportJob(source, frames, settings.fps or source.fps, names, _title(settings), provenance, up, unit_m)
    new = new_file if row.suffix else new_folder
    with contextlib.ExitStack() as places:
        path, *notes = [
            places.enter_context(new(place, replace=settings.overwrite)) for place in written_paths(settings)
        ]
        told = yield from row.write(path, job)
        for note in notes:
            whole = {**provenance, **(told or {})}
            note.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    logger.info("Wrote %s", settings.out)
    if len(frames) < chosen:
        logger.warning(
            "A %s holds one frame: of the %d chosen, only the first is in it. For all, give --format glb_animation.",
            settings.kind, chosen,
        )  # fmt: skip
    yield Progress(len(frames), len(frames), f"Wrote {settings.out.name}")
    return settings.out


def written_paths(settings: ExportSettings) -> tuple[Path, ...]:
    """What an export makes or replaces: its folder or file, and the note beside a file that has no room for one."""
    out = settings.out
    return (out, out.with_name(f"{out.name}.json")) if FORMATS[settings.kind].note else (out,)


def format_titles() -> dict[str, str]:
    """What a person reads for each format."""
    return {name: row.title for name, row in FORMATS.items()}


def program_titles() -> dict[str, str]:
    """What a person reads for each program."""
    return {name: row.title for name, row in PROGRAMS.items()}


def format_for(program: ExportProgram) -> str:
    """The format of an animation that suits a program."""
    return PROGRAMS[program].format


def out_name(format: ExportFormat, stem: str) -> str:
    """How the export of something named `stem` is called: a file with the format's suffix, or a folder."""
    suffix = FORMATS[format].suffix
    return f"{stem}.{suffix}" if suffix else f"{stem}_{format}"


def _format_of(out: Path) -> ExportFormat:
    """The format that a name stands for: by its suffix, or PLY meshes in a folder without one.

    Of the formats that share a suffix, the one that holds every chosen frame as it is.
    """
    suffix = out.suffix.lower().removeprefix(".")
    if not suffix:
        return "ply"
    name: ExportFormat
    for name in get_args(ExportFormat):
        row = FORMATS[name]
        if row.suffix == suffix and not row.one_frame:
            return name
        if not row.suffix and (suffix in (name, row.each) or f"{{name}}.{suffix}" in row.beside):
            raise InputError(
                f"--out {out}: {name} is written as a folder of files. Name that, such as --out {out.stem} "
                f"--format {name}."
            )
    files = dict.fromkeys(f".{row.suffix}" for row in FORMATS.values() if row.suffix)
    raise InputError(
        f"--out {out}: no format ends in .{suffix}. End it in one of {', '.join(files)}, or give --format."
    )


def _require_replaceable(path: Path, *, folder: bool) -> None:
    """Nothing but an earlier export may be thrown away: a slip of the hand must not cost a folder of other things."""
    try:
        if not path.exists() or (not folder and path.is_file()):
            return
        if folder and path.is_dir() and json.loads((path / "manifest.json").read_text())["kind"] == "export":
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path} exists already and is no earlier export of this kind. Choose another name.")


def _frame_names(settings: ExportSettings, count: int) -> tuple[str, ...]:
    """Numbered without gaps, as the program likes it."""
    program, suffix = PROGRAMS[settings.program], FORMATS[settings.kind].each
    numbers = range(program.first, program.first + count)
    return tuple(program.name.format(name=settings.out.name, number=number, suffix=suffix) for number in numbers)


def _title(settings: ExportSettings) -> str:
    """The name without a file's suffix."""
    return settings.out.stem if FORMATS[settings.kind].suffix else settings.out.name


def _beside(settings: ExportSettings) -> tuple[str, ...]:
    return tuple(name.format(name=settings.out.name) for name in FORMATS[settings.kind].beside)
