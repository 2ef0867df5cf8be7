"""The loopback model server, started once, and connections to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import served

from .loopback import Loopback


@pytest.fixture(scope="session")
def loopback_server() -> Iterator[Loopback]:
    app = Loopback()
    with served(app) as app.url:
        yield app


@pytest.fixture
def loopback(loopback_server: Loopback) -> Loopback:
    loopback_server.forget()
    return loopback_server
