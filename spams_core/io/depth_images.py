"""Folders of depth images: 16-bit PNG or TIFF, 32-bit TIFF, OpenEXR, NPY, NPZ; one file per frame."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, UnidentifiedImageError

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.io.depth_scale import FLOAT_SCALES, INTEGER_SCALES, guess_scale
from spams_core.io.exr import exr_size, exr_units
from spams_core.io.intrinsics import camera_of
from spams_core.io.source import (
    DEFAULT_FPS,
    MAX_FRAMES,
    ReadingSettings,
    Source,
    check_pixels,
    contained,
    depth_in_metres,
)

__all__ = ["DepthImages", "holds_depth_images", "image_size", "natural_key", "open_depth_images", "read_units"]

_FOLDERS = ("depth", "depths", "Depth", "depth_images", "depth_image")
_MASK_FOLDERS = ("mask", "masks")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIFF_MODES = ("I;16", "I;16B", "I;16L", "I", "F")
_NPY_KINDS = "uif"


@dataclass(frozen=True)
class DepthImages:
    """Files of one size, one per frame.

    Attributes:
        files: In their order in time.
        size: Width and height of every image.
        scale: Metres per unit.
        masks: Mask of each frame, or nothing.
    """

    files: tuple[Path, ...]
    size: tuple[int, int]
    scale: float
    masks: tuple[Path, ...] = ()

    def depth_m(self, t: int) -> Float[np.ndarray, "H W"]:
        """Depth of frame t in metres, float32, 0 = no reading.

        Raises:
            InputError: The file is missing, truncated, of another size or no depth image.
        """
        return depth_in_metres(read_units(self.files[t], self.size), self.scale)

    def mask(self, t: int) -> Bool[np.ndarray, "H W"]:
        """True on the subject in frame t.

        Raises:
            InputError: The file is truncated, no 8-bit image or of another size.
        """
        path = self.masks[t]
        try:
            with Image.open(path, formats=["PNG"]) as image:
                check_pixels(path, *image.size)
                same = image.size == self.size
                marked = np.asarray(image.convert("L")) > 127 if same else None
        except InputError:
            raise
        except Exception as error:  # Pillow raises whatever comes on broken bytes
            raise InputError(f"{path} is truncated or no PNG image. Re-export it.") from error
        if marked is None:
            raise InputError(f"{path} has another size than its depth image. Re-export it.")
        return marked


def holds_depth_images(path: Path) -> bool:
    """Whether a folder has files that may be depth images, itself or in its folder depth."""
    return path.is_dir() and _depth_folder(path) is not None


def open_depth_images(path: Path, reading: ReadingSettings) -> Source:
    """Open a folder of depth images; their sizes are checked, and three of them looked at for the scale.

    Raises:
        InputError: There are no depth images, they differ in size, or nothing tells the intrinsics.
    """
    folder = _depth_folder(path)
    if folder is None:
        raise InputError(f"{path} holds no depth images (PNG, TIFF, EXR, NPY, NPZ). Give the folder that does.")
    files = _files(folder)
    size = image_size(files[0])
    for file in files[1:]:
        other = image_size(file)
        if other != size:
            raise InputError(
                f"{file} is {other[0]}×{other[1]} but {files[0].name} is {size[0]}×{size[1]}. "
                "All depth images of a recording have one size; re-export it, or move it elsewhere."
            )
    above = (folder, folder.parent) if folder.parent != folder else (folder,)
    camera, intrinsics_from = camera_of(path, size, tuple(dict.fromkeys((path, *above))), reading)
    scale, scale_from = _scale(files, size, camera, reading)
    masks = _masks(folder.parent if folder != path or folder.name in _FOLDERS else path, files)
    images = DepthImages(files, size, scale, masks)
    return Source(
        path=path,
        format="depth images",
        camera=camera,
        fps=reading.fps or DEFAULT_FPS,
        frame_names=tuple(file.stem for file in files),
        depth_m=images.depth_m,
        mask=images.mask if masks else None,
        intrinsics_from=intrinsics_from,
        scale_from=scale_from,
        guessed=intrinsics_from.startswith("guessed") or scale_from.startswith("guessed"),
        depth_scale=scale,
        notes=() if reading.fps else (f"Nothing tells the frames per second; {DEFAULT_FPS:g} are assumed.",),
    )


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts frame_2 before frame_10, and 1305.5 before 1305.25 by neither: digits count as whole numbers."""
    # Longer runs of digits than any counter has are text, so that no hostile name costs time.
    return [
        (0, int(part), "") if part.isdigit() and part.isascii() and len(part) <= 18 else (1, 0, part)
        for part in re.split(r"([0-9]+)", name)
    ]


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of a depth image, from its header alone.

    Raises:
        InputError: It cannot be read, is no depth image, or claims an absurd size.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise InputError(f"{path} is no file. Leave it out.")
        width, height = _READERS[path.suffix.lower()][0](path)
    except OSError as error:
        if isinstance(error, UnidentifiedImageError):
            raise InputError(f"{path} is empty, truncated or no {_kind(path)} file. Re-export it.") from error
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Put the file there.") from error
    except InputError:
        raise
    except Exception as error:  # foreign parsers raise whatever comes on broken bytes
        raise InputError(f"{path} is empty, truncated or no {_kind(path)} file. Re-export it.") from error
    check_pixels(path, width, height)
    return width, height


