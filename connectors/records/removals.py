"""Files that were deleted: gone from the records at once, then, surely, from everywhere else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.blobs import text_key
from ragline.connectors.records.changes import QUEUE, Changes
from ragline.connectors.records.tables import files, memberships, removals
from ragline.types import Status


@dataclass(frozen=True, slots=True)
class Removal:
    """A file whose vectors and `blobs` are to be deleted. `settled`: nobody can still be writing for it."""

    file_id: str
    blobs: Sequence[str]
    settled: bool


class Removals:
    def __init__(self, engine: AsyncEngine, changes: Changes) -> None:
        self._engine = engine
        self._changes = changes

    async def add(self, file_ids: Sequence[str]) -> list[str]:
        """Delete these files from the records, all or none, and return the ids of those that were there."""
        wanted = select(files).where(files.c.id.in_(file_ids)).with_for_update()
        async with self._engine.begin() as connection:
            # A write first: it locks the rows in SQLite too, which knows no FOR UPDATE.
            await connection.execute(update(files).where(files.c.id.in_(file_ids)).values(untidy=files.c.untidy))
            rows = (await connection.execute(wanted)).all()
            found = [row.id for row in rows]
            if rows:
                gone = [
                    {
                        "file_id": row.id,
                        "blobs": [
                            row.blob,
                            *filter(None, [row.edited]),
                            *([text_key(row.id, row.version)] if row.version else []),
                        ],
                        "lease_until": row.lease_until if row.status == Status.PROCESSING.value else 0.0,
                        "created_at": int(time.time()),
                    }
                    for row in rows
                ]
                await connection.execute(insert(removals), gone)
                await connection.execute(delete(memberships).where(memberships.c.file_id.in_(found)))
                await connection.execute(delete(files).where(files.c.id.in_(found)))
                await self._changes.publish(connection, *found, QUEUE)
        self._changes.tell(*found, QUEUE)
        return found

    async def waiting(self, *, limit: int) -> list[Removal]:
        """Return removals that are not finished, oldest first."""
        return await self._read(select(removals).order_by(removals.c.created_at).limit(limit))

    async def of(self, file_ids: Sequence[str]) -> list[Removal]:
        """Return the unfinished removals of these files."""
        return await self._read(select(removals).where(removals.c.file_id.in_(file_ids)))

    async def _read(self, query: Select[Any]) -> list[Removal]:
        now = time.time()
        async with self._engine.connect() as connection:
            return [
                Removal(row.file_id, row.blobs, settled=row.lease_until < now)
                for row in await connection.execute(query)
            ]

    async def finish(self, file_id: str) -> None:
        """Forget a removal: nothing is left of the file."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(removals).where(removals.c.file_id == file_id))
