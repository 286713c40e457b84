"""What every export reads of a fit: one mesh at a time, and where it all comes from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from spams_core import __version__
from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import Archive, hash_file, read_archive
from spams_core.resources import part_colors
from spams_core.settings import json_ready
from spams_core.tasks.export_programs import convert

__all__ = ["DEFAULT_FPS", "ExportJob", "FittedMeshes", "fit_provenance"]

DEFAULT_FPS = 30.0
"""Frames per second of a fit that does not know its own rate."""


@dataclass(frozen=True)
class FittedMeshes:
    """What an export needs of a fit, without the vertices of all frames in memory."""

    archive: Archive
    faces: Int[np.ndarray, "F 3"]
    vertex_parts: Int[np.ndarray, "V"]
    frame_indices: Int[np.ndarray, "T"]
    part_names: tuple[str, ...]

    @staticmethod
    def read(path: Path) -> FittedMeshes:
        """Open a fit.

        Raises:
            InputError: It is no whole fit.
        """
        archive = read_archive(path, "fit")
        faces, vertex_parts, frame_indices = (archive.array(n) for n in ("faces", "vertex_parts", "frame_indices"))
        part_names = archive.words("part_names")
        source = FittedMeshes(archive, faces, vertex_parts, frame_indices, part_names)
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

    @property
    def fps(self) -> float:
        """Frames per second of the recording."""
        told = self.archive.manifest.get("fps")
        known = isinstance(told, (int, float)) and math.isfinite(told) and told > 0
        return float(told) if known and told is not None else DEFAULT_FPS

    def vertices_world(self, t: int) -> Float[np.ndarray, "V 3"]:
        """Vertices of fitted frame t, metres."""
        vertices: np.ndarray = self.archive.rows("vertices_world", t, t + 1)[0]
        return vertices


@dataclass(frozen=True)
class ExportJob:
    """One export: which frames of which fit, how fast, and under which names.

    Attributes:
        source: The fit.
        frames: Rows of the fit, ascending.
        fps: Frames of the recording per second of the export.
        names: Name of each frame's file, where each has one.
        title: Name of the whole.
        provenance: Settings, seed, hashes and version, JSON-able.
        up: Vertical axis of what is written.
        unit_m: Metres per unit of what is written.
    """

    source: FittedMeshes
    frames: range
    fps: float
    names: tuple[str, ...]
    title: str
    provenance: Mapping[str, Any]
    up: Literal["y", "z"] = "y"
    unit_m: float = 1.0

    @property
    def recording_frames(self) -> Int[np.ndarray, "T"]:
        """The chosen frames, counted in the recording."""
        chosen: np.ndarray = self.source.frame_indices[list(self.frames)]
        return chosen

    @property
    def seconds(self) -> Float[np.ndarray, "T"]:
        """When each chosen frame is shown; the first one at 0."""
        frames = self.recording_frames
        started: np.ndarray = (frames - frames[0]) / self.fps
        return started

    def even_interval(self) -> float:
        """Recording frames from one chosen frame to the next.

        Raises:
            InputError: They are not evenly apart.
        """
        steps = np.diff(self.recording_frames)
        if len(steps) and (steps != steps[0]).any():
            raise InputError(
                "This format needs frames at even intervals. Choose frames without gaps, or another format."
            )
        return float(steps[0]) if len(steps) else 1.0

    @property
    def part_rgb(self) -> np.ndarray[Any, Any]:
        """[Q, 3] colours of the parts, 0..255."""
        return part_colors(self.source.part_names)

    def vertices(self) -> Iterator[Float[np.ndarray, "V 3"]]:
        """The chosen frames' vertices in the export's axes and unit, one frame in memory at a time."""
        for t in self.frames:
            yield convert(self.source.vertices_world(t), self.up, self.unit_m)

    def meshes(self) -> Iterator[Mesh]:
        """The chosen frames' meshes in the export's axes and unit."""
        for vertices in self.vertices():
            yield Mesh(vertices, self.source.faces, self.source.vertex_parts)


def fit_provenance(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where an export of the fit at `path` comes from: its settings, seed, model and input hashes, and this version.

    Args:
        path: The fit's folder.
        settings: The export's own settings.

    Raises:
        InputError: It is no fit.
    """
    archive = read_archive(path, "fit")
    return {
        "program": f"spams {__version__}",
        "code_version": __version__,
        "export": dict(settings),
        "fit": json_ready(archive.manifest),
        "fit_sha256": hash_file(Path(path) / "arrays.safetensors"),
    }
