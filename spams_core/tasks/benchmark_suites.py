"""The benchmark's recordings: bundled ones, and ones that are rendered from fixed seeds when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from spams_core.data.recording import read_sequence
from spams_core.data.subjects import read_subjects
from spams_core.errors import InputError
from spams_core.frames import enlargement
from spams_core.io.archive import hash_file
from spams_core.resources import resource_path
from spams_core.settings import settings_to_dict
from spams_core.tasks.benchmark_methods import METHODS, MethodName
from spams_core.tasks.render import PERSON_DISTANCE_M, RenderSettings

__all__ = ["SUITES", "Recording", "Suite", "SuiteName", "subject_recordings", "suite_recordings"]

SuiteName = Literal["quick", "paper", "dressed"]

_UNSEEN_SEED = 2022
"""Seed of the identities. Training draws from seed 0, and another seed shares no identity with it."""


@dataclass(frozen=True)
class Suite:
    """Recordings that belong together.

    Attributes:
        methods: The rows that are fitted unless others are named.
        scenes: What is rendered, one recording each; their `out` is replaced. None: the recordings are bundled.
    """

    methods: tuple[MethodName, ...]
    scenes: Callable[[], tuple[RenderSettings, ...]] | None = None


@dataclass(frozen=True)
class Recording:
    """A recording of a suite.

    Attributes:
        path: Its folder; the folder's name is the recording's.
        render: What must be rendered first; None if it is there.
    """

    path: Path
    render: RenderSettings | None = None


def _paper() -> tuple[RenderSettings, ...]:
    """Six bodies that dance, do sports and walk, seen from all around: six seconds each."""
    rows = (
        # action, azimuth, elevation and distance of the camera
        ("perform", 0.0, 5.0, 3.0),
        ("perform", 60.0, 15.0, 3.0),
        ("walk", 120.0, 10.0, 4.2),
        ("perform", 180.0, 0.0, 3.0),
        ("perform", 240.0, 20.0, 3.0),
        ("walk", 300.0, 5.0, 4.2),
    )
    return tuple(
        RenderSettings(
            out=Path(f"{number:02d}"),
            identity=number,
            identity_seed=_UNSEEN_SEED,
            action=action,  # type: ignore[arg-type]
            frames=90,
            fps=15.0,
            azimuth_deg=azimuth,
            elevation_deg=elevation,
            distance_m=distance,
            seed=100 + number,
        )
        for number, (action, azimuth, elevation, distance) in enumerate(rows)
    )


def _dressed() -> tuple[RenderSettings, ...]:
    """Four dressed bodies that walk a winding circle: more than two metres, turning by more than half a circle."""
    return tuple(
        RenderSettings(
            out=Path(f"{number:02d}"),
            identity=100 + number,
            identity_seed=_UNSEEN_SEED,
            action="walk",
            frames=60,
            fps=10.0,
            azimuth_deg=azimuth,
            elevation_deg=elevation,
            distance_m=4.2,
            seed=200 + number,
            garments=True,
        )
        for number, (azimuth, elevation) in enumerate(((30.0, 5.0), (120.0, 12.0), (210.0, 0.0), (300.0, 18.0)))
    )


SUITES: Mapping[SuiteName, Suite] = {
    "quick": Suite(("spam",)),
    "paper": Suite(tuple(METHODS), _paper),
    "dressed": Suite(("spam",), _dressed),
}


def suite_recordings(name: SuiteName, clips: Sequence[Path], folder: Path) -> list[Recording]:
    """A suite's recordings, with what must be rendered into `folder` first.

    Args:
        name: The suite.
        clips: BVH motions that the subjects of a rendered suite perform instead, in order, from the first again when
            they run out.
        folder: Where rendered recordings lie, as folders 00, 01, …

    Raises:
        InputError: Bundled recordings are missing or take no clips, or a rendered one was made with other settings.
    """
    scenes = SUITES[name].scenes
    if scenes is None:
        if clips:
            raise InputError(f"--motion: the recordings of the suite {name} are bundled. Choose --suite paper.")
        bundled = resource_path(f"benchmarks/{name}")
        found = sorted(path for path in bundled.iterdir() if (path / "camera.json").is_file())
        if not found:
            raise InputError(f"{bundled} holds no recordings. Install spams again.")
        return [Recording(path) for path in found]
    for clip in clips:
        if not clip.is_file():
            raise InputError(f"--motion: {clip} is missing. Give BVH files.")
    chosen = [
        replace(scene, motion=clips[place % len(clips)] if clips else None) for place, scene in enumerate(scenes())
    ]
    return _into(folder, chosen)


def subject_recordings(subjects: Path, folder: Path) -> list[Recording]:
    """The test identities of a subjects archive in up to 60 of their poses, each seen from another side.

    Raises:
        InputError: The archive is missing, corrupted or has no test identities, or a recording was rendered with other
            settings.
    """
    archive = read_subjects(subjects)
    count = len(archive.identities("test"))
    if not count:
        raise InputError(f"{subjects} has no test identities to film. Generate it with more identities.")
    distance_m = PERSON_DISTANCE_M / enlargement(archive.canonical_per_metre)
    scenes = [
        RenderSettings(
            out=Path(f"{number:02d}"),
            subjects=subjects,
            identity=number,
            frames=60,
            azimuth_deg=360.0 * number / count,
            distance_m=distance_m,
            turn_deg=40.0,
            seed=300 + number,
        )
        for number in range(count)
    ]
    return _into(folder, scenes)


def _into(folder: Path, scenes: Sequence[RenderSettings]) -> list[Recording]:
    """Where scenes are, or will be, rendered."""
    recordings = []
    for scene in scenes:
        settings = replace(scene, out=folder / scene.out)
        if settings.out.exists():
            _require_same(settings)
            recordings.append(Recording(settings.out))
        else:
            recordings.append(Recording(settings.out, settings))
    return recordings


def _require_same(settings: RenderSettings) -> None:
    """Refuse a rendered recording that other settings made."""
    read_sequence(settings.out)  # whole, and in the native format
    notes = json.loads((settings.out / "camera.json").read_bytes()).get("notes", {})
    for key, wanted in _notes(settings).items():
        if notes.get(key) != wanted:
            raise InputError(
                f"{settings.out} was rendered with other settings ({key} is {notes.get(key)!r}, not {wanted!r}). "
                "Remove it, or choose another --out."
            )


def _notes(settings: RenderSettings) -> dict[str, Any]:
    """What camera.json says of a rendered recording, as `spams render` writes it."""
    notes = settings_to_dict(settings)
    del notes["out"]
    if settings.motion is not None:
        notes |= {"motion": settings.motion.name, "motion_sha256": hash_file(settings.motion)}
    plain: dict[str, Any] = json.loads(json.dumps(notes))
    return plain
