"""Recordings in the formats of others, written by hand from their published layouts; each shows the same scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 32, 24
FX, FY, CX, CY = 30.0, 29.0, 15.0, 11.5
FRAMES = 4


def scene_m(t: int) -> np.ndarray:
    """A slanted board of about a person's height 2 m away, background removed; one millimetre nearer per frame."""
    depth = np.zeros((HEIGHT, WIDTH))
    depth[1:-1, 12:20] = 2.0 + 0.01 * np.arange(8) - 0.001 * t
    return depth


def millimetres(t: int) -> np.ndarray:
    return np.rint(scene_m(t) * 1000).astype(np.uint16)


def write_intrinsics(path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    matrix = [FX, 0, 0, 0, FY, 0, CX, CY, 1]
    path.write_text(json.dumps({"width": width, "height": height, "intrinsic_matrix": matrix}))


def _png(path: Path, t: int, per_metre: float = 1000) -> None:
    Image.fromarray(np.rint(scene_m(t) * per_metre).astype(np.uint16)).save(path)


WRITE_IMAGE: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "png, millimetres": (".png", _png),
    "png, fifths": (".png", lambda path, t: _png(path, t, 5000)),
    "tiff, 16 bits": (".tif", lambda path, t: Image.fromarray(millimetres(t)).save(path)),
    "tiff, float metres": (".tiff", lambda path, t: Image.fromarray(scene_m(t).astype(np.float32)).save(path)),
    "npy, float metres": (".npy", lambda path, t: np.save(path, scene_m(t))),
    "npy, float millimetres": (".npy", lambda path, t: np.save(path, (scene_m(t) * 1000).astype(np.float32))),
    "npy, millimetres": (".npy", lambda path, t: np.save(path, millimetres(t))),
    "npz, millimetres": (".npz", lambda path, t: np.savez_compressed(path, depth=millimetres(t), other=np.zeros(3))),
}


def write_images(path: Path, kind: str = "png, millimetres", *, intrinsics: bool = True) -> Path:
    suffix, write = WRITE_IMAGE[kind]
    (path / "depth").mkdir(parents=True)
    (path / "color").mkdir()
    for t in range(FRAMES):
        write(path / "depth" / f"{t}{suffix}", t)
        Image.new("RGB", (WIDTH, HEIGHT)).save(path / "color" / f"{t}.jpg")
    if intrinsics:
        write_intrinsics(path / "intrinsic.json")
    return path


def write_tum(path: Path) -> Path:
    (path / "depth").mkdir(parents=True)
    lines = ["# depth maps", "# timestamp filename"]
    poses = ["# timestamp tx ty tz qx qy qz qw"]
    for t in range(FRAMES):
        time = f"{1305031102.160407 + t / 25:.6f}"
        _png(path / "depth" / f"{time}.png", t, 5000)
        lines.append(f"{time} depth/{time}.png")
        # Looks along the world's +y, level, 1.5 m up: camera +x = world +x, +y = -z, +z = +y.
        poses.append(f"{time} 0.5 0.25 1.5 {-np.sqrt(0.5):.9f} 0 0 {np.sqrt(0.5):.9f}")
    (path / "depth.txt").write_text("\n".join(lines) + "\n")
    (path / "groundtruth.txt").write_text("\n".join(poses) + "\n")
    write_intrinsics(path / "intrinsics.json")
    return path
