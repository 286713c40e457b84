"""Film a synthetic subject with the virtual depth camera: a recording in the native format with ground truth.

Beside the native folders `depth`, `mask` and `ground_truth` (whose vertices carry the property `part`) a rendered
recording has one more: `labels/000000.png`, 8-bit grey, the true part of every subject pixel plus one, 0 = none. It
lets a segmenter be measured pixel by pixel; readers of the native format may ignore it.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from scipy.spatial.transform import Rotation

from spams_core.data.poses import ANGLES, NEUTRAL_DEG, Motion, carried, poses_from_angles, sample_motion
from spams_core.data.retarget import retarget
from spams_core.data.subjects import Split, read_subjects
from spams_core.data.synthetic_bodies import BodyGenerator, identity_stream, outfit_stream
from spams_core.data.virtual_camera import (
    SensorNoise,
    apply_noise,
    incidence_cosines,
    interpolate_at_hits,
    orbit_camera,
    render_depth,
)
from spams_core.errors import InputError
from spams_core.frames import enlargement, world_from_posed
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import closest_on_surface
from spams_core.io.archive import hash_file, new_folder
from spams_core.io.bvh import read_bvh
from spams_core.io.native_sequence import sequence_writer
from spams_core.progress import Progress
from spams_core.settings import settings_to_dict

__all__ = ["PERSON_DISTANCE_M", "RenderSettings", "Rendered", "decimate", "render"]

logger = logging.getLogger(__name__)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RenderSettings:
    """Film a synthetic person, or a subject of --subjects, with a resting virtual depth camera."""

    out: Path
    """Folder of the new recording; must not exist yet."""
    subjects: Path | None = None
    """Subjects archive whose identity to film instead of a synthetic person: in its poses, one after the other."""
    split: Split = "test"
    """Which of the identities that `spams generate` makes from the same seed: train, validation or test."""
    identity: int = 0
    """Number of the identity within its split."""
    identity_seed: int = 0
    """Seed that `spams generate` was given."""
    garments: bool = False
    """Dress the body: smooth offsets from the skin, as of clothes, hair and shoes."""
    action: Literal["walk", "perform", "wave"] = "walk"
    """What the subject does without a motion clip: walk through the room, move freely in place, or take two steps
    while waving the right arm."""
    motion: Path | None = None
    """BVH motion clip to perform instead."""
    motion_start_s: float = 0.0
    """Where in the clip to start, in seconds."""
    frames: int = 60
    """Number of frames; a motion clip that ends earlier gives fewer."""
    fps: float = 30.0
    """Frames per second of the recording; clips are resampled to it."""
    azimuth_deg: float = 0.0
    """Where the camera stands: 0 faces the subject as it looks in the middle of the recording, 90 is on its left."""
    elevation_deg: float = 5.0
    """How high the camera stands above the middle of the subject, in degrees."""
    distance_m: float | None = None
    """Distance of the camera from the middle of the subject's room, in metres; without it 2.8 m for people and in
    proportion for others."""
    turn_deg: float = 0.0
    """How far the subject is turned over the recording, as on a turntable, in degrees."""
    width: int = 320
    """Image width in pixels."""
    height: int = 288
    """Image height in pixels."""
    focal_px: float = 252.0
    """Focal length in pixels."""
    noise: SensorNoise = field(default_factory=SensorNoise)
    """What the sensor does to the exact depth."""
    ground_truth_vertices: int = 3000
    """About how many vertices the ground truth's one topology has; 0 keeps all of the body's."""
    seed: int = 0
    """Seed of motion and noise."""

    def __post_init__(self) -> None:
        if self.subjects is not None and (self.garments or self.motion is not None):
            raise InputError("--garments and --motion are about synthetic people; --subjects brings its own poses.")
        for name in ("frames", "width", "height"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}. Give 1 or more.")
        for name in ("fps", "focal_px"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} is {getattr(self, name)}. Give a positive number.")
        for name in ("identity", "identity_seed", "seed", "ground_truth_vertices", "motion_start_s"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if 0 < self.ground_truth_vertices < 100:
            raise InputError(f"ground_truth_vertices is {self.ground_truth_vertices}. Give 100 or more, or 0 for all.")


@dataclass(frozen=True)
class Rendered:
    """A rendered recording.

    Attributes:
        path: Its folder.
        frames: How many frames it has.
        mean_points: Subject pixels with a reading, mean over the frames.
    """

    path: Path
    frames: int
    mean_points: float

    def summary(self) -> dict[str, Any]:
        """Where it lies and what it shows."""
        return {"path": str(self.path), "frames": self.frames, "mean_points": self.mean_points}


def render(settings: RenderSettings) -> Generator[Progress, None, Rendered]:
    """Film a person that `spams generate` makes from the same seed, or a subject of an archive.

    Raises:
        InputError: A package of the extra `synthetic` or the clip is missing, a frame shows nothing of the subject, or
            the folder exists already or cannot be written.
    """
    if settings.out.exists():
        raise InputError(f"{settings.out} exists already. Choose another name, or remove it first.")
    acted = _motion(settings) if settings.subjects is None else None
    yield Progress(0, settings.frames, "Load the body model" if acted is not None else "Read the subject")
    scene = _people_scene(settings, acted) if acted is not None else _archive_scene(settings)
    world, frames = scene.world, len(scene.world)
    distance_m = PERSON_DISTANCE_M / scene.enlarged if settings.distance_m is None else settings.distance_m
    middle = (world.min((0, 1)) + world.max((0, 1))) / 2
    camera = orbit_camera(
        settings.azimuth_deg,
        settings.elevation_deg,
        distance_m,
        middle,
        settings.width,
        settings.height,
        settings.focal_px,
    )
    binding = decimate(Mesh(scene.canonical, scene.faces), settings.ground_truth_vertices)
    truth_parts = binding.carry(scene.part_weights, scene.faces).argmax(1)
    logger.info("Render %d frames of %s identity %d", frames, settings.split, settings.identity)
    notes = {"made_by": "spams render", "part_names": list(scene.part_names), **settings_to_dict(settings)}
    notes["distance_m"] = distance_m
    del notes["out"]
    if settings.motion is not None:
        notes |= {"motion": settings.motion.name, "motion_sha256": hash_file(settings.motion)}
    points = 0
    with new_folder(settings.out) as work:
        staged = work / "recording"
        labels: list[Array] = []
        with sequence_writer(staged, camera, settings.fps, notes=notes) as append:
            for t, vertices in enumerate(world):
                depth, face_ids = render_depth(vertices, scene.faces, camera)
                read = apply_noise(
                    depth,
                    incidence_cosines(vertices, scene.faces, face_ids, camera),
                    settings.noise,
                    np.random.default_rng((settings.seed, 1, t)),
                )
                mask = face_ids >= 0
                if not (read > 0).any():
                    raise InputError(
                        f"frame {t}: the camera reads nothing of the subject. Move it (--distance-m, --azimuth-deg)."
                    )
                points += int((read > 0).sum())
                truth = Mesh(binding.carry(vertices, scene.faces), binding.faces, truth_parts)
                append(read, mask, truth)
                pixels = np.argwhere(mask)[:, ::-1]
                weights = interpolate_at_hits(
                    scene.part_weights, vertices, scene.faces, depth, face_ids, camera, pixels
                )
                label = np.zeros(mask.shape, dtype=np.uint8)
                label[mask] = weights.argmax(1) + 1
                labels.append(label)
                yield Progress(t + 1, frames, "Render")
        (staged / "labels").mkdir()
        for t, label in enumerate(labels):
            Image.fromarray(label).save(staged / "labels" / f"{t:06d}.png")
        for entry in list(staged.iterdir()):
            entry.rename(work / entry.name)
        staged.rmdir()
    return Rendered(settings.out, frames, points / frames)


@dataclass(frozen=True)
class _Scene:
    """What is filmed.

    Attributes:
        world: [T, V, 3] metres.
        canonical: [V, 3].
        faces: [F, 3].
        part_weights: [V, Q].
        part_names: Names of the Q parts.
        enlarged: How many times larger the subject would be if it were as large as a person.
    """

    world: Float[np.ndarray, "T V 3"]
    canonical: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    part_weights: Float[np.ndarray, "V Q"]
    part_names: tuple[str, ...]
    enlarged: float


PERSON_DISTANCE_M = 2.8
"""Where the camera stands from a person unless it is told; from other subjects it is in proportion."""


def _people_scene(settings: RenderSettings, acted: Motion) -> _Scene:
    """A person that `spams generate` makes, in motion."""
    bodies = BodyGenerator()
    identity = bodies.sample_identity(identity_stream(settings.identity_seed, settings.split, settings.identity))
    if settings.garments:
        outfit = outfit_stream(settings.identity_seed, settings.split, settings.identity)
        identity = bodies.dressed(identity, outfit)
    motion = _turned(bodies.grounded(identity, acted), settings.turn_deg)
    posed = torch.from_numpy(bodies.posed(identity, motion.poses).astype(np.float64))
    place = torch.from_numpy(motion.root_rotation), torch.from_numpy(motion.root_translation_m)
    world = world_from_posed(posed, *place).numpy()
    return _Scene(world, bodies.canonical(identity), bodies.faces, bodies.part_weights, bodies.part_names, 1.0)


def _archive_scene(settings: RenderSettings) -> _Scene:
    """An identity of a subjects archive in its poses, its root resting at the world's origin but for `turn_deg`."""
    assert settings.subjects is not None
    subjects = read_subjects(settings.subjects)
    rows = subjects.identities(settings.split)
    if settings.identity >= len(rows):
        raise InputError(
            f"{settings.subjects} has {len(rows)} identities in the split {settings.split}, counted from 0; "
            f"--identity {settings.identity} is none of them."
        )
    row = int(rows[settings.identity])
    instances = subjects.instances([row])[: settings.frames]
    if len(instances) == 0:
        raise InputError(f"{settings.subjects}: this identity has no poses. Choose another with --identity.")
    posed = torch.from_numpy(np.stack([subjects.posed(int(instance)) for instance in instances]).astype(np.float64))
    yaw = np.radians(settings.turn_deg) * (np.linspace(-0.5, 0.5, len(posed)) if len(posed) > 1 else np.zeros(1))
    turn = torch.from_numpy(Rotation.from_euler("y", yaw[:, None]).as_matrix())
    origin = torch.zeros(len(posed), 3, dtype=torch.float64)
    world = world_from_posed(posed, turn, origin, subjects.canonical_per_metre).numpy()
    return _Scene(
        world, subjects.canonical(row), subjects.faces, subjects.part_weights, subjects.part_names,
        enlargement(subjects.canonical_per_metre),
    )  # fmt: skip


