"""Who waits for a file to change is woken as it happens, also when another process changed it."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

log = logging.getLogger(__name__)

QUEUE = "queue"
"""The name under which those wait who want files to ingest."""

SOURCES = "sources"
"""The name under which those wait who want to know how syncs end."""

CHANNEL = "ragline"
LOOK_S = 0.5
"""How often an SQLite file is asked whether another process wrote to it: one number read from its header."""
RECONNECT_S = 1.0
ALIVE_S = 30.0
"""How often the connection that listens is tried: one that a firewall forgot would be silent for ever."""

NOTIFY = text("SELECT pg_notify(:channel, name) FROM unnest(CAST(:names AS text[])) AS name")


class Changes:
    """Wakes waiters by name: the id of a file, or QUEUE. Belongs to one event loop.

    In this process `tell` wakes at once. From other processes PostgreSQL notifies; an SQLite file is looked at twice a
    second, and then everybody is woken, since it does not say what was written.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, name: str) -> Iterator[asyncio.Event]:
        """Give an event that is set at each change; the waiter clears it before it looks."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="changes")
        event = asyncio.Event()
        self._waiting[name].add(event)
        try:
            yield event
        finally:
            self._waiting[name].discard(event)
            if not self._waiting[name]:
                del self._waiting[name]

    def tell(self, *names: str) -> None:
        """Wake those of this process who wait for these names."""
        for name in names:
            for event in self._waiting.get(name, ()):
                event.set()

    async def publish(self, connection: AsyncConnection, *names: str) -> None:
        """Let other processes know when the transaction of `connection` ends."""
        if names and self._engine.dialect.name == "postgresql":
            await connection.execute(NOTIFY, {"channel": CHANNEL, "names": list(names)})

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def _listen(self) -> None:
        follow = self._follow_postgres if self._engine.dialect.name == "postgresql" else self._follow_sqlite
        while True:
            try:
                await follow()
            except Exception as error:  # noqa: BLE001  # the edge of the loop: it must not end
                log.warning("changes of other processes are not heard, trying again: %s", error)
            await asyncio.sleep(RECONNECT_S)

    async def _follow_sqlite(self) -> None:
        async with self._engine.connect() as connection:
            seen = None
            while True:
                version = (await connection.exec_driver_sql("PRAGMA data_version")).scalar()
                if version != seen:  # at first, for what was written before
                    self._tell_all()
                seen = version
                await asyncio.sleep(LOOK_S)

    async def _follow_postgres(self) -> None:
        lost = asyncio.Event()

        def heard(_: Any, __: int, ___: str, name: str) -> None:
            self.tell(name)

        async with self._engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            raw.add_termination_listener(lambda _: lost.set())
            try:
                await raw.add_listener(CHANNEL, heard)
                self._tell_all()  # of what happened while nobody listened
                while not lost.is_set():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(ALIVE_S):
                            await lost.wait()
                    await raw.execute("SELECT 1", timeout=ALIVE_S)
            finally:
                await connection.invalidate()  # it must not go back to the pool: it listens

    def _tell_all(self) -> None:
        self.tell(*list(self._waiting))
