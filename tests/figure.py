"""A bending bar: the smallest subject with identities, parts and poses that have closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from spams_core.data.subjects import Subjects, read_subjects, subjects_writer
from spams_core.models.siren import SirenSettings
from spams_core.models.spam import SpamSettings

PARTS = ("lower", "upper")

TINY = SpamSettings(
    part_names=PARTS,
    shape_code=4,
    pose_code=4,
    parts=SirenSettings(2, 32, 10.0, 1, 16),
    shape=SirenSettings(3, 48, 10.0, 1, 16),
    pose=SirenSettings(3, 48, 8.0, 1, 16),
)
"""A model of the bars that trains in seconds."""


def bar_vertices(length: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A capsule along y, centred at the origin."""
    mesh = trimesh.creation.capsule(height=1.0, radius=1.0, count=[16, 16])
    axis = np.asarray(mesh.vertices)[:, 2]
    sign = np.where(axis > axis.mean(), 1.0, -1.0)
    ball = axis - (axis.mean() + sign * 0.5)
    y = sign * length / 2 + ball * radius
    return np.stack(
        [np.asarray(mesh.vertices)[:, 1] * radius, y, np.asarray(mesh.vertices)[:, 0] * radius], 1
    ), np.asarray(mesh.faces)


def bend(vertices: np.ndarray, angle: float) -> np.ndarray:
    """Turn everything above y = 0 about z, smoothly over |y| < 0.1."""
    weight = np.clip((vertices[:, 1] + 0.1) / 0.2, 0, 1) * angle
    c, s = np.cos(weight), np.sin(weight)
    x, y, z = vertices.T
    return np.stack([c * x - s * y, s * x + c * y, z], 1)


def subdivided_bar(length: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The bar with enough vertices along its side to bend."""
    vertices, faces = bar_vertices(length, radius)
    for _ in range(2):
        vertices, faces = trimesh.remesh.subdivide(vertices, faces)
    if trimesh.Trimesh(vertices, faces, process=False).volume < 0:
        faces = faces[:, ::-1]
    return vertices, faces


def write_bars(path: Path, identities: int = 4, poses: int = 6, seed: int = 0) -> Subjects:
    """A subjects archive of bars with random lengths and bends; the last identity is for validation."""
    generator = np.random.default_rng(seed)
    canonical, posed, owner = [], [], []
    for identity in range(identities):
        vertices, faces = subdivided_bar(generator.uniform(0.7, 1.0), generator.uniform(0.12, 0.18))
        canonical.append(vertices)
        for angle in generator.uniform(-0.9, 0.9, poses):
            posed.append(bend(vertices, angle))
            owner.append(identity)
    upper = np.clip((canonical[0][:, 1] + 0.1) / 0.2, 0, 1)
    arrays = {
        "faces": faces.astype(np.int32),
        "part_weights": np.stack([1 - upper, upper], 1).astype(np.float32),
        "canonical": np.stack(canonical).astype(np.float32),
        "identity_split": np.array([0] * (identities - 1) + [1], dtype=np.uint8),
        "posed_identity": np.array(owner, dtype=np.int32),
    }
    with subjects_writer(path) as writer:
        writer.append(np.stack(posed))
        writer.finish({"part_names": list(PARTS)}, arrays)
    return read_subjects(path)
