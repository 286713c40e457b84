"""The formats of an export: what each one writes, how large that becomes, and the function that writes it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spams_core import __version__
from spams_core.io.alembic import require_alembic, write_alembic
from spams_core.io.archive import FORMAT_VERSION
from spams_core.io.glb import write_glb
from spams_core.io.glb_animation import write_animated_glb
from spams_core.io.html_player import write_html_player
from spams_core.io.npz import write_npz
from spams_core.io.obj import write_obj
from spams_core.io.pc2 import write_pc2
from spams_core.io.ply import write_ply
from spams_core.io.stl import write_stl
from spams_core.io.usd import require_usd, write_usd
from spams_core.io.vtu import write_pvd, write_vtu
from spams_core.progress import Progress, Task
from spams_core.tasks.export_rig import write_bvh_file, write_rigged_glb_file
from spams_core.tasks.export_source import ExportJob
from spams_core.tasks.export_stream import stream

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
        note: Whether the file has no room for where it comes from; `NAME.json` beside it says that, and what `write`
            returns.
        remark: What a person should know before choosing it.
    """

    title: str
    write: Callable[[Path, ExportJob], Task[Mapping[str, Any] | None]]
    bytes_each: Callable[[int, int], float]
    suffix: str = ""
    each: str = ""
    beside: tuple[str, ...] = ("manifest.json",)
    bytes_once: Callable[[int, int], float] = lambda vertices, faces: 0.0
    one_frame: bool = False
    fixed_axes: bool = False
    note: bool = False
    remark: str = ""


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
        write_ply(folder / name, mesh, job.part_rgb, _comments(job, frame), normals=True)
    _write_manifest(folder, job)


def _write_objs(folder: Path, job: ExportJob) -> Task[None]:
    for count, (mesh, name, frame) in enumerate(zip(job.meshes(), job.names, job.recording_frames, strict=True)):
        yield Progress(count, len(job.names), f"Write {name}")
        write_obj(folder / name, mesh, job.source.part_names, _comments(job, frame))
    _write_manifest(folder, job)


def _write_stls(folder: Path, job: ExportJob) -> Task[None]:
    for count, (mesh, name, frame) in enumerate(zip(job.meshes(), job.names, job.recording_frames, strict=True)):
        yield Progress(count, len(job.names), f"Write {name}")
        write_stl(folder / name, mesh, f"spams {__version__}, frame {frame}, {job.provenance['unit']}, +{job.up} up")
    _write_manifest(folder, job)


def _write_pc2(folder: Path, job: ExportJob) -> Task[None]:
    """A mesh at rest, in its first frame, and the cache that moves its vertices."""
    frames = job.recording_frames
    every = job.even_interval()
    yield Progress(0, len(frames), "Write the mesh")
    write_obj(folder / f"{job.title}.obj", next(job.meshes()), job.source.part_names, _comments(job, frames[0]))
    shape = (len(frames), len(job.source.vertex_parts))
    target = folder / f"{job.title}.pc2"
    yield from stream(job, "Write the cache", lambda moved: write_pc2(target, moved, shape, float(frames[0]), every))
    _write_manifest(folder, job)


def _write_vtus(folder: Path, job: ExportJob) -> Task[None]:
    told = json.dumps(job.provenance, sort_keys=True)
    colors = job.part_rgb[job.source.vertex_parts]
    for count, (mesh, name, time) in enumerate(zip(job.meshes(), job.names, job.seconds, strict=True)):
        yield Progress(count, len(job.names), f"Write {name}")
        write_vtu(folder / name, mesh, {"color": colors}, float(time), told)
    write_pvd(folder / f"{job.title}.pvd", job.names, job.seconds.tolist())
    _write_manifest(folder, job)


