"""What all tests share: quiet libraries, and models that are built or fetched once."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import ragline.app
from ragline.config import settings as config
from ragline.config.environment import quiet_libraries
from ragline.connectors.embedders import open_embedder
from ragline.connectors.embedders.protocol import Embedder
from ragline.connectors.records.store import Records, open_records
from tests.http.postgres import empty_database
from tests.http.running import Running, start
from tests.models import smollm2

quiet_libraries()

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that start servers: they take longest, and must not be what one process does last."""
    items.sort(key=lambda item: "http" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later collection of garbage, which would take a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """A folder with SmolLM2 that outlives the session; the embedding model is built beside it at its first use."""
    return smollm2.folder()


@pytest.fixture(scope="session", autouse=True)
def embedders_stay_open() -> Iterator[None]:
    """Load each packaged embedder once for all installations of this process: a fresh one is ready after seconds."""
    kept: dict[tuple[str, Path], Embedder] = {}
    closes = []

    def key_of(settings: config.Embedder, folder: Path) -> tuple[str, Path]:
        return settings.model_dump_json(), folder.resolve()

    async def stay() -> None:
        pass

    async def opened(settings: config.Embedder, *, folder: Path) -> Embedder:
        if settings.kind != "packaged":
            return await open_embedder(settings, folder=folder)
        key = key_of(settings, folder)
        if key not in kept:
            kept[key] = embedder = await open_embedder(settings, folder=folder)
            closes.append(embedder.close)
            setattr(embedder, "close", stay)  # noqa: B010  # for mypy, methods cannot be assigned
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragline.app, "open_embedder", opened)
        yield
    for close in closes:
        asyncio.run(close())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("server"), models_folder)
    yield running
    running.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> config.Database:
    return empty_database(request.param)


@pytest.fixture
async def records(database: config.Database, tmp_path: Path) -> AsyncIterator[Records]:
    """Records without anything in them, on each kind of database."""
    opened = await open_records(database, data_dir=tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is made in the same second, whose end would otherwise come in between now and then."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


@pytest.fixture
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory and no variable that Ragline reads."""
    for name in list(os.environ):
        if name.upper().startswith("RAGLINE_") or name == "ENV":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address that refuses connections: bound, so that nothing else takes it, but not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
