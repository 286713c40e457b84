"""Settings that were saved beside a recording, as NAME.subject.json: who in it is the subject, and how it is read."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from spams_core.data.subject import SubjectSettings
from spams_core.errors import InputError
from spams_core.io.source import ReadingSettings
from spams_core.settings import settings_from_dict, settings_to_dict

__all__ = ["Saved", "SavedSettings", "fitted_reading", "read_saved", "saved_path", "saved_text", "with_saved"]

logger = logging.getLogger(__name__)

Saved = Literal["use", "ignore"]


@dataclass(frozen=True)
class SavedSettings:
    """What such a file holds."""

    subject: SubjectSettings = field(default_factory=SubjectSettings)
    reading: ReadingSettings = field(default_factory=ReadingSettings)


def saved_path(recording: Path) -> Path:
    """Beside the recording, not in it."""
    recording = recording.absolute()
    return recording.parent / f"{recording.name}.subject.json"


def read_saved(path: Path) -> SavedSettings:
    """Read such a file.

    Raises:
        InputError: It cannot be read, or holds other settings.
    """
    try:
        data = json.loads(path.read_bytes())
        if not isinstance(data, Mapping) or not {"subject", "reading"} & set(data):
            raise ValueError
        return SavedSettings(
            settings_from_dict(SubjectSettings, data.get("subject") or {}),
            settings_from_dict(ReadingSettings, data.get("reading") or {}),
        )
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path.name} holds no subject's settings. Choose a file that was saved here, or remove it."
        ) from error


def saved_text(name: str, settings: SavedSettings) -> str:
    """What such a file says of the recording of this name."""
    return json.dumps({"recording": name, **settings_to_dict(settings)}, indent=1) + "\n"


def with_saved(
    recording: Path, saved: Saved, subject: SubjectSettings | None = None, reading: ReadingSettings | None = None
) -> SavedSettings:
    """What counts for a recording: what is given, and where nothing is, what was saved beside it.

    Of the subject the settings count as a whole, of the reading each by itself.

    Raises:
        InputError: The file beside the recording holds other settings.
    """
    given = SavedSettings(subject or SubjectSettings(), reading or ReadingSettings())
    path = saved_path(recording)
    if saved == "ignore" or not path.is_file():
        return given
    kept = read_saved(path)
    logger.warning("%s is used where no other settings are given; --saved ignore leaves it out.", path.name)
    return SavedSettings(
        given.subject if given.subject != SubjectSettings() else kept.subject, _together(given.reading, kept.reading)
    )


def _together(given: ReadingSettings, kept: ReadingSettings) -> ReadingSettings:
    nothing = ReadingSettings()
    names = [each.name for each in dataclasses.fields(ReadingSettings)]
    cameras = ("intrinsics", "sensor", "fx", "fy", "cx", "cy")
    stated = any(getattr(given, name) != getattr(nothing, name) for name in cameras)
    kept_names = [
        name for name in names if getattr(given, name) == getattr(nothing, name) and not (stated and name in cameras)
    ]
    return dataclasses.replace(given, **{name: getattr(kept, name) for name in kept_names})


def fitted_reading(manifest: Mapping[str, Any]) -> ReadingSettings:
    """How the recording was read for a fit, from its manifest; fits that say nothing read it as it is.

    Raises:
        InputError: The manifest holds something else there.
    """
    return settings_from_dict(ReadingSettings, manifest.get("reading") or {})
