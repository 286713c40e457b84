"""Rigid pieces are found, placed and turned into codes: exactly where the truth is known."""

import math
from dataclasses import replace

import pytest
import torch

from spams_core.errors import InputError
from spams_core.fitting.articulated import ArticulatedPoses, ArticulatedSettings, articulated_poses
from spams_core.fitting.observation import Observation
from spams_core.fitting.pieces import Joints, Pieces, PieceSettings, model_pieces, rigid_pieces, rotation_vector
from spams_core.fitting.projection import CodePoses, ProjectionSettings, project_to_codes
from spams_core.fitting.surface import CanonicalSurface, canonical_surface, posed_vertices
from spams_core.frames import CANONICAL_PER_METRE, world_from_posed
from spams_core.geometry.rigid import rotation_from_vector, weighted_procrustes
from spams_core.models.codes import CodeSpace
from spams_core.models.spam import Spam

ELBOW = torch.tensor([0.0, 0.2, 0.0])
"""Where the two boxes of the figure are joined, metres."""

FREE = ArticulatedSettings(joint_prior=0.0)
"""Nothing pulls at a joint but what is seen, so that exact data are met exactly."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def box(low: tuple[float, ...], high: tuple[float, ...], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random points on a box's faces, and their normals."""
    draw = generator(1)
    points = torch.rand(count, 3, generator=draw)
    axis = torch.randint(3, (count,), generator=draw)
    side = torch.randint(2, (count,), generator=draw)
    points[torch.arange(count), axis] = side.float()
    normals = torch.zeros(count, 3)
    normals[torch.arange(count), axis] = 2.0 * side - 1
    lowest, highest = torch.tensor(low), torch.tensor(high)
    return lowest + points * (highest - lowest), normals


def figure() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A box around the origin and another on top of it: points, normals, which box."""
    lower, below = box((-0.1, -0.3, -0.06), (0.1, 0.2, 0.06), 240)
    upper, above = box((-0.07, 0.2, -0.05), (0.07, 0.6, 0.05), 240)
    return torch.cat([lower, upper]), torch.cat([below, above]), torch.arange(2).repeat_interleave(240)


def motions(body: torch.Tensor, shift: torch.Tensor, bend: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[T, 2, 3, 3] and [T, 2, 3]: the lower box turns by `body` and shifts, the upper one bends about the elbow too."""
    lower = rotation_from_vector(body)
    upper = lower @ rotation_from_vector(bend)
    return torch.stack([lower, upper], 1), torch.stack([shift, shift + (lower - upper) @ ELBOW], 1)


