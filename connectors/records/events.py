"""The log of who did what."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.tables import events
from ragline.types import Json


@dataclass(frozen=True, slots=True)
class Event:
    """A request that did something. `at` is in Unix seconds, `address` the caller's, `path` without the query.

    `details` name what it was about, such as the model and the ids of references; never contents.
    """

    method: str
    path: str
    status: int
    user_id: str | None = None
    key_id: str | None = None
    address: str | None = None
    details: Mapping[str, Json] | None = None
    at: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Events:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, happened: Sequence[Event]) -> None:
        if happened:
            async with self._engine.begin() as connection:
                await connection.execute(insert(events), [asdict(event) for event in happened])

    async def page(self, *, user_id: str | None = None, limit: int, offset: int) -> tuple[list[Event], int]:
        """Return events, last first, of one user or of all, and how many there are."""
        chosen = [events.c.user_id == user_id] if user_id is not None else []
        query = select(events).where(*chosen).order_by(events.c.at.desc(), events.c.id)
        async with self._engine.connect() as connection:
            total = await connection.scalar(select(func.count()).select_from(events).where(*chosen))
            rows = await connection.execute(query.limit(limit).offset(offset))
            return [to_event(row._asdict()) for row in rows], int(total or 0)

    async def forget(self, *, before: float) -> int:
        """Delete what happened before this moment, and return how many events it was."""
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(events).where(events.c.at < before))).rowcount


def to_event(row: Mapping[str, Any]) -> Event:
    return Event(**row)
