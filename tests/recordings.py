"""A small recording with closed-form truth: a ball in front of the camera, and all ways to break it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.io.native_sequence import sequence_writer

CAMERA = Camera(32, 24, 40.0, 40.0, 15.5, 11.5)
RADIUS_M, DISTANCE_M = 0.5, 2.0


def ball_depth(shift_m: float = 0.0) -> np.ndarray:
    """Depth of the ball's front: along z · K⁻¹ [u, v, 1]ᵀ the nearer root of |x − c|² = r²."""
    u, v = np.meshgrid((np.arange(32) - 15.5) / 40, (np.arange(24) - 11.5) / 40)
    a, b = u**2 + v**2 + 1, u * shift_m + DISTANCE_M
    inside = b**2 - a * (DISTANCE_M**2 + shift_m**2 - RADIUS_M**2)
    return np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, 0)


def write_ball(path: Path, frames: int = 4, *, mask: bool = True, ground_truth: bool = True) -> Path:
    """A ball that moves 5 cm to the right per frame."""
    sphere = trimesh.creation.icosphere(2, RADIUS_M)
    with sequence_writer(path, CAMERA, 15.0) as append:
        for t in range(frames):
            depth = ball_depth(0.05 * t)
            vertices = sphere.vertices + np.array([0.05 * t, 0.0, -DISTANCE_M])
            mesh = Mesh(vertices, np.asarray(sphere.faces), np.zeros(len(vertices), dtype=np.int32))
            append(depth, depth > 0 if mask else None, mesh if ground_truth else None)
    return path


