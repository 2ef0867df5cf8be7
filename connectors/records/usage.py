"""What users had models do, counted by day."""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.tables import usage

DAY_S = 86_400


class Usage:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, user_id: str, *, tokens: int) -> None:
        """Count a request of today and its tokens."""
        row = {"user_id": user_id, "day": today(), "tokens": tokens, "requests": 1}
        made = (postgresql if self._engine.dialect.name == "postgresql" else sqlite).insert(usage).values(row)
        counted = made.on_conflict_do_update(
            index_elements=[usage.c.user_id, usage.c.day],
            set_={"tokens": usage.c.tokens + tokens, "requests": usage.c.requests + 1},
        )
        async with self._engine.begin() as connection:
            await connection.execute(counted)

    async def tokens_today(self, user_id: str) -> int:
        """Return how many tokens were counted for this user since midnight UTC."""
        query = select(usage.c.tokens).where(usage.c.user_id == user_id, usage.c.day == today())
        async with self._engine.connect() as connection:
            return int(await connection.scalar(query) or 0)


def today() -> int:
    return int(time.time() // DAY_S)
