"""What all tests share: quiet libraries, and models that are built or fetched once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragline.config.environment import quiet_libraries
from tests.http.running import Running, start
from tests.models import smollm2

quiet_libraries()

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """A folder with SmolLM2 that outlives the session; the embedding model is built beside it at its first use."""
    return smollm2.folder()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("server"), models_folder)
    yield running
    running.stop()


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address that refuses connections: bound, so that nothing else takes it, but not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
