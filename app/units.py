"""Lengths as the user wants to read them."""

from __future__ import annotations

from typing import Literal

__all__ = ["UNITS", "Unit", "length_text", "scale_of"]

Unit = Literal["mm", "cm", "m"]

UNITS: dict[Unit, tuple[float, int]] = {"mm": (1000.0, 1), "cm": (100.0, 2), "m": (1.0, 4)}
"""Units per metre, and decimals that show a tenth of a millimetre."""


def scale_of(unit: str) -> tuple[float, int]:
    """Entry of UNITS; an unknown unit is millimetres."""
    return next((scale for name, scale in UNITS.items() if name == unit), UNITS["mm"])


def length_text(metres: float, unit: str) -> str:
    """A length with its unit, to a tenth of a millimetre; an unknown unit is millimetres."""
    per_metre, decimals = scale_of(unit)
    known = unit if unit in UNITS else "mm"
    return f"{metres * per_metre:.{decimals}f} {known}"
