"""Writes down who did what: queued in memory, written in batches, so that no request waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from fastapi.requests import HTTPConnection
from sqlalchemy.exc import SQLAlchemyError

from ragline.api.caller import Identity
from ragline.connectors.records.events import Event, Events

log = logging.getLogger(__name__)

WRITE_S = 1.0
"""How long an event waits for others to be written with."""
MOST_PATH_CHARS = 500
MOST_WAITING = 10_000
"""While the database is away; of more the oldest are lost, and the log says so."""


class EventLog:
    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: list[Event] = []
        self._writing: asyncio.Task[None] | None = None

    def note(self, request: HTTPConnection, status: int) -> None:
        """Write down a request and how it was answered, soon."""
        state = request.state._state
        identity: Identity | None = state.get("identity")
        details = state.get("details")
        self._waiting.append(
            Event(
                method=request.scope["method"],
                path=request.url.path[:MOST_PATH_CHARS],
                status=status,
                user_id=identity.user.id if identity else None,
                key_id=identity.key.id if identity and identity.key else None,
                address=request.client.host if request.client else None,
                details=details if isinstance(details, Mapping) else None,
            )
        )
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._soon(), name="event log")

    async def close(self) -> None:
        """Write out what waits."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._write()

    async def _soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(WRITE_S)
            await self._write()

    async def _write(self) -> None:
        some, self._waiting = self._waiting, []
        try:
            await self._events.add(some)
        except SQLAlchemyError as error:
            log.warning("the log of events waits: %s", getattr(error, "orig", error))
            self._waiting = [*some, *self._waiting]
            if len(self._waiting) > MOST_WAITING:
                log.error("the log of events lost %d entries", len(self._waiting) - MOST_WAITING)
                self._waiting = self._waiting[-MOST_WAITING:]
