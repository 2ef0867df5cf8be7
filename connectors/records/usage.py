"""What users use: tokens of models, counted by day, and room for their files."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragline.connectors.records.tables import files, usage, users
from ragline.connectors.records.upsert import upsert
from ragline.errors import TooLarge

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Room:
    """How many files, and bytes of all of them, one user may have; None: no limit."""

    max_files: int | None = None
    max_bytes: int | None = None

    async def take(self, connection: AsyncConnection, user_id: str, *, size_bytes: int) -> None:
        """Raise TooLarge where a file more does not fit. Nobody else can add one until the transaction ends."""
        await connection.execute(update(users).where(users.c.id == user_id).values(role=users.c.role))
        await self.check(connection, user_id, size_bytes=size_bytes)

    async def check(self, connection: AsyncConnection, user_id: str, *, size_bytes: int, more_files: int = 1) -> None:
        """Raise TooLarge where so many files and bytes more do not fit at the moment."""
        query = select(func.count(), func.sum(files.c.size_bytes)).where(files.c.user_id == user_id)
        count, total = (await connection.execute(query)).one()
        if self.max_files is not None and more_files and count >= self.max_files:
            raise TooLarge(
                f"this account has {count} files and may have {self.max_files} (quotas.max_files): "
                "delete some first, or ask an administrator for more"
            )
        used = int(total or 0)
        if self.max_bytes is not None and size_bytes > 0 and used + size_bytes > self.max_bytes:
            raise TooLarge(
                f"the files of this account have {used} bytes; {size_bytes} more would be over its "
                f"{self.max_bytes} (quotas.max_bytes): delete some first, or ask an administrator for more"
            )


class Usage:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, user_id: str, *, tokens: int) -> None:
        """Count a request of today and its tokens."""
        row = {"user_id": user_id, "day": today(), "tokens": tokens, "requests": 1}
        counted = (
            upsert(self._engine, usage)
            .values(row)
            .on_conflict_do_update(
                index_elements=[usage.c.user_id, usage.c.day],
                set_={"tokens": usage.c.tokens + tokens, "requests": usage.c.requests + 1},
            )
        )
        async with self._engine.begin() as connection:
            await connection.execute(counted)

    async def check_room(self, room: Room, user_id: str, *, size_bytes: int, more_files: int = 1) -> None:
        """Raise TooLarge where so many files and bytes more do not fit, as far as can be said beforehand."""
        async with self._engine.connect() as connection:
            await room.check(connection, user_id, size_bytes=size_bytes, more_files=more_files)

    async def tokens_today(self, user_id: str) -> int:
        """Return how many tokens were counted for this user since midnight UTC."""
        query = select(usage.c.tokens).where(usage.c.user_id == user_id, usage.c.day == today())
        async with self._engine.connect() as connection:
            return int(await connection.scalar(query) or 0)


def today() -> int:
    return int(time.time() // DAY_S)
