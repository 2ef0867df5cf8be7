"""A batch of waiting files becomes searchable passages: parse, chunk, embed, index, each stage for the whole batch.

A stage drops the files that fail in it and notes why; the others go on. Every stage may be repeated.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import App
from ragline.config.settings import Chunking, Parsing
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.sealed import unseal
from ragline.errors import Damaged, ParseFailed, RaglineError
from ragline.pipelines.choices import of_files
from ragline.pipelines.chunking.embedded import passages_of
from ragline.pipelines.embed import embed_once
from ragline.pipelines.index import index_file
from ragline.pipelines.parse import document_text
from ragline.pipelines.parse_types import TEXT
from ragline.pipelines.read import read_document
from ragline.pipelines.reading import Options
from ragline.types import Chunk, Claim, FileRecord, Json, Parsed, Stage

log = logging.getLogger(__name__)

FAULT = "an internal error; the server's log has its traceback"
SHOW_S = 0.5
"""How often the progress of embedding is written down."""
EMBED_FROM, EMBED_TO = 0.4, 0.9
"""The part of a file's progress that embedding is."""


@dataclass(slots=True)
class Job:
    """One file on its way to a new `version`. `seconds` is the time it took, of shared work its part by passages.

    `name` is what is embedded with each passage. `lost`: the lease has gone, by cancellation or deletion, and the rest
    of the work is for nothing. `exempt`: what it does now has a limit of its own and may be waiting for others;
    `exempt_s` are the seconds spent so.
    """

    file: FileRecord
    version: str = field(default_factory=lambda: uuid.uuid4().hex)
    name: str = ""
    parsing: Parsing = field(default_factory=Parsing)
    chunking: Chunking = field(default_factory=Chunking)
    parsed: Parsed | None = None
    text: str = ""
    chunks: list[Chunk] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    vectors: list[Matrix] = field(default_factory=list)
    error: str | None = None
    lost: bool = False
    seconds: float = 0.0
    exempt: bool = False
    exempt_s: float = 0.0
    step: asyncio.Task[None] | None = None
    step_started: float = 0.0

    @property
    def document(self) -> dict[str, Json]:
        """What is noted of the document beside its passages."""
        if self.parsed is None:
            return {}
        return {"about": dict(self.parsed.about), "notes": list(self.parsed.notes)}

    @property
    def alive(self) -> bool:
        return self.error is None and not self.lost

    def drop(self) -> None:
        """End the work on this file: the lease is lost."""
        self.lost = True
        if self.step is not None:
            self.step.cancel()

    def took(self) -> float:
        """Return the seconds so far, the step under way included."""
        return self.seconds + (time.monotonic() - self.step_started if self.step is not None else 0.0)


class Batch:
    """The files of one run, under one lease. `done` counts the stages behind it; `error` is what stopped it, if any."""

    def __init__(self, claim: Claim) -> None:
        self.lease = claim.lease
        self.jobs = [Job(file) for file in claim.files]
        self.flow_run_id: str | None = None
        self.done = 0
        self.error: BaseException | None = None

    @property
    def live(self) -> list[Job]:
        """The jobs that have not failed and whose work is still wanted."""
        return [job for job in self.jobs if job.alive]

    @property
    def failed(self) -> list[Job]:
        return [job for job in self.jobs if job.error is not None]


async def parse_batch(app: App, batch: Batch) -> None:
    """Read each file in a worker process, by the options of the collection that it was put into first."""
    chosen = await of_files(app, [job.file.id for job in batch.live])
    for job in batch.live:
        job.parsing, job.chunking = chosen[job.file.id]
    await each(app, batch, "parse", 0.05, parse_one)


async def chunk_batch(app: App, batch: Batch) -> None:
    """Cut each document into passages."""
    names = await app.records.files.first_names([job.file for job in batch.live])
    for job in batch.live:  # the same bytes under another name are embedded once
        job.name = names.get((job.file.user_id, job.file.sha256), job.file.filename)
    await each(app, batch, "chunk", 0.3, chunk_one)
    needed = {(job.file.id, job.version): job.texts for job in batch.live}
    await app.records.embeddings.claim(app.embedder.model_id, needed)


async def embed_batch(app: App, batch: Batch) -> None:
    """Embed the passages of all files together, each distinct text once, none that was embedded before."""
    await note(app, batch, "embed", {job.file.id: EMBED_FROM for job in batch.live})
    wanted: dict[str, int] = {}
    vectors: dict[str, Matrix] = {}
    alive: list[Job] = []
    shown = time.monotonic()

    def is_wanted(text: str) -> bool:
        nonlocal alive, wanted
        if alive != batch.live:
            alive = batch.live
            wanted = {text: len(job.texts) for job in alive for text in job.texts}
        return text in wanted

    started = time.monotonic()
    texts = [text for job in batch.live for text in job.texts]
    async for part in embed_once(app, texts, wanted=is_wanted):
        vectors |= part
        now = time.monotonic()
        for job in batch.live:
            job.seconds += (now - started) * len(job.texts) / max(1, len(texts))
        started = now
        if now - shown > SHOW_S:
            shown = now
            await show_progress(app, batch, vectors)
    for job in batch.live:
        job.vectors = [vectors[text] for text in job.texts]


