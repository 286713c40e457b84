"""The one service layer: generator functions that the command line and the window iterate.

A row of `TASKS` gives a command and a form. Its module, `spams_core.tasks.NAME`, holds the function `NAME` and the
settings `NameSettings`, and is imported when it is asked for: listing the tasks loads no networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from spams_core.progress import Task
from spams_core.settings import json_ready

__all__ = ["TASKS", "TaskRow", "summarize"]


def summarize(result: Any) -> dict[str, Any]:
    """A task's result as data for people and for JSON.

    A result says it with its method `summary()`, or is a mapping, or the path of what was written.
    """
    if hasattr(result, "summary"):
        result = result.summary()
    elif isinstance(result, Path):
        result = {"path": result}
    assert isinstance(result, Mapping)
    plain: dict[str, Any] = json_ready(result)
    return plain


@dataclass(frozen=True)
class TaskRow:
    """One task.

    Attributes:
        name: Its command, its module in `spams_core.tasks` and its function there.
        help: What it does, in one line.
        summary: Result → what `--json` prints.
        text: Result → lines for people; none, or no function, where the summary's lines will do.
        kept: Settings → what is kept of a task that was interrupted, to go on with by --resume; None where nothing is.
    """

    name: str
    help: str
    summary: Callable[[Any], dict[str, Any]] = summarize
    text: Callable[[Any], list[str]] | None = None
    kept: Callable[[Any], str | None] | None = None

    @property
    def settings(self) -> type[Any]:
        """The settings dataclass, e.g. `FitSettings`."""
        kind: type[Any] = getattr(self._module, f"{self.name.capitalize()}Settings")
        return kind

    @property
    def function(self) -> Callable[..., Task[Any]]:
        """The task itself: settings → generator; that of a fit also takes its live controls."""
        task: Callable[..., Task[Any]] = getattr(self._module, self.name)
        return task

    @property
    def _module(self) -> Any:
        return import_module(f"{__name__}.{self.name}")


def _summarize_subjects(subjects: Any) -> dict[str, Any]:
    if hasattr(subjects, "findings"):
        return summarize(subjects)
    counts = {
        "identities": len(subjects.identity_split),
        "poses": len(subjects.posed_identity),
        "vertices": len(subjects.part_weights),
        "parts": subjects.part_names,
    }
    return summarize({"path": subjects.archive.path, **counts})


def _tell_check(result: Any) -> list[str]:
    """The lines of a report on meshes; none of subjects that were made, where the summary will do."""
    lines: list[str] = result.text() if hasattr(result, "findings") else []
    return lines


def _summarize_fit(fit: Any) -> dict[str, Any]:
    told = {name: fit.manifest[name] for name in ("method", "preset", "depth_residual_mm", "seconds_per_frame")}
    return summarize({"path": fit.manifest["settings"]["out"], **_fit_counts(fit), **told})


def _summarize_edit(fit: Any) -> dict[str, Any]:
    return summarize({"path": fit.manifest["edit"]["out"], **_fit_counts(fit)})


def _kept_of_fit(settings: Any) -> str | None:
    told: str | None = import_module(f"{__name__}.resuming").what_is_kept(settings)
    return told


def _fit_counts(fit: Any) -> dict[str, Any]:
    return {"frames": fit.frame_count, "vertices": len(fit.vertex_parts), "parts": fit.part_names}


def _summarize_export(path: Path) -> dict[str, Any]:
    told = import_module(f"{__name__}.export_rig").told_distance(path)
    return summarize({"path": path} if told is None else {"path": path, "distance_to_fit": told})


def _describe_for_people(description: Mapping[str, Any]) -> list[str]:
    return list(import_module(f"{__name__}.info_text").info_text(description))


_ROWS = (
    TaskRow(
        "generate", "Make training subjects: synthetic bodies or your own meshes.", _summarize_subjects, _tell_check
    ),
    TaskRow("render", "Record a subject and a motion with the virtual depth camera."),
    TaskRow("train", "Train one network of a model."),
    TaskRow("clouds", "Render partial clouds of subjects, to train the segmenter."),
    TaskRow("hands", "Make meshes of synthetic hands, an example of subjects of one's own."),
    TaskRow("segment", "Label the points of a recording by body part."),
    TaskRow("fit", "Fit a model to a depth recording.", _summarize_fit, kept=_kept_of_fit),
    TaskRow("evaluate", "Measure a fit against ground truth and against the recording."),
    TaskRow("edit", "Change shape and pose of a fit: interpolate, transfer.", _summarize_edit),
    TaskRow(
        "export", "Write a fit for other programs: meshes, animations, a rig, tables, a player.", _summarize_export
    ),
    TaskRow("benchmark", "Fit and measure a fixed suite of recordings."),
    TaskRow(
        "inspect",
        "Examine a recording: scale, size, tilt, gaps, and what would spoil a fit.",
        text=lambda findings: findings.text(),
    ),
    TaskRow("convert", "Write a recording of any format as a folder of the native one."),
    TaskRow("info", "Say what a folder holds, or what comes with the program.", text=_describe_for_people),
)

TASKS: dict[str, TaskRow] = {row.name: row for row in _ROWS}
"""Every task by name."""
