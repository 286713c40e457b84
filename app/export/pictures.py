"""Stills, turntables and videos of a fit: what can be set, and the process beside the window that renders them."""

from __future__ import annotations

import json
import math
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any, Literal

from tyro.conf import Positional

from app.translation import tr
from spams_core.errors import InputError
from spams_core.progress import Progress, Task
from spams_core.settings import parse_frames

__all__ = ["PicturePlan", "RenderSettings", "plan_pictures", "render_beside", "sidecar_path", "to_arguments"]

TURN_SECONDS = 4.0
TURN_FPS = 25.0
_GIF_FPS = 50.0  # viewers slow a GIF down whose frames last less than 20 ms
_POLL_S = 0.1


@dataclass(frozen=True)
class RenderSettings:
    """Render a fit off-screen: one picture, once around the body, or the whole sequence."""

    fit: Positional[Path]
    """Fit folder, written by 'spams fit'."""
    out: Path
    """File to write, with the format's suffix; a file of the same name and .json tells where it comes from."""
    kind: Literal["sequence", "turntable", "still"] = "sequence"
    """sequence: all chosen frames; turntable: once around the first chosen frame; still: a picture of it."""
    format: Literal["mp4", "gif", "png"] = "mp4"
    """mp4 (H.264) or gif for videos, png for a still."""
    frames: str = ":"
    """Fitted frames to show, as a:b:step or one number."""
    speed: float = 1.0
    """Times the recorded speed: 0.5 is slow motion."""
    width: int = 1280
    """Pixels from left to right; even, as H.264 wants it."""
    height: int = 720
    """Pixels from top to bottom; even."""
    view: Literal["sensor", "back", "left", "right"] = "sensor"
    """Side that the camera looks from."""
    background: Literal["dark", "light", "white"] = "dark"
    """Colour behind the body."""
    mesh: bool = True
    """Show the fitted mesh."""
    points: bool = False
    """Show the observed points."""
    frame_number: bool = True
    """Write the recording's frame number into the picture."""
    residual: bool = True
    """Write the frame's residual into the picture: median distance of the points to the mesh."""
    overwrite: bool = False
    """Replace what is there already."""

    def __post_init__(self) -> None:
        if (self.kind == "still") != (self.format == "png"):
            raise InputError(f"--format {self.format} does not suit a {self.kind}: png for a still, mp4 or gif else.")
        if self.out.suffix != f".{self.format}":
            raise InputError(
                f"--out {self.out}: name the file {self.out.stem}.{self.format}, or choose another --format."
            )
        for name, size in (("width", self.width), ("height", self.height)):
            if not 64 <= size <= 4096 or size % 2:
                raise InputError(f"--{name} {size}: it must be even, from 64 to 4096 pixels.")
        if not (math.isfinite(self.speed) and 0.01 <= self.speed <= 100):
            raise InputError(f"--speed {self.speed:g}: it must be between 0.01 and 100.")
        if not (self.mesh or self.points):
            raise InputError("Neither mesh nor points are shown: nothing would be seen. Show one of them.")


@dataclass(frozen=True)
class PicturePlan:
    """Which pictures a video is made of.

    Attributes:
        rows: Row of the fit that each picture shows.
        turns: Angle of the camera about the body in each picture, in turns.
        fps: Pictures per second.
    """

    rows: tuple[int, ...]
    turns: tuple[float, ...]
    fps: float

    @property
    def seconds(self) -> float:
        """How long the video lasts."""
        return len(self.rows) / self.fps


def plan_pictures(settings: RenderSettings, frame_indices: Sequence[int], fps: float) -> PicturePlan:
    """The pictures of a video.

    Raises:
        InputError: The frames choose nothing.
    """
    chosen = parse_frames(settings.frames, len(frame_indices))
    if settings.kind == "still":
        return PicturePlan((chosen[0],), (0.0,), 1.0)
    if settings.kind == "turntable":
        count = max(2, round(TURN_SECONDS * TURN_FPS / settings.speed))
        return PicturePlan((chosen[0],) * count, tuple(k / count for k in range(count)), TURN_FPS)
    recorded = [int(frame_indices[t]) for t in chosen]
    step = (recorded[-1] - recorded[0]) / (len(recorded) - 1) if len(recorded) > 1 else 1.0
    rate = fps * settings.speed / step
    thinned = max(1, math.ceil(rate / _GIF_FPS)) if settings.format == "gif" else 1
    rows = tuple(chosen[::thinned])
    return PicturePlan(rows, (0.0,) * len(rows), rate / thinned)


def sidecar_path(out: Path) -> Path:
    """The file that tells where a picture comes from."""
    return out.with_name(f"{out.name}.json")


def to_arguments(settings: RenderSettings) -> list[str]:
    """The settings as arguments of `python -m app.export.render`."""
    arguments = [str(settings.fit)]
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name == "fit" or (value == field.default and field.name != "out"):
            continue
        option = field.name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{option}" if value else f"--no-{option}")
        else:
            arguments += [f"--{option}", str(value)]
    return arguments


def render_beside(settings: RenderSettings) -> Task[Path]:
    """Render in a process of its own: an off-screen renderer within the window would freeze its viewports.

    Closing the generator ends that process, and nothing remains of its file.

    Raises:
        InputError: As the process says, or nothing can be written there.
    """
    yield Progress(0, 0, tr("Start the renderer"))
    try:
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{settings.out.name}-", dir=settings.out.parent))
    except OSError as error:
        raise InputError(f"{settings.out} cannot be written ({error.strerror}). Choose another folder.") from error
    root = str(Path(__file__).parents[2])
    # An empty entry would be the present folder, whatever lies in it.
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *others])}
    command = [sys.executable, "-m", "app.export.render", *to_arguments(settings), "--work", str(work), "--progress"]
    child: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None
    lines: queue.Queue[str | None] = queue.Queue()
    try:
        with (work / "errors").open("w+", encoding="utf-8") as errors:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
            assert child.stdout is not None
            reader = threading.Thread(target=_read, args=(child.stdout, lines), name="renderer output", daemon=True)
            reader.start()
            yield from _follow(lines)
            status = child.wait()
            errors.seek(0)
            said = errors.read().strip()
        if status == 2:
            raise InputError(said.removeprefix("render: "))
        if status != 0:
            raise RuntimeError(f"The renderer ended with status {status}.\n{said}")
        return settings.out
    finally:
        if child is not None and child.poll() is None:
            child.kill()
            child.wait()
        if reader is not None:
            reader.join()  # the output of a process that has ended ends; closed meanwhile, it would break in the thread
        if child is not None and child.stdout is not None:
            child.stdout.close()
        shutil.rmtree(work, ignore_errors=True)


def _read(output: IO[str], lines: queue.Queue[str | None]) -> None:
    """Hand on each line, then None; runs in a thread."""
    for line in output:
        lines.put(line)
    lines.put(None)


def _follow(lines: queue.Queue[str | None]) -> Task[None]:
    """What the process reports, and the last report again while it says nothing, so that a cancel is heard."""
    last = Progress(0, 0, tr("Start the renderer"))
    while True:
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            line = ""
        if line is None:
            return
        if line.startswith("{"):
            told: dict[str, Any] = json.loads(line)
            last = Progress(told["step"], told["total"], told["message"])
        yield last
