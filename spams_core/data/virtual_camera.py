"""A virtual depth camera: ray casting of a posed mesh, and what a Kinect-like sensor makes of the exact depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter
from scipy.stats import norm

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera, back_project, project

__all__ = [
    "EXACT",
    "SensorNoise",
    "apply_noise",
    "axial_sigma_m",
    "incidence_cosines",
    "interpolate_at_hits",
    "orbit_camera",
    "render_depth",
]


@dataclass(frozen=True)
class SensorNoise:
    """What the sensor does to exact depth; each effect has its own switch, and `EXACT` switches all of them off."""

    disparity_step_px: float = 0.125
    """Disparity is rounded to multiples of this many pixels; 0 switches the rounding off. A first-generation Kinect
    delivers eighths of a pixel (Khoshelham and Elberink, Sensors 2012)."""
    disparity_focal_m_px: float = 43.5
    """Baseline times focal length of the sensor, metres × pixels; a first-generation Kinect has 0.075 m × 580 px, which
    makes depth steps of 18 mm at 2.5 m."""
    axial_scale: float = 1.0
    """Factor on the axial noise σ(z) = 0.0012 + 0.0019 (z − 0.4)² metres; 0 switches it off."""
    axial_correlation_px: float = 1.5
    """Noise of neighbouring pixels is alike, because the sensor matches windows: Gaussian radius in pixels."""
    edge_dropout: float = 0.35
    """Share of the pixels beside a depth jump or silhouette that have no reading; 0 switches it off."""
    edge_jump_m: float = 0.05
    """Depth difference between neighbouring pixels, in metres, that counts as a jump."""
    grazing_angle_deg: float = 75.0
    """Surfaces turned further than about this angle from the viewing ray give no reading; 90 switches it off."""
    hole_share: float = 0.01
    """Share of the pixels that lie in random holes; 0 switches them off."""
    hole_radius_px: float = 2.0
    """Typical radius of a random hole in pixels."""

    def __post_init__(self) -> None:
        shares = {"edge_dropout": self.edge_dropout, "hole_share": self.hole_share}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise InputError(f"noise {name} is {share}; it is a share. Give a number from 0 to 1.")
        if not 0 < self.grazing_angle_deg <= 90:
            raise InputError(f"noise grazing_angle_deg is {self.grazing_angle_deg}. Give more than 0 and at most 90.")
        for name in ("disparity_step_px", "axial_scale", "axial_correlation_px", "hole_radius_px"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InputError(f"noise {name} is {getattr(self, name)}. Give 0 (off) or a positive number.")
        for name in ("disparity_focal_m_px", "edge_jump_m"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"noise {name} is {getattr(self, name)}. Give a positive number.")


EXACT = SensorNoise(disparity_step_px=0, axial_scale=0, edge_dropout=0, grazing_angle_deg=90, hole_share=0)
"""An ideal sensor: depth as rendered."""

_GRAZING_SPREAD_DEG = 4.0  # a hard threshold would print the mesh's facets into the image


def orbit_camera(
    azimuth_deg: float,
    elevation_deg: float,
    distance_m: float,
    look_at: Float[np.ndarray, "3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
    width: int = 320,
    height: int = 288,
    fx: float = 252.0,
) -> Camera:
    """A camera on a sphere around a point, upright and looking at it.

    Azimuth 0 stands on the +z side of `look_at` (in front of a person facing +z), 90° on the +x side (the person's
    left); positive elevation looks down. The intrinsics' defaults are those of an Azure Kinect's binned narrow view.

    Args:
        azimuth_deg: Turn around the world's +y.
        elevation_deg: Height above the horizon, −89..89°.
        distance_m: From `look_at` to the camera's centre.
        look_at: World point that projects to the principal point.
        width, height: Pixels.
        fx: Focal length in pixels, both axes; the principal point is the image's centre.

    Raises:
        InputError: The distance is not positive or the elevation too steep to stand upright.
    """
    if not distance_m > 0:
        raise InputError(f"camera distance is {distance_m} m. Give a positive number of metres.")
    if not abs(elevation_deg) <= 89:
        raise InputError(f"camera elevation is {elevation_deg}°. Give −89 to 89 degrees.")
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    outward = np.array(
        [
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
            math.cos(azimuth) * math.cos(elevation),
        ]
    )
    right = np.array([math.cos(azimuth), 0.0, -math.sin(azimuth)])
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = np.stack([right, np.cross(-outward, right), -outward], axis=1)
    world_from_camera[:3, 3] = np.asarray(look_at, dtype=np.float64) + distance_m * outward
    return Camera(width, height, fx, fx, (width - 1) / 2, (height - 1) / 2, world_from_camera)


def _camera_points(points_world: Float[np.ndarray, "N 3"], camera: Camera) -> Float[np.ndarray, "N 3"]:
    rotation, translation = camera.world_from_camera[:3, :3], camera.world_from_camera[:3, 3]
    points: np.ndarray = (np.asarray(points_world, dtype=np.float64) - translation) @ rotation
    return points


def render_depth(
    vertices_world: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"], camera: Camera
) -> tuple[Float[np.ndarray, "H W"], Int[np.ndarray, "H W"]]:
    """Cast one ray through every pixel centre at a mesh.

    Args:
        vertices_world: Metres, world frame.
        faces: Triangles; both sides are seen.
        camera: Pinhole camera; nothing clips the scene but its image.

    Returns:
        Depth along the camera's +z in metres, float32, 0 where nothing is hit; and the face that each ray hits first,
        int32, −1 = none.

    Raises:
        InputError: The ray caster is not installed.
    """
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise InputError(
            "Rendering needs the ray caster embreex, which is not installed. Run: pip install 'spam-studio[synthetic]'"
        ) from error
    points = _camera_points(vertices_world, camera)
    depth = np.zeros((camera.height, camera.width), dtype=np.float32)
    face_ids = np.full((camera.height, camera.width), -1, dtype=np.int32)
    # Rays outside the mesh's bounding rectangle can't hit it.
    rows, columns = slice(0, camera.height), slice(0, camera.width)
    if (points[:, 2] > 1e-6).all():
        pixels, _ = project(points, camera)
        low, high = np.floor(pixels.min(0)), np.ceil(pixels.max(0)) + 1
        columns, rows = (
            slice(int(np.clip(low[k], 0, size)), int(np.clip(high[k], 0, size)))
            for k, size in enumerate((camera.width, camera.height))
        )
    u = (np.arange(columns.start, columns.stop) - camera.cx) / camera.fx
    v = (np.arange(rows.start, rows.stop) - camera.cy) / camera.fy
    shape = (len(v), len(u))
    if 0 in shape or len(faces) == 0:
        return depth, face_ids
    # Unit z makes the ray's parameter the depth itself.
    directions = np.stack([*np.meshgrid(u, v), np.ones(shape)], axis=-1).reshape(-1, 3).astype(np.float32)
    scene = EmbreeScene(robust=True)  # no leaks between neighbouring triangles
    TriangleMesh(scene=scene, vertices=points.astype(np.float32), indices=np.ascontiguousarray(faces, dtype=np.int32))
    hits: dict[str, np.ndarray[Any, Any]] = scene.run(np.zeros_like(directions), directions, output=1)
    face = hits["primID"].reshape(shape).astype(np.int32)
    face_ids[rows, columns] = face
    depth[rows, columns] = np.where(face >= 0, hits["tfar"].reshape(shape), 0.0)
    return depth, face_ids


def incidence_cosines(
    vertices_world: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    face_ids: Int[np.ndarray, "H W"],
    camera: Camera,
) -> Float[np.ndarray, "H W"]:
    """|cos| of the angle between each pixel's viewing ray and the normal of the face it hits; 0 where it hits none."""
    rays = back_project(np.ones(face_ids.shape), camera)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    hit = face_ids >= 0
    a, b, c = np.moveaxis(_camera_points(vertices_world, camera)[faces[face_ids[hit]]], 1, 0)
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-30)
    cosines = np.zeros(face_ids.shape)
    cosines[hit] = np.abs((normals * rays[hit]).sum(-1))
    return cosines