def _write_csvs(folder: Path, job: ExportJob) -> Task[None]:
    """Tables for spreadsheets: figures and roots per frame, and the codes of shape and pose, a row per part."""
    source, chosen = job.source, list(job.frames)
    arrays = {n: source.archive.array(n) for n in ("residual_m", "root_rotation", "root_translation_m", "pose_codes")}
    yield Progress(0, 3, "Write frames.csv")
    turn = [f"root_rotation_{row}{column}" for row in range(3) for column in range(3)]
    head = ["recording_frame", "time_s", "residual_mm", "root_x_m", "root_y_m", "root_z_m", *turn]
    rows = (
        [
            int(source.frame_indices[t]), float(time), 1e3 * float(arrays["residual_m"][t]),
            *arrays["root_translation_m"][t].tolist(), *arrays["root_rotation"][t].ravel().tolist(),
        ]
        for t, time in zip(chosen, job.seconds, strict=True)
    )  # fmt: skip
    _write_table(folder / "frames.csv", head, rows)
    yield Progress(1, 3, "Write shape_codes.csv")
    shape = source.archive.array("shape_codes")
    names = [f"code_{k}" for k in range(shape.shape[1])]
    lines = ([name, *codes.tolist()] for name, codes in zip(source.part_names, shape, strict=True))
    _write_table(folder / "shape_codes.csv", ["part", *names], lines)
    yield Progress(2, 3, "Write pose_codes.csv")
    names = [f"code_{k}" for k in range(arrays["pose_codes"].shape[2])]
    moves = (
        [int(source.frame_indices[t]), name, *codes.tolist()]
        for t in chosen
        for name, codes in zip(source.part_names, arrays["pose_codes"][t], strict=True)
    )
    _write_table(folder / "pose_codes.csv", ["recording_frame", "part", *names], moves)
    _write_manifest(folder, job)


