"""Partial, noisy, labelled clouds of synthetic subjects: what the point segmenter is trained on.

The *upright frame* of a cloud is the segmenter's input frame, in training and at inference alike: `upright_frame`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from spams_core.data.sequence import subject_points
from spams_core.data.subjects import SPLITS, Split, Subjects
from spams_core.data.virtual_camera import (
    SensorNoise,
    apply_noise,
    incidence_cosines,
    interpolate_at_hits,
    orbit_camera,
    render_depth,
)
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE, enlargement, world_from_posed
from spams_core.geometry.camera import Camera
from spams_core.io.archive import Archive, require_new, write_archive
from spams_core.progress import Progress
from spams_core.settings import settings_to_dict

__all__ = ["PartialCloud", "ViewSettings", "observe_cloud", "to_upright", "upright_frame", "write_clouds"]


def upright_frame(
    points_world: Float[np.ndarray, "N 3"], camera: Camera
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """The frame in which the segmenter sees a cloud: upright, turned towards the camera, centred on the points.

    With `rotation, centre = upright_frame(points_world, camera)`, a world point p has the upright coordinates
    `rotation @ (p − centre) * CANONICAL_PER_METRE`. The rows of `rotation` are the frame's axes in the world:
    y is the world's +y; z is the horizontal part of the direction from the points' mean to the camera's centre (of the
    camera's own +y axis where the camera hangs exactly above or below the mean); x = y × z points to the right of the
    image. `centre` is the median of the points along these three axes, as a world point. Turning the world around +y
    or moving it, points and camera together, changes no upright coordinate.

    Args:
        points_world: Metres; at least one point.
        camera: The camera that saw them.
    """
    camera_centre = camera.world_from_camera[:3, 3]
    points = np.asarray(points_world, dtype=np.float64)
    towards = camera_centre - points.mean(0)
    if np.hypot(towards[0], towards[2]) < 1e-6:
        towards = camera.world_from_camera[:3, 1]
    z = np.array([towards[0], 0.0, towards[2]])
    z /= np.linalg.norm(z)
    y = np.array([0.0, 1.0, 0.0])
    rotation = np.stack([np.cross(y, z), y, z])
    centre: np.ndarray = np.median(points @ rotation.T, axis=0) @ rotation
    return rotation, centre


def to_upright(points_world: Float[np.ndarray, "N 3"], camera: Camera) -> Float[np.ndarray, "N 3"]:
    """Points in their own upright frame, canonical units, float32; see `upright_frame`."""
    rotation, centre = upright_frame(points_world, camera)
    upright: np.ndarray = ((points_world - centre) @ rotation.T * CANONICAL_PER_METRE).astype(np.float32)
    return upright


@dataclass(frozen=True)
class ViewSettings:
    """How bodies stand in the world and where cameras look at them from; every range is drawn from uniformly."""

    points: int = 2048
    """Points per cloud: a random subset of the subject's pixels, repeated where there are fewer."""
    minimum_points: int = 300
    """A view with fewer points is thrown away and drawn again."""
    width: int = 240
    """Width of the virtual image in pixels."""
    height: int = 216
    """Height of the virtual image in pixels."""
    focal_px: float = 189.0
    """Focal length of the virtual camera in pixels."""
    distance_m: tuple[float, float] = (1.5, 4.5)
    """Range of the camera's distance in metres, for subjects of human size; from others it stands in proportion."""
    elevation_deg: tuple[float, float] = (-15.0, 30.0)
    """Range of the camera's height above the horizon in degrees."""
    lean_deg: float = 6.0
    """Standard deviation of the body's forward and sideways lean in degrees."""
    crop_share: float = 0.3
    """Share of the views that aim beside the body, so that feet, an arm or more lie outside the image."""
    noise: SensorNoise = field(default_factory=SensorNoise)
    """The sensor at its noisiest; each view scales the axial noise and the dropout by numbers of its own."""

    def __post_init__(self) -> None:
        if not self.minimum_points >= 1:
            raise InputError(f"minimum_points is {self.minimum_points}. Give 1 or more.")
        if not self.points >= 1:
            raise InputError(f"points is {self.points}. Give 1 or more.")
        if not 0 < self.distance_m[0] <= self.distance_m[1]:
            raise InputError(f"distance_m is {self.distance_m}. Give a rising range of positive metres.")


