"""All passages come under the present embedding model and the present analysis of words; no document is read again.

What answers goes on to answer until the new passages are complete: which of them count is written down last. Every step
may be repeated, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from ragline.app import App, open_app, open_stores
from ragline.config.settings import Settings
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.made import making, origin
from ragline.connectors.records.facts import MOVING, Made
from ragline.connectors.vectors import open_vectors
from ragline.connectors.vectors.bm25 import passage_vector
from ragline.connectors.vectors.protocol import Census, Label, VectorStore
from ragline.connectors.vectors.stores import drop
from ragline.errors import Unavailable
from ragline.pipelines.choices import of_files
from ragline.pipelines.chunking.embedded import text_to_embed, texts_of
from ragline.pipelines.embed import embed_once
from ragline.pipelines.index import STAGE_SIZE, stage
from ragline.types import Chunk, FileRecord, Passage, SparseVector

log = logging.getLogger(__name__)

PAGE_FILES = 200
BATCH_PASSAGES = 256
"""Passages embedded together, of as many files as have them, and of one file at least."""
MOST_ROUNDS = 5
"""Looks for files that came meanwhile, beside a Qdrant server that other processes use."""


@dataclass(slots=True)
class Progress:
    """How far it is: files of `total`, and passages. `again`: files that were not there whole and are read again.

    `looked_up` counts the texts whose vectors are there: of passages that are to be stored next, too. `show` is called
    with it wherever it changes.
    """

    show: Callable[[Progress], None]
    total: int = 0
    files: int = 0
    passages: int = 0
    looked_up: int = 0
    again: dict[str, str | None] = field(default_factory=dict)

    def add(self, files: int, passages: int) -> None:
        self.files += files
        self.passages += passages
        self.show(self)


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What was done. `before` is None where nothing was stored; `kept` are old stores that stay, `dropped` do not."""

    before: Made | None
    now: Made
    progress: Progress
    kept: Sequence[Made]
    dropped: Sequence[Made]


async def reindex(settings: Settings, *, drop_old: bool, show: Callable[[Progress], None]) -> Reindexed:
    """Move all passages to the model of the settings, with their words analysed as these settings say.

    `drop_old`: what answers no more is deleted in the end, with the vectors that are remembered for it. Raises
    SetupError where another process has the passages, and what embedders and stores raise; then the old ones answer.
    """
    progress = Progress(show)
    async with opened(settings) as (app, before, old):
        facts = app.records.facts
        now = making(settings, app.embedder)
        progress.total = await facts.answering()
        if before is not None and old is not None:
            await move_all(app, old, before, now, progress)
        elif before is not None and before != now:
            await reweigh_all(app, progress)
        left = [each for each in await facts.old() if each.store != now.store]
        if before is not None and old is not None:
            left = [*(each for each in left if each.store != before.store), before]
        await facts.keep_old(left)
        await facts.remember(now)
        await facts.drop(MOVING)
    if not drop_old:
        return Reindexed(before, now, progress, left, ())
    await drop_all(settings, left)
    return Reindexed(before, now, progress, (), left)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[App, Made | None, VectorStore | None]]:
    """Give the installation, what its passages were made with, and their store where it is not the present one."""
    folder = settings.data_dir.resolve() / "vectors"
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(open_app(settings, moving=True))
        now = making(settings, app.embedder)
        before = None
        if await app.records.facts.answering():
            before = await origin(settings, app.records, now, folder=folder, opened=app.vectors)
        if before is None or before.store == now.store:
            yield app, before, None
            return
        old = await open_vectors(
            settings.vectors, folder=folder, model_id=before.model_id, dimension=before.dimension, name=before.store
        )
        stack.push_async_callback(old.close)
        yield app, before, old


async def move_all(app: App, old: VectorStore, before: Made, now: Made, progress: Progress) -> None:
    """Embed what the old store holds of all files that answer, until the new one holds all of it.

    What a run before this one left in the new store counts where it was the same move; else it goes first.
    """
    if await app.records.facts.moving() != (before, now):
        await app.vectors.delete_files(list((await app.vectors.census()).files))
        await app.records.facts.start_moving(before, now)
    for _ in range(MOST_ROUNDS):
        census = await app.vectors.census()
        progress.files = progress.passages = 0
        gone = set(census.files)
        moved = 0
        async for page in app.records.files.all_pages(PAGE_FILES):
            gone -= {file.id for file in page if file.version}
            missing = await incomplete(app, page, census, progress)
            moved += len(missing)
            await move(app, old, missing, progress)
        await app.vectors.delete_files(list(gone))
        if not moved:
            return
    raise Unavailable("files go on coming while the passages are moved: stop the other servers, and run it again")


