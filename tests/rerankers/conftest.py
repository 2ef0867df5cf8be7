"""The loopback rerank server, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import served

from .loopback import Loopback


@pytest.fixture(scope="session")
def rerank_server() -> Iterator[Loopback]:
    app = Loopback()
    with served(app) as app.url:
        yield app


@pytest.fixture
def loopback(rerank_server: Loopback) -> Loopback:
    for seen in (rerank_server.paths, rerank_server.bodies, rerank_server.keys):
        seen.clear()
    rerank_server.asked.clear()
    rerank_server.left.clear()
    return rerank_server
