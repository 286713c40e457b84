"""Render the partial clouds that the point segmenter is trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from spams_core.data.partial_clouds import ViewSettings, write_clouds
from spams_core.data.subjects import read_subjects
from spams_core.errors import InputError
from spams_core.progress import Task

__all__ = ["CloudsSettings", "clouds"]


@dataclass(frozen=True)
class CloudsSettings:
    """Render labelled partial clouds of generated subjects, to train the segmenter on."""

    subjects: Positional[Path]
    """Subjects archive from 'spams generate'."""
    out: Path
    """Folder for the clouds archive; must not exist yet."""
    views_per_instance: int = 4
    """Clouds of each posed body, each from another side."""
    train: int = 8000
    """Most clouds of training identities."""
    validation: int = 400
    """Most clouds of validation identities."""
    test: int = 400
    """Most clouds of test identities."""
    view: ViewSettings = field(default_factory=ViewSettings)
    """How bodies stand and where cameras look from."""
    seed: int = 0
    """Seed of all draws."""

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more.")


def clouds(settings: CloudsSettings) -> Task[Path]:
    """Render the clouds and return the archive's folder.

    Raises:
        InputError: As `read_subjects` and `write_clouds`.
    """
    archive = yield from write_clouds(
        read_subjects(settings.subjects),
        settings.out,
        settings.views_per_instance,
        settings.seed,
        settings.view,
        (settings.train, settings.validation, settings.test),
    )
    return archive.path
