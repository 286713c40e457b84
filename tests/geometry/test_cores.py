from __future__ import annotations

import threading

import pytest
import torch

from spams_core.geometry.cores import for_each_piece


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_every_piece_is_worked_on_once(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    seen: list[int] = []
    for_each_piece(seen.append, range(0, 100, 7))
    assert sorted(seen) == list(range(0, 100, 7))
    for_each_piece(seen.append, [])
    assert len(seen) == 15


def test_pieces_are_worked_on_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    both = threading.Barrier(2, timeout=20)
    for_each_piece(lambda _: both.wait(), [0, 1])  # neither comes back alone


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_piece_raises_is_raised(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    def fail(start: int) -> None:
        if start == 2:
            raise ValueError("piece 2")

    with pytest.raises(ValueError, match="piece 2"):
        for_each_piece(fail, [0, 1, 2, 3])