def interpolate_at_hits(
    values: Float[np.ndarray, "V K"],
    vertices_world: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    depth_m: Float[np.ndarray, "H W"],
    face_ids: Int[np.ndarray, "H W"],
    camera: Camera,
    pixels: Int[np.ndarray, "N 2"],
) -> Float[np.ndarray, "N K"]:
    """Vertex values where the rays of some pixels hit the mesh, by barycentric interpolation.

    Args:
        values: One row per vertex.
        vertices_world, faces, camera: What `render_depth` was given.
        depth_m, face_ids: What it returned; depth without noise.
        pixels: Integer (u, v), each with a hit.
    """
    u, v = pixels[:, 0], pixels[:, 1]
    corner_ids = faces[face_ids[v, u]]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(len(u))], axis=-1)
    corners = _camera_points(vertices_world, camera)[corner_ids]
    hits = rays * depth_m[v, u, None]
    weights = trimesh.triangles.points_to_barycentric(corners, hits, "cramer")  # type: ignore[no-untyped-call]
    # Rounding puts hits on an edge slightly outside.
    weights = np.clip(weights, 0.0, None)
    weights /= weights.sum(-1, keepdims=True)
    interpolated: np.ndarray = np.einsum("nc,nck->nk", weights, values[corner_ids])
    return interpolated


