"""The part networks: derivatives by the codes are exact, rigid motions are what they say."""

from __future__ import annotations

import pytest
import torch

from spams_core.errors import InputError
from spams_core.geometry.rigid import rotation_from_vector
from spams_core.models.siren import PartSirens, SirenSettings

PARTS, GROUPS, COUNT, CODE = 3, 2, 5, 6


def network(rigid: bool, outputs: int = 3, layers: int = 3) -> PartSirens:
    """Random weights, large enough that every path through the network counts; double precision."""
    generator = torch.Generator().manual_seed(0)
    settings = SirenSettings(layers, 16, 6.0, 2, 12, rigid)
    sirens = PartSirens(PARTS, CODE, outputs, settings, generator).double().requires_grad_(False)
    sirens.film_head.weight.mul_(20)
    sirens.film_head.bias.normal_(0, 0.3, generator=generator)
    sirens.last.weight.mul_(5)
    if rigid:
        sirens.pivot.normal_(0, 0.3, generator=generator)
    return sirens


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize(("rigid", "outputs", "layers"), [(False, 1, 1), (False, 3, 4), (True, 3, 3)])
def test_jacobian_by_the_codes_is_that_of_automatic_differentiation(rigid: bool, outputs: int, layers: int, first: int):
    sirens = network(rigid, outputs, layers)
    points, codes = draw(1, PARTS, GROUPS, COUNT, 3), draw(2, PARTS, GROUPS, CODE)
    out, jacobian = sirens.with_jacobian(points, codes, first)
    torch.testing.assert_close(out, sirens(points, sirens.film(codes)))
    assert jacobian.shape == (PARTS, GROUPS, COUNT, outputs, CODE - first)
    assert jacobian.abs().amax((0, 1, 2, 3)).min() > 1e-2, "an entry that does nothing tests nothing"
    for entry in range(first, CODE):
        # Codes of one part and group say nothing about the others, so one direction serves all.
        along = torch.zeros_like(codes)
        along[..., entry] = 1
        _, true = torch.autograd.functional.jvp(lambda c: sirens(points, sirens.film(c)), codes, along)
        torch.testing.assert_close(jacobian[..., entry - first], true)


def test_points_may_be_shared_by_all_groups():
    sirens, points, codes = network(True), draw(1, PARTS, 1, COUNT, 3), draw(2, PARTS, GROUPS, CODE)
    shared = sirens.with_jacobian(points, codes)
    own = sirens.with_jacobian(points.expand(-1, GROUPS, -1, -1), codes)
    for found, expected in zip(shared, own, strict=True):
        torch.testing.assert_close(found, expected)


def silenced(sirens: PartSirens) -> PartSirens:
    """Without what the SIREN itself adds, and without what codes say."""
    for layer in (sirens.last, sirens.film_head):
        layer.weight.zero_()
        layer.bias.zero_()
    return sirens


def test_no_rotation_and_no_translation_are_no_flow():
    sirens = silenced(network(True))
    points, codes = draw(1, PARTS, GROUPS, COUNT, 3), torch.zeros(PARTS, GROUPS, CODE, dtype=torch.float64)
    assert sirens(points, sirens.film(codes)).abs().max() == 0


def test_a_rigid_flow_turns_about_the_pivot_of_its_part():
    sirens = silenced(network(True))
    motion = draw(3, PARTS, 6)
    sirens.film_head.bias[:, 0, -6:] = motion
    points, codes = draw(1, PARTS, GROUPS, COUNT, 3), draw(2, PARTS, GROUPS, CODE)
    moved = points + sirens(points, sirens.film(codes))
    for q in range(PARTS):
        rotation, pivot = rotation_from_vector(motion[q, :3]), sirens.pivot[q]
        expected = (points[q] - pivot) @ rotation.T + pivot + motion[q, 3:]
        torch.testing.assert_close(moved[q], expected)
    # The same, part by part in blocks.
    part = torch.tensor([2, 0])
    blocks = points[part]
    torch.testing.assert_close(blocks + sirens(blocks, sirens.film(codes), part), moved[part])


def test_a_rigid_flow_is_the_siren_added_to_a_motion():
    rigid, plain = network(True), network(False)
    state = rigid.state_dict()
    for name in ("film_head.weight", "film_head.bias"):
        state[name] = state[name][..., :-6]
    del state["pivot"]
    plain.load_state_dict(state)
    points, codes = draw(1, PARTS, GROUPS, COUNT, 3), draw(2, PARTS, GROUPS, CODE)
    whole, rest = rigid(points, rigid.film(codes)), plain(points, plain.film(codes))
    # What remains is rigid: it keeps all distances.
    moved = points + whole - rest
    torch.testing.assert_close(torch.cdist(moved, moved), torch.cdist(points, points))
    assert (whole - rest).norm(dim=-1).min() > 0.1


def test_a_distance_cannot_be_rigid():
    with pytest.raises(InputError, match="three outputs"):
        PartSirens(1, 4, 1, SirenSettings(rigid=True), torch.Generator())
