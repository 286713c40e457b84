"""The files that come with the program, and what the body parts are called and coloured."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from spams_core.errors import InputError

__all__ = ["part_colors", "part_styles", "part_titles", "remember_parts", "resource_path"]

_GOLDEN_RATIO = 0.618033988749895


def resource_path(name: str) -> Path:
    """Path of a file or folder that comes with the program, e.g. `parts.json`.

    An installed wheel carries the resources inside the package, a checkout beside it.

    Raises:
        InputError: This installation lacks it.
    """
    package = Path(__file__).parent
    for folder in (package / "resources", package.parent / "resources"):
        if (folder / name).exists():
            return folder / name
    raise InputError(f"resources/{name} is missing from this installation of spams. Install it again.")


@cache
def _known_parts() -> dict[str, tuple[str, str]]:
    """Part name → title and colour; those of opened models and fits are added by `remember_parts`."""
    kinds = json.loads(resource_path("parts.json").read_text(encoding="utf-8"))
    return {part["name"]: (part["title"], part["color"]) for parts in kinds.values() for part in parts}


def part_styles(parts: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    """How manifests tell what parts are called and coloured.

    Args:
        parts: Name, title and colour (#rrggbb) of each; an empty title or colour takes the one that it would have.
    """
    names = [name for name, _, _ in parts]
    usual = zip(part_titles(names), part_colors(names).tolist(), strict=True)
    return [
        {"name": name, "title": title or known, "color": color or "#" + bytes(rgb).hex()}
        for (name, title, color), (known, rgb) in zip(parts, usual, strict=True)
    ]


def remember_parts(manifest: Mapping[str, Any]) -> list[dict[str, str]] | None:
    """Take over titles and colours of the parts that a manifest brings, for all who ask from now on.

    Returns:
        The manifest's `parts`; None where it has none.
    """
    parts = manifest.get("parts")
    if not isinstance(parts, list):
        return None
    for part in parts:
        if isinstance(part, dict) and all(isinstance(part.get(key), str) for key in ("name", "title", "color")):
            _known_parts()[part["name"]] = (part["title"], part["color"])
    return parts


def part_titles(part_names: Sequence[str]) -> list[str]:
    """What a person reads for each part; an unknown name becomes words: `tail_tip` → `Tail tip`."""
    known = _known_parts()
    return [known[name][0] if name in known else name.replace("_", " ").capitalize() for name in part_names]


def part_colors(part_names: Sequence[str]) -> UInt8[np.ndarray, "Q 3"]:
    """RGB of each part, 0..255: warm on the right, cool on the left, distinct for colour-blind eyes too.

    A part that `parts.json` does not know takes a hue by its place in the list, a golden angle from its neighbour's.
    """
    known = _known_parts()

    def color(index: int, name: str) -> list[int]:
        if name in known:
            return list(bytes.fromhex(known[name][1].removeprefix("#")))
        return [round(255 * channel) for channel in colorsys.hsv_to_rgb(0.55 + index * _GOLDEN_RATIO, 0.6, 0.85)]

    colors = [color(index, name) for index, name in enumerate(part_names)]
    return np.array(colors, dtype=np.uint8).reshape(-1, 3)
