"""The whitened space of the training codes."""

import pytest
import torch

from spams_core.errors import InputError
from spams_core.models.codes import CodeSpace, part_directions

GENERATOR = torch.Generator().manual_seed(0)
CODES = torch.randn(200, 3, 4, generator=GENERATOR) * torch.linspace(0.1, 2.0, 12).reshape(3, 4) + 5.0


def test_training_codes_are_white_in_their_own_space():
    space = CodeSpace.of(CODES, 12)
    z = space.encode(CODES)
    assert torch.allclose(z.mean(0), torch.zeros(12), atol=1e-4)
    assert torch.allclose(torch.cov(z.T), torch.eye(12), atol=1e-3)


def test_decode_inverts_encode():
    space = CodeSpace.of(CODES, 12)
    assert torch.allclose(space.decode(space.encode(CODES)), CODES, atol=1e-4)


def test_fewer_components_keep_the_largest_variance():
    space = CodeSpace.of(CODES, 2)
    lengths = space.basis.flatten(1).norm(dim=1)
    assert lengths[0] >= lengths[1]
    full = CodeSpace.of(CODES, 12).basis.flatten(1).norm(dim=1)
    assert torch.allclose(lengths, full[:2])


def test_rank_is_no_more_than_the_codes_span():
    assert len(CodeSpace.of(CODES[:3], 12).basis) == 2


def test_a_single_code_has_no_prior():
    with pytest.raises(InputError, match="fewer than two"):
        CodeSpace.of(CODES[:1], 2)


def test_part_directions_change_one_part_and_are_one_deviation_long():
    directions = part_directions(CODES, 4)
    assert directions.shape == (3, 4, 4)
    for q in range(3):
        variance = (CODES[:, q] - CODES[:, q].mean(0)).square().sum() / (len(CODES) - 1)
        assert directions[q].square().sum().item() == pytest.approx(variance.item(), rel=1e-3)


def test_a_coordinate_of_unjoined_codes_moves_one_part_by_one_deviation():
    space = CodeSpace.of(CODES, 12, joined=False)
    assert len(space.basis) == 12
    moves = space.basis.norm(dim=2) > 0
    assert (moves.sum(1) == 1).all()
    assert moves.sum(0).tolist() == [4, 4, 4]
    z = space.encode(CODES)
    torch.testing.assert_close(z.mean(0), torch.zeros(12), rtol=0, atol=1e-4)
    # White within each part, whatever the parts have to do with each other.
    for q in range(3):
        torch.testing.assert_close(torch.cov(z[:, moves[:, q]].T), torch.eye(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(space.decode(z), CODES, rtol=0, atol=1e-4)


def test_unjoined_parts_share_the_coordinates_evenly_and_leave_out_what_is_flat():
    assert len(CodeSpace.of(CODES, 8, joined=False).basis) == 6
    flat = CODES.clone()
    flat[:, 1, 1:] = 5.0  # the second part's codes lie on a line
    assert (CodeSpace.of(flat, 12, joined=False).basis.norm(dim=2) > 0).sum(0).tolist() == [4, 1, 4]


def test_joined_codes_know_what_goes_together():
    together = CODES[:, :1].expand(-1, 3, -1).contiguous()
    space = CodeSpace.of(together, 12)
    assert len(space.basis) == 4
    torch.testing.assert_close(space.basis[:, 0], space.basis[:, 2], rtol=0, atol=1e-5)
    assert len(CodeSpace.of(together, 12, joined=False).basis) == 12
