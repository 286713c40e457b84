"""Fitting and measuring one recording by one method, and finding out what an earlier run has left to do."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from spams_core.data.fit import Fit, read_fit
from spams_core.data.fit_checkpoint import checkpoint_path
from spams_core.data.recording import read_sequence, read_subject, read_true_parts
from spams_core.errors import InputError
from spams_core.geometry.nearest import nearest_points
from spams_core.io.archive import hash_file, new_file, read_archive
from spams_core.metrics.labels import label_accuracy
from spams_core.progress import Progress, Task
from spams_core.settings import json_ready, settings_to_dict
from spams_core.tasks.evaluate import FIGURES, EvaluateSettings, evaluate
from spams_core.tasks.fit import FitSettings, fit, input_hashes

__all__ = ["ACCURACY", "PEAK", "Measured", "earlier_measurement", "fit_and_measure", "require_same_fit"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

ACCURACY, PEAK = "segmentation_accuracy", "peak_memory_mb"


@dataclass(frozen=True)
class Measured:
    """Figures of one fit.

    Attributes:
        mean: The mean figures of `spams evaluate`, and `segmentation_accuracy`: the share of the observed points that
            the fit labelled right (None for one part).
        frames: The same per fitted frame, with the recording's frame number as `frame`.
        peak_memory_mb: Greatest resident memory of the process that fitted, in 10⁶ bytes; None where it was ended
            between the fit and its note of it.
    """

    mean: Mapping[str, Any]
    frames: Sequence[Mapping[str, Any]]
    peak_memory_mb: float | None


def fit_and_measure(settings: FitSettings, seed: int) -> Task[Measured]:
    """Fit a recording unless that is done, take the process's peak memory, then measure the fit.

    What is known is kept beside the fit, as NAME.json, so that an interrupted benchmark goes on.

    Args:
        settings: The fit; where its folder exists, `require_same_fit` has accepted it.
        seed: Seed of the samples that it is measured with.
    """
    notes = _notes_path(settings)
    if not settings.out.exists():
        again = checkpoint_path(settings.out).exists()
        yield from _as_half(fit(dataclasses.replace(settings, resume=again)), 0)
        _write_notes(notes, {PEAK: _peak_memory_mb()})
    peak = _read_notes(notes).get(PEAK)
    evaluation = yield from _as_half(evaluate(EvaluateSettings(settings.out, settings.sequence, seed=seed)), 1)
    accuracy, by_frame = _segmentation_accuracy(read_fit(settings.out), settings.sequence)
    measured = Measured(
        json_ready({**evaluation.mean, ACCURACY: accuracy}),
        [json_ready({**row, ACCURACY: share}) for row, share in zip(evaluation.frames, by_frame, strict=True)],
        peak,
    )
    _write_notes(notes, {"made_from": _measured_from(settings, seed), **dataclasses.asdict(measured)})
    return measured


def earlier_measurement(settings: FitSettings, seed: int) -> Measured | None:
    """What an earlier run has measured of this fit in the same way; None if that is still to be done."""
    notes = _read_notes(_notes_path(settings))
    if not settings.out.exists() or notes.get("made_from") != _measured_from(settings, seed):
        return None
    return Measured(**{field.name: notes[field.name] for field in dataclasses.fields(Measured)})


def require_same_fit(settings: FitSettings) -> None:
    """Refuse the fit of an earlier run where it was made with other settings, of another recording or by another model.

    Raises:
        InputError: It differs, or is no fit at all.
    """
    manifest = read_archive(settings.out, "fit").manifest
    assert settings.model is not None
    found = {**_flat(manifest["settings"]), **_flat({"hash": manifest["inputs"]})}
    hashes = input_hashes(settings.sequence, settings.model, settings.method, settings.reading)
    wanted = {**_flat(json.loads(json.dumps(settings_to_dict(settings)))), **_flat({"hash": hashes})}
    # Compared by what lies there, or of no effect.
    for place in ("sequence", "out", "model", "resume", "checkpoint_every_s"):
        found.pop(place, None), wanted.pop(place)
    for key in sorted(found.keys() | wanted.keys()):
        if found.get(key) != wanted.get(key):
            raise InputError(
                f"{settings.out} was fitted with other settings or data: {key} was {found.get(key)}, not "
                f"{wanted.get(key)}. Remove it, or choose another --out."
            )


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _notes_path(settings: FitSettings) -> Path:
    return settings.out.with_name(f"{settings.out.name}.json")


def _measured_from(settings: FitSettings, seed: int) -> dict[str, Any]:
    return {"fit": hash_file(settings.out / "manifest.json"), "seed": seed, "figures": list(FIGURES)}


def _write_notes(path: Path, notes: Mapping[str, Any]) -> None:
    with new_file(path, replace=True) as work:
        work.write_text(json.dumps(notes, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _read_notes(path: Path) -> dict[str, Any]:
    """What is kept beside a fit; nothing where it is missing or damaged, because it can be made again."""
    try:
        notes = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _as_half(task: Task[Result], half: int) -> Task[Result]:
    """Run a task as the first or second half of a larger one."""
    try:
        while True:
            report = next(task)
            total = max(report.total, 1)
            yield Progress(half * total + report.step, 2 * total, report.message, report.metrics)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        task.close()


def _segmentation_accuracy(fit: Fit, recording: Path) -> tuple[float | None, list[float | None]]:
    """Share of the observed points that carry the part that labels/ has at their pixel: of all, and per frame.

    Pixels without a true label (0) don't count. None without labels, or where the fit knows a single part.
    """
    unknown: list[float | None] = [None] * fit.frame_count
    if len(fit.part_names) == 1:
        return None, unknown
    sequence = read_sequence(recording)
    shares, right, counted = unknown, 0.0, 0
    for t, index in enumerate(fit.frame_indices.tolist()):
        subject, observation = read_subject(sequence, index), fit.observation(t)
        true_parts = read_true_parts(sequence, index, subject, len(fit.part_names))
        if true_parts is None:
            return None, [None] * fit.frame_count
        _, nearest = nearest_points(observation.points_world, subject.points_world)
        part = true_parts[nearest]
        known = int((part >= 0).sum())
        if known:
            share = label_accuracy(observation.labels[part >= 0], part[part >= 0])
            shares[t] = share
            right, counted = right + share * known, counted + known
    return (right / counted if counted else None), shares


def _peak_memory_mb() -> float:
    """Greatest resident memory of this process so far, in 10⁶ bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the parent's memory at the time of the spawn as well.
        (kibibytes,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
        return int(kibibytes) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
