"""A client of the shared server, and an end for servers that a failed test left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .calling import serving_calls
from .running import Running, started


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture(autouse=True)
def end_of_servers() -> Iterator[None]:
    """Kill the servers that the test itself started and, having failed, did not end."""
    before = len(started)
    yield
    for running in started[before:]:
        if running.process.poll() is None:
            running.kill()


@pytest.fixture(scope="session")
def calling(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[Running]:
    """A server whose only model calls tools."""
    with serving_calls(tmp_path_factory.mktemp("calling"), models_folder) as running:
        yield running