def axial_sigma_m(depth_m: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
    """Axial noise of a Kinect, σ(z) = 0.0012 + 0.0019 (z − 0.4)² metres (Nguyen, Izadi and Lovell 2012, eq. 4)."""
    sigma: np.ndarray = 0.0012 + 0.0019 * (depth_m - 0.4) ** 2
    return sigma


def _smooth_normal(shape: tuple[int, int], radius_px: float, generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """A standard normal at every pixel, alike over `radius_px`."""
    white = generator.standard_normal(shape)
    if radius_px == 0:
        return white
    impulse = np.zeros(shape)
    impulse[0, 0] = 1.0
    response = gaussian_filter(impulse, radius_px, mode="wrap")
    field: np.ndarray = gaussian_filter(white, radius_px, mode="wrap") / np.sqrt((response**2).sum())
    return field


def apply_noise(
    depth_m: Float[np.ndarray, "H W"],
    cosines: Float[np.ndarray, "H W"],
    noise: SensorNoise,
    generator: np.random.Generator,
) -> Float[np.ndarray, "H W"]:
    """Turn exact depth into a reading: axial noise, rounded disparity, then the pixels that get lost.

    Args:
        depth_m: Exact depth in metres, 0 = nothing there.
        cosines: |cos| between viewing ray and surface normal, see `incidence_cosines`.
        noise: Which effects, and how strong.
        generator: Source of every draw; the same one gives the same reading.

    Returns:
        Depth in metres, float32, 0 = no reading.
    """
    shape = (int(depth_m.shape[0]), int(depth_m.shape[1]))
    there = depth_m > 0
    read = depth_m.astype(np.float64)
    lost = ~there
    if noise.axial_scale > 0:
        normal = _smooth_normal(shape, noise.axial_correlation_px, generator)
        read += noise.axial_scale * axial_sigma_m(read) * normal
        lost |= read <= 0
    if noise.disparity_step_px > 0:
        # Depth z has disparity b·f / z; the sensor can only tell multiples of the step apart.
        steps = np.round(noise.disparity_focal_m_px / noise.disparity_step_px / np.where(lost, 1.0, read))
        lost |= steps < 1
        read = noise.disparity_focal_m_px / noise.disparity_step_px / np.maximum(steps, 1.0)
    if noise.edge_dropout > 0:
        far = np.where(there, depth_m, np.inf)
        near = np.where(there, depth_m, -np.inf)
        step_back = maximum_filter(far, 3, mode="nearest") - depth_m > noise.edge_jump_m
        step_forward = depth_m - minimum_filter(near, 3, mode="nearest") > noise.edge_jump_m
        ragged = _smooth_normal(shape, 1.0, generator) > norm.isf(noise.edge_dropout)
        lost |= (step_back | step_forward) & ragged
    if noise.grazing_angle_deg < 90:
        angle_deg = np.degrees(np.arccos(np.clip(cosines, 0.0, 1.0)))
        lost |= angle_deg + _GRAZING_SPREAD_DEG * generator.standard_normal(shape) > noise.grazing_angle_deg
    if noise.hole_share > 0:
        lost |= _smooth_normal(shape, noise.hole_radius_px, generator) > norm.isf(noise.hole_share)
    return np.where(lost, 0.0, read).astype(np.float32)
