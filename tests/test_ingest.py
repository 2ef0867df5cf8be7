"""Ingestion as the server does it, without Prefect: nothing twice, nothing lost when a service fails."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from ragline.app import App, open_app
from ragline.bootstrap import first_admin
from ragline.config.settings import Queue, Settings
from ragline.connectors.embedders.protocol import Embedder, Matrix
from ragline.connectors.embedders.remembered import Remembered
from ragline.connectors.workers import Workers
from ragline.errors import Unavailable
from ragline.flows.runner import ingesting
from ragline.pipelines.accept import accept
from ragline.pipelines.ingest import Batch, ingest
from ragline.retrieval.search import search
from ragline.types import Claim, FileRecord, Scope, Status, User

R = TypeVar("R")

TEXT = "# Pump\n\nThe Zephyr pump has a warranty of 27 months.\n"


class Watching(Remembered):
    """An embedder that counts what it embeds and fails as often as it is told."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__(embedder)
        self.embedded: list[str] = []
        self.errors: list[Exception] = []

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        if self.errors:
            raise self.errors.pop(0)
        self.embedded += texts
        return await super().embed_passages(texts)


class Here(Workers):
    """Reads files in a thread: to start a process takes longer than most tests here."""

    async def run(self, function: Callable[..., R], *args: object, timeout_s: float, **kwargs: object) -> R:
        return await asyncio.to_thread(function, *args, **kwargs)


@asynccontextmanager
async def opened(tmp_path: Path, models_folder: Path, **queue: float) -> AsyncIterator[tuple[App, User, Watching]]:
    """Open an installation whose embedder is watched; `queue` are settings of that section."""
    if not (tmp_path / "models").exists():
        (tmp_path / "models").symlink_to(models_folder)
    async with open_app(Settings(data_dir=tmp_path, queue=Queue.model_validate(queue))) as app:
        embedder = Watching(app.embedder)
        admin, _ = await first_admin(app.records, app.settings.auth)
        yield replace(app, embedder=embedder, workers=Here(app.settings.parsing)), admin, embedder


async def put(app: App, user: User, name: str, text: str) -> FileRecord:
    return await accept(app, user, name=name, content=io.BytesIO(text.encode()), metadata={})


async def finished(app: App, file: FileRecord) -> FileRecord:
    async with asyncio.timeout(60):
        while file.status not in (Status.COMPLETED, Status.FAILED):
            await asyncio.sleep(0.02)
            file = await app.records.files.get(file.id)
    return file


async def taken(app: App) -> Claim:
    claim = await app.records.queue.claim("test", lane="small", small_bytes=1 << 20, limit=10, max_bytes=1 << 20)
    assert claim is not None
    return claim


async def found(app: App, question: str, *files: FileRecord) -> list[str]:
    hits = await search(app, question, Scope(file_ids=frozenset(file.id for file in files)))
    return [hit.passage.file_id for hit in hits]


async def test_the_same_text_is_embedded_once_and_found_in_both_files(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, embedder), ingesting(app):
        one, two = await put(app, admin, "a.md", TEXT), await put(app, admin, "a.md", TEXT)
        assert {(await finished(app, file)).status for file in (one, two)} == {Status.COMPLETED}
        assert len(embedder.embedded) == 1
        assert sorted(await found(app, "warranty", one, two)) == sorted([one.id, two.id])


async def test_ingesting_again_leaves_one_set_of_passages(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, embedder):
        file = await put(app, admin, "a.md", TEXT)
        for _ in range(2):
            await ingest(app, Batch(await taken(app)))
            await app.records.queue.again(file.id)
        assert await app.vectors.count() == 1
        assert len(embedder.embedded) == 1


async def test_a_service_that_fails_puts_the_files_back_in_the_queue(
    tmp_path: Path, models_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path, models_folder, retry_s=0.01) as (app, admin, embedder):
        embedder.errors = [Unavailable("the embedding server sleeps"), Unavailable("and sleeps")]
        async with ingesting(app):
            file = await finished(app, await put(app, admin, "a.md", TEXT))
            assert (file.status, file.error) == (Status.COMPLETED, None)
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "ingestion waits: the embedding server sleeps",
        "ingestion waits: and sleeps",
    ]


async def test_a_fault_of_ours_fails_the_file_without_telling_of_the_inside(
    tmp_path: Path, models_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, embedder):
        embedder.errors = [ZeroDivisionError("secret detail")]
        async with ingesting(app):
            file = await finished(app, await put(app, admin, "a.md", TEXT))
            assert file.status is Status.FAILED
            assert "secret" not in str(file.error)
            after = await finished(app, await put(app, admin, "b.md", TEXT))
            assert after.status is Status.COMPLETED
    assert "secret detail" in caplog.text


async def test_a_file_that_cannot_be_read_fails_alone(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _):
        broken = await accept(app, admin, name="b.pdf", content=io.BytesIO(b"%PDF-1.7 no"), metadata={})
        good = await put(app, admin, "a.md", TEXT)
        batch = Batch(await taken(app))
        await ingest(app, batch)
        assert [job.file.id for job in batch.failed] == [broken.id]
        assert (await app.records.files.get(broken.id)).error == batch.failed[0].error
        assert await found(app, "warranty", broken, good) == [good.id]


async def test_files_in_hand_wait_again_when_the_process_stops(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _):
        file = await put(app, admin, "a.md", TEXT)
        async with ingesting(app):
            while (await app.records.files.get(file.id)).status is Status.PENDING:  # noqa: ASYNC110  # no event there
                await asyncio.sleep(0.001)
        assert (await app.records.files.get(file.id)).status in (Status.PENDING, Status.COMPLETED)
        async with ingesting(app):
            assert (await finished(app, file)).status is Status.COMPLETED
        assert await found(app, "warranty", file) == [file.id]


async def test_the_llama_index_retriever_finds_what_was_ingested(tmp_path: Path, models_folder: Path) -> None:
    from ragline.llama_index import RaglineRetriever
    from ragline.retriever import Retriever
    from ragline.session import Ragline

    async with opened(tmp_path, models_folder) as (app, admin, _), ingesting(app):
        file = await finished(app, await put(app, admin, "a.md", TEXT))
        retriever = RaglineRetriever(Retriever(Ragline(app, admin), files=[file]))
        [node] = await retriever.aretrieve("How long is the warranty?")
        assert "27 months" in node.node.get_content()
        assert node.node.metadata["heading"] == "Pump"
