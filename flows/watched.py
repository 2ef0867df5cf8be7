"""Runs batches as Prefect flow runs as long as Prefect answers, and without it while it does not."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

import httpx

from ragline.app import App
from ragline.flows.prefect_server import PrefectServer
from ragline.pipelines.ingest import Batch

if TYPE_CHECKING:
    from prefect.context import SettingsContext

log = logging.getLogger(__name__)

PREFECT_START_S = 15.0
"""How long the first batch waits for a Prefect server that is starting."""
PREFECT_ANSWER_S = 5.0
"""How long it waits for one that should be there."""
TRUST_S = 10.0
"""How long Prefect is taken to be there after it answered."""
RETRIES = 1
"""How often Prefect's client asks again, after 2 s or more: a dead server costs a run seconds, not minutes."""
CLOSE_S = 1.0
"""How long the end waits for Prefect to take the last lines of its log."""


def is_cancelled() -> bool:
    """Tell whether this task is to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


_clients: ContextVar[AsyncExitStack | None] = ContextVar("clients", default=None)


class Watched:
    """Runs batches as Prefect flow runs as long as Prefect answers; says so once when it does not."""

    def __init__(self, prefect: PrefectServer, *, alone: bool = True, signals_are_ours: bool = False) -> None:
        """`alone`: no other process ingests, so that runs found unfinished at the first contact are dead.

        `signals_are_ours`: this process ends in its own way; Prefect would answer SIGTERM by an exception in any line.
        """
        self._prefect = prefect
        self._alone = alone
        self._signals_are_ours = signals_are_ours
        self._asking = asyncio.Lock()
        self._answered_at = -math.inf
        self._settings: SettingsContext | None = None
        self._patience_s = PREFECT_START_S if prefect.is_child else PREFECT_ANSWER_S
        self._silent = False

    async def ready(self) -> bool:
        """Tell whether Prefect answers; the first time, wait for it."""
        async with self._asking:
            if time.monotonic() - self._answered_at < TRUST_S:
                return True
            answers = await self._ready()
            self._answered_at = time.monotonic() if answers else -math.inf
            return answers

    async def _ready(self) -> bool:
        answers = (
            await self._prefect.wait(limit_s=self._patience_s) if self._patience_s else await self._prefect.answers()
        )
        if answers and self._patience_s and self._alone:
            await self._first_contact()
        self._patience_s = 0.0
        if answers == self._silent:
            self._silent = not answers
            if self._silent:
                log.warning("Prefect does not answer at %s: ingesting without it", self._prefect.api_url)
            else:
                log.info("Prefect answers again at %s", self._prefect.api_url)
        return answers

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[None]:
        """Let the runs of this task share one client of Prefect: each new one reads all certificates, for 30 ms."""
        async with AsyncExitStack() as clients:
            _clients.set(clients)
            yield

    async def run(self, app: App, batch: Batch) -> None:
        """Run the batch as a flow. Where Prefect itself fails, the rest of the batch is left to the caller."""
        from ragline.flows.ingest import current, ingest_flow

        names = [job.file.filename for job in batch.jobs]
        title = names[0] if len(names) == 1 else f"{len(names)} files"
        token = current.set((app, batch))
        try:
            with self._pointing():
                await self._connect()
                await ingest_flow(title, [job.file.id for job in batch.jobs], return_state=True)
        except Exception as error:  # Prefect's own trouble must not cost a file
            if batch.error is None and not is_cancelled():
                lost = isinstance(error, httpx.TransportError)
                log.warning("Prefect failed in a run: going on without it: %r", error, exc_info=None if lost else error)
            self._answered_at = -math.inf
            await self._disconnect()
        finally:
            current.reset(token)
        if is_cancelled():  # Prefect may have put an error of its own, or a state, in the place of the cancellation
            raise asyncio.CancelledError

    def _pointing(self) -> AbstractContextManager[object]:
        """Let the runs within the block go to our server. The settings are built once: that takes a while."""
        from prefect.context import get_settings_context
        from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

        if self._settings is None:
            if self._signals_are_ours:
                import prefect.flow_engine

                setattr(prefect.flow_engine, "capture_sigterm", nullcontext)  # noqa: B010  # there is no setting for it
            quick = {PREFECT_API_URL: self._prefect.api_url, PREFECT_CLIENT_MAX_RETRIES: RETRIES}
            with temporary_settings(quick):
                self._settings = get_settings_context()
        return self._settings.model_copy()  # a context can be entered once

    async def _connect(self) -> None:
        from prefect.context import AsyncClientContext

        clients = _clients.get()
        if clients is not None and AsyncClientContext.get() is None:
            await clients.enter_async_context(AsyncClientContext())

    async def _disconnect(self) -> None:
        """Drop the client of this lane; the next run has a new one."""
        if (clients := _clients.get()) is not None:
            with suppress(Exception):
                await clients.aclose()

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
