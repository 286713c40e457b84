"""Finds the fits of a recording, finished and interrupted, and says how they differ. Knows no Qt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from spams_core.errors import InputError

__all__ = ["Interruption", "Run", "differing_settings", "find_runs", "read_interrupted", "read_run"]

_NOT_COMPARED = ("out", "resume", "checkpoint_every_s")
_LARGEST_MANIFEST = 4_000_000  # bytes; what is larger is no fit's


@dataclass(frozen=True)
class Interruption:
    """How far a fit came that was interrupted.

    Attributes:
        rounds_done, rounds: Rounds.
        part: Folder that keeps them.
        settings: Those it was started with, as data.
    """

    rounds_done: int
    rounds: int
    part: Path
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One fit on disk; nothing of it ever changes.

    Attributes:
        path: Its folder; of an interrupted one, the folder that it is going to be.
        preset: Name of its preset.
        made: When it was written.
        residual_mm: Median distance of the observed points to the surface; None where it is not stated.
        seconds: What it took altogether; None where it is not stated.
        settings: All settings by name, those within settings as "solve.rounds".
    """

    path: Path
    preset: str
    made: datetime
    residual_mm: float | None
    seconds: float | None
    settings: Mapping[str, Any]
    interrupted: Interruption | None = None


def find_runs(recording: Path, places: Iterable[Path]) -> list[Run]:
    """Fits of a recording among some folders and the folders in them, the newest first; those that run are none.

    Args:
        recording: Its folder, as the fits' manifests name it.
        places: Folders to look at; those that cannot be read are passed over.
    """
    wanted, found = recording.resolve(), {}
    for folder in _folders(places):
        run = read_interrupted(folder) if folder.suffix == ".part" else read_run(folder)
        if run is not None and run[0] == wanted:
            found[folder.resolve()] = run[1]
    return sorted(found.values(), key=lambda run: (run.made, run.path.name), reverse=True)


def read_run(folder: Path) -> tuple[Path, Run] | None:
    """A fit and its recording, from the manifest alone; None where there is none."""
    path = folder / "manifest.json"
    try:
        about = path.stat()
        manifest = json.loads(path.read_text()) if about.st_size <= _LARGEST_MANIFEST else None
        if not isinstance(manifest, dict) or manifest.get("kind") != "fit" or manifest.get("task") != "fit":
            return None
        recording = Path(manifest["sequence"])
        refit = manifest.get("refit")
        frames = len(refit["frames"]) if isinstance(refit, dict) else _frames(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    each = _number(manifest.get("seconds_per_frame"))
    settings = dict(_flat(manifest.get("settings") or {}))
    for change in manifest.get("weight_changes") or ():
        name = f"solve.{change['name']} from step {change['iteration']}"
        settings[name] = change["value"]
    settings |= {f"input {name}": str(value)[:12] for name, value in (manifest.get("inputs") or {}).items()}
    return recording.resolve(), Run(
        folder,
        str(manifest.get("preset", "")),
        datetime.fromtimestamp(about.st_mtime),
        _number(manifest.get("depth_residual_mm")),
        each * frames if each is not None and frames else None,
        settings,
    )


def read_interrupted(part: Path) -> tuple[Path, Run] | None:
    """An interrupted fit and its recording; None where there is none, it runs, is damaged or has been written since."""
    from spams_core.data.fit_checkpoint import CheckpointLock, read_checkpoint

    try:
        # First the lock: what a running fit is about to replace is not opened, which Windows would hold against it.
        kept = None if CheckpointLock(part).taken() else read_checkpoint(part)
        if kept is None:
            return None
        agreed, given = kept.manifest["must_agree"], dict(kept.manifest["settings"])
        path = part.with_name(part.name.removesuffix(".part"))
        if path.exists():
            return None
        settings = dict(_flat({**given, "solve": agreed["settings"]["solve"]}))
        settings |= {f"input {name}": str(value)[:12] for name, value in agreed["inputs"].items()}
        run = Run(
            path, str(given["preset"]), kept.saved, None, kept.seconds, settings,
            Interruption(kept.rounds_done, kept.rounds, part, given),
        )  # fmt: skip
        return Path(given["sequence"]).resolve(), run
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def differing_settings(first: Run, second: Run) -> list[tuple[str, Any, Any]]:
    """Name and both values of each setting that differs; where the results lie is none. None stands for "not set"."""
    names = dict.fromkeys([*first.settings, *second.settings])
    pairs = [(name, first.settings.get(name), second.settings.get(name)) for name in names if name not in _NOT_COMPARED]
    return [(name, a, b) for name, a, b in pairs if a != b]


def _folders(places: Iterable[Path]) -> Iterator[Path]:
    for place in dict.fromkeys(places):
        try:
            inside = sorted(child for child in place.iterdir() if child.is_dir()) if place.is_dir() else []
        except OSError:
            inside = []
        yield from (place, *inside)


def _frames(folder: Path) -> int:
    """Number of fitted frames, from the header of the arrays alone."""
    with (folder / "arrays.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return int(header["frame_indices"]["shape"][0])


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
