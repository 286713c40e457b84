"""The formats of an export: what each one writes, how large that becomes, and the function that writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spams_core import __version__
from spams_core.io.archive import FORMAT_VERSION
from spams_core.io.glb import write_glb
from spams_core.io.npz import write_npz
from spams_core.io.obj import write_obj
from spams_core.io.ply import write_ply
from spams_core.progress import Progress, Task
from spams_core.tasks.export_source import ExportJob

__all__ = ["FORMATS", "FormatRow"]


@dataclass(frozen=True)
class FormatRow:
    """One format.

    Attributes:
        title: What a person reads.
        write: Fills a temporary place, a folder or a file, that is renamed when it is whole.
        bytes_each: Bytes per frame, from the numbers of vertices and triangles; an estimate where numbers are text.
        suffix: Of the one file that is written; empty where a folder is.
        each: Suffix of the file that each frame gets in that folder; empty where none does.
        beside: Further files in that folder; `{name}` stands for the folder's name.
        bytes_once: Bytes that don't depend on the number of frames.
        one_frame: Whether only the first chosen frame is written.
        fixed_axes: Whether the format itself says that +y is up and the metre the unit.
    """

    title: str
    write: Callable[[Path, ExportJob], Task[None]]
    bytes_each: Callable[[int, int], float]
    suffix: str = ""
    each: str = ""
    beside: tuple[str, ...] = ("manifest.json",)
    bytes_once: Callable[[int, int], float] = lambda vertices, faces: 0.0
    one_frame: bool = False
    fixed_axes: bool = False


def _write_manifest(folder: Path, job: ExportJob) -> None:
    """A folder's own account of itself; `spams info` reads it."""
    manifest = {
        "format_version": FORMAT_VERSION,
        "kind": "export",
        "code_version": __version__,
        "part_names": list(job.source.part_names),
        "recording_frames": job.recording_frames.tolist(),
        "fps": job.fps,
        **job.provenance,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _comments(job: ExportJob, recording_frame: int) -> list[str]:
    unit, axes = job.provenance["unit"], job.provenance["frame"]
    return [
        f"spams {__version__}, {unit}, {axes}",
        f"provenance {json.dumps(job.provenance, sort_keys=True)}",
        f"recording frame {recording_frame}",
    ]


def _write_plys(folder: Path, job: ExportJob) -> Task[None]:
    for count, (mesh, name, frame) in enumerate(zip(job.meshes(), job.names, job.recording_frames, strict=True)):
        yield Progress(count, len(job.names), f"Write {name}")
        write_ply(folder / name, mesh, job.part_rgb, _comments(job, frame))
    _write_manifest(folder, job)


def _write_objs(folder: Path, job: ExportJob) -> Task[None]:
    for count, (mesh, name, frame) in enumerate(zip(job.meshes(), job.names, job.recording_frames, strict=True)):
        yield Progress(count, len(job.names), f"Write {name}")
        write_obj(folder / name, mesh, job.source.part_names, _comments(job, frame))
    _write_manifest(folder, job)


def _write_one_glb(path: Path, job: ExportJob) -> Task[None]:
    yield Progress(0, 1, "Write GLB")
    extras = {**job.provenance, "recording_frame": int(job.recording_frames[0])}
    write_glb(path, next(job.meshes()), job.part_rgb, extras)


def _write_npz(path: Path, job: ExportJob) -> Task[None]:
    """One NPZ with the animation `vertices` [T, V, 3] and everything that it was decoded from."""
    source, chosen = job.source, list(job.frames)
    per_frame = ("pose_codes", "root_rotation", "root_translation_m")
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "faces": source.faces,
        "vertex_parts": source.vertex_parts,
        "part_names": np.array(source.part_names),
        "part_colors": job.part_rgb,
        "fps": np.array(job.fps),
        "frame_indices": job.recording_frames,
        "shape_codes": source.archive.array("shape_codes"),
        **{name: source.archive.array(name)[chosen] for name in per_frame},
        "canonical_vertices": source.archive.array("canonical_vertices"),
        "provenance": np.array(json.dumps(job.provenance, sort_keys=True)),
    }
    yield Progress(0, len(chosen), "Write NPZ")
    vertices = (mesh.vertices for mesh in job.meshes())
    write_npz(path, arrays, "vertices", vertices, (len(chosen), len(source.vertex_parts), 3))


def _digits(count: int) -> int:
    return len(str(max(1, count)))


FORMATS: dict[str, FormatRow] = {
    "ply": FormatRow("PLY meshes", _write_plys, lambda v, f: 16 * v + 13 * f + 3_000, each="ply"),
    "obj": FormatRow("OBJ meshes", _write_objs, lambda v, f: 30 * v + (3 * _digits(v) + 5) * f + 3_000, each="obj"),
    "glb": FormatRow(
        "GLB, one frame", _write_one_glb, lambda v, f: 32 * v + 12 * f + 4_000, suffix="glb", one_frame=True,
        fixed_axes=True,
    ),
    "npz": FormatRow(
        "NPZ arrays", _write_npz, lambda v, f: 12 * v + 2_000, suffix="npz",
        bytes_once=lambda v, f: 16 * v + 12 * f + 8_000,
    ),
}  # fmt: skip
