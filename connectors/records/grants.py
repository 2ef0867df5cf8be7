"""Who else may read or change a collection."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.tables import collections, grants, users
from ragline.errors import BadInput
from ragline.types import EVERYBODY, Grant, Permission


class Grants:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, collection_ids: Collection[str]) -> dict[str, list[Grant]]:
        """Return the grants on these collections, oldest first; a collection without any is left out."""
        query = select(grants).where(grants.c.collection_id.in_(collection_ids))
        found: dict[str, list[Grant]] = {}
        async with self._engine.connect() as connection:
            for row in await connection.execute(query.order_by(grants.c.created_at, grants.c.id)):
                found.setdefault(row.collection_id, []).append(to_grant(row))
        return found

    async def replace(self, collection_id: str, wanted: Mapping[str, Permission]) -> list[Grant]:
        """Let these users, by id or EVERYBODY, and no others have rights on a collection besides its owner.

        Raises BadInput naming an id that is no user's; then nothing has changed.
        """
        now = int(time.time())
        made = [
            Grant(str(uuid.uuid4()), collection_id, user_id, permission, now) for user_id, permission in wanted.items()
        ]
        named = [user_id for user_id in wanted if user_id != EVERYBODY]
        async with self._engine.begin() as connection:
            touched = update(collections).where(collections.c.id == collection_id).values(updated_at=now)
            await connection.execute(touched)
            known = set(await connection.scalars(select(users.c.id).where(users.c.id.in_(named))))
            if unknown := [user_id for user_id in named if user_id not in known]:
                raise BadInput(f"no user {unknown[0]!r}; nobody's rights were changed")
            await connection.execute(delete(grants).where(grants.c.collection_id == collection_id))
            if made:
                await connection.execute(insert(grants), [asdict(grant) for grant in made])
        return made


def to_grant(row: Row[Any]) -> Grant:
    return Grant(row.id, row.collection_id, row.user_id, row.permission, row.created_at)
