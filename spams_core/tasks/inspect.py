"""Say what a recording is, how it was understood, and what in it would spoil a fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from spams_core.data.doctor import LOOKED_AT, Findings, examine
from spams_core.data.isolation import isolate
from spams_core.data.recording import ReadingSettings, as_sequence, open_source
from spams_core.data.saved_settings import Saved, with_saved
from spams_core.data.subject import SubjectSettings
from spams_core.errors import InputError
from spams_core.frames import enlargement
from spams_core.models.spam import read_scale
from spams_core.progress import Task

__all__ = ["InspectSettings", "inspect"]


@dataclass(frozen=True)
class InspectSettings:
    """Examine a recording: format, scale, size of the subject, tilt, gaps; warn of what would spoil a fit."""

    recording: Positional[Path]
    """Recording: a folder or a file of any format that the guide lists."""
    looked_at: int = LOOKED_AT
    """Frames that are read, spread over the recording."""
    model: Path | None = None
    """Model that the recording is meant for, where that is no person: its subjects' size is expected."""
    subject: SubjectSettings = field(default_factory=SubjectSettings)
    """Which readings belong to the subject."""
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    """What the recording leaves open, or states wrongly."""
    saved: Saved = "use"
    """Whether settings that the window saved beside the recording, as NAME.subject.json, count where none are given."""

    def __post_init__(self) -> None:
        if self.looked_at < 1:
            raise InputError(f"--looked-at {self.looked_at}: it must be 1 or more.")


def inspect(settings: InspectSettings) -> Task[Findings]:
    """Open a recording, look at some frames and say what was found; see `spams_core.data.doctor`.

    Raises:
        InputError: The recording or the model cannot be opened, or none of the frames looked at can be read.
    """
    known = with_saved(settings.recording, settings.saved, settings.subject, settings.reading)
    sequence = isolate(as_sequence(open_source(settings.recording, known.reading)), known.subject)
    enlarged = 1.0 if settings.model is None else enlargement(read_scale(settings.model))
    return (yield from examine(sequence, settings.looked_at, enlarged))
