"""The native depth recording: a folder with camera.json, depth images and, as wanted, masks and ground truth.

NAME/camera.json        width, height, fx, fy, cx, cy, depth_scale (metres per unit), fps, world_from_camera (4 × 4)
NAME/depth/000000.png   16-bit grey, 0 = no reading
NAME/mask/000000.png    optional, > 127 = subject
NAME/ground_truth/000000.ply   optional: metres, world frame, one topology
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import new_folder
from spams_core.io.intrinsics import given_camera
from spams_core.io.ply import read_ply, write_ply
from spams_core.io.source import MAX_PIXELS, ReadingSettings, Source

__all__ = ["AppendFrame", "SequenceFolder", "holds_native", "open_native", "open_sequence", "sequence_writer"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0  # PNG colour type
_DEPTH_RANGE = 65535

_SIZES = ("width", "height")
_NUMBERS = ("fx", "fy", "cx", "cy", "depth_scale", "fps")


@dataclass(frozen=True)
class SequenceFolder:
    """An opened recording; images and meshes are read, and checked, when they are asked for.

    Attributes:
        path: The recording's folder.
        camera: Intrinsics and place of the camera.
        depth_scale: Metres per unit of the depth images.
        fps: Frames per second.
        frame_names: The files' numbers as they are written, ascending and without a gap.
        has_mask, has_ground_truth: Whether those folders are there; if so, they are complete.
    """

    path: Path
    camera: Camera
    depth_scale: float
    fps: float
    frame_names: tuple[str, ...]
    has_mask: bool
    has_ground_truth: bool

    def depth_m(self, t: int) -> Float[np.ndarray, "H W"]:
        """Depth of frame t in metres, float32, 0 = no reading.

        Raises:
            InputError: The image is truncated, not 16-bit grey or of another size than the camera's.
        """
        path = self.path / "depth" / f"{self.frame_names[t]}.png"
        _check_depth_header(path, self.camera)
        units = _decode(path, None)
        return (units.astype(np.float64) * self.depth_scale).astype(np.float32)

    def mask(self, t: int) -> Bool[np.ndarray, "H W"]:
        """True on the subject in frame t: the mask image, or every reading where the recording has no masks.

        Raises:
            InputError: The image is truncated, 16-bit or of another size than the camera's.
        """
        if not self.has_mask:
            return self.depth_m(t) > 0
        path = self.path / "mask" / f"{self.frame_names[t]}.png"
        width, height, bits, _ = _png_header(path)
        _check_size(path, width, height, self.camera)
        if bits > 8:
            raise InputError(f"{path} is {bits}-bit; masks are 8-bit PNG, > 127 on the subject. Re-export it.")
        return _decode(path, "L") > 127

    def ground_truth(self, t: int) -> Mesh:
        """The true surface in frame t: metres, world frame.

        Raises:
            InputError: The file is corrupted, or its triangles are not those of the first frame.
        """
        mesh = self._ground_truth_file(t)
        first = mesh if t == 0 else self._ground_truth_file(0)
        if len(mesh.vertices) != len(first.vertices) or not np.array_equal(mesh.faces, first.faces):
            raise InputError(
                f"{self._ground_truth_path(t)} has another topology than {self.frame_names[0]}.ply; ground truth needs "
                "the same vertices and triangles in every frame. Re-export it without merging or reordering vertices."
            )
        return mesh

    def _ground_truth_path(self, t: int) -> Path:
        return self.path / "ground_truth" / f"{self.frame_names[t]}.ply"

    def _ground_truth_file(self, t: int) -> Mesh:
        return read_ply(self._ground_truth_path(t))


def open_sequence(path: Path) -> SequenceFolder:
    """Open a recording: read camera.json, list the frames and check every depth image's header.

    Raises:
        InputError: The folder, camera.json or the frames are missing, invalid or incomplete; the message names the
            file and the remedy.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist. Give the folder of a recording.")
    if not path.is_dir():
        raise InputError(f"{path} is a file. Give the folder that holds camera.json and depth.")
    camera, depth_scale, fps = _read_camera(path / "camera.json")
    depth_names = _frame_names(path / "depth", ".png")
    for name in depth_names:
        _check_depth_header(path / "depth" / f"{name}.png", camera)
    has_mask, has_ground_truth = (path / "mask").is_dir(), (path / "ground_truth").is_dir()
    if has_mask:
        _check_complete(path / "mask", ".png", depth_names)
    if has_ground_truth:
        _check_complete(path / "ground_truth", ".ply", depth_names)
    return SequenceFolder(path, camera, depth_scale, fps, depth_names, has_mask, has_ground_truth)


def holds_native(path: Path) -> bool:
    """Whether a folder has camera.json."""
    return (path / "camera.json").is_file()


