"""HTML: an animation and its viewer in one file that needs no network, for reviews."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from spams_core.resources import part_titles, resource_path

__all__ = ["quantise", "write_html_player"]

_STEPS = 65535


def quantise(
    vertices: Float[np.ndarray, "V 3"], low: Float[np.ndarray, "3"], step: Float[np.ndarray, "3"]
) -> np.ndarray[Any, Any]:
    """Vertices as whole steps from the lower corner, uint16: at most half a step off."""
    result: np.ndarray[Any, Any] = np.rint((vertices - low) / step).clip(0, _STEPS).astype("<u2")
    return result


def write_html_player(
    path: Path,
    frames: Iterable[Float[np.ndarray, "V 3"]],
    bounds: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]],
    seconds: Float[np.ndarray, "T"],
    fps: float,
    recording_frames: Int[np.ndarray, "T"],
    residual_m: Float[np.ndarray, "T"],
    faces: Int[np.ndarray, "F 3"],
    vertex_parts: Int[np.ndarray, "V"],
    part_names: Sequence[str],
    part_rgb: UInt8[np.ndarray, "Q 3"],
    title: str,
    provenance: Mapping[str, Any],
) -> None:
    """Write the viewer of `resources/player` with its data in base64: 8 bytes per vertex and frame.

    Coordinates are uint16 steps between the bounds: 0.02 mm off at most where a body walks 2.6 m.

    Args:
        path: File to write.
        frames: Vertices of the world frame (metres, +y up), taken one by one.
        bounds: Lowest and highest coordinates over all frames.
        seconds: When each frame is shown.
        fps: Frames of the recording per second.
        recording_frames: Number of each frame in the recording.
        residual_m: Median distance of the observed points to each frame, NaN where unknown; drawn as a strip.
        faces: Triangles of all frames.
        vertex_parts: Part of each vertex, fewer than 256.
        part_names: Names of the parts.
        part_rgb: sRGB colour of each part, 0..255.
        title: What the page is called.
        provenance: JSON-able data that the page can show.
    """
    low = np.asarray(bounds[0], dtype=np.float64)
    step = np.maximum(np.asarray(bounds[1], dtype=np.float64) - low, 1e-6) / _STEPS
    facts = {
        "title": title,
        "fps": fps,
        "seconds": np.round(seconds, 6).tolist(),
        "recording_frames": recording_frames.tolist(),
        "residual_mm": [round(1e3 * float(r), 3) if np.isfinite(r) else None for r in residual_m],
        "low": low.tolist(),
        "step": step.tolist(),
        "part_titles": part_titles(part_names),
        "part_rgb": part_rgb.tolist(),
        "provenance": dict(provenance),
    }
    template = resource_path("player/player.html").read_text(encoding="utf-8")
    # "</script>" within a string would end the block that holds it.
    text = json.dumps(facts, sort_keys=True, allow_nan=False).replace("<", "\\u003c")
    blocks = {
        "$TITLE$": html.escape(title),
        "$FACTS$": text,
        "$FACES$": _text(np.asarray(faces, dtype="<u4")),
        "$PARTS$": _text(np.asarray(vertex_parts, dtype="u1")),
    }
    head, tail = template.split("$VERTICES$")
    for mark, block in blocks.items():
        head = head.replace(mark, block)
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.write(head)
        for frame in frames:
            # Six bytes per vertex are a multiple of three: the pieces' base64 joins without padding.
            file.write(_text(quantise(frame, low, step)))
        file.write(tail)


def _text(values: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
