"""A room with a floor, a wall and two people of boxes and balls, one walking, before the virtual camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int

from spams_core.data.virtual_camera import (
    EXACT,
    SensorNoise,
    apply_noise,
    incidence_cosines,
    orbit_camera,
    render_depth,
)
from spams_core.geometry.camera import Camera
from spams_core.io.native_sequence import sequence_writer

__all__ = ["FLOOR", "HEIGHT_M", "STANDER", "WALKER", "WALL", "Shot", "scene_camera", "shoot", "write_scene"]

FLOOR, WALL, WALKER, STANDER = range(4)
HEIGHT_M = 1.70
STANDER_X_M = 0.95


@dataclass(frozen=True)
class Shot:
    """One frame: reading, and what each pixel truly shows (−1 nothing)."""

    depth_m: Float[np.ndarray, "H W"]
    owner: Int[np.ndarray, "H W"]

    def readings_of(self, owner: int) -> Bool[np.ndarray, "H W"]:
        return (self.owner == owner) & (self.depth_m > 0)


def person(x_m: float, z_m: float, stride_m: float = 0.1) -> trimesh.Trimesh:
    """Feet on y = 0, head at 1.70 m, facing +z."""

    def box(size: tuple[float, float, float], center: tuple[float, float, float]) -> trimesh.Trimesh:
        return trimesh.creation.box(size, trimesh.transformations.translation_matrix(center))

    head = trimesh.creation.icosphere(3, 0.12)
    head.apply_translation([0.0, 1.58, 0.0])
    pieces = [head, box((0.12, 0.12, 0.12), (0, 1.44, 0)), box((0.42, 0.58, 0.22), (0, 1.13, 0))]
    for side in (-1, 1):
        pieces.append(box((0.13, 0.88, 0.16), (0.11 * side, 0.44, stride_m * side)))
        pieces.append(box((0.11, 0.08, 0.26), (0.11 * side, 0.04, 0.05 + stride_m * side)))
        pieces.append(box((0.09, 0.62, 0.10), (0.26 * side, 1.08, -stride_m * side)))
    body = trimesh.util.concatenate(pieces)
    body.apply_translation([x_m, 0.0, z_m])
    return body


def scene_camera(elevation_deg: float = 14.0) -> Camera:
    """Three metres from the room's middle, looking down a little."""
    return orbit_camera(0.0, elevation_deg, 3.4, (0.1, 0.85, 0.0), width=240, height=200, fx=190.0)


def shoot(walker_x_m: float, camera: Camera, noise: SensorNoise = EXACT, seed: int = 0) -> Shot:
    """The walker at x, the other one standing; a floor of 8 m and a wall 1.6 m behind them."""
    floor = trimesh.creation.box((8.0, 0.02, 8.0), trimesh.transformations.translation_matrix([0, -0.01, 0]))
    wall = trimesh.creation.box((8.0, 5.0, 0.02), trimesh.transformations.translation_matrix([0, 2.5, -1.6]))
    pieces = [floor, wall, person(walker_x_m, 0.2, 0.12), person(STANDER_X_M, -0.3, 0.0)]
    owner_of_face = np.repeat(np.arange(len(pieces)), [len(piece.faces) for piece in pieces])
    scene = trimesh.util.concatenate(pieces)
    vertices, faces = np.asarray(scene.vertices), np.asarray(scene.faces)
    depth_m, face_ids = render_depth(vertices, faces, camera)
    owner = np.where(face_ids >= 0, owner_of_face[face_ids], -1)
    if noise != EXACT:
        cosines = incidence_cosines(vertices, faces, face_ids, camera)
        depth_m = apply_noise(depth_m, cosines, noise, np.random.default_rng(seed))
    return Shot(depth_m, owner)


def write_scene(path: Path, frames: int = 8, noise: SensorNoise = EXACT) -> list[Shot]:
    """A recording without masks in which one person walks from the left towards the other; returns the truth."""
    camera = scene_camera()
    shots = [shoot(-0.7 + 0.12 * t, camera, noise, t) for t in range(frames)]
    with sequence_writer(path, camera, 15.0) as append:
        for shot in shots:
            append(shot.depth_m, None, None)
    return shots
