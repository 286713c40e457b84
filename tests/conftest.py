"""What all tests share: the folder of development data, and no way to the network."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from spams_core.data.synthetic_bodies import BodyGenerator

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recordings and motion clips that are not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the development data in {SHARED_DATA.parent.name}/data beside the project's folder")
    return SHARED_DATA


@pytest.fixture(scope="session")
def bodies() -> BodyGenerator:
    """The synthetic body model; loading it takes seconds, on a machine's first time minutes."""
    pytest.importorskip("anny", reason="synthetic bodies need the extra `synthetic`")
    return BodyGenerator()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program works without a network; a test that reaches for one fails where it does."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX:
            raise AssertionError(f"a test wants to connect to {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", local_only)
