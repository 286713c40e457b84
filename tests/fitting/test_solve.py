"""The fit recovers codes and roots that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spams_core.errors import InputError
from spams_core.fitting.observation import Observation
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.solve import Solver, Start
from spams_core.fitting.starts import initial_roots, mean_start
from spams_core.fitting.surface import canonical_surface, posed_vertices
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

Z_SHAPE = torch.tensor([1.0, -0.5, 0.0])
SETTINGS = SolveSettings(
    align_iterations=4, rounds=3, joint_rounds=3, iterations=3, shape_components=3, pose_components=3,
    match_resolution=48, mesh_resolution=48, part_mask=False, temporal_weight=0.0, pose_prior_weight=1e-3,
    shape_prior_weight=1e-3,
)  # fmt: skip


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


def moving(frames: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A bar that bends over and back, turns and walks: pose coordinates, root rotation vectors, translations."""
    time = torch.linspace(0, 1, frames)
    z_pose = torch.stack([1.2 - 2.2 * time, 0.3 * torch.sin(3 * time), 0 * time], 1)
    roots = torch.stack([0 * time, 0.6 * time, 0.1 * time**2], 1)
    return z_pose, roots, torch.stack([0.4 * time, 0.05 * time**2, -2.5 - 0.2 * time], 1)


def solver_of(spam: Spam, observations: list[Observation], settings: SolveSettings, *starts: Start) -> Solver:
    adjacent = torch.ones(len(observations) - 1, dtype=torch.bool)
    chosen = list(starts) or [mean_start(spam, observations)]
    return Solver(spam, observations, adjacent, 1 / 30, chosen, settings, torch.Generator().manual_seed(0))


def largest_error_m(spam: Spam, solver: Solver, truth: torch.Tensor) -> float:
    """Of all frames, the largest mean distance of the true vertices, back side included, to the fitted surface."""
    solution = run_to_end(solver.run())
    posed = posed_vertices(spam, solution.surface, solution.shape_codes, solution.pose_codes)
    world = world_from_posed(posed, solution.root_rotation, solution.root_translation_m)
    faces = solution.surface.faces.numpy()
    return max(
        float(closest_on_surface(true.numpy(), Mesh(found.numpy(), faces))[0].mean())
        for found, true in zip(world, truth, strict=True)
    )


@pytest.mark.parametrize("staged", [True, False])
def test_fit_recovers_known_codes_and_roots(bar_model: Spam, staged: bool):
    z_pose, roots, shift = moving(9)
    observations, truth = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    solver = solver_of(bar_model, observations, replace(SETTINGS, staged=staged))
    # Parts of a bar may trade root motion for bend, so the surface is what must agree: 6 mm on a 1 m bar. 2 mm come
    # from the mesh's cells, and as much from where the two parts' networks disagree.
    assert largest_error_m(bar_model, solver, truth) < 0.006
    assert (solver.iterate.z_shape - Z_SHAPE).abs()[0] < 0.5
    assert len(solver.history) <= solver._steps_done == solver._steps


def test_the_end_does_not_depend_on_the_start(bar_model: Spam):
    z_pose, roots, shift = moving(3)
    observations, truth = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    poses = CodeSpace.of(bar_model.pose_codes, 3)
    exact = Start("exact", poses.decode(z_pose), rotation_from_vector(roots), shift)
    errors = []
    for start in (exact, mean_start(bar_model, observations)):
        solver = solver_of(bar_model, observations, SETTINGS, start)
        errors.append(largest_error_m(bar_model, solver, truth))
    assert abs(errors[0] - errors[1]) < 0.001


def test_keyframes_come_first_and_then_their_neighbours(bar_model: Spam):
    z_pose, roots, shift = moving(11)
    observations, _ = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    keys, waves = solver_of(bar_model, observations, SETTINGS)._keyframes()
    assert keys.tolist() == [2, 6, 10]
    assert [wave.tolist() for wave in waves] == [[1, 3, 5, 7, 9], [0, 4, 8]]
    for settings, few in ((replace(SETTINGS, staged=False), observations), (SETTINGS, observations[:3])):
        keys, waves = solver_of(bar_model, few, settings)._keyframes()
        assert (keys.tolist(), waves) == (list(range(len(few))), [])


def test_frames_take_over_a_neighbours_pose_where_it_explains_them_better(bar_model: Spam):
    z_pose, roots, shift = moving(5)
    z_pose, roots = z_pose[2].expand(5, -1), roots[2].expand(5, -1)  # walks without bending
    observations, _ = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    poses = CodeSpace.of(bar_model.pose_codes, 3)
    right = Start("right", poses.decode(z_pose), rotation_from_vector(roots), shift)
    solver = solver_of(bar_model, observations, SETTINGS, right)
    solver.iterate.z_pose[1] += 2.0
    solver.iterate.z_pose[4] -= 2.0
    solver._take_neighbours(torch.tensor([1, 4]))
    # The root follows the middle of the points, which are not the same ones in every frame.
    assert torch.allclose(solver.iterate.z_pose, z_pose, atol=1e-4)
    assert torch.allclose(solver.iterate.translation_m, shift, atol=0.02)


