"""Write a recording of any format as a folder of the native one."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from spams_core.data.isolation import isolate
from spams_core.data.recording import ReadingSettings, as_sequence, open_source
from spams_core.data.saved_settings import Saved, with_saved
from spams_core.data.subject import SubjectSettings
from spams_core.io.archive import require_new
from spams_core.io.native_sequence import sequence_writer
from spams_core.progress import Progress, Task
from spams_core.settings import parse_frames

__all__ = ["ConvertSettings", "convert"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConvertSettings:
    """Write a recording of any format as a folder with camera.json, depth and, where there are masks, mask."""

    recording: Positional[Path]
    """Recording: a folder or a file of any format that the guide lists."""
    out: Path
    """The new folder; it must not exist."""
    frames: str = ":"
    """Frames to write, as a:b:step or one number."""
    out_depth_scale: float = 0.001
    """Metres per unit of the depth images that are written."""
    subject: SubjectSettings = field(default_factory=SubjectSettings)
    """Which readings belong to the subject; where this says something, the new folder has masks of it."""
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    """What the recording leaves open, or states wrongly."""
    saved: Saved = "use"
    """Whether settings that the window saved beside the recording, as NAME.subject.json, count where none are given."""

    def __post_init__(self) -> None:
        # The same bounds as for reading.
        ReadingSettings(depth_scale=self.out_depth_scale)


def convert(settings: ConvertSettings) -> Task[dict[str, Any]]:
    """Read every frame and write it again; depths are rounded to the nearest unit.

    Returns:
        Path, format, frames, and where intrinsics and scale came from.

    Raises:
        InputError: The recording is faulty, the frames choose nothing, or `out` exists or cannot be written.
    """
    require_new(settings.out)
    known = with_saved(settings.recording, settings.saved, settings.subject, settings.reading)
    source = open_source(settings.recording, known.reading)
    sequence = isolate(as_sequence(source), known.subject)
    masked = source.mask is not None or not known.subject.changes_nothing
    frames = parse_frames(settings.frames, sequence.frame_count)
    notes = {
        "converted_from": settings.recording.name,
        "format": source.format,
        "intrinsics": source.intrinsics_from,
        "depth_scale": source.scale_from,
    }
    logger.info("writing %d frames of %s, %s", len(frames), sequence.name, source.format)
    with sequence_writer(
        settings.out, source.camera, source.fps / frames.step, depth_scale=settings.out_depth_scale, notes=notes
    ) as append:
        for count, t in enumerate(frames):
            append(
                sequence.read_depth_m(t),
                sequence.read_mask(t) if masked else None,
                None if sequence.read_ground_truth is None else sequence.read_ground_truth(t),
            )
            yield Progress(count + 1, len(frames), f"Write frame {sequence.frame_names[t]}")
    return {"path": settings.out, "frames": len(frames), **notes, "notes": list(source.notes)}
