"""OpenEXR depth images: one channel of 16- or 32-bit numbers, as renderers write them. Needs the extra `exr`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spams_core.errors import InputError

__all__ = ["exr_size", "exr_units"]

_DEPTH_CHANNELS = ("Z", "depth.Z", "Depth.Z", "depth", "Depth", "Y", "V", "R")


def exr_size(path: Path) -> tuple[int, int]:
    """Width and height of an image's data window, from its header.

    Raises:
        InputError: The extra is missing, there is no header, or no channel that can be depth.
    """
    header = _read(path, header_only=True).header()
    _channel(path, [channel.name for channel in header["channels"]])
    (left, top), (right, bottom) = header["dataWindow"]
    return int(right) - int(left) + 1, int(bottom) - int(top) + 1


def exr_units(path: Path) -> np.ndarray[Any, Any]:
    """The depth channel, [H, W]: Z where there is one, else the image's only channel, else R of a grey one.

    Raises:
        InputError: As `exr_size`, or the pixels are truncated.
    """
    channels = _read(path, header_only=False).channels()
    if not channels:
        raise ValueError  # the library prints what it finds wrong with the pixels, and leaves them out
    units: np.ndarray[Any, Any] = channels[_channel(path, list(channels))].pixels
    return units.astype(np.float32) if units.dtype == np.float16 else units


def _channel(path: Path, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    found = next((name for name in _DEPTH_CHANNELS if name in names), None)
    if found is None:
        raise InputError(f"{path} has the channels {', '.join(names) or 'none'}; depth is called Z. Re-export it.")
    return found


def _read(path: Path, *, header_only: bool) -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(
            f"{path} is OpenEXR, which needs the extra exr. Install it: pip install 'spam-studio[exr]'."
        ) from error
    with path.open("rb"):  # says why a file that is missing or locked cannot be read
        pass
    file = OpenEXR.File(str(path), separate_channels=True, header_only=header_only)
    if not file.parts:
        raise ValueError  # the library prints what it finds wrong, and goes on
    return file
