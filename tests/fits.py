"""A small fit with made-up codes: a ball of two halves that moves along x."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from spams_core.data.fit import Fit, write_fit
from spams_core.data.fit_history import FitHistory, HistoryRecorder

FRAMES = 5


def ball_fit(**manifest: Any) -> Fit:
    """Five frames, fitted to every second frame of a recording."""
    generator = np.random.default_rng(0)
    sphere = trimesh.creation.icosphere(2, 0.4)
    canonical = np.asarray(sphere.vertices, dtype=np.float32)
    shift = np.linspace(0, 1, FRAMES)[:, None, None] * np.array([1.0, 0, 0])
    rotation = np.broadcast_to(np.eye(3, dtype=np.float32), (FRAMES, 3, 3)).copy()
    points = generator.random((4 * FRAMES, 3), dtype=np.float32)
    return Fit(
        {
            "task": "fit",
            "settings": {"sequence": "walk", "out": "ball", "seed": 3},
            "fps": 15.0,
            "inputs": {"sequence": "c0ffee"},
            "part_names": ["head", "torso"],
            "loss_names": ["total"],
            "method": "spam",
            "preset": "fast",
            "depth_residual_mm": 5.0,
            "seconds_per_frame": 1.5,
            **manifest,
        },
        shape_codes=generator.random((2, 8), dtype=np.float32),
        pose_codes=generator.random((FRAMES, 2, 4), dtype=np.float32),
        root_rotation=rotation,
        root_translation_m=shift[:, 0].astype(np.float32),
        canonical_vertices=canonical,
        faces=np.asarray(sphere.faces, dtype=np.int32),
        vertex_parts=(canonical[:, 1] < 0).astype(np.int32),
        vertices_world=(canonical / 0.8 + shift).astype(np.float32),
        frame_indices=np.arange(0, 2 * FRAMES, 2, dtype=np.int32),
        residual_m=np.full(FRAMES, 0.005, dtype=np.float32),
        observed_points=points,
        observed_labels=np.zeros(len(points), dtype=np.int32),
        matched_points=points,
        match_weights=np.ones(len(points), dtype=np.float32),
        observed_offsets=np.arange(0, 4 * FRAMES + 1, 4, dtype=np.int32),
        loss_history=np.ones((3, 1), dtype=np.float32),
    )


def ball_history() -> FitHistory:
    """Three snapshots of `ball_fit`: all frames at the start, then the first and the last, then all as fitted."""
    fit, recorder = ball_fit(), HistoryRecorder(3)
    for k, (stage, rows) in enumerate(
        (("start", range(FRAMES)), ("keyframes", (0, FRAMES - 1)), ("joint", range(FRAMES)))
    ):
        chosen, share = np.array(rows), k / 2
        recorder.due(chosen)
        recorder.record(
            k + (k > 0), stage, share * fit.shape_codes, share * fit.pose_codes[chosen], fit.root_rotation[chosen],
            fit.root_translation_m[chosen],
        )  # fmt: skip
    history = recorder.history()
    assert history is not None
    return history


def write_ball_fit(path: Path, **manifest: Any) -> Path:
    """The fit on disk."""
    write_fit(path, ball_fit(**manifest))
    return path