def test_each_frame_takes_the_start_that_explains_it_best(bar_model: Spam):
    z_pose, roots, shift = moving(4)
    observations, _ = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    poses, rotation = CodeSpace.of(bar_model.pose_codes, 3), rotation_from_vector(roots)
    wrong = z_pose + 2.0
    first, second = z_pose.clone(), z_pose.clone()
    first[:2], second[2:] = wrong[:2], wrong[2:]
    starts = (Start(name, poses.decode(z), rotation, shift) for name, z in (("first", first), ("second", second)))
    solver = solver_of(bar_model, observations, SETTINGS, *starts)
    assert torch.allclose(solver.iterate.z_pose, z_pose, atol=1e-4)
    with pytest.raises(InputError, match="at least one start"):
        Solver(bar_model, observations, torch.ones(3, dtype=torch.bool), 1 / 30, [], SETTINGS, torch.Generator())


@pytest.mark.parametrize(("converged_m", "with_shape", "steps"), [(1.0, False, 1), (1e-9, False, 3), (1.0, True, 3)])
def test_frames_that_hardly_move_rest_until_the_next_pairing(
    bar_model: Spam, converged_m: float, with_shape: bool, steps: int
):
    z_pose, roots, shift = moving(3)
    observations, _ = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    solver = solver_of(bar_model, observations, replace(SETTINGS, converged_m=converged_m))
    reports = list(solver._round(torch.arange(3), 0.0, 3, with_shape, "round", "joint"))
    assert len(reports) == len(solver.history) == steps
    assert solver._steps_done == 3  # steps that rest count as done


def test_steps_lower_the_energy(bar_model: Spam):
    z_pose, roots, shift = moving(3)
    observations, _ = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    solver = solver_of(bar_model, observations, SETTINGS)
    frames = torch.arange(3)
    seen = solver._draw(frames)  # the same points in every step
    costs = [solver._step(frames, seen, None, 0.2, with_shape=False)[0] for _ in range(6)]
    totals = [sum(terms.values()) for terms in costs]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < 0.1 * totals[0]


def test_probe_knows_how_the_shape_moves_points(bar_model: Spam):
    """Against differences: where a part ends decides where what hangs on it goes."""
    observations, _ = observe(bar_model, Z_SHAPE, *moving(2))
    now = solver_of(bar_model, observations, SETTINGS).iterate
    now.z_pose = moving(2)[0]
    points = torch.stack([now.surface.vertices[rows[:20]] for rows in now.surface.of_part])[:, None]
    frames = torch.arange(2)
    probe = now.probe(points, frames, True)
    assert probe.posed_by_shape is not None
    assert probe.distance_by_shape is not None
    step = 1e-3 * torch.ones_like(now.z_shape)
    codes = torch.tensordot(step, now.shape_space.basis, dims=1)
    now.z_shape = now.z_shape + step
    moved = now.probe(points, frames, False)
    for by_shape, change in (
        (probe.posed_by_shape, moved.posed - probe.posed),
        (probe.distance_by_shape.unsqueeze(-2), (moved.distance - probe.distance).unsqueeze(-1)),
    ):
        predicted = torch.einsum("qtncd,qd->qtnc", by_shape, codes)
        assert (predicted - change).norm() < 0.05 * change.norm()


def test_coverage_reaches_what_no_pair_reaches(bar_model: Spam):
    """The bar starts so bent that its end finds no pair within the gate; what it leaves bare draws it back."""
    z_pose, roots, shift = moving(3)
    observations, truth = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    bent = CodeSpace.of(bar_model.pose_codes, 3).decode(z_pose + torch.tensor([2.5, 0.0, 0.0]))
    start = Start("bent", bent, rotation_from_vector(roots), shift)
    narrow = replace(
        SETTINGS, dense_correspondence=False, free_space_weight=0.0, icp_gate_m=0.06, icp_scale_m=0.02
    )  # fmt: skip
    without = solver_of(bar_model, observations, replace(narrow, coverage_weight=0.0), start)
    assert largest_error_m(bar_model, without, truth) > 0.03
    assert all("coverage" not in terms for terms in without.history)
    assert largest_error_m(bar_model, solver_of(bar_model, observations, narrow, start), truth) < 0.012


