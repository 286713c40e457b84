"""Make training subjects: synthetic identities, or the user's own meshes, in the canonical pose and in many others."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spams_core.data.anatomy import neutral_pose
from spams_core.data.mesh_folder import LABELS_FILE, PARTS_FILE, MeshFolder, open_mesh_folder
from spams_core.data.mesh_report import MeshReport
from spams_core.data.mesh_subjects import MeshSubjects, check_meshes, split_of
from spams_core.data.poses import sample_poses
from spams_core.data.retarget import retarget
from spams_core.data.skeleton import Poses, is_plausible
from spams_core.data.subjects import SPLITS, Subjects, read_subjects, subjects_writer
from spams_core.data.synthetic_bodies import BodyGenerator, identity_stream, outfit_stream
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.io.archive import hash_file, new_file, require_new
from spams_core.io.bvh import read_bvh
from spams_core.progress import Progress, Task
from spams_core.resources import part_styles
from spams_core.settings import settings_to_dict

__all__ = ["GenerateSettings", "generate"]

logger = logging.getLogger(__name__)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class GenerateSettings:
    """Make training subjects: synthetic people, or with --from-meshes your own class of subjects."""

    out: Path | None = None
    """Folder for the subjects archive; must not exist yet. Only --check does without."""
    from_meshes: Path | None = None
    """Folder of registered meshes to make the subjects from, instead of synthetic people; docs/own-data.md has its
    layout. Number and names of identities, poses and parts are the folder's."""
    check: bool = False
    """Only say what is wrong with the meshes; nothing is written but the report."""
    report: Path | None = None
    """JSON file for all that was found in the meshes; written even where that is fatal. Must not exist yet."""
    open_holes: bool = False
    """Leave the meshes' holes open: inside and outside are then told by the generalised winding number. Otherwise each
    hole is closed by a fan around its middle."""
    identities: int = 240
    """Number of training identities."""
    validation_identities: int = 8
    """Number of validation identities, drawn apart from the training ones."""
    test_identities: int = 8
    """Number of test identities, drawn apart from the others."""
    poses_per_identity: int = 42
    """Poses of each identity, besides relaxed standing."""
    dressed_share: float = 0.4
    """Share of the identities that wear garments, hair and shoes: smooth offsets from the skin."""
    motion: tuple[Path, ...] = ()
    """BVH clips; where given, half of each identity's poses are frames of them."""
    seed: int = 0
    """Seed of all draws; an identity doesn't change when more are asked for."""

    def __post_init__(self) -> None:
        if self.from_meshes is None:
            for name in ("check", "report", "open_holes"):
                if getattr(self, name):
                    raise InputError(f"--{name.replace('_', '-')} is about meshes. Give their folder: --from-meshes.")
        elif self.motion:
            raise InputError("--motion poses synthetic people; meshes of --from-meshes bring their own poses.")
        if self.out is None and not self.check:
            raise InputError("Where do the subjects go? Give --out.")
        if self.identities < 1:
            raise InputError(f"identities is {self.identities}; at least 1 training identity is needed.")
        for name in ("validation_identities", "test_identities", "poses_per_identity", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if not 0 <= self.dressed_share <= 1:
            raise InputError(f"dressed_share is {self.dressed_share}; it is a share. Give a number from 0 to 1.")

    def is_dressed(self, number: int) -> bool:
        """Whether an identity of a split wears garments; the share holds evenly for any number of identities."""
        return int((number + 1) * self.dressed_share + 1e-9) > int(number * self.dressed_share + 1e-9)


_CLIP_FPS = 10.0  # neighbouring frames of a clip hardly differ


def _clip_poses(path: Path) -> Poses:
    poses = retarget(read_bvh(path), _CLIP_FPS).poses
    return poses[is_plausible(poses)]


def _draw_poses(generator: np.random.Generator, count: int, clips: Poses) -> Poses:
    """Relaxed standing, then `count` poses, half of them from the clips if there are any."""
    taken = min(count // 2, len(clips))
    parts = [neutral_pose(), sample_poses(generator, count - taken)]
    if taken:
        parts.append(clips[generator.choice(len(clips), size=taken, replace=False)])
    return Poses(np.concatenate([part.rotations for part in parts]))


def generate(settings: GenerateSettings) -> Task[Subjects | MeshReport]:
    """Write identities and poses as a subjects archive; with `check`, return what is wrong with the meshes instead.

    Raises:
        InputError: anny isn't installed, a clip or the meshes are unusable, or the folder exists already or cannot be
            written.
    """
    for path in (settings.out, settings.report):
        if path is not None:
            require_new(path)
    if settings.from_meshes is not None:
        return (yield from _generate_from_meshes(settings, open_mesh_folder(settings.from_meshes)))
    return (yield from _generate_people(settings))


def _generate_people(settings: GenerateSettings) -> Task[Subjects]:
    """Draw identities and poses."""
    assert settings.out is not None
    counts = (settings.identities, settings.validation_identities, settings.test_identities)
    people = [(split, number) for split, count in enumerate(counts) for number in range(count)]
    clips = [neutral_pose()[:0]]
    for path in settings.motion:
        yield Progress(0, len(people), f"Read {path.name}")
        clips.append(_clip_poses(path))
    pool = Poses(np.concatenate([clip.rotations for clip in clips]))
    yield Progress(0, len(people), "Load the body model")
    bodies = BodyGenerator()
    logger.info("Generate %d identities in %d poses each", len(people), settings.poses_per_identity + 1)

    each = settings.poses_per_identity + 1
    canonical = np.empty((len(people), len(bodies.part_weights), 3), dtype=np.float32)
    inside = 0.0
    with subjects_writer(settings.out) as writer:
        for row, (split, number) in enumerate(people):
            generator = identity_stream(settings.seed, SPLITS[split], number)
            identity = bodies.sample_identity(generator)
            if settings.is_dressed(number):
                identity = bodies.dressed(identity, outfit_stream(settings.seed, SPLITS[split], number))
            canonical[row] = bodies.canonical(identity)
            assert np.abs(canonical[row]).max() <= 1.0, "a canonical body leaves the unit box"
            posed = bodies.posed(identity, _draw_poses(generator, settings.poses_per_identity, pool))
            inside += float((np.abs(posed) <= 1.0).all(axis=-1).mean()) / len(people)
            writer.append(posed)
            yield Progress(row + 1, len(people), f"{SPLITS[split]} identity {number + 1}")
        logger.info("%.4f %% of the posed vertices lie in the unit box", 100 * inside)
        yield Progress(len(people), len(people), "Write the archive", {"posed_inside_unit_box": inside})
        writer.finish(
            {
                "task": "generate",
                "settings": settings_to_dict(settings),
                "seed": settings.seed,
                "inputs": {path.name: hash_file(path) for path in settings.motion},
                "anny_version": bodies.anny_version,
                "canonical_per_metre": CANONICAL_PER_METRE,
                "part_names": list(bodies.part_names),
                "metrics": {"posed_inside_unit_box": inside},
            },
            {
                "faces": bodies.faces,
                "part_weights": bodies.part_weights,
                "canonical": canonical,
                "identity_split": np.array([split for split, _ in people], dtype=np.uint8),
                "posed_identity": np.repeat(np.arange(len(people), dtype=np.int32), each),
            },
        )
    return read_subjects(settings.out)


def _generate_from_meshes(settings: GenerateSettings, folder: MeshFolder) -> Task[Subjects | MeshReport]:
    """Check the meshes, and write them as subjects unless only the check is wanted."""
    report, meshes = yield from check_meshes(folder, close_holes=not settings.open_holes)
    # The check's result is the report itself; what is fatal is raised, three findings of it.
    for found in () if settings.check and not report.fatal else report.findings:
        logger.log(logging.INFO if found.level == "note" else logging.WARNING, "%s: %s", found.level, found)
    if settings.report is not None:
        with new_file(settings.report) as file:
            file.write_text(json.dumps(report.summary(), indent=1) + "\n", encoding="utf-8")
    report.require_usable()
    if settings.check or meshes is None:
        return report
    assert settings.out is not None
    return (yield from _write_meshes(settings, settings.out, meshes, report))


def _write_meshes(settings: GenerateSettings, out: Path, meshes: MeshSubjects, report: MeshReport) -> Task[Subjects]:
    folder, split = meshes.folder, split_of(len(meshes.folder.identities))
    # Training identities come first in an archive, so the folders' order is kept.
    counts = [len(identity.poses) for identity in folder.identities]
    inside = 0.0
    with subjects_writer(out) as writer:
        for row, identity in enumerate(folder.identities):
            posed = meshes.posed(row)
            inside += float((np.abs(posed) <= 1.0).all(axis=-1).mean()) / len(counts)
            writer.append(posed)
            yield Progress(row + 1, len(counts), f"{SPLITS[split[row]]} identity {identity.name}")
        writer.finish(
            {
                "task": "generate",
                "settings": settings_to_dict(settings),
                "seed": settings.seed,
                "inputs": {name: hash_file(folder.path / name) for name in _described(folder)},
                "identities": [identity.name for identity in folder.identities],
                "canonical_per_metre": meshes.canonical_per_metre,
                "part_names": list(folder.part_names),
                "parts": part_styles([(part.name, part.title, part.color) for part in folder.parts]),
                "root": folder.part_names[meshes.root],
                "report": report.summary(),
                "metrics": {"posed_inside_unit_box": inside},
            },
            {
                "faces": meshes.faces,
                "part_weights": meshes.part_weights,
                "canonical": meshes.canonical,
                "identity_split": split,
                "posed_identity": np.repeat(np.arange(len(counts), dtype=np.int32), counts),
            },
        )
    return read_subjects(out)


def _described(folder: MeshFolder) -> list[str]:
    """The files that say what the meshes are, where they exist."""
    return [name for name in (PARTS_FILE, LABELS_FILE) if (folder.path / name).exists()]
