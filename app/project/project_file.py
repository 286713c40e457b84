"""The project file: JSON, versioned, written whole or not at all. Knows no Qt."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.cameras import Cameras
from spams_core import __version__
from spams_core.errors import InputError

__all__ = ["SUFFIX", "VERSION", "Project", "file_state", "project_text", "read_project", "write_project", "write_text"]

SUFFIX = ".spamproj"
VERSION = 2
_FORMAT = "spam-studio-project"


@dataclass(frozen=True)
class Project:
    """What is open and how it is looked at.

    Attributes:
        recording, fit: Absolute paths; None where there is none.
        frame: The frame under the playhead.
        workspace: The workspace in front, by its id.
        cameras: Where the cameras stand; None leaves them where a newly opened recording puts them.
        bookmarks: Camera places that the user keeps, by slot 1 to 9.
        layers: The session's switches, such as `show_mesh`.
        colors: The session's choices of a name, such as `cloud_colors`.
        speed, pace, loop: How it is played.
        subject: Who in the recording is the subject, as data of `SubjectSettings`; None leaves what it opens with.
        edits: What was changed by hand, as data of `EditState`; None for nothing, as in files of version 1.
    """

    recording: Path | None = None
    fit: Path | None = None
    frame: int = 0
    workspace: str = "fit"
    cameras: Cameras | None = None
    bookmarks: Mapping[int, Cameras] = field(default_factory=dict)
    layers: Mapping[str, bool] = field(default_factory=dict)
    colors: Mapping[str, str] = field(default_factory=dict)
    speed: float = 1.0
    pace: str = "real time"
    loop: bool = True
    subject: Mapping[str, Any] | None = None
    edits: Mapping[str, Any] | None = None

    @property
    def content(self) -> Project:
        """Without what merely moves about while one looks: changes of the rest are worth a question before closing."""
        return replace(self, frame=0, workspace="fit", cameras=None)


def read_project(path: Path) -> Project:
    """Read a project file; a path in it is looked for relative to the file first, so that folders can move together.

    Raises:
        InputError: It is missing, no project, damaged, or of a newer version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). Choose another project.") from error
    except ValueError as error:
        raise InputError(f"{path.name} is damaged: it is no JSON text ({error}). Take an older copy.") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise InputError(f"{path.name} is no project of SPAM Studio. Choose a file that was saved here.")
    version = data.get("version")
    if not isinstance(version, int) or version < 1:
        raise InputError(f"{path.name} has no valid version ({version!r}); it is damaged. Take an older copy.")
    if version > VERSION:
        raise InputError(
            f"{path.name} was saved by a newer SPAM Studio ({data.get('program', 'unknown')}, project version "
            f"{version}); this one, {__version__}, reads up to version {VERSION}. Update the program."
        )
    try:
        return _project(data, path.absolute().parent)
    except (InputError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path.name} is damaged: {error}. Take an older copy.") from error


def _project(data: Mapping[str, Any], folder: Path) -> Project:
    cameras, subject, edits = data.get("cameras"), data.get("subject"), data.get("edits")
    frame, speed = int(data.get("frame", 0)), float(data.get("speed", 1.0))
    if frame < 0 or not math.isfinite(speed) or speed <= 0:
        raise ValueError(f"frame {frame} at speed {speed} cannot be")
    if not isinstance(subject, Mapping | None):
        raise ValueError(f"{subject!r} is no subject")
    if not isinstance(edits, Mapping | None):
        raise ValueError(f"{edits!r} are no edits")
    return Project(
        _stored_path(data.get("recording"), folder),
        _stored_path(data.get("fit"), folder),
        frame,
        str(data.get("workspace", "fit")),
        None if cameras is None else Cameras.from_dict(cameras),
        {int(slot): Cameras.from_dict(place) for slot, place in data.get("bookmarks", {}).items()},
        {str(name): bool(on) for name, on in data.get("layers", {}).items()},
        {str(name): str(chosen) for name, chosen in data.get("colors", {}).items()},
        speed,
        str(data.get("pace", "real time")),
        bool(data.get("loop", True)),
        subject,
        edits,
    )


def project_text(project: Project, folder: Path, **more: Any) -> str:
    """A project as the text of a file in a folder, with further entries for who wants them."""
    data = {
        "format": _FORMAT,
        "version": VERSION,
        "program": __version__,
        "recording": _path_to_store(project.recording, folder),
        "fit": _path_to_store(project.fit, folder),
        "frame": project.frame,
        "workspace": project.workspace,
        "cameras": project.cameras.to_dict() if project.cameras is not None else None,
        "bookmarks": {str(slot): place.to_dict() for slot, place in sorted(project.bookmarks.items())},
        "layers": dict(project.layers),
        "colors": dict(project.colors),
        "speed": project.speed,
        "pace": project.pace,
        "loop": project.loop,
        "subject": dict(project.subject) if project.subject is not None else None,
        "edits": dict(project.edits) if project.edits is not None else None,
        **more,
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_project(path: Path, project: Project) -> None:
    """Write a project; what was there before is replaced only once the new file is whole.

    Raises:
        InputError: It cannot be written; what was there before is untouched.
    """
    write_text(path, project_text(project, path.absolute().parent))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        InputError: It cannot be written; what was there before is untouched.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}). What was saved there before is untouched. Make "
            "room, or save in another folder."
        ) from error


def file_state(path: Path) -> tuple[int, int] | None:
    """Time and size of a file, to notice that somebody else has written it; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _path_to_store(path: Path | None, folder: Path) -> dict[str, str] | None:
    if path is None:
        return None
    try:
        relative = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return {"path": str(path)}
    return {"path": str(path), "relative": relative}


def _stored_path(stored: Any, folder: Path) -> Path | None:
    if stored is None:
        return None
    if "relative" in stored:
        beside = Path(os.path.normpath(folder / str(stored["relative"])))
        if beside.exists():
            return beside
    return Path(str(stored["path"]))
