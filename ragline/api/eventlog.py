"""Writes down who did what: queued in memory, written in batches, so that no request waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address

from fastapi.requests import HTTPConnection
from sqlalchemy.exc import SQLAlchemyError

from ragline.api.caller import Identity
from ragline.connectors.records.events import Event, Events
from ragline.connectors.records.outage import is_outage

log = logging.getLogger(__name__)

WRITE_S = 1.0
"""How long an event waits for others to be written with."""
FORGET_S = 3600.0
"""How often old events are deleted."""
DAY_S = 86_400.0
MOST_PATH_CHARS = 500
MOST_METHOD_CHARS = 8
MOST_WAITING = 10_000
"""While the database is away; of more the oldest are lost, and the log says so."""


class EventLog:
    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: list[Event] = []
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def note(self, request: HTTPConnection, status: int) -> None:
        """Write down a request and how it was answered, soon.

        Of callers that nobody knows only those are that tried an account, which `state.account` names: the others, and
        who tries too often, could fill the log.
        """
        state = request.state._state
        identity: Identity | None = state.get("identity")
        if identity is None and "account" not in state:
            return
        details = state.get("details")
        self._waiting.append(
            Event(
                method=request.scope["method"][:MOST_METHOD_CHARS],
                path=request.url.path[:MOST_PATH_CHARS].replace("\0", "\ufffd"),
                status=status,
                user_id=identity.user.id if identity else state["account"],
                key_id=identity.key.id if identity and identity.key else None,
                address=address_of(request),
                details=details if isinstance(details, Mapping) else None,
            )
        )
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._soon(), name="event log")

    async def close(self) -> None:
        """Write out what waits."""
        self._closing.set()
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._write()

    async def _soon(self) -> None:
        while self._waiting and not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_S):
                    await self._closing.wait()
            await self._write()

    async def _write(self) -> None:
        some, self._waiting = self._waiting, []
        try:
            await self._events.add(some)
        except SQLAlchemyError as error:
            if not is_outage(error):
                log.exception("the log of events lost %d entries", len(some))
                return
            log.warning("the log of events waits: %s", getattr(error, "orig", error))
            self._waiting = [*some, *self._waiting]
            if len(self._waiting) > MOST_WAITING:
                log.error("the log of events lost %d entries", len(self._waiting) - MOST_WAITING)
                self._waiting = self._waiting[-MOST_WAITING:]


@asynccontextmanager
async def kept_for(events: Events, days: float) -> AsyncIterator[None]:
    """Delete older events for the length of the block: at its beginning, then every hour."""
    forgetting = asyncio.create_task(forget(events, days), name="old events")
    try:
        yield
    finally:
        forgetting.cancel()
        await asyncio.wait([forgetting])


async def forget(events: Events, days: float) -> None:
    while True:
        try:
            gone = await events.forget(before=time.time() - days * DAY_S)
            if gone:
                log.info("deleted events older than %g days: %d", days, gone)
        except SQLAlchemyError as error:
            log.warning("old events stay for now: %s", getattr(error, "orig", error))
        await asyncio.sleep(FORGET_S)


def address_of(request: HTTPConnection) -> str | None:
    """Return the caller's address; a proxy may have said something that is none."""
    try:
        return str(ip_address(request.client.host)) if request.client else None
    except ValueError:
        return None
