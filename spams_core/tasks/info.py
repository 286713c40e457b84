"""Say what a folder holds, or what comes with the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tyro.conf import Positional

from spams_core import __version__
from spams_core.data.fit_checkpoint import CHECKPOINT_KIND, CheckpointLock, read_checkpoint
from spams_core.data.recording import is_recording, read_sequence, read_subject
from spams_core.errors import InputError
from spams_core.io.archive import read_archive
from spams_core.progress import Progress, Task
from spams_core.resources import resource_path

__all__ = ["InfoSettings", "info"]

_LOOKED_AT = 16
"""Frames of a recording that are decoded; so many spread over it tell its extent."""


@dataclass(frozen=True)
class InfoSettings:
    """Say what a folder holds (recording, model, fit, export); without one, what comes with the program."""

    path: Positional[Path | None] = None
    """Folder to look at; by default the program's own resources."""


def info(settings: InfoSettings) -> Task[dict[str, Any]]:
    """Describe a folder.

    Returns:
        Its `kind` and what matters about it. Of a recording: frames, size, fps, and from up to 16 frames spread over it
        the subject's share of the pixels, its distance to the camera and its extent in the world, in metres.

    Raises:
        InputError: The folder is nothing that this program knows, or it is faulty.
    """
    path = settings.path
    if path is None:
        yield Progress(0, 1, "Look at the program's resources")
        return _describe_program()
    if not (path / "manifest.json").is_file() and (is_recording(path) or (path / "depth").is_dir()):
        return (yield from _describe_sequence(path))
    yield Progress(0, 1, f"Look at {path}")
    if (path / "manifest.json").is_file():
        return _describe_archive(path)
    networks = sorted(child for child in path.iterdir() if (child / "manifest.json").is_file()) if path.is_dir() else []
    if networks:
        return {
            "kind": "model",
            "path": str(path),
            "networks": {each.name: _describe_archive(each) for each in networks},
        }
    what = (
        "is no folder"
        if not path.exists()
        else "is no recording"
        if path.is_file()
        else "holds neither camera.json nor manifest.json"
    )
    raise InputError(f"{path} {what}. Give the folder of a recording, a model, a fit or an export.")


def _describe_program() -> dict[str, Any]:
    resources = resource_path(".")
    folders = sorted(file.parent for name in ("manifest.json", "camera.json") for file in resources.rglob(name))
    return {
        "kind": "program",
        "version": __version__,
        "resources": str(resources),
        "bundled": [str(folder.relative_to(resources)) for folder in folders],
    }


def _describe_sequence(path: Path) -> Task[dict[str, Any]]:
    sequence = read_sequence(path)
    camera = sequence.camera
    looked_at = np.unique(np.linspace(0, sequence.frame_count - 1, _LOOKED_AT).astype(int)).tolist()
    shares, distances, lows, highs = [], [], [], []
    for count, t in enumerate(looked_at):
        yield Progress(count, len(looked_at), f"Read frame {sequence.frame_names[t]}")
        points = read_subject(sequence, t).points_world
        shares.append(len(points) / (camera.width * camera.height))
        distances.append(float(np.median(np.linalg.norm(points - camera.world_from_camera[:3, 3], axis=1))))
        lows.append(points.min(0))
        highs.append(points.max(0))
    return {
        "kind": "recording",
        "path": str(path),
        "frames": sequence.frame_count,
        "first_frame": sequence.frame_names[0],
        "width": camera.width,
        "height": camera.height,
        "fps": sequence.fps,
        "seconds": sequence.frame_count / sequence.fps,
        "ground_truth": sequence.read_ground_truth is not None,
        "looked_at": looked_at,
        "subject_share": float(np.mean(shares)),
        "distance_m": float(np.median(distances)),
        "world_min_m": np.min(lows, axis=0),
        "world_max_m": np.max(highs, axis=0),
    }


def _describe_archive(path: Path) -> dict[str, Any]:
    manifest = _manifest(path)
    description: dict[str, Any] = {"kind": manifest.get("kind"), "path": str(path)}
    if manifest.get("kind") == "export":
        return description | {"frames": len(manifest.get("recording_frames", ())), "export": manifest.get("export")}
    if manifest.get("kind") == CHECKPOINT_KIND:
        kept = read_checkpoint(path)
        assert kept is not None
        progress = {name: getattr(kept, name) for name in ("rounds_done", "rounds", "seconds")}
        running = CheckpointLock(path).taken()
        saved = kept.saved.isoformat(" ", "seconds")
        return {**description, "running": running, "saved": saved, **progress, **kept.manifest}
    archive = read_archive(path)
    shown = {key: value for key, value in archive.manifest.items() if key not in ("kind", "format_version")}
    return description | shown | {"arrays": {name: list(archive.shape(name)) for name in archive.names()}}


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
    except (ValueError, OSError) as error:
        raise InputError(f"{path / 'manifest.json'} is corrupted. Make the archive again.") from error
    return manifest if isinstance(manifest, dict) else {}
