"""Takes waiting files from the queue, batch by batch, and reports each batch to Prefect as a run of `ingest`."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import App
from ragline.background import in_background
from ragline.connectors.records.changes import QUEUE
from ragline.connectors.records.outage import is_outage
from ragline.errors import RaglineError, Unavailable
from ragline.flows.watched import Watched
from ragline.pipelines.ingest import FAULT, Batch, ingest
from ragline.pipelines.tidy import keep_tidy
from ragline.types import Claim, Lane

log = logging.getLogger(__name__)

BATCH_FILES = 32
BATCH_BYTES = 4 << 20
LOOK_S = 5.0
"""How often the queue is looked at without being told; expired leases and due retries show up this way."""
GATHER_S = 0.05
"""How long a batch waits for other files that come at the same time."""
WATCH_S = 1.0
"""How often a batch looks whether its files are still wanted."""
HEARTBEAT_S = 15.0
MAX_PAUSE_S = 60.0
"""Longest pause of a lane while services fail."""
NO_RECORDS = "the records could not be read or written; the file is tried again"
LANES: Sequence[Lane] = ("small", "large")


@asynccontextmanager
async def ingesting(app: App, watched: Watched | None = None, *, owner: str | None = None) -> AsyncIterator[None]:
    """Ingest what waits, in the background, for the length of the block; then files in hand go back to the queue.

    `owner`: the name under which files are taken, of this process alone.
    """
    owner = owner or owner_of(app)
    released = await app.records.queue.release(owner, died=True)
    if released:
        log.info("back in the queue after an interrupted run: %d files", released)
    try:
        async with in_background(*(work(app, lane, owner, watched) for lane in LANES), upkeep(app)):
            yield
    finally:
        await app.records.queue.release(owner, died=False)
        if watched:
            await watched.close()


def owner_of(app: App) -> str:
    """Return the name under which this process takes files.

    The vectors in the data folder belong to one process at a time: what its forerunner had in hand can be taken back at
    once. Beside a Qdrant server there may be many: then leases of the dead run out.
    """
    host = socket.gethostname()
    if app.settings.vectors.url is None:
        return f"{host}:{app.settings.data_dir.resolve()}"[-200:]
    return f"{host}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


async def work(app: App, lane: Lane, owner: str, watched: Watched | None) -> None:
    """Claim and ingest for ever. An error is logged and its files are tried again."""
    failures = 0
    async with AsyncExitStack() as stack:
        told = stack.enter_context(app.records.changes.watching(QUEUE))
        if watched:
            await stack.enter_async_context(watched.lane())
        while True:
            told.clear()
            worked = False
            try:
                worked = await take(app, lane, owner, watched)
                failures = 0
            except Exception as error:  # noqa: BLE001  # the edge of the loop: it must not end
                failures += 1
                tell("ingestion", error)
            if failures:
                await asyncio.sleep(pause_s(app, failures, most_s=MAX_PAUSE_S))
                continue
            if not worked:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await told.wait()
            await asyncio.sleep(GATHER_S)


def tell(what: str, error: Exception) -> None:
    """Log an error: what passes is a line, a fault of ours has its traceback."""
    if isinstance(error, RaglineError) or is_outage(error):
        log.warning("%s waits: %s", what, getattr(error, "orig", error))
    else:
        log.error("%s failed", what, exc_info=error)


async def take(app: App, lane: Lane, owner: str, watched: Watched | None) -> bool:
    """Ingest one batch; False when nothing waits in this lane. Raises Unavailable when a service failed."""
    limits = app.settings.queue
    await app.records.queue.give_up(limits.max_attempts)
    claim = await app.records.queue.claim(
        owner, lane=lane, small_bytes=limits.small_file_bytes, limit=BATCH_FILES, max_bytes=BATCH_BYTES
    )
    if claim is None:
        return False
    await run_batch(app, Batch(claim), watched)
    return True


async def run_batch(app: App, batch: Batch, watched: Watched | None) -> None:
    """Run one batch under a heartbeat. Files that a service stopped go back to the queue."""
    heart = asyncio.create_task(keep_watch(app, batch), name="heartbeat")
    try:
        if watched and await watched.ready():
            await watched.run(app, batch)
        if batch.error is None:
            await ingest(app, batch)
    except Exception:
        if batch.error is None:
            raise
    finally:
        heart.cancel()
    await settle(app, batch)


async def settle(app: App, batch: Batch) -> None:
    """After an error: what can pass goes back to the queue; a fault of ours fails the file that has it."""
    if batch.error is None:
        return
    errors = batch.error.exceptions if isinstance(batch.error, BaseExceptionGroup) else (batch.error,)
    if all(isinstance(error, SQLAlchemyError) or getattr(error, "retryable", False) for error in errors):
        reason = str(errors[0]) if isinstance(errors[0], RaglineError) else NO_RECORDS
        for job in batch.live:
            pause = pause_s(app, job.file.attempts, most_s=app.settings.queue.max_retry_s)
            await app.records.queue.put_back(job.file.id, batch.lease, reason, pause_s=pause)
        raise Unavailable(reason)
    refused = isinstance(errors[0], RaglineError)
    log.error("a fault in ingestion", exc_info=None if refused else batch.error)
    jobs = batch.live
    if len(jobs) == 1:
        reason = str(errors[0]) if refused else FAULT
        await app.records.queue.fail(jobs[0].file.id, batch.lease, reason)
        return
    for number, job in enumerate(jobs):  # alone, so that the others get through
        try:
            await run_batch(app, Batch(Claim(batch.lease, [job.file])), None)
        except RaglineError as error:
            for waiting in jobs[number + 1 :]:
                await app.records.queue.put_back(waiting.file.id, batch.lease, str(error), pause_s=0.0)
            raise


def pause_s(app: App, times: int, *, most_s: float) -> float:
    """Return how long to wait after so many failures: twice as long each time, and never quite the same."""
    doubled: float = app.settings.queue.retry_s * 2.0 ** min(times - 1, 30)
    return min(most_s, doubled) * random.uniform(0.75, 1.25)


async def keep_watch(app: App, batch: Batch) -> None:
    """Renew the lease, and end the work on files that are cancelled, deleted or take too long."""
    renewed = time.monotonic()
    while True:
        await asyncio.sleep(WATCH_S)
        try:
            if time.monotonic() - renewed > HEARTBEAT_S:
                await app.records.queue.renew(batch.lease)
                renewed = time.monotonic()
            await stop_unwanted(app, batch)
        except SQLAlchemyError as error:
            log.warning("no heartbeat: %s", error)


async def stop_unwanted(app: App, batch: Batch) -> None:
    held = await app.records.queue.held(batch.lease)
    limit_s = app.settings.queue.time_limit_s
    for job in batch.live:
        if job.file.id not in held:
            job.drop()
        elif not job.exempt and job.took() - job.exempt_s > limit_s:
            reason = (
                f"{job.file.filename!r} took longer than {limit_s:g} s in all; split it or raise queue.time_limit_s"
            )
            # written down first: cut off in this call, the job is still alive and its batch goes on with it
            await app.records.queue.fail(job.file.id, batch.lease, reason)
            job.error = job.error or reason
            job.drop()


async def upkeep(app: App) -> None:
    """Bring what changed in line, and finish deletions that a crash cut short, for ever."""
    with app.records.changes.watching(QUEUE) as told:
        while True:
            told.clear()
            try:
                worked = await keep_tidy(app)
            except Exception as error:  # noqa: BLE001  # the edge of the loop: it must not end
                tell("upkeep", error)
                worked = 0
            if not worked:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await told.wait()
                await asyncio.sleep(GATHER_S)
