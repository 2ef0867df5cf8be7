"""A client of the shared server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from .running import Running


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened
