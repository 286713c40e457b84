"""Times of the shape decoders where one part speaks at most points, beside all parts at every point."""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from spams_core.models.spam import COMPACT, Spam

POINTS = 20_000


@pytest.mark.parametrize("active", ["one_part_in_ten_two", "all_parts"])
def test_signed_distance_of_20k_points(benchmark: BenchmarkFixture, active: str) -> None:
    spam = Spam(COMPACT)
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(POINTS, 3, generator=generator) * 2 - 1
    codes = 0.01 * torch.randn(spam.part_count, COMPACT.shape_code, generator=generator)
    if active == "all_parts":
        weights = torch.full((POINTS, spam.part_count), 1 / spam.part_count)
    else:
        # Parts routed by confidence cost about 1.1 evaluations per point.
        part = torch.randint(spam.part_count, (POINTS,), generator=generator)
        weights = torch.nn.functional.one_hot(part, spam.part_count).float()
        both = slice(0, POINTS // 10)
        weights[both] = 0.5 * weights[both] + 0.5 * weights[both].roll(1, dims=1)
    with torch.no_grad():
        distance = benchmark(spam.signed_distance, points, codes, weights)
    assert distance.shape == (POINTS,)
    assert torch.isfinite(distance).all()
