"""How other programs like their files: vertical axis, unit, file names, and the format that suits them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

__all__ = ["PROGRAMS", "ProgramRow", "axes_for", "convert"]


@dataclass(frozen=True)
class ProgramRow:
    """One program.

    Attributes:
        title: What a person reads.
        format: The format of an animation that it reads best.
        up: Its vertical axis.
        unit_m: Metres per unit.
        unit: The unit's name.
        name: File of a frame; `{name}`, `{number}` and `{suffix}` are filled in.
        first: Number of the first file.
        turns: Formats whose importer there turns +y up itself; these are written with +y up.
        advice: What a person does there with an animation, per format; `{fps}` stands for its rate, `{samples}` for the
            rate of the frames that are written.
    """

    title: str
    format: str
    up: Literal["y", "z"]
    unit_m: float
    unit: str
    name: str
    first: int
    turns: tuple[str, ...] = ()
    advice: Mapping[str, str] = field(default_factory=dict)


_PACE = "Blender: give the scene {fps} fps before the import"
_BLENDER = {
    "usd": _PACE, "usdz": _PACE, "abc": _PACE, "glb_animation": _PACE, "glb_rigged": _PACE,
    "bvh": "Blender: tick Update Scene FPS in the import",
    "pc2": "Blender: import the OBJ, add the modifier Mesh Cache, format PC2, and give the scene {samples} fps",
}  # fmt: skip

PROGRAMS: dict[str, ProgramRow] = {
    "any": ProgramRow("Any program", "ply", "y", 1.0, "metres", "{number:06d}.{suffix}", 0),
    "blender": ProgramRow(
        "Blender", "usd", "z", 1.0, "metres", "{name}_{number:04d}.{suffix}", 1, ("obj", "pc2", "bvh", "abc"), _BLENDER
    ),
    "maya": ProgramRow("Maya", "usd", "y", 0.01, "centimetres", "{name}.{number:04d}.{suffix}", 1),
    "unreal": ProgramRow("Unreal Engine", "usd", "z", 0.01, "centimetres", "{name}_{number:04d}.{suffix}", 0),
    "houdini": ProgramRow("Houdini", "usd", "y", 1.0, "metres", "{name}.{number:04d}.{suffix}", 1),
    "paraview": ProgramRow("ParaView", "vtu", "y", 1.0, "metres", "{name}_{number:04d}.{suffix}", 0),
}


def axes_for(program: ProgramRow, format: str, *, fixed: bool) -> tuple[Literal["y", "z"], float, str]:
    """Vertical axis, metres per unit and the unit's name of a file for a program.

    Args:
        program: Who reads it.
        format: Its format.
        fixed: Whether the format itself says +y up and metres.
    """
    if fixed:
        return "y", 1.0, "metres"
    return "y" if format in program.turns else program.up, program.unit_m, program.unit


def convert(points_world: Float[np.ndarray, "N 3"], up: Literal["y", "z"], unit_m: float) -> Float[np.ndarray, "N 3"]:
    """Metres with +y up to another unit and vertical axis; right-handed before and after."""
    scaled: np.ndarray = points_world if unit_m == 1.0 else (points_world / unit_m).astype(points_world.dtype)
    if up == "y":
        return scaled
    return np.stack([scaled[..., 0], -scaled[..., 2], scaled[..., 1]], axis=-1)
