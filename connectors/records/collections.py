"""Knowledge collections and the files in them."""

from __future__ import annotations

import time
import uuid
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.files import to_file
from ragline.connectors.records.tables import collections, files, memberships
from ragline.errors import NotFound
from ragline.types import CollectionRecord, FileRecord, User


class Collections:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, *, user_id: str, name: str, description: str) -> CollectionRecord:
        """Add an empty collection; names need not be unique."""
        now = int(time.time())
        record = CollectionRecord(str(uuid.uuid4()), user_id, name, description, now, now)
        row = {
            "id": record.id,
            "user_id": user_id,
            "name": name,
            "description": description,
            "created_at": now,
            "updated_at": now,
        }
        async with self._engine.begin() as connection:
            await connection.execute(insert(collections).values(row))
        return record

    async def visible(self, collection_id: str, user: User) -> CollectionRecord:
        """Return the collection if this user may see it. Raises NotFound, the same for another's as for none."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(collections).where(collections.c.id == collection_id))).first()
        if row is None or not (user.is_admin or row.user_id == user.id):
            raise NotFound(f"no collection {collection_id!r}")
        return to_collection(row)

    async def page(self, user: User, *, limit: int, offset: int) -> tuple[list[tuple[CollectionRecord, int]], int]:
        """Return a page of the collections this user may see, last changed first, each with its number of files."""
        mine = select(collections) if user.is_admin else select(collections).where(collections.c.user_id == user.id)
        size = (
            select(func.count())
            .where(memberships.c.collection_id == collections.c.id)
            .correlate(collections)
            .scalar_subquery()
        )
        async with self._engine.connect() as connection:
            total = await connection.scalar(select(func.count()).select_from(mine.subquery()))
            query = mine.add_columns(size.label("size")).order_by(collections.c.updated_at.desc(), collections.c.id)
            rows = (await connection.execute(query.limit(limit).offset(offset))).all()
        return [(to_collection(row), row.size) for row in rows], int(total or 0)

    async def files(self, collection_id: str) -> list[FileRecord]:
        """Return the files of a collection in the order in which they were added."""
        query = (
            select(files)
            .join(memberships, memberships.c.file_id == files.c.id)
            .where(memberships.c.collection_id == collection_id)
            .order_by(memberships.c.created_at, files.c.id)
        )
        async with self._engine.connect() as connection:
            return [to_file(row) for row in await connection.execute(query)]

    async def of_file(self, file_id: str) -> list[str]:
        """Return the ids of the collections a file is in, sorted."""
        query = select(memberships.c.collection_id).where(memberships.c.file_id == file_id)
        async with self._engine.connect() as connection:
            return sorted((await connection.scalars(query)).all())

    async def link(self, collection_id: str, file_id: str) -> None:
        """Put a file into a collection; once is enough. Raises NotFound when either has gone meanwhile."""
        now = int(time.time())
        known = select(memberships.c.file_id).where(
            memberships.c.collection_id == collection_id, memberships.c.file_id == file_id
        )
        row = {"collection_id": collection_id, "file_id": file_id, "created_at": now}
        try:
            async with self._engine.begin() as connection:
                if await connection.scalar(known) is None:
                    await connection.execute(insert(memberships).values(row))
                touched = update(collections).where(collections.c.id == collection_id).values(updated_at=now)
                await connection.execute(touched)
        except IntegrityError as error:
            async with self._engine.connect() as connection:
                if await connection.scalar(known) is None:  # not two clients linking at once
                    raise NotFound(f"no collection {collection_id!r} or no file {file_id!r} any more") from error

    async def unlink(self, collection_id: str, file_id: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(memberships).where(
                    memberships.c.collection_id == collection_id, memberships.c.file_id == file_id
                )
            )


def to_collection(row: Row[Any]) -> CollectionRecord:
    return CollectionRecord(row.id, row.user_id, row.name, row.description, row.created_at, row.updated_at)