def _change_camera(**changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = json.loads((path / "camera.json").read_text()) | changes
        (path / "camera.json").write_text(json.dumps({k: v for k, v in data.items() if v is not ...}))

    return change


def _camera_text(text: str) -> Callable[[Path], None]:
    return lambda path: (path / "camera.json").write_text(text) and None  # type: ignore[func-returns-value]


def _image(name: str, pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(pixels).save(path / name)


def _truncate(name: str, share: float) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[: int(share * len(content))])

    return cut


def _write_byte(name: str, place: int, value: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = bytearray((path / name).read_bytes())
        content[place] = value
        (path / name).write_bytes(content)

    return write


def _remove(*names: str) -> Callable[[Path], None]:
    def remove(path: Path) -> None:
        for name in names:
            (path / name).unlink()

    return remove


def _no_frames(path: Path) -> None:
    for image in (path / "depth").iterdir():
        image.unlink()


def _no_depth_folder(path: Path) -> None:
    _no_frames(path)
    (path / "depth").rmdir()


def _rename(name: str, to: str) -> Callable[[Path], None]:
    return lambda path: (path / name).rename(path / to) and None  # type: ignore[func-returns-value]


def _other_topology(path: Path) -> None:
    trimesh.creation.icosphere(1).export(path / "ground_truth" / "000001.ply")


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no camera.json": (
        _remove("camera.json"), r"neither camera\.json nor intrinsics\.json, and no known camera has images of 32×24"),
    "not JSON": (_camera_text("{width: 3}"), r"camera\.json is no valid JSON \(Expecting property name .* in line 1\)"),
    "a list": (_camera_text("[1, 2]"), r"camera\.json must be a JSON object"),
    "binary": (_camera_text("\0\x01"), r"camera\.json is no valid JSON"),
    "missing keys": (_change_camera(fx=..., fps=...), r"camera\.json lacks fx, fps\. Add"),
    "NaN intrinsics": (_change_camera(cx=float("nan")), r"camera\.json: cx is NaN; it must be a finite number"),
    "infinite intrinsics": (_change_camera(fy=float("inf")), r"fy is Infinity; it must be a finite number"),
    "huge number": (_change_camera(width=10**400), r"width is 1000.*must be a finite number"),
    "text for a number": (_change_camera(fx="290"), r'fx is "290"; it must be a finite number'),
    "truth for a number": (_change_camera(cy=True), r"cy is true; it must be a finite number"),
    "negative focal length": (_change_camera(fx=-290), r"camera\.json: fx is -290; it must be positive"),
    "zero fps": (_change_camera(fps=0), r"fps is 0; it must be positive"),
    "half a pixel": (_change_camera(width=31.5), r"width is 31\.5; it must be a positive whole number"),
    "no pixels": (_change_camera(height=0), r"height is 0; it must be a positive whole number"),
    "gigapixels": (_change_camera(width=100_000, height=100_000), r"100000×100000 is beyond 64 megapixels"),
    "zero depth scale": (_change_camera(depth_scale=0), r"depth_scale is 0; it must be the metres per depth unit"),
    "inverse depth scale": (
        _change_camera(depth_scale=5000), r"depth_scale is 5000.*5000 units per metre are 0\.0002 metres per unit"),
    "pose of other size": (_change_camera(world_from_camera=[[1, 0], [0, 1]]), r"finite 4 × 4 matrix"),
    "ragged pose": (_change_camera(world_from_camera=[[1], [0, 1]]), r"world_from_camera must be a 4 × 4 list"),
    "scaling pose": (
        _change_camera(world_from_camera=np.diag([2.0, 2, 2, 1]).tolist()), r"must be a rotation and a translation"),
    "no depth folder": (_no_depth_folder, r"depth is missing\. A recording needs its frames in depth/000000\.png"),
    "no frames": (_no_frames, r"depth holds no frames\. Put them there"),
    "8-bit depth": (
        _image("depth/000001.png", np.zeros((24, 32), np.uint8)), r"000001\.png is 8-bit; depth needs 16-bit PNG"),
    "coloured depth": (
        _image("depth/000001.png", np.zeros((24, 32, 3), np.uint8)), r"000001\.png is 8-bit; depth needs 16-bit"),
    # Byte 25 is the PNG header's colour type, 2 is RGB.
    "16-bit color": (_write_byte("depth/000001.png", 25, 2), r"000001\.png has colour; depth needs 16-bit grey PNG"),
    "other size": (
        _image("depth/000002.png", np.ones((24, 30), np.uint16)),
        r"000002\.png is 30×24 but camera\.json says 32×24\. Correct camera\.json, or re-export"),
    "truncated depth": (_truncate("depth/000001.png", 0.6), r"000001\.png is truncated or corrupted\. Re-export"),
    "cut to its head": (_truncate("depth/000001.png", 0.05), r"000001\.png is truncated or no PNG image"),
    "empty file": (_truncate("depth/000001.png", 0), r"000001\.png is empty\. Re-export"),
    "gap": (_remove("depth/000001.png"), r"has a gap: 000001\.png is missing between frames 0 and 2\. Add the frame"),
    "named by words": (_rename("depth/000003.png", "depth/frame_3.png"), r"frame_3\.png: frames are named by their"),
    "a number twice": (_rename("depth/000003.png", "depth/2.png"), r"depth holds frame 2 twice"),
    "too few masks": (_remove("mask/000003.png"), r"mask has 3 frames where depth has 4.*000003\.png is missing"),
    "mask of other size": (
        _image("mask/000001.png", np.full((20, 32), 255, np.uint8)), r"mask/000001\.png is 32×20 but camera\.json"),
    "16-bit mask": (_image("mask/000001.png", np.ones((24, 32), np.uint16)), r"mask/000001\.png is 16-bit; masks are"),
    "truncated mask": (_truncate("mask/000001.png", 0.6), r"mask/000001\.png is truncated or corrupted"),
    "no subject in view": (
        _image("mask/000001.png", np.zeros((24, 32), np.uint8)),
        r"frame 000001: no subject in view, the mask marks no pixel\. Correct"),
    "subject without readings": (
        _image("mask/000001.png", np.pad(np.full((2, 2), 255, np.uint8), ((0, 22), (0, 30)))),
        r"frame 000001: no subject in view, the mask marks no pixel with a usable reading"),
    "frame without any reading": (
        _image("depth/000001.png", np.zeros((24, 32), np.uint16)), r"frame 000001: the depth image has no reading"),
    "other topology": (_other_topology, r"000001\.ply has another topology than 000000\.ply"),
    "truncated ground truth": (_truncate("ground_truth/000001.ply", 0.5), r"000001\.ply is truncated or no PLY"),
    "too few ground truths": (_remove("ground_truth/000000.ply"), r"ground_truth has 3 frames where depth has 4"),
}  # fmt: skip
"""Name → what breaks a whole recording, and the message that says so."""
