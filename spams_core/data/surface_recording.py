"""Recordings made of what has no depth images: sequences of meshes and of point clouds, seen by a virtual camera."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from spams_core.data.virtual_camera import orbit_camera
from spams_core.errors import InputError
from spams_core.geometry.camera import Camera
from spams_core.geometry.depth_image import depth_image
from spams_core.geometry.mesh import Mesh
from spams_core.io.depth_images import natural_key
from spams_core.io.obj import read_obj
from spams_core.io.pc2 import PointCache, open_pc2
from spams_core.io.ply import read_ply
from spams_core.io.point_cloud import CLOUD_SUFFIXES, read_cloud
from spams_core.io.poses import Y_UP_FROM_Z_UP
from spams_core.io.source import (
    DEFAULT_FPS,
    MAX_FRAMES,
    ReadingSettings,
    Source,
    contained,
    depth_in_metres,
    open_head,
)

__all__ = ["holds_clouds", "holds_meshes", "open_clouds", "open_meshes"]

_UNITS = (1.0, 0.01, 0.001)
"""Metres, centimetres, millimetres."""
_PERSON_M = 1.7
_TURNS = {"y_up": np.eye(3), "z_up": Y_UP_FROM_Z_UP[:3, :3], "camera": np.diag([1.0, -1.0, -1.0])}
_NEAREST_M = 0.5
"""Depth cameras see nothing nearer; a body at the world's origin reaches less far ahead of it."""
_LOOKED_AT = 5
_FARTHEST = 1e7
_VIEW = {"width": 320, "height": 288, "fx": 252.0}


def holds_meshes(path: Path) -> bool:
    """Whether a path is a PC2 file, or a folder of PLY or OBJ meshes or of a PC2 with its OBJ."""
    if path.is_file():
        return path.suffix.lower() == ".pc2"
    files = _files(path, (".obj", ".ply", ".pc2"))
    return bool(files) and (files[0].suffix.lower() != ".ply" or b"element face" in open_head(files[0], 1 << 14))


def holds_clouds(path: Path) -> bool:
    """Whether a folder holds PLY, PCD or NPZ files; those that are depth images or meshes are asked for before."""
    return path.is_dir() and bool(_files(path, CLOUD_SUFFIXES))