def open_native(path: Path, reading: ReadingSettings) -> Source:
    """Open a recording as `open_sequence` does; what the settings state goes before camera.json.

    Raises:
        InputError: The folder is invalid or incomplete, or the intrinsics given are those of other images.
    """
    folder = open_sequence(path)
    given = given_camera(path, (folder.camera.width, folder.camera.height), reading)
    if given is not None:
        pose = folder.camera.world_from_camera
        folder = dataclasses.replace(folder, camera=dataclasses.replace(given[0], world_from_camera=pose))
    if reading.depth_scale is not None:
        folder = dataclasses.replace(folder, depth_scale=reading.depth_scale)
    return Source(
        path=folder.path,
        format="native",
        camera=folder.camera,
        fps=reading.fps or folder.fps,
        frame_names=folder.frame_names,
        depth_m=folder.depth_m,
        mask=folder.mask if folder.has_mask else None,
        ground_truth=folder.ground_truth if folder.has_ground_truth else None,
        intrinsics_from="camera.json" if given is None else given[1],
        scale_from="camera.json" if reading.depth_scale is None else "given",
        depth_scale=folder.depth_scale,
    )


AppendFrame = Callable[[Float[np.ndarray, "H W"], Bool[np.ndarray, "H W"] | None, Mesh | None], None]
"""Appends one frame: depth in metres (0 = no reading), mask or None, ground truth (metres, world frame) or None."""