async def incomplete(app: App, page: Sequence[FileRecord], census: Census, progress: Progress) -> list[FileRecord]:
    """Return the files that answer and are not in the new store whole; the others are brought in line."""
    missing = []
    for file in page:
        if file.version is None or progress.again.get(file.id) == file.version:
            continue
        versions = census.files.get(file.id, {})
        if versions.keys() - {file.version}:  # it was ingested again since a run before this one
            await app.vectors.drop_stale(file.id, keep=file.version)
        held = versions.get(file.version)
        if held is None or not held.points == held.published == file.chunk_count:
            missing.append(file)
            continue
        progress.add(1, file.chunk_count)
        collections = await app.records.collections.of_file(file.id)
        if held.labels != {Label(file.filename, tuple(sorted(collections)))}:
            await app.vectors.relabel(file.id, name=file.filename, collection_ids=collections)
    return missing


async def move(app: App, old: VectorStore, files: Sequence[FileRecord], progress: Progress) -> None:
    """Move files in batches of BATCH_PASSAGES; those that the old store has not whole are marked to be read again."""
    batch: list[tuple[FileRecord, list[Chunk]]] = []
    for file in files:
        passages = await old.passages(file.id, version=file.version or "")
        if len(passages) != file.chunk_count or not passages:
            await read_again(app, file, progress)
            continue
        batch.append((file, [passage.chunk for passage in passages]))
        if sum(len(chunks) for _, chunks in batch) >= BATCH_PASSAGES:
            await move_batch(app, batch, progress)
            batch = []
    await move_batch(app, batch, progress)


async def move_batch(app: App, batch: Sequence[tuple[FileRecord, list[Chunk]]], progress: Progress) -> None:
    """Embed the passages of files, each distinct text once, and store them under the version that they have."""
    files = [file for file, _ in batch]
    names = await app.records.files.first_names(files)
    chosen = await of_files(app, [file.id for file in files])
    texts: dict[str, list[str]] = {}
    for file, chunks in batch:
        name = names.get((file.user_id, file.sha256), file.filename)
        _, chunking = chosen[file.id]
        texts[file.id] = await asyncio.to_thread(texts_of, chunks, name, settings=chunking, embedder=app.embedder)
    needed = {(file.id, file.version or ""): texts[file.id] for file in files}
    await app.records.embeddings.claim(app.embedder.model_id, needed)
    vectors: dict[str, Matrix] = {}
    async for part in embed_once(app, [text for some in texts.values() for text in some]):
        vectors |= part
        progress.looked_up += len(part)
        progress.show(progress)
    for file, chunks in batch:
        version = file.version or ""
        await stage(app, file, version=version, chunks=chunks, vectors=[vectors[text] for text in texts[file.id]])
        stored = await app.vectors.publish(file.id, version=version)
        if stored != len(chunks):
            raise Unavailable(f"the vector store holds {stored} of {len(chunks)} passages of file {file.id!r}")
        progress.add(1, len(chunks))
        log.info("moved file=%s chunks=%d", file.id, len(chunks))


async def reweigh_all(app: App, progress: Progress) -> None:
    """Analyse the words of all passages anew, where they lie; nothing is embedded."""
    k1, b = app.settings.retrieval.bm25_k1, app.settings.retrieval.bm25_b

    def weighed(passages: Iterable[Passage]) -> dict[str, SparseVector]:
        return {
            each.id: passage_vector(text_to_embed(each.chunk, each.name), each.chunk.language, k1=k1, b=b)
            for each in passages
        }

    async for page in app.records.files.all_pages(PAGE_FILES):
        for file in page:
            if file.version is None:
                continue
            passages = await app.vectors.passages(file.id, version=file.version)
            if len(passages) != file.chunk_count or not passages:
                await read_again(app, file, progress)
                continue
            for start in range(0, len(passages), STAGE_SIZE):
                words = await asyncio.to_thread(weighed, passages[start : start + STAGE_SIZE])
                await app.vectors.reweigh(words)
            progress.add(1, len(passages))


async def read_again(app: App, file: FileRecord, progress: Progress) -> None:
    """Have a file read again whose passages are not there whole; one that somebody stopped is left alone."""
    progress.again[file.id] = file.version
    await app.records.queue.read_again([file.id])
    log.warning("the passages of file=%s are not stored whole: it is read again", file.id)


async def drop_all(settings: Settings, made: Sequence[Made]) -> None:
    """Delete old stores, and the vectors that are remembered for their models; nobody may have them open."""
    async with open_stores(settings) as stores:
        for each in made:
            await drop(settings.vectors, folder=settings.data_dir.resolve() / "vectors", name=each.store)
            if each.model_id:
                await stores.records.embeddings.drop_model(each.model_id)
        await stores.records.facts.keep_old([])
