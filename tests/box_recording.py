"""A recording of a box that moves, with ground truth, and a fit of it whose figures have closed forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh

from spams_core.data.fit import Fit, write_fit
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.io.native_sequence import sequence_writer

EDGE_M = 0.8
CENTERS_M = np.array([[0.0, 0.9, -2.0], [0.1, 0.9, -2.0], [0.1, 1.0, -1.6]])

# As high as the box where it starts, looking at its front.
CAMERA = Camera(
    64, 48, 80.0, 80.0, 31.5, 23.5, np.array([[1.0, 0, 0, 0], [0, -1, 0, CENTERS_M[0, 1]], [0, 0, -1, 0], [0, 0, 0, 1]])
)


def box(center: np.ndarray) -> Mesh:
    made = trimesh.creation.box((EDGE_M,) * 3)
    return Mesh((np.asarray(made.vertices) + center).astype(np.float32), np.asarray(made.faces, dtype=np.int32))


def write_recording(path: Path, *, ground_truth: bool = True) -> Path:
    """A box of 0.8 m that goes through `CENTERS_M`; the depth images show the plane of its front."""
    with sequence_writer(path, CAMERA, fps=10.0) as append:
        for center in CENTERS_M:
            depth_m = np.full((CAMERA.height, CAMERA.width), -center[2] - EDGE_M / 2, dtype=np.float32)
            append(depth_m, None, box(center) if ground_truth else None)
    return path


def write_box_fit(path: Path, recording: Path | None, *, change: Callable[[Fit], Fit] = lambda fit: fit) -> Path:
    """The boxes of frames 0 and 2 as a fit; what was observed lies 1, 2 and 90 mm off its front."""
    boxes = [box(CENTERS_M[index]) for index in (0, 2)]
    front = np.array([0.0, 0.0, EDGE_M / 2])
    observed = np.concatenate(
        [CENTERS_M[index] + front + [[0.1, 0.0, 0.001], [0.0, 0.1, 0.002], [0.0, 0.0, 0.09]] for index in (0, 2)]
    ).astype(np.float32)
    manifest = {"part_names": ["body"], "loss_names": ["total"], "seconds_per_frame": 1.5, "model": "model"}
    if recording is not None:
        manifest["sequence"] = str(recording)
    fit = Fit(
        manifest=manifest,
        shape_codes=np.zeros((1, 2), np.float32),
        pose_codes=np.zeros((2, 1, 2), np.float32),
        root_rotation=np.stack([np.eye(3, dtype=np.float32)] * 2),
        root_translation_m=CENTERS_M[[0, 2]].astype(np.float32),
        canonical_vertices=(box(np.zeros(3)).vertices * CANONICAL_PER_METRE),
        faces=boxes[0].faces,
        vertex_parts=np.zeros(8, np.int32),
        vertices_world=np.stack([mesh.vertices for mesh in boxes]),
        frame_indices=np.array([0, 2], np.int32),
        residual_m=np.zeros(2, np.float32),
        observed_points=observed,
        observed_labels=np.zeros(6, np.int32),
        matched_points=observed,
        match_weights=np.ones(6, np.float32),
        observed_offsets=np.array([0, 3, 6], np.int64),
        loss_history=np.zeros((1, 1), np.float32),
    )
    write_fit(path, change(fit))
    return path