@dataclass(frozen=True)
class PartialCloud:
    """What one view shows of a body.

    Attributes:
        points_world: [N, 3] metres, with the sensor's noise.
        labels: [N] part of the surface that each ray hit.
        canonical: [N, 3] the hit surface point in the canonical frame, canonical units.
    """

    points_world: Float[np.ndarray, "N 3"]
    labels: Int[np.ndarray, "N"]
    canonical: Float[np.ndarray, "N 3"]


def observe_cloud(
    vertices_world: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    part_weights: Float[np.ndarray, "V Q"],
    canonical: Float[np.ndarray, "V 3"],
    camera: Camera,
    noise: SensorNoise,
    generator: np.random.Generator,
    enlarged: float = 1.0,
) -> PartialCloud:
    """Render a body with noise and label its points, which are found as in a recording: `subject_points`.

    Args:
        enlarged: How many times larger than it is the subject stands in the world, with the camera as much farther
            away; the sensor's noise is as large as at the true distance.
    """
    depth, face_ids = render_depth(vertices_world, faces, camera)
    cosines = incidence_cosines(vertices_world, faces, face_ids, camera)
    read = enlarged * apply_noise(depth / enlarged, cosines, noise, generator)
    seen = subject_points(read, face_ids >= 0, camera)
    values = np.concatenate([part_weights, canonical], axis=1)
    hit = interpolate_at_hits(values, vertices_world, faces, depth, face_ids, camera, seen.pixels)
    return PartialCloud(
        seen.points_world,
        hit[:, : part_weights.shape[1]].argmax(1).astype(np.uint8),
        hit[:, part_weights.shape[1] :].astype(np.float32),
    )


def _random_view(
    posed: Float[np.ndarray, "V 3"], settings: ViewSettings, generator: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any], Camera, SensorNoise]:
    """Put a body into the world and a camera somewhere around it: vertices, root rotation, root place in metres."""
    lean = generator.normal(0.0, settings.lean_deg, 2)
    turn = Rotation.from_euler("YXZ", [generator.uniform(0, 360), *lean], degrees=True).as_matrix()
    vertices: np.ndarray[Any, Any] = world_from_posed(
        torch.from_numpy(posed.astype(np.float64)), torch.from_numpy(turn), torch.zeros(3, dtype=torch.float64)
    ).numpy()
    low, high = vertices.min(0), vertices.max(0)
    root_m = np.array([0.0, -low[1], 0.0])
    vertices = vertices + root_m  # feet on the floor
    size = high - low
    spread = 0.45 * size if generator.random() < settings.crop_share else 0.08 * size
    look_at = np.array([(low[0] + high[0]) / 2, size[1] / 2, (low[2] + high[2]) / 2])
    camera = orbit_camera(
        generator.uniform(0, 360),
        generator.uniform(*settings.elevation_deg),
        generator.uniform(*settings.distance_m),
        look_at + generator.normal(0.0, 1.0, 3) * spread,
        settings.width,
        settings.height,
        settings.focal_px,
    )
    noise = replace(
        settings.noise,
        axial_scale=settings.noise.axial_scale * generator.uniform(0.0, 1.0),
        disparity_step_px=settings.noise.disparity_step_px * generator.integers(0, 2),
        edge_dropout=settings.noise.edge_dropout * generator.uniform(0.0, 1.0),
        hole_share=settings.noise.hole_share * generator.uniform(0.0, 1.0),
    )
    return vertices, turn, root_m, camera, noise


