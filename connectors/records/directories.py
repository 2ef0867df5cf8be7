"""Directories inside a collection: its tree, and which of its files lie where."""

from __future__ import annotations

import time
import unicodedata
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragline.connectors.records.portions import portions
from ragline.connectors.records.tables import collections, directories, memberships
from ragline.errors import Conflict, Invalid, NotFound

MAX_DEPTH = 50
MAX_NAME_CHARS = 255


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of a collection; `parent_id` is None at the top. Names are NFC and unique beside each other."""

    id: str
    collection_id: str
    parent_id: str | None
    name: str
    created_at: int
    updated_at: int


class Directories:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def all(self, collection_id: str) -> list[Directory]:
        """Return every directory of a collection, by name."""
        query = select(directories).where(directories.c.collection_id == collection_id)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.order_by(directories.c.name, directories.c.id))
            return [to_directory(row) for row in rows]

    async def inside(self, collection_id: str, parent_id: str | None) -> list[Directory]:
        """Return the directories right below this one, or at the top, by name."""
        query = select(directories).where(
            directories.c.collection_id == collection_id, directories.c.parent_id == parent_id
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.order_by(directories.c.name, directories.c.id))
            return [to_directory(row) for row in rows]

    async def get(self, collection_id: str, directory_id: str) -> Directory:
        """Return a directory. Raises NotFound, also for one of another collection."""
        async with self._engine.connect() as connection:
            return await self._get(connection, collection_id, directory_id)

    async def trails(self, collection_id: str, directory_ids: Collection[str]) -> dict[str, list[Directory]]:
        """Return for each of these directories that exist the way to it: from the top, itself last."""
        async with self._engine.connect() as connection:
            above = await self._above(connection, collection_id, directory_ids)
        return {directory_id: trail(above, directory_id) for directory_id in directory_ids if directory_id in above}

    async def make(self, collection_id: str, name: str, parent_id: str | None = None) -> Directory:
        """Return the directory of this name in its parent, made where there is none.

        Raises Invalid for a name that cannot be or beyond MAX_DEPTH, NotFound for an unknown collection or parent.
        """
        name = checked_name(name)
        async with self._engine.begin() as connection:
            await self._lock(connection, collection_id)
            if known := await self._named(connection, collection_id, name, parent_id):
                return known
            if parent_id is not None:
                above = await self._above(connection, collection_id, [parent_id])
                if parent_id not in above:
                    raise NotFound(f"no directory {parent_id!r} in collection {collection_id!r}")
                if len(above) >= MAX_DEPTH:
                    raise Invalid(f"directory {name!r} would lie deeper than {MAX_DEPTH} levels; put it higher up")
            now = int(time.time())
            made = Directory(str(uuid.uuid4()), collection_id, parent_id, name, now, now)
            row = {
                "id": made.id,
                "collection_id": collection_id,
                "parent_id": parent_id,
                "name": name,
                "created_at": now,
                "updated_at": now,
            }
            await connection.execute(insert(directories).values(row))
        return made

    async def rename(self, collection_id: str, directory_id: str, name: str) -> Directory:
        """Give a directory another name. Raises Invalid, NotFound, or Conflict where the name is taken beside it."""
        name = checked_name(name)
        async with self._engine.begin() as connection:
            await self._lock(connection, collection_id)
            before = await self._get(connection, collection_id, directory_id)
            taken = await self._named(connection, collection_id, name, before.parent_id)
            if taken is not None and taken.id != directory_id:
                raise Conflict(f"there is a directory {name!r} beside {before.name!r} already: {taken.id!r}")
            chosen = update(directories).where(directories.c.id == directory_id)
            await connection.execute(chosen.values(name=name, updated_at=int(time.time())))
            return await self._get(connection, collection_id, directory_id)

    async def files_below(self, collection_id: str, directory_id: str) -> list[str]:
        """Return the ids of the files in a directory and everywhere below it."""
        below = subtree(collection_id, directory_id)
        query = select(memberships.c.file_id).where(memberships.c.directory_id.in_(select(below.c.id)))
        async with self._engine.connect() as connection:
            return list(await connection.scalars(query))

    async def delete(self, collection_id: str, directory_id: str) -> None:
        """Delete a directory and those below it; the files in them move to where it was. Raises NotFound."""
        async with self._engine.begin() as connection:
            await self._lock(connection, collection_id)
            gone = await self._get(connection, collection_id, directory_id)
            below: list[str] = list(await connection.scalars(select(subtree(collection_id, directory_id).c.id)))
            for some in portions(below):
                moved = update(memberships).where(memberships.c.directory_id.in_(some))
                await connection.execute(moved.values(directory_id=gone.parent_id))
            await connection.execute(delete(directories).where(directories.c.id == directory_id))

    async def delete_empty(self, collection_id: str, directory_ids: Collection[str]) -> list[str]:
        """Delete those of these directories in which nothing is left, and return their ids, deepest first."""
        async with self._engine.begin() as connection:
            await self._lock(connection, collection_id)
            query = select(directories.c.id, directories.c.parent_id).where(
                directories.c.collection_id == collection_id
            )
            parents: dict[str, str | None] = {row.id: row.parent_id for row in await connection.execute(query)}
            used = select(memberships.c.directory_id).where(memberships.c.collection_id == collection_id).distinct()
            empty = emptied(parents, directory_ids, set(await connection.scalars(used)))
            for some in portions(empty):
                await connection.execute(delete(directories).where(directories.c.id.in_(some)))
        return empty

    async def clear(self, collection_id: str) -> None:
        """Delete all directories of a collection; files in them move to the top."""
        async with self._engine.begin() as connection:
            await self._lock(connection, collection_id)
            await connection.execute(delete(directories).where(directories.c.collection_id == collection_id))

    async def _lock(self, connection: AsyncConnection, collection_id: str) -> None:
        """Let nobody else change this tree until the transaction ends. Raises NotFound for no such collection."""
        touched = update(collections).where(collections.c.id == collection_id).values(updated_at=int(time.time()))
        if not (await connection.execute(touched)).rowcount:
            raise NotFound(f"no collection {collection_id!r}")

    async def _get(self, connection: AsyncConnection, collection_id: str, directory_id: str) -> Directory:
        query = select(directories).where(
            directories.c.id == directory_id, directories.c.collection_id == collection_id
        )
        row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"no directory {directory_id!r} in collection {collection_id!r}")
        return to_directory(row)

    async def _named(
        self, connection: AsyncConnection, collection_id: str, name: str, parent_id: str | None
    ) -> Directory | None:
        query = select(directories).where(
            directories.c.collection_id == collection_id,
            directories.c.parent_id == parent_id,
            directories.c.name == name,
        )
        row = (await connection.execute(query)).first()
        return to_directory(row) if row else None

    async def _above(
        self, connection: AsyncConnection, collection_id: str, directory_ids: Collection[str]
    ) -> dict[str, Directory]:
        """Return these directories and all above them, by id."""
        found: dict[str, Directory] = {}
        for some in portions(list(directory_ids)):
            start = (
                select(directories)
                .where(directories.c.id.in_(some), directories.c.collection_id == collection_id)
                .cte("above", recursive=True)
            )
            above = start.union(select(directories).join(start, directories.c.id == start.c.parent_id))
            found |= {row.id: to_directory(row) for row in await connection.execute(select(above))}
        return found


def subtree(collection_id: str, directory_id: str) -> CTE:
    """A query for the ids of a directory and all below it."""
    start = (
        select(directories.c.id)
        .where(directories.c.id == directory_id, directories.c.collection_id == collection_id)
        .cte("below", recursive=True)
    )
    return start.union(select(directories.c.id).join(start, directories.c.parent_id == start.c.id))


def checked_name(name: str) -> str:
    """Return the name in NFC. Raises Invalid for one that no directory can have."""
    name = unicodedata.normalize("NFC", name)
    if name in ("", ".", ".."):
        raise Invalid(f"{name!r} is no name for a directory")
    if len(name) > MAX_NAME_CHARS:
        raise Invalid(f"directory {name[:40]!r}…: a name has at most {MAX_NAME_CHARS} characters, not {len(name)}")
    if "/" in name or "\0" in name:
        raise Invalid(f"directory {name!r}: a name has no slash and no NUL; make one directory for each part of a path")
    return name


def paths_of(found: Iterable[Directory]) -> dict[str, str]:
    """Return the path of each of these directories by its id, such as `docs/api`; those above them must be there."""
    by_id = {directory.id: directory for directory in found}
    paths: dict[str, str] = {}
    for directory_id in by_id:
        way = []
        at: str | None = directory_id
        while at is not None and at not in paths:
            way.append(by_id[at])
            at = by_id[at].parent_id
        for directory in reversed(way):
            above = paths[directory.parent_id] if directory.parent_id else ""
            paths[directory.id] = f"{above}/{directory.name}" if above else directory.name
    return paths


def trail(by_id: Mapping[str, Directory], directory_id: str) -> list[Directory]:
    way = [by_id[directory_id]]
    while (parent := way[-1].parent_id) is not None:
        way.append(by_id[parent])
    return way[::-1]


def emptied(parents: Mapping[str, str | None], wanted: Collection[str], used: Collection[str | None]) -> list[str]:
    """Return which of the wanted directories can go, deepest first; what lies in a directory that goes goes first."""
    children = Counter(parents.values())
    candidates = {each for each in wanted if each in parents and each not in used}
    free = [each for each in candidates if not children[each]]
    for each in free:  # grows while it is read
        parent = parents[each]
        children[parent] -= 1
        if parent in candidates and not children[parent]:
            free.append(parent)
    return free


def to_directory(row: Row[Any]) -> Directory:
    return Directory(row.id, row.collection_id, row.parent_id, row.name, row.created_at, row.updated_at)