def read_units(path: Path, size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """A depth image [H, W] in its stored unit.

    Raises:
        InputError: The file is missing, truncated, of another size or no depth image.
    """
    found = image_size(path)
    if found != size:
        raise InputError(
            f"{path} is {found[0]}×{found[1]} but the recording {size[0]}×{size[1]}. Re-export it, or leave it out."
        )
    try:
        units = _READERS[path.suffix.lower()][1](path)
    except InputError:
        raise
    except Exception as error:  # foreign parsers raise whatever comes on broken bytes
        raise InputError(f"{path} is truncated or corrupted. Re-export it.") from error
    if units.shape != (size[1], size[0]):
        raise InputError(f"{path} is truncated or corrupted. Re-export it.")
    return units


def _kind(path: Path) -> str:
    return path.suffix.lower().lstrip(".").upper()


def _depth_folder(path: Path) -> Path | None:
    """Where the depth images are: in a folder with that name, or in `path` itself."""
    for folder in (*(path / name for name in _FOLDERS), path):
        if folder.is_dir() and any(_looks_like_depth(file) for file in _listed(folder)[:3]):
            return folder
    return None


def _listed(folder: Path) -> list[Path]:
    """Files that may be depth images, in the order of their numbers."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.name[0] != "." and Path(e.name).suffix.lower() in _READERS]
    except OSError:
        return []
    # Folders that mix colour and depth say which is which in the names.
    marked = [name for name in names if "depth" in name.lower()]
    return [folder / name for name in sorted(marked or names, key=natural_key)]


def _looks_like_depth(path: Path) -> bool:
    """Whether a file is depth, or so broken that saying so helps more than passing it over."""
    if path.suffix.lower() in (".npy", ".npz"):
        try:
            image_size(path)
        except InputError:
            return False
    return True


def _files(folder: Path) -> tuple[Path, ...]:
    files = _listed(folder)
    if len(files) > MAX_FRAMES:
        raise InputError(f"{folder} holds {len(files)} files, more than a recording has. Give a smaller folder.")
    kinds = {file.suffix.lower() for file in files}
    if len(kinds) > 1:
        raise InputError(
            f"{folder} mixes {', '.join(sorted(kinds))} files. Leave those of the depth images there alone."
        )
    for file in files:
        if file.is_symlink():
            contained(folder.parent, file)
    return tuple(files)


def _masks(root: Path, files: tuple[Path, ...]) -> tuple[Path, ...]:
    folder = next((root / name for name in _MASK_FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        return ()
    masks = tuple(folder / f"{file.stem}.png" for file in files)
    missing = next((mask for mask in masks if not mask.is_file()), None)
    if missing is not None:
        raise InputError(f"{missing} is missing. Give every depth image its mask, or remove the folder {folder.name}.")
    for mask in masks:
        if mask.is_symlink():
            contained(root, mask)
    return masks


def _scale(
    files: tuple[Path, ...], size: tuple[int, int], camera: Camera, reading: ReadingSettings
) -> tuple[float, str]:
    if reading.depth_scale is not None:
        return reading.depth_scale, "given"
    looked_at = [read_units(files[t], size) for t in sorted({0, len(files) // 2, len(files) - 1})]
    whole = looked_at[0].dtype.kind in "ui"
    candidates = INTEGER_SCALES if whole else FLOAT_SCALES
    return guess_scale(looked_at, camera, candidates) or (candidates[0], "guessed: no reading to judge it by")


def _png_size(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        head = file.read(26)
    if len(head) < 26 or head[:8] != _PNG_SIGNATURE or head[12:16] != b"IHDR":
        raise ValueError
    if head[24] != 16 or head[25] != 0:  # bits per channel and colour type, 0 = grey
        what = "has colour" if head[25] else f"is {head[24]}-bit"
        raise InputError(f"{path} {what}; depth needs 16-bit grey PNG. Re-export it, or give the folder of the depth.")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _png_units(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path, formats=["PNG"]) as image:
        return np.asarray(image)


def _tiff_size(path: Path) -> tuple[int, int]:
    with Image.open(path, formats=["TIFF"]) as image:
        if image.mode not in _TIFF_MODES:
            raise InputError(f"{path} is {image.mode}; depth needs 16- or 32-bit grey TIFF. Re-export it.")
        return image.size


def _tiff_units(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path, formats=["TIFF"]) as image:
        units = np.asarray(image)
    return units if units.dtype.kind == "f" else units.astype(np.uint16) if units.dtype.itemsize == 2 else units


def _npy_head(path: Path, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type from the header of the array format, of which nothing is executed."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, _, dtype = read(file)
    if len(shape) != 2 or dtype.kind not in _NPY_KINDS:
        raise InputError(
            f"{path} holds {dtype} {list(shape)}; depth is one array of numbers [height, width]. Re-export it."
        )
    return shape, dtype


def _npy_size(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        shape, dtype = _npy_head(path, file)
        check_pixels(path, shape[1], shape[0])
        if path.stat().st_size < file.tell() + shape[0] * shape[1] * dtype.itemsize:
            raise InputError(f"{path} is truncated. Re-export it.")
    return shape[1], shape[0]


def _npy_units(path: Path) -> np.ndarray[Any, Any]:
    units: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
    return units


def _npz_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [each for each in archive.infolist() if each.filename.endswith(".npy") and each.filename != "points.npy"]
    member = next((each for each in members if each.filename == "depth.npy"), members[0] if len(members) == 1 else None)
    if member is None:
        raise InputError(f"{path} holds no array depth. Name the depth so, or leave it alone in the file.")
    return member


def _npz_size(path: Path) -> tuple[int, int]:
    with zipfile.ZipFile(path) as archive, archive.open(_npz_member(path, archive)) as file:
        shape, _ = _npy_head(path, file)
    return shape[1], shape[0]


def _npz_units(path: Path) -> np.ndarray[Any, Any]:
    with zipfile.ZipFile(path) as archive, archive.open(_npz_member(path, archive)) as file:
        units: np.ndarray[Any, Any] = np.lib.format.read_array(file, allow_pickle=False)
        return units


_READERS: dict[str, tuple[Callable[[Path], tuple[int, int]], Callable[[Path], np.ndarray[Any, Any]]]] = {
    ".png": (_png_size, _png_units),
    ".tif": (_tiff_size, _tiff_units),
    ".tiff": (_tiff_size, _tiff_units),
    ".exr": (exr_size, exr_units),
    ".npy": (_npy_size, _npy_units),
    ".npz": (_npz_size, _npz_units),
}
"""Suffix → what tells the size from the header, and what reads the image."""
