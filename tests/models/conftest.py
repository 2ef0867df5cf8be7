"""The loopback model server, started once, and connections to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

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
    loopback_server.forget()
    return loopback_server


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address that refuses connections: bound, so that nothing else takes it, but not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
