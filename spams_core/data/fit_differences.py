"""What two fits of one recording were made with, where it differs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spams_core.data.fit import Fit
from spams_core.errors import InputError

__all__ = ["fit_differences", "require_same_recording"]

_FACTS = ("method", "preset", "code_version", "device")
_PLACES = ("out", "sequence", "model")
"""Settings that say where something lies; of the model the content counts."""


def fit_differences(a: Fit, b: Fit) -> list[tuple[str, str, str]]:
    """Names and both values, as text, of the settings that differ; "–" where one fit has no such setting."""
    ours, theirs = _flat(a.manifest), _flat(b.manifest)
    names = [*ours, *(name for name in theirs if name not in ours)]
    pairs = [(name, str(ours.get(name, "–")), str(theirs.get(name, "–"))) for name in names]
    return [(name, one, other) for name, one, other in pairs if one != other]


def require_same_recording(a: Fit, b: Fit) -> None:
    """Refuse to compare fits of different recordings.

    A recording that was moved keeps its name and its camera's hash.

    Raises:
        InputError: They show different recordings.
    """
    if a.manifest.get("sequence") == b.manifest.get("sequence"):
        return
    marks = [(fit.manifest.get("sequence_name"), fit.manifest.get("inputs", {}).get("camera")) for fit in (a, b)]
    if marks[0] != marks[1] or None in marks[0]:
        names = [fit.manifest.get("sequence_name") or fit.manifest.get("sequence") for fit in (a, b)]
        raise InputError(f"This fit shows {names[1]}, not {names[0]}. Choose a fit of the same recording.")


def _flat(manifest: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: value for name, value in manifest.get("settings", {}).items() if name not in _PLACES}
    flat = {name: manifest[name] for name in _FACTS if name in manifest}
    hashes = [value for name, value in sorted(manifest.get("inputs", {}).items()) if name.startswith("model/")]
    if "model" in manifest:
        digest = hashlib.sha256("".join(hashes).encode()).hexdigest()[:6]
        flat["model"] = f"{Path(manifest['model']).name} {digest}"
    for name, value in settings.items():
        for key, leaf in value.items() if isinstance(value, Mapping) else [(name, value)]:
            flat.setdefault(str(key), leaf)
    return flat
