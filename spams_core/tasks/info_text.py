"""What `spams info` says of a fit or a model to people; `--json` has everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spams_core.data.recording import ReadingSettings
from spams_core.data.subject import SubjectSettings
from spams_core.settings import json_ready

__all__ = ["info_text"]


def info_text(description: Mapping[str, Any]) -> list[str]:
    """Lines for people: of a fit, whole or interrupted, and of a model what one asks first; nothing of other kinds."""
    tellers = {"fit": _fit, "model": _model, "fit_checkpoint": _checkpoint}
    teller = tellers.get(str(description.get("kind")))
    rows = list(teller(description)) if teller is not None else []
    width = max((len(title) for title, _ in rows), default=0)
    lines = [f"{title:<{width}}  {text}" for title, text in rows if text]
    return [*lines, "", "--json prints everything, every setting and every hash."] if lines else []


def _fit(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    settings = _mapping(told.get("settings"))
    arrays = _mapping(told.get("arrays"))
    count = (arrays.get("frame_indices") or [None])[0]
    yield "Fit", str(told["path"])
    yield "Recording", str(told.get("sequence") or "")
    chosen = f" ({settings['frames']})" if settings.get("frames") not in (None, ":") else ""
    yield "Frames", f"{count}{chosen}, {told['fps']:g} fps" if count is not None and told.get("fps") else ""
    yield "Subject", _changes(told.get("subject"), SubjectSettings()) or "as the recording's masks say"
    yield "Read", _changes(told.get("reading"), ReadingSettings()) or "as recorded"
    how = [f"{name} {told[name]}" for name in ("method", "preset", "device") if told.get(name)]
    yield "How", ", ".join([*how, f"seed {settings['seed']}"] if "seed" in settings else how)
    yield "Model", str(told.get("model") or "")
    yield "Parts", ", ".join(told.get("part_names") or ())
    sizes = [(arrays.get(name) or [None])[0] for name in ("canonical_vertices", "faces")]
    yield "Surface", f"{sizes[0]:,} vertices, {sizes[1]:,} triangles" if None not in sizes else ""
    residual, seconds = told.get("depth_residual_mm"), told.get("seconds_per_frame")
    yield "Residual", f"{residual:.1f} mm, the median over all points seen" if residual is not None else ""
    yield "Time", f"{seconds:.1f} s per frame" if seconds is not None else ""
    changes = told.get("weight_changes") or ()
    yield "Changed", f"{len(changes)} weights while it ran" if changes else ""
    yield "Edited", "yes" if told.get("edit") else ""
    yield "Program", f"version {told['code_version']}" if told.get("code_version") else ""


def _checkpoint(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    settings = _mapping(told.get("settings"))
    yield "Fit" if told["running"] else "Interrupted fit", str(settings.get("out") or told["path"])
    yield "Recording", str(settings.get("sequence") or "")
    yield "Rounds", f"{told['rounds_done']} of {told['rounds']}{', it runs' if told['running'] else ''}"
    yield "Time", f"{told['seconds']:.0f} s so far, saved {told['saved']}"
    how = [f"{name} {settings[name]}" for name in ("method", "preset", "device", "seed") if name in settings]
    yield "How", ", ".join(how)
    yield "Program", f"version {told['code_version']}" if told.get("code_version") else ""
    yield "Go on", "" if told["running"] else "spams fit with the same options and --resume"


def _model(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Model", str(told["path"])
    for name, network in _mapping(told.get("networks")).items():
        arrays = _mapping(network.get("arrays"))
        count = sum(_product(shape) for shape in arrays.values())
        trained = f", trained by version {network['code_version']}" if network.get("code_version") else ""
        yield name.capitalize(), f"{count:,} numbers in {len(arrays)} arrays{trained}"


def _product(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _changes(settings: Any, usual: Any) -> str:
    """The settings that are not the usual ones."""
    plain, known = json_ready(usual), _mapping(settings)
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in known.items() if value != plain.get(name))