def move(points: torch.Tensor, owner: torch.Tensor, rotation: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """[T, M, 3]: each point moved by its piece."""
    return torch.einsum("tmij,mj->tmi", rotation[:, owner], points) + shift[:, owner]


def bends(count: int, spread: float, seed: int = 5) -> torch.Tensor:
    """Turns of an elbow that is a hinge about z."""
    turn = torch.zeros(count, 3)
    turn[:, 2] = spread * torch.randn(count, generator=generator(seed))
    return turn


def pieces_of(parts: torch.Tensor, settings: PieceSettings | None = None) -> Pieces:
    points, normals, owner = figure()
    still = torch.zeros(24, 3)
    examples = move(points, owner, *motions(still, still, bends(24, 0.6)))
    return rigid_pieces(points, normals, parts, examples, settings or PieceSettings())


TRUE_BODY = torch.tensor([[0.0, 0.3, 0.0], [0.1, 0.9, -0.1], [0.0, 2.5, 0.2]])
TRUE_SHIFT = torch.tensor([[0.0, 0.9, -2.0], [0.2, 1.0, -2.1], [0.4, 0.9, -2.2]])
TRUE_BEND = torch.tensor([[0.0, 0.0, 0.2], [0.0, 0.0, 0.9], [0.0, 0.0, -1.1]])


def observe(
    parts: torch.Tensor, rotation: torch.Tensor, shift: torch.Tensor, hidden: tuple[int, ...] = ()
) -> list[Observation]:
    """All points of the figure in every frame; in some the upper box is hidden."""
    points, normals, owner = figure()
    world = move(points, owner, rotation, shift)
    turned = torch.einsum("tmij,mj->tmi", rotation[:, owner], normals)
    found = []
    for t in range(len(rotation)):
        rows = torch.nonzero((owner == 0) | torch.tensor(t not in hidden))[:, 0]
        sure = torch.ones(len(rows))
        canonical = CANONICAL_PER_METRE * points[rows]
        # The articulated start takes no signed distances.
        found.append(Observation(world[t, rows], turned[t, rows], parts[rows], canonical, sure, None))  # type: ignore
    return found


def apart(count: int) -> torch.Tensor:
    """No two frames are neighbours."""
    return torch.zeros(count - 1, dtype=torch.bool)


def worst_m(found: ArticulatedPoses, pieces: Pieces, rotation: torch.Tensor, shift: torch.Tensor) -> float:
    """Largest distance between a point's place and its true one."""
    points, _, owner = figure()
    placed = move(points, pieces.piece, found.rotation, found.translation_m)
    return float((placed - move(points, owner, rotation, shift)).norm(dim=-1).max())


def test_rotation_vector_inverts_rotation_from_vector():
    vectors = torch.randn(200, 3, generator=generator(), dtype=torch.float64)
    vectors = vectors / vectors.norm(dim=-1, keepdim=True) * torch.linspace(0, 3.1, 200)[:, None]
    assert torch.allclose(rotation_vector(rotation_from_vector(vectors)), vectors, atol=1e-9)


def test_pieces_are_the_rigid_boxes_and_their_joint_is_the_hinge():
    _, _, owner = figure()
    for parts in (owner, torch.zeros_like(owner)):
        pieces = pieces_of(parts)
        # Of twelve allowed pieces two suffice: the rest is rigid.
        assert pieces.count == 2
        lower = pieces.piece[0]
        assert torch.equal(pieces.piece == lower, owner == 0)
        assert pieces.root == lower
        assert pieces.bend_m.max() < 1e-5
        joints = pieces.joints
        assert joints.slack_m.max() < 2e-3
        # The hinge's axis is z; along it the seam decides, and towards the seam's random points it gives way a little.
        assert torch.allclose(joints.place_m[0, :2], ELBOW[:2], atol=5e-3)
        spread = torch.linalg.inv(joints.stiffness[0]).diagonal().sqrt()
        assert spread[2] > 2.5 * spread[:2].max()


def test_pieces_are_as_many_as_allowed():
    _, _, owner = figure()
    assert pieces_of(torch.zeros_like(owner), PieceSettings(pieces=1)).count == 1
    assert len(pieces_of(torch.zeros_like(owner), PieceSettings(pieces=1)).joints.ends) == 0


@pytest.mark.parametrize("one_part", [False, True])
def test_known_motions_are_met_exactly(one_part: bool):
    _, _, owner = figure()
    parts = torch.zeros_like(owner) if one_part else owner
    pieces, truth = pieces_of(parts), motions(TRUE_BODY, TRUE_SHIFT, TRUE_BEND)
    found = articulated_poses(pieces, observe(parts, *truth), apart(3), FREE, generator())
    # What the joint is off by, 2 mm, pulls with a slack of 8 mm.
    assert worst_m(found, pieces, *truth) < 1e-3
    assert found.certainty.min() > 0.7
    assert torch.allclose(torch.linalg.det(found.rotation), torch.ones(3, 2), atol=1e-4)


def test_one_piece_is_a_rigid_body():
    _, _, owner = figure()
    parts = torch.zeros_like(owner)
    pieces = pieces_of(parts, PieceSettings(pieces=1))
    truth = motions(TRUE_BODY, TRUE_SHIFT, torch.zeros(3, 3))
    found = articulated_poses(pieces, observe(parts, *truth), apart(3), FREE, generator())
    assert worst_m(found, pieces, *truth) < 1e-4


def test_a_fifth_of_outliers_does_not_matter():
    _, _, owner = figure()
    pieces, truth, noise = pieces_of(owner), motions(TRUE_BODY, TRUE_SHIFT, TRUE_BEND), generator(3)
    spoilt = []
    for seen in observe(owner, *truth):
        wrong = (torch.rand(len(owner), generator=noise) < 0.2)[:, None]
        points = torch.where(wrong, seen.points_world + torch.randn(len(owner), 3, generator=noise), seen.points_world)
        canonical = seen.canonical + 0.04 * torch.randn(len(owner), 3, generator=noise)
        spoilt.append(
            Observation(points, seen.normals_world, seen.labels, canonical, seen.confidence, seen.distance)
        )  # fmt: skip
    found = articulated_poses(pieces, spoilt, apart(3), FREE, generator())
    # Outliers lie a metre off and predicted coordinates 9 cm; the surface itself settles it.
    assert worst_m(found, pieces, *truth) < 0.015


def test_an_unseen_piece_follows_its_neighbour_as_the_joint_usually_turns():
    _, _, owner = figure()
    pieces, truth = pieces_of(owner), motions(TRUE_BODY, TRUE_SHIFT, TRUE_BEND)
    observations = observe(owner, *truth, hidden=(0, 1, 2))
    found = articulated_poses(pieces, observations, apart(3), ArticulatedSettings(iterations=30), generator())
    assert torch.equal(found.certainty[:, 1], torch.zeros(3))
    place, (a, b) = pieces.joints.place_m[0], pieces.joints.ends[0].tolist()
    ends = [found.rotation[:, k] @ place + found.translation_m[:, k] for k in (a, b)]
    assert (ends[0] - ends[1]).norm(dim=-1).max() < 1e-3
    away = rotation_vector(pieces.joints.turn[0].mT @ found.rotation[:, a].mT @ found.rotation[:, b])
    assert away.norm(dim=-1).max() < 0.02


def test_an_unseen_piece_stays_near_where_it_was_seen():
    _, _, owner = figure()
    pieces = pieces_of(owner)
    truth = motions(TRUE_BODY[:1].repeat(3, 1), TRUE_SHIFT[:1].repeat(3, 1), TRUE_BEND[1:2].repeat(3, 1))
    observations = observe(owner, *truth, hidden=(1,))
    errors = [
        worst_m(
            articulated_poses(pieces, observations, adjacent, ArticulatedSettings(iterations=20), generator()),
            pieces, *truth,
        )
        for adjacent in (apart(3), ~apart(3))
    ]  # fmt: skip
    # 0.9 rad of bend at 0.4 m from the elbow: without neighbours the upper box is straight and its end far off.
    assert errors[0] > 0.2
    assert errors[1] < 0.5 * errors[0]


def test_the_same_seed_gives_the_same_bits():
    _, _, owner = figure()
    pieces, truth = pieces_of(owner), motions(TRUE_BODY, TRUE_SHIFT, TRUE_BEND)
    few = ArticulatedSettings(observed_points=30)
    found = [articulated_poses(pieces, observe(owner, *truth), apart(3), few, generator(s)) for s in (4, 4, 5)]
    assert torch.equal(found[0].rotation, found[1].rotation)
    assert torch.equal(found[0].translation_m, found[1].translation_m)
    assert not torch.equal(found[0].rotation, found[2].rotation)


@pytest.fixture(scope="module")
def bar(bar_model: Spam) -> CanonicalSurface:
    """The mean bar."""
    return canonical_surface(bar_model, bar_model.shape_codes.mean(0), 48)


BAR_Z = torch.tensor([[1.2, 0.0, 0.0], [-1.0, 0.3, 0.0]])
BAR_ROOT = rotation_from_vector(torch.tensor([[0.0, 0.4, 0.0], [0.2, 1.5, 0.0]]))
BAR_SHIFT = torch.tensor([[0.0, 0.5, -2.0], [0.3, 0.4, -2.5]])


def bar_world(spam: Spam, surface: CanonicalSurface, poses: CodePoses) -> torch.Tensor:
    """[T, V, 3] the mean bar in the world."""
    codes = CodeSpace.of(spam.pose_codes, 3).decode(poses.z_pose)
    posed = posed_vertices(spam, surface, spam.shape_codes.mean(0), codes)
    return world_from_posed(posed, poses.root_rotation, poses.root_translation_m)


def test_projection_gives_the_warp_back_where_it_can(bar_model: Spam, bar: CanonicalSurface):
    """Every point its own piece, moved as the warp moves it: what remains is the prior's pull."""
    # Without blending: the projection takes each point by the decoder of its part.
    sharp = replace(bar, weights=torch.nn.functional.one_hot(bar.parts, 2).float())
    points_m, count = bar.vertices / CANONICAL_PER_METRE, len(bar.vertices)
    truth = bar_world(bar_model, sharp, CodePoses(BAR_Z, BAR_ROOT, BAR_SHIFT))
    empty = torch.zeros(0)
    joints = Joints(
        torch.zeros(0, 2, dtype=torch.long), empty.reshape(0, 3), empty, empty.reshape(0, 3, 3), empty.reshape(0, 3, 3)
    )
    pieces = Pieces(
        points_m, bar.normals, torch.arange(count), torch.zeros(count), bar.parts, points_m,
        int(points_m.norm(dim=1).argmin()), joints,
    )  # fmt: skip
    # The root starts a third of a radian off.
    rotation = (BAR_ROOT @ rotation_from_vector(torch.tensor([0.2, 0.2, 0.2])))[:, None].expand(-1, count, -1, -1)
    translation_m = truth - (rotation @ points_m[..., None])[..., 0]
    poses = ArticulatedPoses(rotation, translation_m, torch.ones(2, count))
    space, settings = CodeSpace.of(bar_model.pose_codes, 3), ProjectionSettings(points=1, steps=12, sigma_m=5e-4)
    found = project_to_codes(bar_model, pieces, bar_model.shape_codes.mean(0), space, poses, settings, generator())
    assert (bar_world(bar_model, sharp, found) - truth).norm(dim=-1).mean() < 2e-4
    again = project_to_codes(bar_model, pieces, bar_model.shape_codes.mean(0), space, poses, settings, generator())
    assert torch.equal(found.z_pose, again.z_pose)


def test_projection_of_few_pieces_is_near_the_warp(bar_model: Spam, bar: CanonicalSurface):
    settings, mean = PieceSettings(pieces=4, example_poses=16), bar_model.shape_codes.mean(0)
    pieces = model_pieces(bar_model, bar.vertices, bar.normals, bar.weights, mean, settings, generator())
    truth = bar_world(bar_model, bar, CodePoses(BAR_Z, BAR_ROOT, BAR_SHIFT))
    nearest = torch.cdist(pieces.points_m * CANONICAL_PER_METRE, bar.vertices).argmin(1)
    motions_of = []
    for k in range(pieces.count):
        rows = nearest[pieces.piece == k]
        source = (bar.vertices[rows] / CANONICAL_PER_METRE).expand(2, -1, -1)
        motions_of.append(weighted_procrustes(source, truth[:, rows], torch.ones(2, len(rows))))
    rotation, translation_m = (torch.stack(column, 1) for column in zip(*motions_of, strict=True))
    poses = ArticulatedPoses(rotation, translation_m, torch.ones(2, pieces.count))
    space = CodeSpace.of(bar_model.pose_codes, 3)
    found = project_to_codes(bar_model, pieces, mean, space, poses, ProjectionSettings(), generator())
    # The bar of a metre bends smoothly; four pieces follow it to 5 mm, and the codes with a prior to twice that.
    assert (bar_world(bar_model, bar, found) - truth).norm(dim=-1).mean() < 0.012


def test_a_surface_that_lacks_a_part_is_refused(bar_model: Spam, bar: CanonicalSurface):
    upper = bar.weights.clone()
    upper[:, 0], upper[:, 1] = 0.0, 1.0
    with pytest.raises(InputError, match="shows no lower"):
        model_pieces(
            bar_model, bar.vertices, bar.normals, upper, bar_model.shape_codes.mean(0), PieceSettings(), generator()
        )  # fmt: skip


def test_settings_out_of_range_are_refused():
    for make in (
        lambda: ArticulatedSettings(iterations=0),
        lambda: ArticulatedSettings(end_scale_m=-math.inf),
        lambda: PieceSettings(example_poses=1),
        lambda: ProjectionSettings(steps=0),
    ):
        with pytest.raises(InputError):
            make()
