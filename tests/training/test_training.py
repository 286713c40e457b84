"""Each network learns a tiny sample; a killed training goes on bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from figure import TINY, write_bars

from spams_core.data import subjects as subjects_module
from spams_core.data.sampling import part_targets, sample_off_surface
from spams_core.data.subjects import Subjects
from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import closest_on_surface
from spams_core.models.spam import Spam
from spams_core.progress import run_to_end
from spams_core.training.loop import LoopSettings, run_training
from spams_core.training.parts import PartsProblem, PartsTraining
from spams_core.training.pose import PoseProblem, PoseTraining, flow_loss
from spams_core.training.shape import ShapeProblem, ShapeTraining, eikonal_terms, principal_codes

SHAPE = ShapeTraining(identities=2, surface_points=96, off_points=96, pool=2000, network_rate=3e-3, code_rate=5e-3)
POSE = PoseTraining(instances=4, points=64, pool=2000, held_out=1, network_rate=3e-3, code_rate=5e-3)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Subjects:
    torch.set_num_threads(1)
    return write_bars(tmp_path_factory.mktemp("subjects") / "bars", identities=3, poses=6)


def test_shape_decoders_overfit_two_bodies(subjects: Subjects, tmp_path: Path):
    problem = ShapeProblem(Spam(TINY), subjects, SHAPE, 0)
    history = run_to_end(run_training(problem, LoopSettings(250), tmp_path / "c", seed=0, fingerprint={}))
    assert history.validation[-1][1]["surface_error"] < 5e-3
    assert history.validation[-1][1]["unseen_surface_error"] < 3e-2
    problem.finish()
    assert problem.spam.shape_codes.shape == (2, 2, 4)


def test_part_decoder_overfits_two_bodies(subjects: Subjects, tmp_path: Path):
    spam = Spam(TINY)
    spam.shape_codes = torch.randn(2, 2, 4)
    problem = PartsProblem(spam, subjects, PartsTraining(points=256, pool=2000), 0)
    history = run_to_end(run_training(problem, LoopSettings(150), tmp_path / "c", seed=0, fingerprint={}))
    assert history.validation[-1][1]["surface_accuracy"] > 0.98


def test_pose_decoders_overfit_a_few_poses(subjects: Subjects, tmp_path: Path):
    spam = Spam(TINY)
    spam.shape_codes = torch.randn(2, 2, 4)
    problem = PoseProblem(spam, subjects, POSE, 0)
    first = problem.losses(0, torch.Generator().manual_seed(0))["flow"].item()
    run_to_end(run_training(problem, LoopSettings(300), tmp_path / "c", seed=0, fingerprint={}))
    assert problem.losses(0, torch.Generator().manual_seed(0))["flow"].item() < 0.1 * first
    problem.finish()
    assert len(spam.pose_codes) == len(spam.instance_identity) == 11


def test_a_killed_training_resumes_bit_for_bit(subjects: Subjects, tmp_path: Path):
    loop = LoopSettings(12, checkpoint_every_s=1e-9, validate_every=4)

    def start(name: str):
        spam = Spam(TINY, seed=3)
        spam.shape_codes = torch.ones(2, 2, 4)
        problem = PoseProblem(spam, subjects, POSE, 0)
        return problem, run_training(problem, loop, tmp_path / name, seed=5, fingerprint={"a": 1})

    whole, running = start("whole")
    expected = run_to_end(running)
    _, running = start("killed")
    for _ in range(10):
        next(running)
    running.close()
    resumed, running = start("killed")
    history = run_to_end(running)
    assert history.losses == expected.losses
    assert history.validation == expected.validation
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name


def test_a_checkpoint_of_other_settings_is_refused(subjects: Subjects, tmp_path: Path):
    spam = Spam(TINY)
    spam.shape_codes = torch.ones(2, 2, 4)
    problem = PoseProblem(spam, subjects, POSE, 0)
    run_to_end(run_training(problem, LoopSettings(1), tmp_path / "c", seed=0, fingerprint={"a": 1}))
    with pytest.raises(InputError, match="other settings"):
        run_to_end(run_training(problem, LoopSettings(1), tmp_path / "c", seed=0, fingerprint={"a": 2}))


def test_a_damaged_checkpoint_is_one_clear_line(subjects: Subjects, tmp_path: Path):
    spam = Spam(TINY)
    spam.shape_codes = torch.ones(2, 2, 4)
    run_to_end(
        run_training(PoseProblem(spam, subjects, POSE, 0), LoopSettings(1), tmp_path / "c", seed=0, fingerprint={})
    )
    manifest = tmp_path / "c" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"step"', '"stop"'))
    with pytest.raises(InputError, match="is corrupted"):
        run_to_end(
            run_training(PoseProblem(spam, subjects, POSE, 0), LoopSettings(1), tmp_path / "c", seed=0, fingerprint={})
        )


def test_eikonal_terms_of_an_exact_distance_vanish():
    x = torch.tensor([[0.6, 0.0, 0.0], [0.0, 1.2, 0.0]], dtype=torch.float64)
    surface = torch.nn.functional.normalize(x, dim=-1)
    distance = x.norm(dim=-1) - 1
    one = torch.ones(2, dtype=torch.float64)
    terms = eikonal_terms(one * 0, surface, surface, one, distance, surface, one, distance)
    for name in ("surface", "normal", "eikonal", "distance"):
        assert terms[name].item() == pytest.approx(0, abs=1e-12)
    assert terms["off"].item() == pytest.approx(torch.exp(-100 * distance.abs()).mean().item())


def test_eikonal_terms_known_values():
    one = torch.ones(1, dtype=torch.float64)
    x, y = torch.tensor([[2.0, 0.0, 0.0]]).double(), torch.tensor([[0.0, 1.0, 0.0]]).double()
    terms = eikonal_terms(0.3 * one, x, y, one, 0.0 * one, y, one, 0.2 * one)
    assert terms["surface"].item() == pytest.approx(0.3)
    assert terms["normal"].item() == pytest.approx(1.0)
    assert terms["eikonal"].item() == pytest.approx(0.5)
    assert terms["off"].item() == pytest.approx(1.0)
    assert terms["distance"].item() == pytest.approx(0.2)


def test_flow_loss_known_value_optimum_and_gradient():
    flow = torch.tensor([[3.0, 4.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64)
    assert flow_loss(flow, torch.zeros_like(flow), weights).item() == pytest.approx((5 + 3) / 4)
    assert flow_loss(flow, flow.detach(), weights).item() == 0
    assert torch.autograd.gradcheck(lambda f: flow_loss(f, torch.zeros_like(f), weights), flow)


def test_boundary_points_belong_to_two_parts():
    assert np.allclose(part_targets(np.array([[0.5, 0.5], [0.9, 0.1]])), [[1, 1], [1, 0.2]])


def test_off_surface_distances_match_a_sphere():
    sphere = trimesh.creation.icosphere(4, 0.5)
    weights = np.ones((len(sphere.vertices), 1), dtype=np.float32)
    off = sample_off_surface(sphere.vertices, sphere.faces, weights, 1000, np.random.default_rng(0))
    # The middle of a triangle lies edge² / 6r below the arc.
    sag = sphere.edges_unique_length.max() ** 2 / (6 * 0.5)
    true = np.linalg.norm(off.points, axis=1) - 0.5
    assert np.abs(np.abs(off.distance) - np.abs(true)).max() < 2 * sag
    # The winding number is approximate: right next to the surface the sign may be wrong, farther off it is not.
    clear = np.abs(true) > 0.003
    assert (np.sign(off.distance[clear]) == np.sign(true[clear])).all()
    assert (off.targets == 1).all()


def test_principal_codes_are_as_far_apart_as_their_shapes():
    """Of shapes that differ in two ways the codes are those two ways, in their order, and nothing else."""
    generator = torch.Generator().manual_seed(0)
    mean, ways = torch.randn(3, 50, 3, generator=generator, dtype=torch.float64).split([1, 2])
    amounts = torch.randn(30, 2, generator=generator, dtype=torch.float64) * torch.tensor([2.0, 1.0])
    shapes = mean + torch.einsum("ik,knc->inc", amounts, ways)
    codes = principal_codes(shapes, 6)
    assert codes.shape == (30, 6)
    assert codes.mean(0).abs().max() < 1e-7
    assert codes[:, 2:].abs().max() < 1e-6  # the square root of rounding errors
    # One standard deviation of a whole code is what codes grow to in training.
    assert codes.square().sum(1).mean().sqrt().item() == pytest.approx(0.4, rel=1e-4)
    # Where one way is all there is, distances between codes are those between shapes, up to one factor.
    line = principal_codes(mean + amounts[:, :1, None] * ways[0], 4)
    apart, shapes_apart = torch.cdist(line, line), torch.cdist(amounts[:, :1], amounts[:, :1])
    factor = apart.sum() / shapes_apart.sum()
    torch.testing.assert_close(apart, factor * shapes_apart, rtol=0, atol=1e-6)
    # Where there are more, those that are near stay near.
    flat = shapes.flatten(1)
    both = torch.stack([torch.pdist(codes), torch.pdist(flat)])
    assert torch.corrcoef(both)[0, 1] > 0.95


def test_principal_codes_of_equal_shapes_are_zero():
    assert principal_codes(torch.ones(4, 5, 3), 3).abs().max() < 1e-3


def test_training_starts_from_codes_that_follow_the_bodies(subjects: Subjects):
    problem = ShapeProblem(Spam(TINY), subjects, SHAPE, 0)
    (codes,) = (p for name, p in problem.module.named_parameters() if name == "codes")
    assert codes.detach().square().sum(2).mean(0).sqrt().tolist() == pytest.approx([0.4, 0.4], rel=1e-3)
    drawn = ShapeProblem(Spam(TINY), subjects, replace(SHAPE, code_start="random"), 0).module.codes
    assert drawn.std() < 0.03


def test_poses_are_read_from_shards_as_from_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Batches come from disk; the points that they hold lie on the posed surfaces, bit for bit however it is cut."""
    batches = []
    for size in (512, 4):
        monkeypatch.setattr(subjects_module, "SHARD_INSTANCES", size)
        subjects = write_bars(tmp_path / str(size), identities=3, poses=6)
        assert len(subjects.shards) == -(-18 // size)
        assert all(isinstance(shard, np.memmap) for shard in subjects.shards)
        spam = Spam(TINY)
        spam.shape_codes = torch.zeros(2, 2, 4)
        problem = PoseProblem(spam, subjects, replace(POSE, displacement=0.0), 0)
        rows = torch.tensor([0, 5, 3, 11])
        batches.append((*problem._batch(rows, 20, torch.Generator().manual_seed(0)), problem.module.codes.detach()))
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one, other)
    points, flow, _, _ = batches[0]
    for k, row in enumerate(rows.tolist()):
        mesh = Mesh(subjects.posed(row), subjects.faces)
        moved = (points + flow)[:, k].reshape(-1, 3).numpy()
        assert closest_on_surface(moved, mesh)[0].max() < 1e-5


def test_a_rigid_pose_decoder_turns_about_the_middle_of_its_part(subjects: Subjects):
    rigid = replace(TINY, pose=replace(TINY.pose, rigid=True))
    spam = Spam(rigid)
    spam.shape_codes = torch.zeros(2, 2, 4)
    PoseProblem(spam, subjects, POSE, 0)
    lower, upper = spam.pose_decoders.pivot
    assert lower[1] < -0.1 < 0.1 < upper[1]
    assert spam.pose_decoders.pivot[:, [0, 2]].abs().max() < 0.02  # on the bar's axis
