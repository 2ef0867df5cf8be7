"""The loopback embedding server, started once, and the packaged model, loaded once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragline.connectors.embedders.e5_build import ensure_built
from ragline.connectors.embedders.packaged import PackagedEmbedder

from .loopback import Loopback, start


@pytest.fixture(scope="session")
def loopback_server() -> Iterator[Loopback]:
    app = Loopback()
    server, thread = start(app)
    yield app
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def loopback(loopback_server: Loopback) -> Loopback:
    loopback_server.bodies.clear()
    loopback_server.keys.clear()
    return loopback_server


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address that refuses connections: bound, so that nothing else takes it, but not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture(scope="session")
def packaged(models_folder: Path) -> Iterator[PackagedEmbedder]:
    embedder = PackagedEmbedder(ensure_built(models_folder), threads=1, batch_size=16)
    yield embedder
    asyncio.run(embedder.close())