def test_the_way_between_frames_says_nothing_of_the_shape(bar_model: Spam):
    """Frames off an even motion, and only L_t to be solved: poses and roots move, the shape does not."""
    z_pose, roots, shift = moving(5)
    observations, _ = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    only = replace(
        SETTINGS, dense_correspondence=False, icp_weight=0.0, reconstruction_weight=0.0, free_space_weight=0.0,
        coverage_weight=0.0, isometry_weight=0.0, pose_prior_weight=0.0, shape_prior_weight=0.0, temporal_weight=1.0,
    )  # fmt: skip
    solver = solver_of(bar_model, observations, only)
    before = solver.iterate.translation_m.clone()
    list(solver._round(torch.arange(5), 1.0, 2, True, "round", "joint"))
    assert solver.iterate.z_shape.abs().max() < 1e-5
    moved = (solver.iterate.translation_m - before).norm(dim=1)
    assert moved[1:-1].max() > 1e-4
    assert moved[[0, -1]].max() < 1e-6, "the first and the last frame have no middle to lie in"


def test_temporal_weight_grows_with_the_rounds_and_falls_with_the_interval(bar_model: Spam):
    z_pose, roots, shift = moving(2)
    observations, _ = observe(bar_model, Z_SHAPE, z_pose, roots, shift)

    settings = replace(SETTINGS, temporal_weight=12.0)

    def cost(interval_s: float, done: float) -> float:
        terms = solver_of(bar_model, observations, settings)._terms
        terms._interval_s = interval_s
        return terms._temporal_weight(done)

    assert cost(1 / 30, 1.0) == 12
    assert cost(1 / 60, 1.0) == 12
    assert cost(1 / 15, 1.0) == pytest.approx(12 / 128)
    assert cost(1 / 30, 0.5) == pytest.approx(3)


def test_settings_are_checked():
    with pytest.raises(InputError, match="counts must be 1 or more"):
        SolveSettings(joint_rounds=0)
    with pytest.raises(InputError, match="normal gate"):
        SolveSettings(normal_gate_deg=100.0)


def test_roots_from_exact_canonical_coordinates(bar_model: Spam):
    roots, shift = torch.tensor([[0.1, 0.7, -0.2]]), torch.tensor([[0.3, -0.1, -2.2]])
    observations, _ = observe(bar_model, torch.zeros(3), torch.zeros(1, 3), roots, shift)
    seen = observations[0]
    rigid = world_from_posed(seen.canonical, rotation_from_vector(roots)[0], shift[0])
    exact = Observation(rigid, seen.normals_world, seen.labels, seen.canonical, seen.confidence, seen.distance)
    rotation, translation = initial_roots([exact])
    assert torch.allclose(rotation[0], rotation_from_vector(roots)[0], atol=1e-3)
    assert torch.allclose(translation[0], shift[0], atol=1e-3)


def test_the_rounds_lead_from_the_start_to_the_solution(bar_model: Spam):
    z_pose, roots, shift = moving(6)
    observations, _ = observe(bar_model, Z_SHAPE, z_pose, roots, shift)
    settings = replace(SETTINGS, rounds=2, joint_rounds=2, keyframe_stride=2)
    solver = solver_of(bar_model, observations, settings)
    solver.keep_rounds = True
    solver.__post_init__()
    start = solver.iterate.root_rotation.clone(), solver.iterate.translation_m.clone()
    found = run_to_end(solver.run())
    plain = run_to_end(solver_of(bar_model, observations, settings).run())
    assert plain.rounds is None
    assert torch.equal(found.pose_codes, plain.pose_codes)  # keeping them changes nothing
    history = found.rounds
    assert history is not None
    names = [history.stage(k) for k in range(history.count)]
    assert names == ["start", "aligning", *["keyframes"] * 2, *["between keyframes"] * 3, *["joint"] * 2]
    assert history.belongs_to(
        6, len(found.loss_history), tuple(found.shape_codes.shape), tuple(found.pose_codes.shape[1:])
    )
    assert history.steps[-1] == len(found.loss_history)
    last = history.count - 1
    for row in range(6):
        first, end = history.index(0, row), history.index(last, row)
        assert first is not None
        assert end is not None
        assert np.array_equal(history.root_rotation[first], start[0][row])
        assert np.array_equal(history.root_translation_m[first], start[1][row])
        assert np.array_equal(history.root_translation_m[end], found.root_translation_m[row])
        assert np.allclose(history.pose_codes[end], found.pose_codes[row], rtol=1e-3, atol=1e-4)
        assert history.moved(2, row) == (row % 2 == 1)  # only the keyframes move at first
        assert history.moved(4, row) == (row % 2 == 0)
    assert np.allclose(history.shape_codes[last], found.shape_codes, rtol=1e-3, atol=1e-4)
