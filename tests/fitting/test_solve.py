"""The fit recovers codes and roots that are known."""

import numpy as np
import torch

from spams_core.fitting.observation import Observation
from spams_core.fitting.solve import (
    Solver,
    SolveSettings,
    canonical_surface,
    initial_roots,
    posed_vertices,
)
from spams_core.frames import world_from_posed
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh, vertex_normals
from spams_core.geometry.nearest import closest_on_surface
from spams_core.geometry.rigid import rotation_from_vector
from spams_core.geometry.tsdf import observe_distance
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam
from spams_core.progress import run_to_end

CAMERA = Camera(96, 96, 90.0, 90.0, 47.5, 47.5)


def splat_depth(points_world: np.ndarray) -> np.ndarray:
    """Depth of the nearest point in each pixel: a loop-free point splat, enough for dense clouds."""
    pose = CAMERA.world_from_camera
    camera = (points_world - pose[:3, 3]) @ pose[:3, :3]
    u = np.round(CAMERA.fx * camera[:, 0] / camera[:, 2] + CAMERA.cx).astype(int)
    v = np.round(CAMERA.fy * camera[:, 1] / camera[:, 2] + CAMERA.cy).astype(int)
    depth = np.full((96, 96), np.inf)
    np.minimum.at(depth, (v, u), camera[:, 2])
    return np.where(np.isfinite(depth), depth, 0.0)


def observe(spam: Spam, z_shape: torch.Tensor, z_pose: torch.Tensor, roots: torch.Tensor, shift: torch.Tensor):
    """Observations of a model instance with known codes, canonical coordinates included."""
    shapes, poses = CodeSpace.of(spam.shape_codes, 3), CodeSpace.of(spam.pose_codes, 3)
    surface = canonical_surface(spam, shapes.decode(z_shape), 96)
    posed = posed_vertices(spam, surface, shapes.decode(z_shape), poses.decode(z_pose))
    world = world_from_posed(posed, rotation_from_vector(roots), shift)
    observations, origin = [], torch.from_numpy(CAMERA.world_from_camera[:3, 3]).float()
    for vertices in world:
        depth = splat_depth(vertices.numpy())
        normals = vertex_normals(vertices, surface.faces)
        facing = torch.nonzero((normals * (origin - vertices)).sum(-1) > 0)[:, 0]
        parts = np.full(depth.shape, -1, dtype=np.int8)
        distance = observe_distance(depth, depth > 0, CAMERA, parts, torch.device("cpu"))
        confidence = torch.ones(len(facing))
        labels, canonical = surface.parts[facing], surface.vertices[facing]
        observations.append(Observation(vertices[facing], normals[facing], labels, canonical, confidence, distance))
    return observations, world


def test_fit_recovers_known_codes_and_roots(bar_model: Spam):
    z_shape = torch.tensor([1.0, -0.5, 0.0])
    z_pose = torch.tensor([[1.2, 0.0, 0.0], [0.3, 0.2, 0.0], [-1.0, 0.0, 0.0]])
    roots = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.3, 0.0], [0.0, 0.6, 0.1]])
    shift = torch.tensor([[0.0, 0.0, -2.5], [0.2, 0.0, -2.6], [0.4, 0.05, -2.7]])
    observations, truth = observe(bar_model, z_shape, z_pose, roots, shift)
    settings = SolveSettings(
        align_iterations=80, rounds=6, rigid_rounds=1, iterations=12, shape_components=3, pose_components=3,
        match_resolution=48, mesh_resolution=48, part_mask=False, temporal_weight=0.0, pose_prior_weight=1e-3,
        shape_prior_weight=1e-3,
    )  # fmt: skip
    solver = Solver(
        bar_model, observations, torch.ones(2, dtype=torch.bool), settings, torch.Generator().manual_seed(0)
    )
    solution = run_to_end(solver.run())
    # Parts of a bar may trade root motion for bend, so the surface is what must agree: 1 cm on a 1 m bar.
    posed = posed_vertices(bar_model, solution.surface, solution.shape_codes, solution.pose_codes)
    world = world_from_posed(posed, solution.root_rotation, solution.root_translation_m)
    for found, true in zip(world, truth, strict=True):
        mesh = Mesh(found.numpy(), solution.surface.faces.numpy())
        assert closest_on_surface(true.numpy(), mesh)[0].mean() < 0.01
    assert solution.loss_history.shape == (80 + 6 * 12, len(solution.loss_names))
    recovered = solver.shape_space.encode(solution.shape_codes)
    assert (recovered - z_shape).abs()[0] < 0.5


def test_roots_from_exact_canonical_coordinates(bar_model: Spam):
    roots, shift = torch.tensor([[0.1, 0.7, -0.2]]), torch.tensor([[0.3, -0.1, -2.2]])
    observations, _ = observe(bar_model, torch.zeros(3), torch.zeros(1, 3), roots, shift)
    seen = observations[0]
    rigid = world_from_posed(seen.canonical, rotation_from_vector(roots)[0], shift[0])
    exact = Observation(rigid, seen.normals_world, seen.labels, seen.canonical, seen.confidence, seen.distance)
    rotation, translation = initial_roots([exact])
    assert torch.allclose(rotation[0], rotation_from_vector(roots)[0], atol=1e-3)
    assert torch.allclose(translation[0], shift[0], atol=1e-3)
