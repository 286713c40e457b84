"""Exports of a fit as a skeleton of its parts: skinned GLB and BVH."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from spams_core.data.rigging import RiggedBody, RigSettings, rig_body
from spams_core.frames import CANONICAL_PER_METRE, enlargement
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.rig import Rig, RigMotion, bone_ends, local_rotations
from spams_core.io.bvh import BvhClip, write_bvh
from spams_core.io.glb_buffer import read_glb_extras
from spams_core.io.glb_rigged import write_rigged_glb
from spams_core.progress import Progress, Task
from spams_core.tasks.export_programs import convert
from spams_core.tasks.export_source import ExportJob

__all__ = ["rig_told", "rigged", "told_distance", "write_bvh_file", "write_rigged_glb_file"]

logger = logging.getLogger(__name__)


def rigged(job: ExportJob) -> Task[RiggedBody]:
    """The rig of the chosen frames, metres with +y up; the canonical body is its rest."""
    source = job.source
    per_metre = float(source.archive.manifest.get("canonical_per_metre", CANONICAL_PER_METRE))
    rest = Mesh(source.archive.array("canonical_vertices") / per_metre, source.faces, source.vertex_parts)
    chosen = list(job.frames)
    usual, enlarged = RigSettings(), enlargement(per_metre)
    settings = dataclasses.replace(
        usual, smooth_m=usual.smooth_m / enlarged, weight_sigma_m=usual.weight_sigma_m / enlarged
    )
    body = yield from rig_body(
        rest, source.part_names, len(chosen), lambda t: source.vertices_world(chosen[t]), settings
    )
    error = body.error
    told = f"The rig is {error.mean_mm:.1f} mm from the fit on average, 95 % below {error.p95_mm:.1f} mm"
    logger.info("%s, at most %.1f mm", told, error.max_mm)
    yield Progress(1, 1, told, dataclasses.asdict(error))
    return body


def rig_told(body: RiggedBody) -> dict[str, Any]:
    """What a file tells of its rig: bones, their parents, and how far its skin is from the fit's surface."""
    rig = body.rig
    parents = [rig.names[up] if up >= 0 else None for up in rig.parents]
    return {
        "bones": list(rig.names), "parents": parents, "rest": "canonical body",
        "distance_to_fit": dataclasses.asdict(body.error),
    }  # fmt: skip


def told_distance(path: Path) -> dict[str, float] | None:
    """How far the rig in a finished export is from its fit; None where the export holds no rig."""
    note = path.with_name(f"{path.name}.json")
    if path.suffix == ".glb":
        told = read_glb_extras(path)
    elif path.suffix == ".bvh" and note.is_file():
        told = json.loads(note.read_text(encoding="utf-8"))
    else:
        return None
    distance: dict[str, float] | None = told.get("rig", {}).get("distance_to_fit")
    return distance


def write_rigged_glb_file(path: Path, job: ExportJob) -> Task[None]:
    """The canonical body with a skeleton of its parts, keyframed at the chosen frames."""
    body = yield from rigged(job)
    extras = {
        **job.provenance,
        "recording_frames": job.recording_frames.tolist(),
        "part_names": list(job.source.part_names),
        "rig": rig_told(body),
    }
    yield Progress(1, 1, "Write GLB")
    write_rigged_glb(
        path, body.rig, body.motion, job.seconds, job.source.faces, job.source.vertex_parts, job.part_rgb, extras
    )


def write_bvh_file(path: Path, job: ExportJob) -> Task[dict[str, Any]]:
    """The skeleton alone, at even intervals; what the note beside it tells of the rig."""
    every = job.even_interval()
    body = yield from rigged(job)
    yield Progress(1, 1, "Write BVH")
    write_bvh(path, _clip(path, body.rig, body.motion, job, job.fps / every))
    return {"recording_frames": job.recording_frames.tolist(), "rig": rig_told(body)}


def _clip(path: Path, rig: Rig, motion: RigMotion, job: ExportJob, fps: float) -> BvhClip:
    """The rig in the export's axes and unit; the last bone of each limb gets an end site."""
    turn = convert(np.eye(3), job.up, 1.0).T  # from +y up to the export's axes
    last = [bone for bone in range(len(rig.names)) if bone not in rig.parents]
    offsets = rig.offsets.copy()
    offsets[0] = 0.0  # the root's place is told frame by frame
    offsets = convert(np.concatenate([offsets, (bone_ends(rig) - rig.joints)[last]]), job.up, job.unit_m)
    rotations = np.broadcast_to(np.eye(3), (len(motion), len(offsets), 3, 3)).copy()
    rotations[:, : len(rig.names)] = turn @ local_rotations(rig, motion) @ turn.T
    places = np.broadcast_to(offsets, (len(motion), len(offsets), 3)).copy()
    places[:, 0] = convert(motion.root_place, job.up, job.unit_m)
    names = (*rig.names, *(f"{rig.names[bone]} end" for bone in last))
    return BvhClip(path, names, (*rig.parents, *last), offsets, rotations, places, fps)
