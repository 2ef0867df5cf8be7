"""A service goes away in the middle of an ingestion and comes back: nothing is lost, doubled or half there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from ragline.api.server import create_api
from ragline.app import App, open_app
from ragline.bootstrap import first_admin
from ragline.config.settings import Blobs, Database, Queue, Settings, Vectors
from ragline.connectors.embedders.protocol import Embedder, Matrix
from ragline.connectors.records import queue
from ragline.flows.runner import ingesting
from ragline.pipelines.audit import audit
from ragline.types import FileRecord, Status, User
from tests.gate import Gate, gate
from tests.http.postgres import empty_database, postgres
from tests.s3 import new_bucket, s3_server, use_s3
from tests.test_ingest import Watching, finished, found, put
from tests.vectors.qdrant_double import qdrant_double

AWAY_S = 2.0
FILES = {
    f"note-{number}.md": f"# Note {number}\n\nLa pompe {number} rend {number * 37} litres.\n" for number in range(6)
}


class Shuts(Watching):
    """An embedder that shuts a gate when it has first embedded passages, and opens it again AWAY_S later."""

    gate: Gate | None = None
    back: asyncio.Task[None] | None = None

    def __init__(self, embedder: Embedder) -> None:
        super().__init__(embedder)
        self.was_shut = asyncio.Event()

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        vectors = await super().embed_passages(texts)  # first: it may take longer than the gate is shut
        if self.gate is not None and self.back is None:
            await self.gate.shut()
            self.back = asyncio.create_task(self._open(self.gate))
            self.was_shut.set()
        return vectors

    async def _open(self, gate: Gate) -> None:
        await asyncio.sleep(AWAY_S)
        await gate.open()


@pytest.fixture
def database() -> Database:
    return empty_database("postgres")


@pytest.fixture
def qdrant_port() -> Iterator[int]:
    with qdrant_double() as url:
        yield urlsplit(url).port or 0


@pytest.fixture
def s3_port() -> Iterator[int]:
    with s3_server() as url:
        yield urlsplit(url).port or 0


@pytest.fixture
async def installation(
    tmp_path: Path,
    models_folder: Path,
    database: Database,
    qdrant_port: int,
    s3_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[App, User, Shuts, dict[str, Gate]]]:
    """An installation on PostgreSQL, S3 and Qdrant, each behind a gate."""
    (tmp_path / "models").symlink_to(models_folder)
    async with AsyncExitStack() as stack:
        ports = {"records": postgres().port, "bytes": s3_port, "vectors": qdrant_port}
        gates = {name: await stack.enter_async_context(gate(port)) for name, port in ports.items()}
        assert database.url is not None
        url = database.url.get_secret_value().replace(f":{postgres().port}/", f":{gates['records'].port}/")
        use_s3(monkeypatch, f"http://127.0.0.1:{gates['bytes'].port}")
        settings = Settings(
            data_dir=tmp_path,
            database=Database(url=SecretStr(url)),
            blobs=Blobs(url=f"s3://{await asyncio.to_thread(new_bucket)}"),
            vectors=Vectors(url=f"http://127.0.0.1:{gates['vectors'].port}"),
            queue=Queue(retry_s=0.1),
        )
        app = await stack.enter_async_context(open_app(settings))
        embedder = Shuts(app.embedder)
        admin, _ = await first_admin(app.records, app.settings.auth)
        yield replace(app, embedder=embedder), admin, embedder, gates


@pytest.mark.parametrize("part", ["records", "bytes", "vectors"])
async def test_what_was_in_hand_is_tried_again(
    installation: tuple[App, User, Shuts, dict[str, Gate]], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LEASE_S", AWAY_S)  # else it is a minute until a lease that could not be given back ends
    app, admin, embedder, gates = installation
    embedder.gate = gates[part]
    waiting = [await put(app, admin, name, text) for name, text in FILES.items()]
    async with ingesting(app):
        await embedder.was_shut.wait()
        assert embedder.back is not None
        await embedder.back
        done: list[FileRecord] = [await finished(app, file) for file in waiting]
    assert [(file.status, file.error) for file in done] == [(Status.COMPLETED, None)] * len(FILES)
    assert max(file.attempts for file in done) > 1
    for file in done:
        assert set(await found(app, "Que rend la pompe ?", file)) == {file.id}
    assert (await audit(app, repair=False, grace_s=0.0)).findings == ()
    twice = len(FILES) if part == "records" else 0  # what could not be written down is calculated again
    assert len(embedder.embedded) <= len(FILES) + twice


async def test_requests_are_told_to_come_again(installation: tuple[App, User, Shuts, dict[str, Gate]]) -> None:
    app, admin, _, gates = installation
    key, _ = await app.records.keys.add(admin.id, name="test")
    api = create_api(app, admin=admin)
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ragline", headers=headers) as client:
        assert (await client.get("/api/v1/files")).status_code == 200
        await gates["records"].shut()
        for path in ("/api/v1/files", "/api/v1/knowledge", "/api/models"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (
                503,
                {"detail": "the database does not answer; try again soon"},
            )
            assert "Retry-After" in answer.headers
        await gates["records"].open()
        assert (await client.get("/api/v1/files")).status_code == 200
