"""Where the viewports' cameras stand, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spams_core.errors import InputError

__all__ = ["CameraPlace", "Cameras"]

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class CameraPlace:
    """One camera: where it is, what it looks at, which way is up; metres, or canonical units in the canonical view.

    Attributes:
        position, focus, up: In the space that the camera looks at.
        half_height: Half the height of what a parallel projection shows; 0 for a perspective one.
    """

    position: Triple
    focus: Triple
    up: Triple
    half_height: float = 0.0


@dataclass(frozen=True)
class Cameras:
    """The camera that input and fit share, and the canonical view's."""

    world: CameraPlace
    canonical: CameraPlace

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            name: {
                "position": list(place.position), "focus": list(place.focus), "up": list(place.up),
                "half_height": place.half_height,
            }
            for name, place in (("world", self.world), ("canonical", self.canonical))
        }  # fmt: skip

    @staticmethod
    def from_dict(data: Any) -> Cameras:
        """Read `to_dict`'s data.

        Raises:
            InputError: Something is missing, of another kind, or no finite number.
        """
        try:
            return Cameras(_place(data["world"]), _place(data["canonical"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a camera in it is incomplete ({error}). Take the views anew.") from error


def _place(data: Mapping[str, Any]) -> CameraPlace:
    position, focus, up = (tuple(float(x) for x in data[name]) for name in ("position", "focus", "up"))
    half_height = float(data.get("half_height", 0.0))
    numbers = (*position, *focus, *up, half_height)
    if len(numbers) != 10 or not all(math.isfinite(x) for x in numbers) or half_height < 0 or position == focus:
        raise ValueError("it needs three finite numbers for each of position, focus and up")
    return CameraPlace(position, focus, up, half_height)  # type: ignore[arg-type]