@contextmanager
def sequence_writer(
    path: Path,
    camera: Camera,
    fps: float,
    *,
    depth_scale: float = 0.001,
    notes: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> Iterator[AppendFrame]:
    """Write a recording frame by frame; the folder appears whole when the block ends, or not at all.

    Depths are rounded to the nearest unit; readings beyond the 16-bit range become 0. Masks and ground truth are given
    for all frames or for none; part labels of the ground truth are kept.

    Args:
        path: The new folder.
        camera: Its intrinsics and place go into camera.json.
        fps: Frames per second.
        depth_scale: Metres per unit of the depth images.
        notes: Anything else worth keeping in camera.json, under "notes": settings, seeds, hashes.
        replace: Whether an existing folder may be replaced.

    Raises:
        InputError: `path` exists and may not be replaced, or cannot be written.
    """
    with new_folder(path, replace=replace) as folder:
        (folder / "depth").mkdir()
        count = 0

        def append(
            depth_m: Float[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"] | None, ground_truth: Mesh | None
        ) -> None:
            nonlocal count
            assert depth_m.shape == (camera.height, camera.width)
            units = np.rint(depth_m.astype(np.float64) / depth_scale)
            units = np.where((units > 0) & (units <= _DEPTH_RANGE), units, 0).astype(np.uint16)
            Image.fromarray(units).save(folder / "depth" / f"{count:06d}.png")
            if mask is not None:
                assert mask.shape == depth_m.shape
                (folder / "mask").mkdir(exist_ok=True)
                Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(folder / "mask" / f"{count:06d}.png")
            if ground_truth is not None:
                (folder / "ground_truth").mkdir(exist_ok=True)
                write_ply(folder / "ground_truth" / f"{count:06d}.ply", ground_truth)
            count += 1

        yield append
        for kind, suffix in (("mask", "png"), ("ground_truth", "ply")):
            assert not (folder / kind).exists() or len(list((folder / kind).glob(f"*.{suffix}"))) == count
        description = {
            **{name: getattr(camera, name) for name in (*_SIZES, "fx", "fy", "cx", "cy")},
            "depth_scale": depth_scale,
            "fps": fps,
            "world_from_camera": camera.world_from_camera.tolist(),
            **({"notes": dict(notes)} if notes else {}),
        }
        (folder / "camera.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def _read_camera(path: Path) -> tuple[Camera, float, float]:
    """Camera, metres per depth unit and frames per second from camera.json."""
    remedy = "Correct camera.json."
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"{path} is missing. A recording is a folder with camera.json and depth/000000.png, 000001.png, …; add it."
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Give a readable file.") from error
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg} in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "not text"
        raise InputError(f"{path} is no valid JSON ({reason}). {remedy}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} must be a JSON object with the camera's numbers, not a list or a value. {remedy}")
    missing = [name for name in (*_SIZES, *_NUMBERS) if name not in data]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}. Add what is missing.")
    values = {name: _number(path, name, data[name]) for name in (*_SIZES, *_NUMBERS)}
    for name in _SIZES:
        if values[name] != int(values[name]) or values[name] < 1:
            raise InputError(f"{path}: {name} is {data[name]}; it must be a positive whole number. {remedy}")
    if values["width"] * values["height"] > MAX_PIXELS:
        raise InputError(f"{path}: {data['width']}×{data['height']} is beyond {MAX_PIXELS >> 20} megapixels. {remedy}")
    for name in ("fx", "fy", "fps"):
        if values[name] <= 0:
            raise InputError(f"{path}: {name} is {data[name]}; it must be positive. {remedy}")
    scale = values["depth_scale"]
    if not 0 < scale <= 1:
        swapped = f" ({scale:g} units per metre are {1 / scale:g} metres per unit)" if scale > 1 else ""
        raise InputError(
            f"{path}: depth_scale is {data['depth_scale']}; it must be the metres per depth unit, above 0 and at most "
            f"1, such as 0.001 for millimetres{swapped}. {remedy}"
        )
    camera = Camera(int(values["width"]), int(values["height"]), values["fx"], values["fy"], values["cx"], values["cy"])
    if data.get("world_from_camera") is not None:
        try:
            pose = np.array(data["world_from_camera"], dtype=np.float64)
            camera = dataclasses.replace(camera, world_from_camera=pose)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{path}: world_from_camera must be a 4 × 4 list of numbers. {remedy}") from error
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return camera, scale, values["fps"]


def _number(path: Path, name: str, value: Any) -> float:
    """A finite JSON number."""
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else np.nan
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        shown = json.dumps(value)
        raise InputError(f"{path}: {name} is {shown[:40]}; it must be a finite number. Correct camera.json.")
    return number


def _frame_names(folder: Path, suffix: str) -> tuple[str, ...]:
    """The numbers of a folder's files as they are written, ascending and without a gap."""
    try:
        stems = [entry.stem for entry in folder.iterdir() if entry.suffix == suffix and entry.name[0] != "."]
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(
            f"{folder} {reason}. A recording needs its frames in {folder.name}/000000{suffix}, …."
        ) from error
    if not stems:
        raise InputError(f"{folder} holds no frames. Put them there as 000000{suffix}, 000001{suffix}, ….")
    strange = next((stem for stem in sorted(stems) if not (stem.isascii() and stem.isdigit())), None)
    if strange is not None:
        raise InputError(
            f"{folder / (strange + suffix)}: frames are named by their number alone, as 000000{suffix}. Rename it."
        )
    numbered = sorted((int(stem), stem) for stem in stems)
    for (before, _), (number, stem) in itertools.pairwise(numbered):
        if number == before:
            raise InputError(f"{folder} holds frame {number} twice. Remove one of the files.")
        if number != before + 1:
            raise InputError(
                f"{folder} has a gap: {before + 1:0{len(stem)}d}{suffix} is missing between frames {before} and "
                f"{number}. Add the frame, or renumber the files without gaps."
            )
    return tuple(stem for _, stem in numbered)


def _check_complete(folder: Path, suffix: str, depth_names: tuple[str, ...]) -> None:
    """Refuse a mask or ground truth folder whose frames are not those of the depth folder."""
    names = _frame_names(folder, suffix)
    if names == depth_names:
        return
    missing = sorted(set(depth_names) - set(names))
    extra = sorted(set(names) - set(depth_names))
    which = f"{missing[0]}{suffix} is missing" if missing else f"{extra[0]}{suffix} has no depth frame"
    raise InputError(
        f"{folder} has {len(names)} frames where depth has {len(depth_names)}, or other names: {which}. "
        f"Give every depth frame its file of the same name, or remove the folder {folder.name}."
    )


def _png_header(path: Path) -> tuple[int, int, int, int]:
    """Width, height, bits per channel and colour type (PNG specification, §11.2.2)."""
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Put the image there.") from error
    if len(head) < 26 or head[:8] != _PNG_SIGNATURE or head[12:16] != b"IHDR":
        reason = "empty" if not head else "truncated or no PNG image"
        raise InputError(f"{path} is {reason}. Re-export it.")
    width, height, bits, kind = struct.unpack(">IIBB", head[16:26])
    return width, height, bits, kind


def _check_depth_header(path: Path, camera: Camera) -> None:
    """Refuse a depth image that is not 16-bit grey or not of the camera's size."""
    width, height, bits, kind = _png_header(path)
    if bits != 16:
        raise InputError(
            f"{path} is {bits}-bit; depth needs 16-bit PNG. Re-export it with depth_scale the metres per grey level."
        )
    if kind != _GREY:
        raise InputError(f"{path} has colour; depth needs 16-bit grey PNG. Re-export it.")
    _check_size(path, width, height, camera)


def _check_size(path: Path, width: int, height: int, camera: Camera) -> None:
    if (width, height) != (camera.width, camera.height):
        raise InputError(
            f"{path} is {width}×{height} but camera.json says {camera.width}×{camera.height}. "
            "Correct camera.json, or re-export the image."
        )


def _decode(path: Path, mode: str | None) -> Int[np.ndarray, "H W"]:
    """Pixels of a PNG whose header has been checked."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            return np.asarray(image if mode is None else image.convert(mode))
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, zlib and struct errors on broken bytes
        raise InputError(f"{path} is truncated or corrupted. Re-export it.") from error
