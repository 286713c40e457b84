"""Write a fit's animation in a format that other programs read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tyro.conf import Positional

from spams_core import __version__
from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import FORMAT_VERSION, Archive, hash_file, new_file, new_folder, read_archive
from spams_core.io.glb import write_glb
from spams_core.io.npz import write_npz
from spams_core.io.obj import write_obj
from spams_core.io.ply import write_ply
from spams_core.progress import Progress, Task
from spams_core.resources import part_colors
from spams_core.settings import json_ready, parse_frames, settings_to_dict

__all__ = ["ExportFormat", "ExportSettings", "export"]

logger = logging.getLogger(__name__)

ExportFormat = Literal["ply", "obj", "glb", "npz"]


@dataclass(frozen=True)
class ExportSettings:
    """Write a fit's meshes, metres in the world frame (+y up), for other programs."""

    fit: Positional[Path]
    """Fit folder, written by 'spams fit'."""
    out: Path
    """What to write; it must not exist. A folder of numbered meshes for ply and obj, one file for glb and npz."""
    format: ExportFormat = "ply"
    """ply, obj: a mesh per frame; glb: the first chosen frame; npz: vertices, faces, part labels, codes and roots."""
    frames: str = ":"
    """Fitted frames to write, as a:b:step or one number."""

    def __post_init__(self) -> None:
        if self.format in ("glb", "npz") and self.out.suffix != f".{self.format}":
            raise InputError(f"--out {self.out}: name the file {self.out.stem}.{self.format}.")


def export(settings: ExportSettings) -> Task[Path]:
    """Write the chosen frames; the result appears whole or not at all.

    Meshes are streamed: one frame is in memory at a time. Each file tells where it comes from: the fit's settings and
    input hashes, the fit's own hash and this program's version.

    Raises:
        InputError: The fit is no whole fit, the frames choose nothing, or the result exists or cannot be written.
    """
    source = _FittedMeshes.read(settings.fit)
    frames = parse_frames(settings.frames, len(source.frame_indices))
    provenance = {
        "program": f"spams {__version__}",
        "export": settings_to_dict(settings),
        "unit": "metre",
        "frame": "world, +y up",
        "fit": json_ready(source.archive.manifest),
        "fit_sha256": hash_file(settings.fit / "arrays.safetensors"),
    }
    if settings.format == "glb":
        yield Progress(0, 1, "Write GLB")
        with new_file(settings.out) as path:
            extras = {**provenance, "recording_frame": int(source.frame_indices[frames[0]])}
            write_glb(path, source.mesh_world(frames[0]), part_colors(source.part_names), extras)
        yield Progress(1, 1, "Write GLB")
    elif settings.format == "npz":
        yield from _export_npz(settings.out, source, frames, provenance)
    else:
        yield from _export_meshes(settings.out, settings.format, source, frames, provenance)
    logger.info("Wrote %s", settings.out)
    return settings.out


@dataclass(frozen=True)
class _FittedMeshes:
    """What an export needs of a fit, without the vertices of all frames in memory."""

    archive: Archive
    faces: np.ndarray[Any, Any]
    vertex_parts: np.ndarray[Any, Any]
    frame_indices: np.ndarray[Any, Any]
    part_names: tuple[str, ...]

    @staticmethod
    def read(path: Path) -> _FittedMeshes:
        archive = read_archive(path, "fit")
        faces, vertex_parts, frame_indices = (archive.array(n) for n in ("faces", "vertex_parts", "frame_indices"))
        part_names = archive.words("part_names")
        source = _FittedMeshes(archive, faces, vertex_parts, frame_indices, part_names)
        whole = (
            len(frame_indices) > 0
            and archive.shape("vertices_world") == (len(frame_indices), len(vertex_parts), 3)
            and faces.min(initial=0) >= 0
            and faces.max(initial=0) < len(vertex_parts)
            and vertex_parts.max(initial=0) < len(part_names)
        )
        if not whole:
            raise InputError(f"{path}: the arrays of this fit do not belong together; it is corrupted. Fit again.")
        return source

    def mesh_world(self, t: int) -> Mesh:
        return Mesh(self.archive.rows("vertices_world", t, t + 1)[0], self.faces, self.vertex_parts)


def _export_meshes(
    out: Path, format: ExportFormat, source: _FittedMeshes, frames: range, provenance: Mapping[str, Any]
) -> Task[None]:
    """A folder of 000000.ply, 000001.ply, … without gaps, and manifest.json with each one's frame of the recording."""
    colors = part_colors(source.part_names)
    head = [f"spams {__version__}, metres, world frame, +y up", f"provenance {json.dumps(provenance, sort_keys=True)}"]
    with new_folder(out) as folder:
        for count, t in enumerate(frames):
            name = f"{count:06d}.{format}"
            yield Progress(count, len(frames), f"Write {name}")
            comments = [*head, f"recording frame {source.frame_indices[t]}"]
            if format == "ply":
                write_ply(folder / name, source.mesh_world(t), colors, comments)
            else:
                write_obj(folder / name, source.mesh_world(t), source.part_names, comments)
        manifest = {
            "format_version": FORMAT_VERSION,
            "kind": "export",
            "code_version": __version__,
            "part_names": list(source.part_names),
            "recording_frames": source.frame_indices[list(frames)].tolist(),
            **provenance,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    yield Progress(len(frames), len(frames), f"Wrote {len(frames)} meshes")


def _export_npz(out: Path, source: _FittedMeshes, frames: range, provenance: Mapping[str, Any]) -> Task[None]:
    """One NPZ with the animation `vertices` [T, V, 3] in metres and everything that it was decoded from."""
    chosen = list(frames)
    per_frame = ("pose_codes", "root_rotation", "root_translation_m")
    arrays = {
        "faces": source.faces,
        "vertex_parts": source.vertex_parts,
        "part_names": np.array(source.part_names),
        "part_colors": part_colors(source.part_names),
        "fps": np.array(float(source.archive.manifest.get("fps", np.nan))),
        "frame_indices": source.frame_indices[chosen],
        "shape_codes": source.archive.array("shape_codes"),
        **{name: source.archive.array(name)[chosen] for name in per_frame},
        "canonical_vertices": source.archive.array("canonical_vertices"),
        "provenance": np.array(json.dumps(provenance, sort_keys=True)),
    }
    with new_file(out) as path:
        yield Progress(0, len(frames), "Write NPZ")
        vertices = (source.archive.rows("vertices_world", t, t + 1)[0] for t in frames)
        write_npz(path, arrays, "vertices", vertices, (len(frames), len(source.vertex_parts), 3))
    yield Progress(len(frames), len(frames), "Wrote NPZ")