def write_clouds(
    subjects: Subjects,
    out: Path,
    views_per_instance: int = 4,
    seed: int = 0,
    settings: ViewSettings | None = None,
    limits: tuple[int, int, int] = (8000, 400, 400),
) -> Generator[Progress, None, Archive]:
    """Render labelled partial clouds of the posed instances of all splits.

    The archive has kind "clouds"; its manifest carries `part_names` and `clouds` (how many per split), and it holds,
    split after split::

        points     [C, N, 3] float16, upright frame (`upright_frame`), canonical units
        labels     [C, N] uint8, part index
        canonical  [C, N, 3] float16, canonical frame and units: where on the A-pose body each point lies
        root_rotation     [C, 3, 3] float32, from the posed frame to the upright frame, and
        root_translation  [C, 3] float32, canonical units: x_upright = R x_posed + t
        split      [C] uint8, index into SPLITS
        instance   [C] int32, row of the subjects' `posed`

    Half precision rounds by at most 0.6 mm, far below the sensor's noise. Each cloud depends on the seed, its split
    and its number only.

    Args:
        subjects: Whose posed instances to render.
        out: The new archive's folder.
        views_per_instance: Views of each posed instance.
        seed: Source of every draw.
        settings: Bodies' and cameras' ranges; the defaults when None.
        limits: Most clouds in train, validation and test; fewer views, then fewer instances, are taken beyond that.

    Raises:
        InputError: No instance, `views_per_instance` below 1, a body that no camera sees, or an unwritable folder.
    """
    settings = settings or ViewSettings()
    if views_per_instance < 1:
        raise InputError(f"views_per_instance is {views_per_instance}. Give 1 or more.")
    require_new(out)
    plan: list[tuple[Split, int, int]] = []
    for index, split in enumerate(SPLITS):
        instances = subjects.instances(subjects.identities(split))
        order = np.random.default_rng((seed, index)).permutation(instances)
        views = np.tile(order, views_per_instance)[: limits[index]]
        plan += [(split, number, int(instance)) for number, instance in enumerate(views)]
    if not plan:
        raise InputError(f"{subjects.archive.path} has no posed instances. Generate subjects with instances first.")
    total, n = len(plan), settings.points
    points = np.empty((total, n, 3), dtype=np.float16)
    labels = np.empty((total, n), dtype=np.uint8)
    canonical = np.empty((total, n, 3), dtype=np.float16)
    root_rotation = np.empty((total, 3, 3), dtype=np.float32)
    root_translation = np.empty((total, 3), dtype=np.float32)
    identity, bodies = -1, np.empty(0)
    enlarged = enlargement(subjects.canonical_per_metre)
    for row, (split, number, instance) in enumerate(plan):
        generator = np.random.default_rng((seed, SPLITS.index(split), number, 1))
        if subjects.posed_identity[instance] != identity:
            identity = int(subjects.posed_identity[instance])
            bodies = subjects.canonical(identity)
        posed = subjects.posed(instance)
        for _ in range(50):
            vertices, turn, root_m, camera, noise = _random_view(posed, settings, generator)
            cloud = observe_cloud(
                vertices, subjects.faces, subjects.part_weights, bodies, camera, noise, generator, enlarged
            )
            found = len(cloud.points_world)
            if found >= settings.minimum_points:
                break
        else:
            raise InputError(
                f"instance {instance} of {subjects.archive.path} shows fewer than {settings.minimum_points} points in "
                "50 views. Lower minimum_points or the distance, or raise the image size."
            )
        take = generator.permutation(found)[:n]
        take = np.concatenate([take, generator.integers(0, found, n - len(take))])
        rotation, centre = upright_frame(cloud.points_world, camera)
        root_rotation[row] = rotation @ turn
        root_translation[row] = rotation @ (root_m - centre) * CANONICAL_PER_METRE
        points[row] = to_upright(cloud.points_world, camera)[take]
        labels[row], canonical[row] = cloud.labels[take], cloud.canonical[take]
        if row % 20 == 19 or row == total - 1:
            yield Progress(row + 1, total, f"Partial clouds, {split}")
    manifest = {
        "task": "clouds",
        "part_names": list(subjects.part_names),
        "canonical_per_metre": subjects.canonical_per_metre,
        "clouds": {split: sum(entry[0] == split for entry in plan) for split in SPLITS},
        "settings": {
            "subjects": str(subjects.archive.path),
            "views_per_instance": views_per_instance,
            "seed": seed,
            "limits": list(limits),
            **settings_to_dict(settings),
        },
    }
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "points": points,
        "labels": labels,
        "canonical": canonical,
        "root_rotation": root_rotation,
        "root_translation": root_translation,
        "split": np.array([SPLITS.index(entry[0]) for entry in plan], dtype=np.uint8),
        "instance": np.array([entry[2] for entry in plan], dtype=np.int32),
    }
    return write_archive(out, "clouds", manifest, arrays)
