"""The files of a collection, read: by page, by name, what is still on its way, and all that a sync compares with."""

from __future__ import annotations

import fnmatch
import json
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, and_, cast, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.files import to_file
from ragline.connectors.records.portions import portions
from ragline.connectors.records.rights import readable_collections
from ragline.connectors.records.tables import collections, files, memberships
from ragline.types import FileRecord, Json, Status, User

READ_SIZE = 500
"""Rows between which the event loop gets its turn."""

TOP = "root"
"""Stands for the place of the files that lie in no directory."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of a collection and the directory it lies in; None: at the top."""

    file: FileRecord
    directory_id: str | None


@dataclass(frozen=True, slots=True)
class Home:
    """The collection that a file was put into first, and its options."""

    collection_id: str
    options: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a sync has to know of a file. `file_hash` is what the client that sent it said of its content."""

    file_id: str
    directory_id: str | None
    filename: str
    sha256: str
    file_hash: str | None
    failed: bool


class Members:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(
        self, collection_id: str, *, directory_id: str | None = None, query: str = "", limit: int, offset: int
    ) -> tuple[list[Placed], int]:
        """Return a page of the files, those added last first, and how many there are.

        `directory_id`: only those right in this directory, or at the TOP. `query`: only those whose name contains it,
        whatever the case and the accents of both.
        """
        chosen = [memberships.c.collection_id == collection_id]
        if directory_id is not None:
            chosen.append(memberships.c.directory_id == (None if directory_id == TOP else directory_id))
        if query:
            found = await self._named_like(query, *chosen)
            chosen.append(memberships.c.file_id.in_(found[offset : offset + limit]))
            return await self._placed(*chosen, limit=limit, offset=0), len(found)
        async with self._engine.connect() as connection:
            total = await connection.scalar(select(func.count()).select_from(memberships).where(*chosen))
        return await self._placed(*chosen, limit=limit, offset=offset), int(total or 0)

    async def unfinished(self, collection_id: str, *, limit: int) -> list[FileRecord]:
        """Return the files that are waiting or being worked on, longest in the queue first."""
        on_its_way = and_(
            files.c.status.in_([Status.PENDING.value, Status.PROCESSING.value]), files.c.stage != "stored"
        )
        query = joined(files).where(memberships.c.collection_id == collection_id, on_its_way)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.order_by(files.c.queued_at, files.c.id).limit(limit))
            return [to_file(row) for row in rows]

    async def all(self, collection_id: str) -> list[Placed]:
        """Return every file of the collection in the order in which they were added."""
        query = joined(files, memberships.c.directory_id).where(memberships.c.collection_id == collection_id)
        ordered = query.order_by(memberships.c.created_at, files.c.id)
        return [Placed(to_file(row), row.directory_id) async for rows in self._read(ordered) for row in rows]

    async def among(self, collection_id: str, file_ids: Collection[str]) -> list[str]:
        """Return those of these ids that are files of the collection."""
        found: list[str] = []
        async with self._engine.connect() as connection:
            for some in portions(list(dict.fromkeys(file_ids))):
                query = select(memberships.c.file_id).where(
                    memberships.c.collection_id == collection_id, memberships.c.file_id.in_(some)
                )
                found += await connection.scalars(query)
        return found

    async def homes(self, file_ids: Collection[str]) -> dict[str, Home]:
        """Return the home of each of these files; those in no collection are left out."""
        columns = memberships.c.file_id, collections.c.id, collections.c.options
        query = select(*columns).join_from(memberships, collections)
        homes: dict[str, Home] = {}
        async with self._engine.connect() as connection:
            for some in portions(list(file_ids)):
                chosen = query.where(memberships.c.file_id.in_(some))
                ordered = chosen.order_by(memberships.c.created_at, memberships.c.collection_id)
                for row in await connection.execute(ordered):
                    homes.setdefault(row.file_id, Home(row.id, row.options or {}))
        return homes

    async def at_home(self, collection_id: str) -> list[str]:
        """Return the ids of the files that were put into this collection first."""
        others = memberships.alias()
        earlier = or_(
            others.c.created_at < memberships.c.created_at,
            and_(
                others.c.created_at == memberships.c.created_at,
                others.c.collection_id < memberships.c.collection_id,
            ),
        )
        elsewhere = exists().where(others.c.file_id == memberships.c.file_id, earlier)
        query = select(memberships.c.file_id).where(memberships.c.collection_id == collection_id, ~elsewhere)
        return [row.file_id async for rows in self._read(query) for row in rows]

    async def visible_through(self, file_ids: Collection[str], user: User) -> set[str]:
        """Return the collections that this user may see and that have any of these files."""
        query = select(collections.c.id).join(memberships, memberships.c.collection_id == collections.c.id)
        found: set[str] = set()
        async with self._engine.connect() as connection:
            for some in portions(list(file_ids)):
                chosen = query.where(memberships.c.file_id.in_(some), readable_collections(user)).distinct()
                found |= set(await connection.scalars(chosen))
        return found

    async def uploaded_into(self, collection_id: str) -> list[str]:
        """Return the ids of the files that were uploaded into this collection and are in no other."""
        others = memberships.alias()
        elsewhere = exists().where(others.c.file_id == files.c.id, others.c.collection_id != collection_id)
        query = joined(files.c.id, files.c.metadata).where(memberships.c.collection_id == collection_id, ~elsewhere)
        return [
            row.id
            async for rows in self._read(query)
            for row in rows
            if row.metadata.get("knowledge_id") == collection_id
        ]

    async def stored(self, collection_id: str) -> list[Stored]:
        """Return what a sync has to know of every file of the collection."""
        columns = (
            files.c.id,
            memberships.c.directory_id,
            files.c.filename,
            files.c.sha256,
            METADATA_TEXT,
            files.c.status,
        )
        query = joined(*columns).where(memberships.c.collection_id == collection_id)
        ordered = query.order_by(memberships.c.created_at, files.c.id)
        return [to_stored(row) async for rows in self._read(ordered) for row in rows]

    async def _named_like(self, query: str, *chosen: ColumnElement[bool]) -> list[str]:
        """Return the ids of the files whose name contains the text. In Python: SQLite folds the case of ASCII only."""
        wanted = folded(query)
        names = joined(files.c.id, files.c.filename).where(*chosen).order_by(*NEWEST_FIRST)
        return [row.id async for rows in self._read(names) for row in rows if wanted in folded(row.filename)]

    async def _placed(self, *chosen: ColumnElement[bool], limit: int, offset: int) -> list[Placed]:
        query = joined(files, memberships.c.directory_id).where(*chosen).order_by(*NEWEST_FIRST)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.limit(limit).offset(offset))
            return [Placed(to_file(row), row.directory_id) for row in rows]

    async def _read(self, query: Select[Any]) -> AsyncIterator[Sequence[Row[Any]]]:
        async with self._engine.connect() as connection:
            result = await connection.stream(query)
            async for rows in result.partitions(READ_SIZE):
                yield rows


NEWEST_FIRST = (memberships.c.created_at.desc(), files.c.id)

METADATA_TEXT = cast(files.c.metadata, Text)
"""The metadata unread: of a hundred thousand files, reading it all would take longer than everything else."""


def joined(*columns: Any) -> Select[Any]:
    """Return a query of collections' files: of what they are in `files` and in `memberships`."""
    return select(*columns).join_from(memberships, files, memberships.c.file_id == files.c.id)


def folded(name: str) -> str:
    """Return a name without case and accents, for comparing."""
    apart = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


def matching(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a whole name fits a pattern: `*` is any text, `?` a character, nothing else is special.

    Case and accents of both do not matter.
    """
    wanted = re.compile(fnmatch.translate(folded(pattern).replace("[", "[[]")))
    return lambda name: wanted.match(folded(name)) is not None


def to_stored(row: Sequence[Any]) -> Stored:
    file_id, directory_id, filename, sha256, metadata, status = row
    said = json.loads(metadata).get("file_hash") if '"file_hash"' in metadata else None
    return Stored(
        file_id=file_id,
        directory_id=directory_id,
        filename=filename,
        sha256=sha256,
        file_hash=said if isinstance(said, str) else None,
        failed=status == Status.FAILED.value,
    )
