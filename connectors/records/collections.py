"""Knowledge collections and the files in them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragline.connectors.records.changes import QUEUE, Changes
from ragline.connectors.records.members import folded
from ragline.connectors.records.portions import portions
from ragline.connectors.records.rights import owned_collections, readable_collections, writable_collections
from ragline.connectors.records.tables import collections, files, memberships
from ragline.errors import Forbidden, NotFound
from ragline.types import CollectionRecord, Json, User

OF_FILE = select(memberships.c.collection_id).where(memberships.c.file_id == bindparam("file_id"))


class Collections:
    def __init__(self, engine: AsyncEngine, changes: Changes) -> None:
        self._engine = engine
        self._changes = changes

    async def add(
        self, *, user_id: str, name: str, description: str, options: Mapping[str, Json] | None = None
    ) -> CollectionRecord:
        """Add an empty collection; names need not be unique."""
        now = int(time.time())
        record = CollectionRecord(str(uuid.uuid4()), user_id, name, description, now, now, dict(options or {}))
        row = {
            "id": record.id,
            "user_id": user_id,
            "name": name,
            "description": description,
            "options": record.options or None,
            "created_at": now,
            "updated_at": now,
        }
        async with self._engine.begin() as connection:
            await connection.execute(insert(collections).values(row))
        return record

    async def visible(self, collection_id: str, user: User) -> CollectionRecord:
        """Return the collection if this user may see it. Raises NotFound, the same for a hidden one as for none."""
        async with self._engine.connect() as connection:
            query = select(collections).where(collections.c.id == collection_id, readable_collections(user))
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"no collection {collection_id!r}")
        return to_collection(row)

    async def writable(self, collection_id: str, user: User) -> CollectionRecord:
        """Return the collection if this user may change what is in it. Raises NotFound, or Forbidden if they see it."""
        return await self._may(writable_collections(user), collection_id, user, "may only read")

    async def owned(self, collection_id: str, user: User) -> CollectionRecord:
        """Return the collection if it is this user's. Raises NotFound, or Forbidden if they see it."""
        return await self._may(owned_collections(user), collection_id, user, "does not own")

    async def _may(
        self, right: ColumnElement[bool], collection_id: str, user: User, otherwise: str
    ) -> CollectionRecord:
        query = select(collections, right.label("may")).where(
            collections.c.id == collection_id, readable_collections(user)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"no collection {collection_id!r}")
        if not row.may:
            raise Forbidden(f"this account {otherwise} collection {collection_id!r}: ask its owner")
        return to_collection(row)

    async def meant(self, name: str, user: User, *, to_write: bool = False) -> CollectionRecord:
        """Return the collection of this id, else the first of the user's own of this name.

        Raises as `visible`, or as `writable`.
        """
        try:
            return await (self.writable if to_write else self.visible)(name, user)
        except NotFound:
            own = await self.with_name(name, user)
            if own is None:
                raise
            return own

    async def readable(self, user: User) -> set[str]:
        """Return the ids of all collections that this user may see."""
        async with self._engine.connect() as connection:
            return set(await connection.scalars(select(collections.c.id).where(readable_collections(user))))

    async def writable_among(self, collection_ids: Collection[str], user: User) -> set[str]:
        """Return those of these ids whose collections this user may change."""
        query = select(collections.c.id).where(collections.c.id.in_(collection_ids), writable_collections(user))
        async with self._engine.connect() as connection:
            return set(await connection.scalars(query))

    async def page(
        self, user: User, *, query: str = "", limit: int, offset: int
    ) -> tuple[list[tuple[CollectionRecord, int]], int]:
        """Return a page of the collections this user may see, last changed first, each with its number of files.

        `query`: only those whose name or description contains it, whatever the case and the accents of both.
        """
        mine = (
            select(collections)
            .where(readable_collections(user))
            .order_by(collections.c.updated_at.desc(), collections.c.id)
        )
        async with self._engine.connect() as connection:
            if query:
                wanted = folded(query)
                known = await connection.execute(mine)
                ids = [row.id for row in known if wanted in folded(f"{row.name}\n{row.description}")]
                total = len(ids)
                chosen = mine.where(collections.c.id.in_(ids[offset : offset + limit]))
            else:
                total = await connection.scalar(select(func.count()).select_from(mine.subquery())) or 0
                chosen = mine.limit(limit).offset(offset)
            rows = (await connection.execute(chosen.add_columns(SIZE))).all()
        return [(to_collection(row), row.size) for row in rows], total

    async def update(self, collection_id: str, *, name: str, description: str) -> None:
        """Give a collection another name and description; one that is gone stays gone."""
        new = {"name": name, "description": description, "updated_at": int(time.time())}
        async with self._engine.begin() as connection:
            await connection.execute(update(collections).where(collections.c.id == collection_id).values(new))

    async def choose(self, collection_id: str, options: Mapping[str, Json]) -> None:
        """Give a collection other options, in place of all it had."""
        new = {"options": dict(options) or None, "updated_at": int(time.time())}
        async with self._engine.begin() as connection:
            await connection.execute(update(collections).where(collections.c.id == collection_id).values(new))

    async def of_file(self, file_id: str) -> list[str]:
        """Return the ids of the collections a file is in, sorted."""
        async with self._engine.connect() as connection:
            return sorted((await connection.scalars(OF_FILE, {"file_id": file_id})).all())

    async def named(self, name: str, user: User) -> CollectionRecord:
        """Return this user's first collection of this name, made where there is none."""
        found = await self.with_name(name, user)
        return found or await self.add(user_id=user.id, name=name, description="")

    async def with_name(self, name: str, user: User) -> CollectionRecord | None:
        """Return the first of this user's own collections of this name, as far as they may see it; None without one."""
        query = select(collections).where(
            collections.c.name == name, collections.c.user_id == user.id, readable_collections(user)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query.order_by(collections.c.created_at, collections.c.id))).first()
        return to_collection(row) if row else None

    async def link(self, collection_id: str, file_id: str) -> None:
        """Put a file into a collection; once is enough. Raises NotFound when either has gone meanwhile.

        The passages follow: whoever holds the vectors brings them in line.
        """
        await self.link_all(collection_id, [file_id])

    async def link_all(self, collection_id: str, file_ids: Collection[str]) -> None:
        """Put these files into a collection, all or none of them. Raises NotFound as `link` does."""
        wanted = list(dict.fromkeys(file_ids))
        try:
            async with self._engine.begin() as connection:
                if not await self._touch(connection, collection_id):  # locks it: no other client links the same file
                    raise NotFound(f"no collection {collection_id!r}")
                for some in portions(wanted):
                    await self._link(connection, collection_id, some)
        except IntegrityError as error:
            raise NotFound(f"of the files {shortened(wanted)} one is there no more; nothing was added") from error
        self._changes.tell(QUEUE)

    async def unlink(self, collection_id: str, file_ids: Sequence[str]) -> list[str]:
        """Take files out of a collection and return those that were in it; their passages follow."""
        left: list[str] = []
        async with self._engine.begin() as connection:
            await self._touch(connection, collection_id)
            for some in portions(file_ids):
                gone = delete(memberships).where(
                    memberships.c.collection_id == collection_id, memberships.c.file_id.in_(some)
                )
                left += await connection.scalars(gone.returning(memberships.c.file_id))
            await self._mark(connection, left)
        self._changes.tell(QUEUE)
        return left

    async def empty(self, collection_id: str) -> None:
        """Take all files out of a collection; they stay, and their passages follow."""
        gone = delete(memberships).where(memberships.c.collection_id == collection_id)
        async with self._engine.begin() as connection:
            await self._touch(connection, collection_id)
            await self._mark(connection, list(await connection.scalars(gone.returning(memberships.c.file_id))))
        self._changes.tell(QUEUE)

    async def delete(self, collection_id: str) -> None:
        """Delete a collection; its files stay, and their passages follow."""
        members = select(memberships.c.file_id).where(memberships.c.collection_id == collection_id)
        async with self._engine.begin() as connection:
            await self._touch(connection, collection_id)
            await self._mark(connection, list(await connection.scalars(members)))
            await connection.execute(delete(collections).where(collections.c.id == collection_id))
        self._changes.tell(QUEUE)

    async def _touch(self, connection: AsyncConnection, collection_id: str) -> bool:
        """Note that a collection changes, and lock it first of all, so that nobody waits for each other."""
        touched = update(collections).where(collections.c.id == collection_id).values(updated_at=int(time.time()))
        return (await connection.execute(touched)).rowcount > 0

    async def _link(self, connection: AsyncConnection, collection_id: str, file_ids: Sequence[str]) -> None:
        members = select(memberships.c.file_id).where(
            memberships.c.collection_id == collection_id, memberships.c.file_id.in_(file_ids)
        )
        known: set[str] = set(await connection.scalars(members))
        new = [file_id for file_id in file_ids if file_id not in known]
        if new:
            row = {"collection_id": collection_id, "created_at": int(time.time())}
            await connection.execute(insert(memberships), [row | {"file_id": file_id} for file_id in new])
            await self._mark(connection, new)

    async def _mark(self, connection: AsyncConnection, file_ids: Sequence[str]) -> None:
        for some in portions(file_ids):
            marked = update(files).where(files.c.id.in_(some)).values(untidy=files.c.untidy + 1)
            await connection.execute(marked)
        await self._changes.publish(connection, QUEUE)


SIZE = (
    select(func.count())
    .where(memberships.c.collection_id == collections.c.id)
    .correlate(collections)
    .scalar_subquery()
    .label("size")
)
"""How many files a collection has."""


def shortened(ids: Sequence[str]) -> str:
    return ", ".join(map(repr, ids[:5])) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def to_collection(row: Row[Any]) -> CollectionRecord:
    return CollectionRecord(
        row.id, row.user_id, row.name, row.description, row.created_at, row.updated_at, row.options or {}
    )
