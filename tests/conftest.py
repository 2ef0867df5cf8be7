"""What all tests share: quiet libraries, and models that are built or fetched once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragline.config.environment import quiet_libraries
from tests.http.running import Running, start

quiet_libraries()

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that outlives the session where RAGLINE_TEST_MODELS or the user's cache folder allows it."""
    named = os.environ.get("RAGLINE_TEST_MODELS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else cache / "ragline-tests" / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = tmp_path_factory.mktemp("models")
    return folder


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
