"""Decoders: gated evaluation equals dense evaluation, archives keep every bit that counts, misfits are named."""

import json
from pathlib import Path

import pytest
import torch

from spams_core.errors import InputError
from spams_core.models.siren import PartSirens, SirenSettings, gather_blocks, scatter_blocks
from spams_core.models.spam import Spam, SpamSettings, read_spam, write_network

TINY = SpamSettings(
    part_names=("a", "b", "c"),
    shape_code=5,
    pose_code=4,
    parts=SirenSettings(2, 16, 10.0, 1, 8),
    shape=SirenSettings(3, 16, 20.0, 1, 8),
    pose=SirenSettings(2, 16, 10.0, 1, 8),
)


@pytest.fixture
def spam() -> Spam:
    """An untrained model with a few random codes."""
    model, generator = Spam(TINY, seed=1), torch.Generator().manual_seed(0)
    model.shape_codes = torch.randn(4, 3, 5, generator=generator)
    model.pose_codes = torch.randn(6, 3, 4, generator=generator) * 0.1
    model.instance_identity = torch.tensor([0, 0, 1, 2, 3, 3])
    return model.eval().requires_grad_(False)


def points(count: int = 700) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_gated_distance_equals_dense_evaluation(spam: Spam):
    codes, x = spam.shape_codes[0], points()
    weights = spam.confidences(x, codes)
    dense = spam.shape_decoders(x[None, None].expand(3, 1, -1, 3), spam.shape_decoders.film(codes[:, None]))[:, 0, :, 0]
    assert torch.allclose(spam.signed_distance(x, codes), (dense.T * weights).sum(-1), atol=1e-6)


def test_gated_flow_equals_dense_evaluation(spam: Spam):
    shape, pose, x = spam.shape_codes[1], spam.pose_codes[:4], points()
    weights = spam.confidences(x, shape)
    film = spam.pose_film(shape, pose)
    dense = spam.pose_decoders(x[None, None].expand(3, 1, -1, 3), film)
    expected = torch.einsum("qtnc,nq->tnc", dense, weights)
    assert torch.allclose(spam.flow(x, shape, pose, weights), expected, atol=1e-6)


def test_gating_evaluates_only_active_pairs():
    active = torch.zeros(1000, 3, dtype=torch.bool)
    active[:600, 0] = active[550:, 2] = True
    blocks = gather_blocks(active, block=64)
    assert len(blocks.pair_point) == int(active.sum())
    assert set(blocks.part.tolist()) == {0, 2}
    # Padding wastes less than a block per part.
    assert blocks.point.numel() < int(active.sum()) + 2 * 64


def test_blocks_round_trip():
    active = torch.rand(500, 4, generator=torch.Generator().manual_seed(5)) > 0.6
    active[:, 0] |= ~active.any(1)
    blocks = gather_blocks(active, block=32)
    value = (blocks.point + 1000 * blocks.part[:, None]).float()[:, None, :, None]
    weights = active.float()
    expected = (weights * (torch.arange(500)[:, None] + 1000 * torch.arange(4)[None])).sum(-1)
    assert torch.equal(scatter_blocks(value, blocks, weights)[0, :, 0], expected)


def test_batched_parts_equal_each_part_alone():
    sirens = PartSirens(3, 4, 2, SirenSettings(3, 16, 20.0, 2, 8), torch.Generator().manual_seed(0))
    codes, x = torch.randn(3, 2, 4), torch.randn(3, 2, 10, 3)
    together = sirens(x, sirens.film(codes))
    for q in range(3):
        for g in range(2):
            h, k = x[q, g], codes[q, g]
            for layer in sirens.mapping:
                k = torch.nn.functional.leaky_relu(k @ layer.weight[q] + layer.bias[q, 0], 0.2)
            film = (k @ sirens.film_head.weight[q] + sirens.film_head.bias[q, 0]).reshape(3, 2, 16)
            for index, layer in enumerate(sirens.hidden):
                gamma, beta = film[index]
                h = torch.sin(20.0 * (1 + gamma) * (h @ layer.weight[q] + layer.bias[q, 0]) + beta)
            alone = h @ sirens.last.weight[q] + sirens.last.bias[q, 0]
            assert torch.allclose(together[q, g], alone, atol=1e-5)


def test_confidences_sum_to_one_and_never_vanish(spam: Spam):
    weights = spam.confidences(points(), spam.shape_codes[0])
    assert torch.allclose(weights.sum(-1), torch.ones(len(weights)))


def test_a_siren_overfits_a_sphere():
    generator = torch.Generator().manual_seed(0)
    sirens = PartSirens(1, 2, 1, SirenSettings(3, 48, 15.0, 1, 8), generator)
    optimizer, codes = torch.optim.Adam(sirens.parameters(), lr=2e-3), torch.zeros(1, 1, 2)
    x = torch.rand(1, 1, 800, 3, generator=generator) * 2 - 1
    truth = x.norm(dim=-1, keepdim=True) - 0.5
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / 400)
        loss = (sirens(x, sirens.film(codes)) - truth).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 5e-3


def test_model_survives_its_archives(spam: Spam, tmp_path: Path):
    for network in ("shape", "parts", "pose"):
        write_network(tmp_path / "model", network, spam, {"seed": 0})
    again = read_spam(tmp_path / "model", torch.device("cpu"))
    assert again.settings == spam.settings
    for name, value in spam.state_dict().items():
        tolerance = 5e-4 if name == "pose_codes" else 0
        assert torch.allclose(again.state_dict()[name].to(value.dtype), value, atol=tolerance, rtol=tolerance)


def test_one_part_model_needs_no_part_decoder(tmp_path: Path):
    model = Spam(SpamSettings(part_names=("body",), shape_code=3, pose_code=3, shape=TINY.shape, pose=TINY.pose))
    model.shape_codes, model.pose_codes = torch.randn(2, 1, 3), torch.randn(2, 1, 3)
    model.instance_identity = torch.tensor([0, 1])
    for network in ("shape", "pose"):
        write_network(tmp_path, network, model, {})
    again = read_spam(tmp_path, torch.device("cpu"))
    assert torch.equal(again.confidences(points(9), again.shape_codes[0]), torch.ones(9, 1))


def test_missing_and_foreign_networks_are_named(spam: Spam, tmp_path: Path):
    with pytest.raises(InputError, match="no such folder"):
        read_spam(tmp_path / "nowhere", torch.device("cpu"))
    write_network(tmp_path, "shape", spam, {})
    with pytest.raises(InputError, match="is no archive"):
        read_spam(tmp_path, torch.device("cpu"))
    write_network(tmp_path, "parts", spam, {})
    write_network(tmp_path, "pose", spam, {})
    manifest = tmp_path / "pose" / "manifest.json"
    changed = json.loads(manifest.read_text())
    changed["model"]["pose_code"] = 7
    manifest.write_text(json.dumps(changed))
    with pytest.raises(InputError, match="other sizes"):
        read_spam(tmp_path, torch.device("cpu"))
    for model in ({}, {"model": None}, {"model": {"shape_code": "large"}}):
        manifest.write_text(json.dumps({"kind": "pose", "format_version": 1, **model}))
        with pytest.raises(InputError, match="pose: the manifest tells no usable model sizes"):
            read_spam(tmp_path, torch.device("cpu"))