@dataclass(frozen=True)
class _Binding:
    """A coarser topology whose vertices lie on a finer mesh.

    Attributes:
        faces: [F, 3] of the coarser mesh.
        fine_face: [V] face of the finer mesh that each vertex lies on.
        barycentric: [V, 3] where in it.
    """

    faces: Int[np.ndarray, "F 3"]
    fine_face: Int[np.ndarray, "V"]
    barycentric: Float[np.ndarray, "V 3"]

    def carry(self, values: Float[np.ndarray, "W K"], fine_faces: Int[np.ndarray, "G 3"]) -> Float[np.ndarray, "V K"]:
        """Values of the finer mesh's vertices at the coarser mesh's vertices."""
        carried: Array = np.einsum("vc,vck->vk", self.barycentric, values[fine_faces[self.fine_face]])
        return carried


def decimate(mesh: Mesh, vertex_count: int) -> _Binding:
    """A coarser topology of a closed mesh, made once, that follows the mesh into any pose.

    Quadric edge collapse (Garland and Heckbert 1997) makes the triangles; each remaining vertex is bound to the nearest
    place of the finer surface.

    Args:
        mesh: The finer mesh.
        vertex_count: About how many vertices to keep; 0, or more than there are, keeps the mesh as it is.

    Raises:
        InputError: The decimator is not installed.
    """
    if vertex_count == 0 or vertex_count >= len(mesh.vertices):
        corner = np.full(len(mesh.vertices), -1)
        face, place = np.divmod(np.arange(mesh.faces.size), 3)
        corner[mesh.faces.ravel()] = np.arange(mesh.faces.size)
        return _Binding(mesh.faces, face[corner], np.eye(3)[place[corner]])
    try:
        from fast_simplification import simplify
    except ImportError as error:
        raise InputError(
            "Decimating the ground truth needs fast-simplification, which is not installed. "
            "Run: pip install 'spam-studio[synthetic]', or give --ground-truth-vertices 0."
        ) from error
    # A closed surface of genus 0 has F = 2 V − 4 triangles. The mild aggressiveness keeps 2,000 vertices within 0.5 mm
    # of a body on average, its default within 1.1 mm.
    vertices, faces = simplify(
        mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64), target_count=2 * vertex_count - 4, agg=3
    )
    _, fine_face, barycentric = closest_on_surface(vertices, mesh)
    return _Binding(np.asarray(faces), fine_face, barycentric)


