"""Names for results that are not taken yet."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

__all__ = ["free_path"]


def free_path(
    folder: Path, stem: str, name: Callable[[str], str] = lambda stem: stem, taken: Collection[Path] = ()
) -> Path:
    """The first path in the folder that nothing has: of `stem`, `stem_2`, `stem_3` and so on.

    Args:
        folder: Where.
        stem: What it is called if that is free.
        name: Makes a file's or folder's name of a stem, such as by a suffix.
        taken: Paths that are spoken for, though nothing is there yet.
    """
    number = 1
    while (path := folder / name(stem if number == 1 else f"{stem}_{number}")).exists() or path in taken:
        number += 1
    return path