@dataclass(frozen=True)
class _Placement:
    """How what a file holds comes into the world: +y up, metres."""

    unit: float
    frame: Literal["y_up", "z_up", "camera"]

    def __call__(self, points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        placed: np.ndarray = points @ _TURNS[self.frame].T * self.unit
        return placed


@dataclass(frozen=True)
class _Meshes:
    """Meshes of one sequence: files, or a cache with the triangles of its first mesh."""

    files: tuple[Path, ...]
    cache: PointCache | None
    place: _Placement
    camera: Camera

    def raw(self, t: int) -> Mesh:
        if self.cache is None:
            return _read_mesh(self.files[t])
        base = _read_mesh(self.files[0])
        if len(base.vertices) != self.cache.vertex_count:
            raise InputError(
                f"{self.cache.path} moves {self.cache.vertex_count} vertices, but {self.files[0].name} has "
                f"{len(base.vertices)}. Export both from the same mesh."
            )
        return Mesh(self.cache.vertices(t), base.faces)

    def mesh(self, t: int) -> Mesh:
        """The surface of frame t in metres, world frame."""
        raw = self.raw(t)
        return Mesh(self.place(raw.vertices).astype(np.float32), raw.faces, raw.vertex_parts)

    def depth_m(self, t: int) -> Float[np.ndarray, "H W"]:
        return depth_in_metres(depth_image(self.mesh(t), self.camera), 1.0)


@dataclass(frozen=True)
class _Clouds:
    """Clouds of one sequence."""

    files: tuple[Path, ...]
    place: _Placement
    camera: Camera

    def depth_m(self, t: int) -> Float[np.ndarray, "H W"]:
        """In each pixel the nearest point that falls into it."""
        camera = self.camera
        points = self.place(read_cloud(self.files[t])[0])
        seen = (points - camera.world_from_camera[:3, 3]) @ camera.world_from_camera[:3, :3]
        seen = seen[seen[:, 2] > 1e-3]
        with np.errstate(over="ignore", invalid="ignore"):
            u = np.rint(seen[:, 0] / seen[:, 2] * camera.fx + camera.cx)
            v = np.rint(seen[:, 1] / seen[:, 2] * camera.fy + camera.cy)
            inside = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
        depth = np.full(camera.height * camera.width, np.inf)
        np.minimum.at(depth, (v[inside] * camera.width + u[inside]).astype(np.int64), seen[inside, 2])
        return depth_in_metres(depth.reshape(camera.height, camera.width), 1.0)


def open_meshes(path: Path, reading: ReadingSettings) -> Source:
    """Open a sequence of meshes, seen from the front; they are the ground truth too where their topology stays.

    Raises:
        InputError: A file is missing or broken, or a PC2 lacks its OBJ.
    """
    folder = path.parent if path.is_file() else path
    files: tuple[Path, ...]
    caches: tuple[Path, ...] = (path,) if path.is_file() else _files(folder, (".pc2",))
    cache = None
    if caches:
        if len(caches) > 1:
            raise InputError(f"{folder} holds {len(caches)} PC2 files. Give the one to open.")
        cache = open_pc2(caches[0])
        own = caches[0].with_suffix(".obj")
        bases: tuple[Path, ...] = (own,) if own.is_file() else _files(folder, (".obj",))
        if len(bases) != 1:
            raise InputError(f"{caches[0]} has no mesh beside it. Put the OBJ of its mesh there as {own.name}.")
        files = bases
    else:
        files = _one_kind(folder, (".obj", ".ply"))
    count = len(files) if cache is None else cache.frame_count
    meshes = _Meshes(files, cache, _Placement(1.0, "y_up"), orbit_camera(0, 0, 1))
    looked_at = [meshes.raw(t) for t in _spread(count)]
    place, notes = _placement(looked_at[0].vertices, reading)
    camera, intrinsics_from = _in_front([place(mesh.vertices) for mesh in looked_at], reading)
    meshes = _Meshes(files, cache, place, camera)
    same = all(
        len(mesh.vertices) == len(looked_at[0].vertices) and np.array_equal(mesh.faces, looked_at[0].faces)
        for mesh in looked_at
    )
    names = tuple(file.stem for file in files) if cache is None else tuple(f"{t:06d}" for t in range(count))
    return _source(
        path,
        "meshes",
        names,
        camera,
        meshes.depth_m,
        place,
        reading,
        intrinsics_from,
        notes,
        meshes.mesh if same else None,
    )


def open_clouds(path: Path, reading: ReadingSettings) -> Source:
    """Open a sequence of point clouds.

    The camera stands at the sensor's origin where the first file says it. Else, where all points lie in front of their
    origin along +z (or −z, as in OpenGL), they are in the camera's frame; else a virtual camera is put ahead of them.

    Raises:
        InputError: A file is missing or broken.
    """
    files = _one_kind(path, CLOUD_SUFFIXES)
    looked_at = [read_cloud(files[t]) for t in _spread(len(files))]
    origin = looked_at[0][1]
    every = np.concatenate([points for points, _ in looked_at])
    place, notes = _placement(looked_at[0][0], reading)
    ahead = float(np.percentile(every[:, 2], 0.1)) * place.unit
    behind = float(np.percentile(every[:, 2], 99.9)) * place.unit
    if origin is not None:
        camera, intrinsics_from = _towards(place(origin[None])[0], place(every), reading)
    elif ahead > _NEAREST_M or behind < -_NEAREST_M:
        place = _Placement(place.unit, "camera" if ahead > _NEAREST_M else "y_up")
        fx, told = _view(reading)
        width, height = int(_VIEW["width"]), int(_VIEW["height"])
        camera = Camera(width, height, fx, fx, (width - 1) / 2, (height - 1) / 2)
        intrinsics_from = f"{told} at the points' origin"
        notes = ()
    else:
        camera, intrinsics_from = _in_front([place(points) for points, _ in looked_at], reading)
        notes = (*notes, "Nothing tells where the sensor stood; the clouds are seen from the front, +z.")
    clouds = _Clouds(files, place, camera)
    names = tuple(file.stem for file in files)
    return _source(path, "point clouds", names, camera, clouds.depth_m, place, reading, intrinsics_from, notes, None)


def _source(
    path: Path,
    kind: str,
    names: tuple[str, ...],
    camera: Camera,
    depth_m: Callable[[int], np.ndarray[Any, Any]],
    place: _Placement,
    reading: ReadingSettings,
    intrinsics_from: str,
    notes: tuple[str, ...],
    truth: Callable[[int], Mesh] | None,
) -> Source:
    given = reading.depth_scale is not None
    return Source(
        path=path,
        format=kind,
        camera=camera,
        fps=reading.fps or DEFAULT_FPS,
        frame_names=names,
        depth_m=depth_m,
        ground_truth=truth,
        intrinsics_from=intrinsics_from,
        scale_from="given" if given else f"guessed: a person's size at {place.unit:g} metres per unit",
        guessed=not given,
        depth_scale=place.unit,
        notes=notes if reading.fps else (*notes, f"Nothing tells the frames per second; {DEFAULT_FPS:g} are assumed."),
    )


def _files(folder: Path, suffixes: tuple[str, ...]) -> tuple[Path, ...]:
    """Files with these endings in the order of their numbers."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.name[0] != "." and Path(e.name).suffix.lower() in suffixes]
    except OSError:
        return ()
    return tuple(folder / name for name in sorted(names, key=natural_key))


def _one_kind(folder: Path, suffixes: tuple[str, ...]) -> tuple[Path, ...]:
    files = _files(folder, suffixes)
    kinds = {file.suffix.lower() for file in files}
    if len(kinds) != 1 or len(files) > MAX_FRAMES:
        what = "too many" if len(kinds) == 1 else "no" if not kinds else " and ".join(sorted(kinds))
        raise InputError(f"{folder} holds {what} files. Give a folder with one kind of file, one per frame.")
    for file in files:
        if file.is_symlink():
            contained(folder, file)
        if not file.is_file():
            raise InputError(f"{file} is no file that can be read. Leave it out.")
    return files


def _read_mesh(path: Path) -> Mesh:
    mesh = read_obj(path) if path.suffix.lower() == ".obj" else read_ply(path)
    if np.abs(mesh.vertices).max() > _FARTHEST:
        raise InputError(f"{path} has vertices beyond {_FARTHEST:g} units. Export it again.")
    return mesh


def _spread(count: int) -> list[int]:
    return sorted({*np.linspace(0, count - 1, _LOOKED_AT).astype(int).tolist()})


def _placement(points: Float[np.ndarray, "N 3"], reading: ReadingSettings) -> tuple[_Placement, tuple[str, ...]]:
    """Unit and up direction: the largest extent is a person's height, along +y or, if much longer, along +z."""
    extent = np.ptp(np.percentile(points, [0.5, 99.5], axis=0), axis=0)
    largest = max(float(extent.max()), 1e-9)
    unit = reading.depth_scale or min(_UNITS, key=lambda each: abs(float(np.log(largest * each / _PERSON_M))))
    z_up = bool(extent[2] > 1.5 * extent[1])
    return _Placement(unit, "z_up" if z_up else "y_up"), (
        "The subject is longest along +z, which is taken as up.",
    ) if z_up else ()


def _view(reading: ReadingSettings) -> tuple[float, str]:
    if reading.intrinsics is not None or reading.sensor is not None:
        raise InputError("Surfaces are seen by a virtual camera. Leave out the intrinsics' file and the sensor.")
    if reading.fx is not None:
        return reading.fx, "a virtual camera, focal length given"
    return float(_VIEW["fx"]), "a virtual camera"


def _in_front(clouds: list[Float[np.ndarray, "N 3"]], reading: ReadingSettings) -> tuple[Camera, str]:
    """A level camera on the +z side that sees all of the frames looked at, with a margin for the others."""
    every = np.concatenate(clouds)
    low, high = np.percentile(every, [0.1, 99.9], axis=0)
    fx, told = _view(reading)
    width, height = int(_VIEW["width"]), int(_VIEW["height"])
    needed = 1.3 * max((high[0] - low[0]) * fx / width, (high[1] - low[1]) * fx / height)
    distance = max(needed, 1.0) + (high[2] - low[2]) / 2
    return orbit_camera(0, 0, float(distance), (low + high) / 2, width, height, fx), told


def _towards(
    origin: Float[np.ndarray, "3"], every: Float[np.ndarray, "N 3"], reading: ReadingSettings
) -> tuple[Camera, str]:
    """A camera at the sensor's place that looks at the middle of the points."""
    middle = np.median(every, axis=0)
    outward = origin - middle
    distance = float(np.linalg.norm(outward))
    if not 0.05 < distance < 1000:
        raise InputError(f"the sensor's origin lies {distance:.3g} m from the points. Correct it, or leave it out.")
    azimuth = float(np.degrees(np.arctan2(outward[0], outward[2])))
    elevation = float(np.clip(np.degrees(np.arcsin(outward[1] / distance)), -89, 89))
    fx, told = _view(reading)
    return orbit_camera(azimuth, elevation, distance, middle, int(_VIEW["width"]), int(_VIEW["height"]), fx), told
