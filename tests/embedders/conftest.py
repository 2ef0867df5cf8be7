"""The loopback embedding server, started once, and the packaged model, loaded once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragline.connectors.embedders.e5_build import ensure_built
from ragline.connectors.embedders.local import LocalEmbedder
from ragline.connectors.embedders.packaged import packaged_model
from tests.serving import served

from .loopback import Loopback


@pytest.fixture(scope="session")
def loopback_server() -> Iterator[Loopback]:
    app = Loopback()
    with served(app) as app.url:
        yield app


@pytest.fixture
def loopback(loopback_server: Loopback) -> Loopback:
    loopback_server.bodies.clear()
    loopback_server.keys.clear()
    return loopback_server


@pytest.fixture(scope="session")
def packaged(models_folder: Path) -> Iterator[LocalEmbedder]:
    embedder = LocalEmbedder(packaged_model(ensure_built(models_folder)), runtime="auto", threads=1, batch_size=16)
    yield embedder
    asyncio.run(embedder.close())
