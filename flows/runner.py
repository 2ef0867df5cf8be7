"""Takes waiting files from the records, batch by batch, and reports each batch to Prefect as a run of `ingest`."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import App
from ragline.errors import RaglineError, Unavailable
from ragline.flows.prefect_server import PrefectServer
from ragline.pipelines.ingest import FAULT, Batch, ingest

log = logging.getLogger(__name__)

BATCH_FILES = 32
BATCH_BYTES = 16 << 20
LOOK_S = 5.0
"""How often the queue is looked at without being told; expired leases show up this way."""
HEARTBEAT_S = 15.0
PREFECT_START_S = 45.0
"""How long the first batch waits for a Prefect server that is starting."""
PREFECT_ANSWER_S = 5.0
"""How long it waits for one that should be there."""
CLOSE_S = 1.0
"""How long the end waits for Prefect to take the last lines of its log."""
RETRY_S = 5.0
"""Pause after a service failed, before its files are tried again."""


@asynccontextmanager
async def ingesting(app: App, prefect: PrefectServer | None) -> AsyncIterator[None]:
    """Ingest what waits, in the background, for the length of the block; then files in hand go back to the queue."""
    owner = f"{socket.gethostname()}:{app.settings.data_dir.resolve()}"
    released = await app.records.files.release(owner)
    if released:
        log.info("back in the queue after an interrupted run: %d files", released)
    watched = Watched(prefect) if prefect else None
    worker = asyncio.create_task(work(app, watched, owner), name="ingestion")
    try:
        yield
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
        await app.records.files.release(owner)
        if watched:
            await watched.close()


async def work(app: App, watched: Watched | None, owner: str) -> None:
    """Claim and ingest for ever. An error is logged with its traceback and its files are tried again."""
    while True:
        app.uploaded.clear()
        try:
            files = await app.records.files.claim(owner, limit=BATCH_FILES, max_bytes=BATCH_BYTES)
            if files:
                await run_batch(app, Batch(files), watched, owner)
                continue
        except RaglineError as error:
            log.warning("ingestion waits: %s", error)
            await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))
            continue
        except Exception:  # the edge of the loop: it must not end
            log.exception("ingestion failed")
            await asyncio.sleep(RETRY_S)
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await app.uploaded.wait()


async def run_batch(app: App, batch: Batch, watched: Watched | None, owner: str) -> None:
    """Run one batch under a heartbeat. Files of a batch that a service stopped go back to the queue."""
    heartbeat = asyncio.create_task(beat(app, owner))
    try:
        if watched and await watched.ready():
            await watched.run(app, batch)
        if batch.error is None:
            await ingest(app, batch)
    except Exception:
        if batch.error is None:
            raise
    finally:
        heartbeat.cancel()
    await settle(app, batch, owner)


async def settle(app: App, batch: Batch, owner: str) -> None:
    """After an error: what can pass goes back to the queue; a fault of ours fails the file that has it."""
    if batch.error is None:
        return
    errors = batch.error.exceptions if isinstance(batch.error, BaseExceptionGroup) else (batch.error,)
    if all(isinstance(error, SQLAlchemyError) or getattr(error, "retryable", False) for error in errors):
        await app.records.files.release(owner)
        raise Unavailable(str(errors[0]))
    log.error("a fault in ingestion", exc_info=batch.error)
    jobs = batch.live
    for job in jobs:
        if len(jobs) > 1:  # alone, so that the others get through
            await run_batch(app, Batch([job.file]), None, owner)
        else:
            await app.records.files.fail(job.file.id, FAULT)


async def beat(app: App, owner: str) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        await app.records.files.renew(owner)


class Watched:
    """Runs batches as Prefect flow runs as long as Prefect answers; says so once when it does not."""

    def __init__(self, prefect: PrefectServer) -> None:
        self._prefect = prefect
        self._patience_s = PREFECT_START_S if prefect.is_child else PREFECT_ANSWER_S
        self._silent = False

    async def ready(self) -> bool:
        answers = (
            await self._prefect.wait(limit_s=self._patience_s) if self._patience_s else await self._prefect.answers()
        )
        if answers and self._patience_s:
            await self._first_contact()
        self._patience_s = 0.0
        if answers == self._silent:
            self._silent = not answers
            if self._silent:
                log.warning("Prefect does not answer at %s: ingesting without it", self._prefect.api_url)
            else:
                log.info("Prefect answers again at %s", self._prefect.api_url)
        return answers

    async def run(self, app: App, batch: Batch) -> None:
        """Run the batch as a flow. Where Prefect itself fails, the rest of the batch is left to the caller."""
        from prefect.settings import PREFECT_API_URL, temporary_settings

        from ragline.flows.ingest import current, ingest_flow

        names = [job.file.filename for job in batch.jobs]
        title = names[0] if len(names) == 1 else f"{len(names)} files"
        token = current.set((app, batch))
        try:
            with temporary_settings({PREFECT_API_URL: self._prefect.api_url}):
                await ingest_flow(title, [job.file.id for job in batch.jobs], return_state=True)
        except Exception:  # Prefect's own trouble must not cost a file
            if batch.error is None:
                log.warning("Prefect failed in a run: going on without it", exc_info=True)
        finally:
            current.reset(token)

    async def close(self) -> None:
        """Let Prefect's log of the runs be written, as far as that is possible at once."""
        if "prefect.logging.handlers" not in sys.modules:
            return  # no batch was run
        from prefect.logging.handlers import APILogHandler

        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await APILogHandler.aflush()

    async def _first_contact(self) -> None:
        from ragline.flows.reaper import close_dead_runs

        closed = await close_dead_runs(self._prefect.api_url)
        if closed:
            log.info("closed in Prefect: %d runs of an ended server", closed)