def _motion(settings: RenderSettings) -> Motion:
    """What the subject does."""
    if settings.motion is not None:
        return _clip(settings.motion, settings)
    if settings.action == "wave":
        return _wave(settings.frames, settings.fps)
    generator = np.random.default_rng((settings.seed, 0))
    return sample_motion(generator, settings.frames, settings.fps, settings.action == "walk")


def _clip(path: Path, settings: RenderSettings) -> Motion:
    """A part of a BVH clip."""
    motion = retarget(read_bvh(path), settings.fps)
    start = round(settings.motion_start_s * settings.fps)
    rows = slice(start, start + settings.frames)
    if start >= len(motion.poses):
        raise InputError(
            f"{path} lasts {len(motion.poses) / settings.fps:.1f} s; motion_start_s is {settings.motion_start_s}. "
            "Start earlier."
        )
    return Motion(motion.poses[rows], motion.root_rotation[rows], motion.root_translation_m[rows], settings.fps)


def _wave(frames: int, fps: float) -> Motion:
    """Two steps forward while the right arm goes up and waves, then standing and waving; faces +z."""
    step_s, wave_s = 0.8, 0.7
    times = np.arange(frames) / fps
    angles = np.tile(NEUTRAL_DEG, (frames, 1))

    def add(name: str, values: Array) -> None:
        angles[:, ANGLES.index(name)] += values

    def eased(start_s: float, end_s: float) -> Array:
        share = np.clip((times - start_s) / (end_s - start_s), 0.0, 1.0)
        return np.asarray(share * share * (3 - 2 * share))

    up = eased(0.1, 0.8)
    to_and_fro = np.sin(2 * np.pi * times / wave_s) * eased(0.5, 0.9)
    add("right_shoulder_elevation", 78.0 * up + 6.0 * to_and_fro)
    add("right_shoulder_plane", -5.0 * up)
    add("right_shoulder_twist", 78.0 * up)
    add("right_elbow_flexion", 72.0 * up - 24.0 * to_and_fro)
    add("right_forearm_pronation", 20.0 * up)
    add("left_shoulder_elevation", 10.0 * np.sin(2 * np.pi * times / (2 * step_s)) ** 2)
    add("left_elbow_flexion", 14.0 + 10.0 * np.sin(2 * np.pi * times / (2 * step_s)))
    add("neck_twist", 12.0 * np.sin(2 * np.pi * times / 2.6))
    add("spine_twist", 6.0 * np.sin(2 * np.pi * times / (2 * step_s)))
    add("spine_bend", 4.0 * up)
    # The left leg swings forward, then the body passes over it while the right leg catches up.
    first, second = eased(0.0, step_s), eased(step_s, 2 * step_s)
    for side, share, ahead in (("left", first, 1.0), ("right", second, -1.0)):
        swing = np.sin(np.pi * share) ** 2
        hip, knee = 18.0 * ahead * (first - second) + 14.0 * swing, 40.0 * swing
        add(f"{side}_hip_flexion", hip)
        add(f"{side}_knee_flexion", knee)
        add(f"{side}_ankle_flexion", hip - knee)  # the sole stays level
    poses = poses_from_angles(angles)
    facing = np.tile(np.eye(3), (frames, 1, 1))
    return Motion(poses, facing, carried(poses, facing), fps)


def _turned(motion: Motion, turn_deg: float) -> Motion:
    """The motion centred on the world's origin, facing +z in its middle frame, turned evenly while it goes on."""
    frames = len(motion.poses)
    forward = motion.root_rotation[frames // 2, :, 2]
    start = -np.arctan2(forward[0], forward[2])
    yaw = start + np.radians(np.linspace(-turn_deg / 2, turn_deg / 2, frames) if frames > 1 else np.zeros(1))
    turn = Rotation.from_euler("y", yaw[:, None]).as_matrix()
    place = motion.root_translation_m - motion.root_translation_m.mean(0) * [1.0, 0.0, 1.0]
    return replace(
        motion,
        root_rotation=turn @ motion.root_rotation,
        root_translation_m=np.einsum("tij,tj->ti", turn, place),
    )