def _write_table(path: Path, head: Sequence[str], rows: Iterable[Sequence[int | float | str]]) -> None:
    """Numbers with nine significant digits, which give back every float32."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(head)
        table.writerows([f"{item:.9g}" if isinstance(item, float) else item for item in row] for row in rows)


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


def _write_animated_glb(path: Path, job: ExportJob) -> Task[None]:
    yield Progress(0, 1, "Write GLB")
    source = job.source
    extras = {
        **job.provenance,
        "recording_frames": job.recording_frames.tolist(),
        "part_names": list(source.part_names),
    }
    write = partial(
        write_animated_glb, path, seconds=job.seconds, faces=source.faces, vertex_parts=source.vertex_parts,
        part_rgb=job.part_rgb, extras=extras,
    )  # fmt: skip
    yield from stream(job, "Write GLB", lambda frames: write(frames=frames))


def _write_html(path: Path, job: ExportJob) -> Task[None]:
    source, chosen = job.source, list(job.frames)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for count, vertices in enumerate(job.vertices()):
        yield Progress(count, len(chosen), f"Measure frame {count + 1} of {len(chosen)}")
        low, high = np.minimum(low, vertices.min(0)), np.maximum(high, vertices.max(0))
    write = partial(
        write_html_player, path, bounds=(low, high), seconds=job.seconds, fps=job.fps,
        recording_frames=job.recording_frames, residual_m=source.archive.array("residual_m")[chosen],
        faces=source.faces, vertex_parts=source.vertex_parts, part_names=source.part_names, part_rgb=job.part_rgb,
        title=job.title, provenance=job.provenance,
    )  # fmt: skip
    yield from stream(job, "Write HTML", lambda frames: write(frames=frames))


def _write_usd(path: Path, job: ExportJob) -> Task[None]:
    require_usd()
    source = job.source
    write = partial(
        write_usd, path, time_codes=job.recording_frames, fps=job.fps, faces=source.faces,
        vertex_parts=source.vertex_parts, part_names=source.part_names, part_rgb=job.part_rgb, up=job.up,
        meters_per_unit=job.unit_m, extras=job.provenance,
    )  # fmt: skip
    yield from stream(job, "Write USD", lambda frames: write(frames=frames))


def _write_alembic(path: Path, job: ExportJob) -> Task[None]:
    require_alembic()
    source = job.source
    extras = {**job.provenance, "recording_frames": job.recording_frames.tolist()}
    write = partial(
        write_alembic, path, seconds_each=job.even_interval() / job.fps, faces=source.faces,
        vertex_parts=source.vertex_parts, part_names=source.part_names, part_rgb=job.part_rgb, extras=extras,
    )  # fmt: skip
    yield from stream(job, "Write Alembic", lambda frames: write(frames=frames))


def _digits(count: int) -> int:
    return len(str(max(1, count)))


_RIG_REMARK = "Rigid parts: near the fit, not equal to it"

FORMATS: dict[str, FormatRow] = {
    "ply": FormatRow("PLY meshes", _write_plys, lambda v, f: 28 * v + 13 * f + 3_000, each="ply"),
    "obj": FormatRow("OBJ meshes", _write_objs, lambda v, f: 30 * v + (3 * _digits(v) + 5) * f + 3_000, each="obj"),
    "glb": FormatRow(
        "GLB, one frame", _write_one_glb, lambda v, f: 32 * v + 12 * f + 4_000, suffix="glb", one_frame=True,
        fixed_axes=True,
    ),
    "glb_animation": FormatRow(
        "GLB, animated", _write_animated_glb, lambda v, f: 24 * v + 400, suffix="glb",
        bytes_once=lambda v, f: 8 * v + 12 * f + 5_000, fixed_axes=True,
    ),
    "glb_rigged": FormatRow(
        "GLB, skeleton", write_rigged_glb_file, lambda v, f: 120, suffix="glb",
        bytes_once=lambda v, f: 52 * v + 12 * f + 8_000, fixed_axes=True, remark=_RIG_REMARK,
    ),
    "bvh": FormatRow(
        "BVH, skeleton only", write_bvh_file, lambda v, f: 300, suffix="bvh", bytes_once=lambda v, f: 5_000, note=True,
        remark=_RIG_REMARK,
    ),
    "usd": FormatRow(
        "USD, animated", _write_usd, lambda v, f: 24 * v + 40, suffix="usd",
        bytes_once=lambda v, f: 4 * v + 6 * f + 9_000,
    ),
    "usdz": FormatRow(
        "USDZ, animated", _write_usd, lambda v, f: 24 * v + 40, suffix="usdz",
        bytes_once=lambda v, f: 4 * v + 6 * f + 9_000,
    ),
    "abc": FormatRow(
        "Alembic, animated", _write_alembic, lambda v, f: 12 * v + 100, suffix="abc",
        bytes_once=lambda v, f: 12 * v + 20 * f + 8_000,
    ),
    "pc2": FormatRow(
        "PC2 cache with OBJ", _write_pc2, lambda v, f: 12 * v,
        beside=("{name}.obj", "{name}.pc2", "manifest.json"),
        bytes_once=lambda v, f: 30 * v + (3 * _digits(v) + 5) * f + 6_000,
    ),
    "vtu": FormatRow(
        "VTU series with PVD", _write_vtus, lambda v, f: 19 * v + 33 * f + 4_000, each="vtu",
        beside=("{name}.pvd", "manifest.json"),
    ),
    "stl": FormatRow("STL meshes", _write_stls, lambda v, f: 50 * f + 84, each="stl"),
    "csv": FormatRow(
        "CSV of codes and figures", _write_csvs, lambda v, f: 6_000, fixed_axes=True,
        beside=("frames.csv", "shape_codes.csv", "pose_codes.csv", "manifest.json"),
        bytes_once=lambda v, f: 10_000,
    ),
    "html": FormatRow(
        "HTML player, one file", _write_html, lambda v, f: 8 * v + 40, suffix="html", fixed_axes=True,
        bytes_once=lambda v, f: 1.33 * v + 16 * f + 19_000,
    ),
    "npz": FormatRow(
        "NPZ arrays", _write_npz, lambda v, f: 12 * v + 2_000, suffix="npz", fixed_axes=True,
        bytes_once=lambda v, f: 16 * v + 12 * f + 8_000,
    ),
}  # fmt: skip