async def index_batch(app: App, batch: Batch) -> None:
    """Store the passages; a file is `completed` when all of them can be found."""
    await each(app, batch, "index", EMBED_TO, index_one)


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


async def parse_one(app: App, batch: Batch, job: Job) -> None:
    file = job.file
    content_type = TEXT if file.edited else file.content_type
    options = Options.of(job.parsing, password=password_of(app, file))
    async with app.blobs.as_path(file.edited or file.blob) as path:
        for last in (False, True):
            try:
                job.parsed = await read_document(
                    app.workers, job.parsing, path, file.filename, content_type, options=options
                )
                return
            except Damaged:  # or the process was: it is replaced
                if last:
                    raise


def password_of(app: App, file: FileRecord) -> str | None:
    """Return what opens the document, if anything was given. Raises ParseFailed where it cannot be unsealed."""
    if file.password is None or file.edited:
        return None
    try:
        return unseal(app.settings, file.id, file.password)
    except ParseFailed as error:
        raise ParseFailed(f"{file.filename!r} {error}") from error


async def chunk_one(app: App, batch: Batch, job: Job) -> None:
    if job.chunks:
        return  # done before
    assert job.parsed is not None  # the stage before
    elements = job.parsed.elements
    job.text, _ = document_text(elements)
    job.chunks, job.texts = await asyncio.to_thread(
        passages_of, elements, job.name, settings=job.chunking, embedder=app.embedder
    )
    job.parsed = replace(job.parsed, elements=())
    if not job.chunks:
        raise ParseFailed(f"{job.file.filename!r} has no text")


async def index_one(app: App, batch: Batch, job: Job) -> None:
    stored = await index_file(
        app,
        job.file,
        version=job.version,
        lease=batch.lease,
        text=job.text,
        chunks=job.chunks,
        vectors=job.vectors,
        document=job.document,
    )
    if not stored:
        job.lost = True
        return
    log.info("ingested file=%s chunks=%d seconds=%.2f", job.file.id, len(job.chunks), job.took())


async def each(
    app: App, batch: Batch, stage: Stage, progress: float, step: Callable[[App, Batch, Job], Awaitable[None]]
) -> None:
    """Run one step on all living jobs at once. A file that cannot be read fails alone; what may pass is raised."""

    async def run(job: Job) -> None:
        job.step, job.step_started, job.exempt = asyncio.current_task(), time.monotonic(), stage == "parse"
        try:
            await step(app, batch, job)
        except asyncio.CancelledError:
            if job.alive:
                raise  # it is not this file but all of us
        except (RaglineError, SQLAlchemyError) as error:
            if job.alive and (isinstance(error, SQLAlchemyError) or error.retryable):
                raise
            job.error = job.error or str(error)
            log.info("failed file=%s stage=%s reason=%s", job.file.id, stage, job.error)
        except Exception:  # the edge of one file: a fault of ours must not cost the others
            job.error = FAULT
            log.exception("a fault file=%s stage=%s", job.file.id, stage)
        finally:
            if job.exempt:
                job.exempt_s += time.monotonic() - job.step_started
            job.seconds, job.step, job.exempt = job.took(), None, False
        if job.error is not None and not job.lost:
            await app.records.queue.fail(job.file.id, batch.lease, job.error)

    await note(app, batch, stage, {job.file.id: progress for job in batch.live})
    async with asyncio.TaskGroup() as group:
        for job in batch.live:
            group.create_task(run(job))


async def note(app: App, batch: Batch, stage: Stage, progress: Mapping[str, float]) -> None:
    """Write down how far files are, by id, and find those whose lease is lost."""
    held = await app.records.queue.advance(batch.lease, stage, progress, flow_run_id=batch.flow_run_id)
    for job in batch.live:
        job.lost = job.lost or (job.file.id in progress and job.file.id not in held)


async def show_progress(app: App, batch: Batch, vectors: Mapping[str, Matrix]) -> None:
    """Write down how far the embedding of each file is."""

    def done(job: Job) -> float:
        return sum(text in vectors for text in job.texts) / len(job.texts)

    levels = {job.file.id: round(EMBED_FROM + (EMBED_TO - EMBED_FROM) * done(job), 3) for job in batch.live}
    await note(app, batch, "embed", levels)
