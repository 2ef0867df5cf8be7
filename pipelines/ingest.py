"""A batch of waiting files becomes searchable passages: parse, chunk, embed, index, each stage for the whole batch.

A stage drops the files that fail in it and notes why; the others go on. Every stage may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import App
from ragline.connectors.embedders.protocol import Matrix
from ragline.errors import ParseFailed, RaglineError
from ragline.pipelines.chunk import chunk, text_to_embed
from ragline.pipelines.embed import embed_once
from ragline.pipelines.index import index_file
from ragline.pipelines.parse import document_text, parse
from ragline.types import Chunk, Element, FileRecord, Stage

log = logging.getLogger(__name__)

FAULT = "an internal error; the server's log has its traceback"


@dataclass(slots=True)
class Job:
    """One file on its way. `seconds` is the wall time it took, of shared work its part by number of passages."""

    file: FileRecord
    elements: list[Element] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    vectors: list[Matrix] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0


class Batch:
    """The files of one run. `done` counts the stages behind it; `error` is what stopped it, if anything did."""

    def __init__(self, files: Sequence[FileRecord]) -> None:
        self.jobs = [Job(file) for file in files]
        self.flow_run_id: str | None = None
        self.done = 0
        self.error: BaseException | None = None

    @property
    def live(self) -> list[Job]:
        """The jobs that have not failed."""
        return [job for job in self.jobs if job.error is None]

    @property
    def failed(self) -> list[Job]:
        return [job for job in self.jobs if job.error is not None]


async def parse_batch(app: App, batch: Batch) -> None:
    """Read each file in a worker process."""
    await each(app, batch, "parse", 0.05, parse_one)


async def chunk_batch(app: App, batch: Batch) -> None:
    """Cut each document into passages and keep its extracted text."""
    await each(app, batch, "chunk", 0.4, chunk_one)


async def embed_batch(app: App, batch: Batch) -> None:
    """Embed the passages of all files together, each distinct text once, none that was embedded before."""
    jobs = batch.live
    for job in jobs:
        await app.records.files.advance(job.file.id, "embed", 0.5)
    texts = [text_to_embed(passage, job.file.filename) for job in jobs for passage in job.chunks]
    started = time.monotonic()
    vectors = iter(await embed_once(app, texts))
    seconds = time.monotonic() - started
    for job in jobs:
        job.vectors = [next(vectors) for _ in job.chunks]
        job.seconds += seconds * len(job.chunks) / len(texts)


async def index_batch(app: App, batch: Batch) -> None:
    """Store the passages; a file is `completed` when all of them can be found."""
    await each(app, batch, "index", 0.9, index_one)


STAGES: Sequence[Callable[[App, Batch], Awaitable[None]]] = (parse_batch, chunk_batch, embed_batch, index_batch)


async def ingest(app: App, batch: Batch, *, run: Callable[[int], Awaitable[None]] | None = None) -> None:
    """Take claimed files through the stages that are still before them.

    Errors of one file end in its record, errors of a service in `batch.error`. `run` runs a stage by its number where
    somebody watches (a Prefect task); without it they simply run.
    """
    while batch.done < len(STAGES) and batch.error is None:
        await (run(batch.done) if run else run_stage(app, batch, batch.done))


async def run_stage(app: App, batch: Batch, number: int) -> None:
    """Run one stage and note that it is done, or what stopped it."""
    try:
        await STAGES[number](app, batch)
    except Exception as error:
        batch.error = error
        raise
    batch.done = number + 1


async def parse_one(app: App, job: Job) -> None:
    limits = app.settings.parsing
    with app.blobs.as_path(blob_key(job.file.id)) as path:
        job.elements = await app.workers.run(
            parse,
            path,
            job.file.filename,
            job.file.content_type,
            max_chars=limits.max_text_chars,
            timeout_s=limits.time_limit_s,
        )


async def chunk_one(app: App, job: Job) -> None:
    text, _ = document_text(job.elements)
    job.chunks = await asyncio.to_thread(
        chunk, job.elements, settings=app.settings.chunking, count_tokens=app.embedder.count_tokens
    )
    if not job.chunks:
        raise ParseFailed(f"{job.file.filename!r} has no text")
    await keep_text(app, job.file.id, text)


async def index_one(app: App, job: Job) -> None:
    await index_file(app, job.file, job.chunks, job.vectors)
    await app.records.files.complete(job.file.id, chunk_count=len(job.chunks))
    log.info("ingested file=%s chunks=%d seconds=%.2f", job.file.id, len(job.chunks), job.seconds)


async def each(
    app: App, batch: Batch, stage: Stage, progress: float, step: Callable[[App, Job], Awaitable[None]]
) -> None:
    """Run one step on all living jobs at once. A file that cannot be read fails alone; what may pass is raised."""

    async def run(job: Job) -> None:
        started = time.monotonic()
        await app.records.files.advance(job.file.id, stage, progress, flow_run_id=batch.flow_run_id)
        try:
            await step(app, job)
        except (RaglineError, SQLAlchemyError) as error:
            if isinstance(error, SQLAlchemyError) or error.retryable:
                raise
            job.error = str(error)
            log.info("failed file=%s stage=%s reason=%s", job.file.id, stage, job.error)
        except Exception:  # the edge of one file: a fault of ours must not cost the others
            job.error = FAULT
            log.exception("a fault file=%s stage=%s", job.file.id, stage)
        if job.error is not None:
            await app.records.files.fail(job.file.id, job.error)
        job.seconds += time.monotonic() - started

    async with asyncio.TaskGroup() as group:
        for job in batch.live:
            group.create_task(run(job))


def blob_key(file_id: str) -> str:
    """Where the bytes of a file lie."""
    return f"files/{file_id}"


def text_key(file_id: str) -> str:
    """Where the extracted text of a file lies, UTF-8; offsets of passages are in its characters."""
    return f"texts/{file_id}"


async def keep_text(app: App, file_id: str, text: str) -> None:
    import io

    await app.blobs.put(text_key(file_id), io.BytesIO(text.encode("utf-8", "surrogatepass")))
