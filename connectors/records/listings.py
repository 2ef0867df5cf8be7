"""Lists that are read on from the last thing seen, as OpenAI's clients do: files, collections, members of one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import Column, ColumnElement, Row, Select, and_, case, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragline.connectors.records.collections import to_collection
from ragline.connectors.records.files import to_file
from ragline.connectors.records.members import joined
from ragline.connectors.records.rights import own_files, readable_collections
from ragline.connectors.records.tables import collections, files, memberships
from ragline.errors import Invalid
from ragline.types import CollectionRecord, FileRecord, Status, User

T = TypeVar("T")

READ_ROWS = 500
"""Rows read at a time where not all of them are wanted."""

State = Literal["in_progress", "completed", "failed", "cancelled"]
"""How a member of a collection stands, in OpenAI's words."""

STATE: ColumnElement[str] = case(
    (files.c.status.in_([Status.PENDING.value, Status.PROCESSING.value]), "in_progress"),
    (and_(files.c.status == Status.COMPLETED.value, files.c.untidy > 0), "in_progress"),
    (files.c.status == Status.COMPLETED.value, "completed"),
    (files.c.failure == "cancelled", "cancelled"),
    else_="failed",
)


def state_of(file: FileRecord) -> State:
    """Return how a file stands: completed once its passages can be found in all collections that it is in."""
    match file.status:
        case Status.COMPLETED:
            return "in_progress" if file.untidy else "completed"
        case Status.FAILED:
            return "cancelled" if file.failure == "cancelled" else "failed"
        case _:
            return "in_progress"


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a list: at most `limit` things, newest first or `ascending`, after or before the one of an id."""

    limit: int
    ascending: bool = False
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """What was cut out, in order; `more`: the list goes on in the direction of reading."""

    rows: Sequence[T]
    more: bool


@dataclass(frozen=True, slots=True)
class Linked:
    """A file of a collection, and when it was put there."""

    file: FileRecord
    linked_at: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many files of a collection are in each state, and their bytes together."""

    counts: Mapping[State, int]
    size_bytes: int


class Listings:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def files(self, user: User, cut: Cut, *, keep: Callable[[FileRecord], bool]) -> Part[FileRecord]:
        """Return a part of this user's files, of an administrator's all, those that `keep` says yes to.

        Raises Invalid where the cut is at no file of theirs.
        """
        mine = select(files).where(own_files(user))
        found: list[FileRecord] = []
        place = replace(cut, limit=READ_ROWS)
        async with self._engine.connect() as connection:
            while True:
                part = await read(connection, mine, (files.c.created_at, files.c.id), place, what="file")
                found += filter(keep, map(to_file, part.rows))
                if len(found) > cut.limit or not part.more:
                    return Part(found[: cut.limit], more=len(found) > cut.limit)
                place = replace(place, after=part.rows[-1].id)

    async def collections(self, user: User, cut: Cut) -> Part[CollectionRecord]:
        """Return a part of the collections this user may see. Raises Invalid where the cut is at none of them."""
        seen = select(collections).where(readable_collections(user))
        async with self._engine.connect() as connection:
            part = await read(connection, seen, (collections.c.created_at, collections.c.id), cut, what="vector store")
        return Part(list(map(to_collection, part.rows)), part.more)

    async def members(
        self, collection_id: str, cut: Cut, *, state: State | None = None, among: Collection[str] | None = None
    ) -> Part[Linked]:
        """Return a part of a collection's files, those in one state, those among some ids.

        Raises Invalid where the cut is at none of its files.
        """
        query = MEMBERS.where(memberships.c.collection_id == collection_id)
        if among is not None:
            query = query.where(files.c.id.in_(among))
        chosen = query if state is None else query.where(STATE.in_([state]))
        async with self._engine.connect() as connection:
            key = (memberships.c.created_at, files.c.id)
            part = await read(connection, chosen, key, cut, what="file", within=query)
        return Part([Linked(to_file(row), row.linked_at) for row in part.rows], part.more)

    async def tallies(
        self, collection_ids: Collection[str], *, among: Collection[str] | None = None
    ) -> dict[str, Tally]:
        """Return by id how the files of each collection stand, of those among some ids; an empty one counts nothing."""
        columns = (memberships.c.collection_id, STATE.label("state"), files.c.size_bytes)
        members = joined(*columns).where(memberships.c.collection_id.in_(collection_ids))
        if among is not None:
            members = members.where(files.c.id.in_(among))
        each = members.subquery().c
        size = func.sum(each.size_bytes).label("size")
        query = select(each.collection_id, each.state, func.count().label("number"), size)
        tallies = {collection_id: Tally({}, 0) for collection_id in collection_ids}
        async with self._engine.connect() as connection:
            for row in await connection.execute(query.group_by(each.collection_id, each.state)):
                known = tallies[row.collection_id]
                counts: dict[State, int] = {**known.counts, row.state: row.number}
                tallies[row.collection_id] = Tally(counts, known.size_bytes + int(row.size or 0))
        return tallies


MEMBERS = joined(files, memberships.c.created_at.label("linked_at"))


async def read(
    connection: AsyncConnection,
    query: Select[Any],
    key: tuple[Column[Any], Column[Any]],
    cut: Cut,
    *,
    what: str,
    within: Select[Any] | None = None,
) -> Part[Row[Any]]:
    """Return a part of what a query finds, ordered by (time, id). Raises Invalid where the cut is at no such row.

    `within`: the query whose rows a cut may be at, where `query` finds only some of them.
    """
    backwards = cut.before is not None and cut.after is None
    for given, later in ((cut.after, True), (cut.before, False)):
        if given is not None:
            edge = await edge_of(connection, query if within is None else within, key, given, what)
            here = tuple_(*key)
            query = query.where(here > edge if later is cut.ascending else here < edge)
    upwards = cut.ascending is not backwards
    ordered = query.order_by(*(column.asc() if upwards else column.desc() for column in key)).limit(cut.limit + 1)
    rows = list((await connection.execute(ordered)).all())
    found = rows[: cut.limit]
    return Part(found[::-1] if backwards else found, more=len(rows) > cut.limit)


async def edge_of(
    connection: AsyncConnection, query: Select[Any], key: tuple[Column[Any], Column[Any]], id: str, what: str
) -> Any:
    at, named = key
    row = (await connection.execute(query.with_only_columns(at, named).where(named == id))).first()
    if row is None:
        raise Invalid(f"no {what} {id!r} in this list to go on from")
    return tuple_(*row)
