"""Choice of the device, made once at a task's first line."""

from __future__ import annotations

from typing import Literal

import torch

from spams_core.errors import InputError

__all__ = ["DeviceName", "choose_device"]

DeviceName = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName) -> torch.device:
    """The torch device for a setting; `auto` takes CUDA where there is one.

    Raises:
        InputError: CUDA was asked for and is not available.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device is available here. Use --device cpu, or auto.")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda")
