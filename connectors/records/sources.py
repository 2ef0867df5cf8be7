"""Sources: who syncs one now, and what each had at its last sync."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragline.connectors.records.changes import QUEUE, SOURCES, Changes
from ragline.connectors.records.portions import portions
from ragline.connectors.records.tables import entries, files, sources
from ragline.connectors.records.upsert import upsert
from ragline.errors import Conflict
from ragline.types import SOURCE_KEY, Json, Status

LEASE_S = 60.0
"""How long a sync holds its source without a heartbeat."""

KEPT = "the source has it no more; its file was kept"


@dataclass(frozen=True, slots=True)
class Known:
    """A document of a source as it was last seen. `tag` and `size_bytes` are the source's, None where it said none.

    `sha256` is of the bytes that its file holds. Without `file_id` and `error` somebody deleted the file in Ragline.
    `error` says why the document of this tag could not be taken in; a file it may have is an older state of it.
    `failed`: it was taken in, and its file could not be ingested.
    """

    path: str
    tag: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    file_id: str | None = None
    error: str | None = None
    failed: bool = False

    @property
    def kept(self) -> bool:
        """The source has it no more, and its file stays; should the document come back, it goes on with this file."""
        return self.error == KEPT


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a source. `error` is of the last sync, `synced_at` the end of the last one without, Unix s."""

    fingerprint: str | None = None
    error: str | None = None
    synced_at: int | None = None
    entries: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the last sync of a source ended: `error`, None where all went well, and the last time without, Unix s."""

    error: str | None
    synced_at: int | None


class Sources:
    """All writes but the first need the lease: Conflict says that another sync has taken the source over."""

    def __init__(self, engine: AsyncEngine, changes: Changes) -> None:
        self._engine = engine
        self._changes = changes

    async def begin(self, name: str, owner: str) -> str:
        """Take a source for one sync and return the lease, which holds LEASE_S beyond each `renew`.

        Raises Conflict, saying since when and by whom, while another sync holds it; one that died is taken over.
        """
        now = time.time()
        lease = f"{int(now)} {owner[:200]} {uuid.uuid4().hex}"
        new = upsert(self._engine, sources).values(name=name, lease_until=0.0).on_conflict_do_nothing()
        # One that ends far in the future is of a clock that was set back; clocks of machines differ by less.
        over = or_(sources.c.lease_until < now, sources.c.lease_until > now + 2 * LEASE_S)
        free = or_(sources.c.lease.is_(None), over)
        async with self._engine.begin() as connection:
            await connection.execute(new)
            taken = update(sources).where(sources.c.name == name, free)
            if not (await connection.execute(taken.values(lease=lease, lease_until=now + LEASE_S))).rowcount:
                held = await connection.scalar(select(sources.c.lease).where(sources.c.name == name))
                raise Conflict(f"source {name!r} is being synced {shown(held or '')}; wait for its end")
        return lease

    async def renew(self, name: str, lease: str) -> None:
        """The heartbeat: extend the lease. Raises Conflict when it is lost."""
        async with self._engine.begin() as connection:
            await self._hold(connection, name, lease)

    async def finish(self, name: str, lease: str, *, fingerprint: str | None, error: str | None) -> None:
        """Let go of the source and note how the sync ended. Raises Conflict when the lease is lost."""
        ended: dict[str, object] = {"synced_at": int(time.time())} if error is None else {}
        async with self._engine.begin() as connection:
            await self._hold(connection, name, lease)
            free = update(sources).where(sources.c.name == name)
            await connection.execute(
                free.values(lease=None, lease_until=0.0, fingerprint=fingerprint, error=error, **ended)
            )
            await self._changes.publish(connection, SOURCES)
        self._changes.tell(SOURCES)

    async def state(self, name: str, user_id: str) -> State:
        """Return what is known of a source; nothing of one that was never synced.

        A file that a sync took in and had no time to note (it was killed) is found by its metadata, without a tag.
        Only files of this user, the owner of what is synced, count: metadata is whatever an upload says.
        """
        failed = and_(files.c.status == Status.FAILED.value, files.c.failure != "cancelled").label("failed")
        linked = select(entries, files.c.sha256.label("stored"), failed).outerjoin(
            files, entries.c.file_id == files.c.id
        )
        told = select(files.c.id, files.c.sha256, files.c.metadata["path"].as_string().label("path")).where(
            taken_in(name, user_id)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(sources).where(sources.c.name == name))).first()
            rows = await connection.execute(linked.where(entries.c.source == name))
            known = {each.path: to_known(each) for each in rows}
            for file in await connection.execute(told.order_by(files.c.created_at, files.c.id)):
                if file.path and (file.path not in known or known[file.path].file_id is None):
                    known[file.path] = Known(file.path, sha256=file.sha256, file_id=file.id)
        if row is None:
            return State(entries=known)
        return State(row.fingerprint, row.error, row.synced_at, known)

    async def ends(self) -> dict[str, Ended]:
        """Return how the last sync of each source ended, by name, of those that were ever synced."""
        query = select(sources.c.name, sources.c.error, sources.c.synced_at)
        async with self._engine.connect() as connection:
            return {row.name: Ended(row.error, row.synced_at) for row in await connection.execute(query)}

    async def forget(self, name: str, lease: str) -> None:
        """Drop all that is known of a source, the lease too; its files are not touched."""
        async with self._engine.begin() as connection:
            await self._hold(connection, name, lease)
            await connection.execute(delete(entries).where(entries.c.source == name))
            await connection.execute(delete(sources).where(sources.c.name == name))

    async def file_ids(self, name: str, user_id: str) -> list[str]:
        """Return the ids of the files of a source, those that a sync took in and could not note included."""
        marked = select(files.c.id).where(taken_in(name, user_id))
        noted = select(entries.c.file_id).where(entries.c.source == name, entries.c.file_id.is_not(None))
        async with self._engine.connect() as connection:
            return list(await connection.scalars(marked.union(noted)))

    async def put_entry(self, name: str, lease: str, known: Known) -> None:
        """Note a document as it was seen now, in place of what was known of its path."""
        async with self._engine.begin() as connection:
            await self._hold(connection, name, lease)
            await self._put(connection, name, known)

    async def drop_entries(self, name: str, lease: str, paths: Sequence[str]) -> None:
        """Forget documents; what became of their files is not decided here."""
        async with self._engine.begin() as connection:
            await self._hold(connection, name, lease)
            for some in portions([path_hash(path) for path in paths]):
                gone = delete(entries).where(entries.c.source == name, entries.c.path_sha256.in_(some))
                await connection.execute(gone)

    async def move_entry(
        self, name: str, lease: str, old_path: str, new: Known, *, filename: str, metadata: Mapping[str, Json]
    ) -> bool:
        """Give a document another path, and its file another name and metadata. False: the file has gone meanwhile.

        All at once; the passages follow the name.
        """
        async with self._engine.begin() as connection:
            await self._hold(connection, name, lease)
            file = update(files).where(files.c.id == new.file_id)
            renamed = file.values(
                filename=filename,
                metadata=dict(metadata),
                untidy=files.c.untidy + 1,
                updated_at=int(time.time()),
            )
            if not (await connection.execute(renamed)).rowcount:
                return False
            old = delete(entries).where(entries.c.source == name, entries.c.path_sha256 == path_hash(old_path))
            await connection.execute(old)
            await self._put(connection, name, new)
            told = [new.file_id or "", QUEUE]
            await self._changes.publish(connection, *told)
        self._changes.tell(*told)
        return True

    async def _put(self, connection: AsyncConnection, name: str, known: Known) -> None:
        key = path_hash(known.path)
        await connection.execute(delete(entries).where(entries.c.source == name, entries.c.path_sha256 == key))
        row = {
            "source": name,
            "path_sha256": key,
            "path": known.path,
            "tag": known.tag,
            "size_bytes": known.size_bytes,
            "sha256": known.sha256,
            # One that was deleted meanwhile is no link: nothing rather than an error.
            "file_id": select(files.c.id).where(files.c.id == known.file_id).scalar_subquery(),
            "error": known.error,
            "updated_at": int(time.time()),
        }
        await connection.execute(insert(entries).values(row))

    async def _hold(self, connection: AsyncConnection, name: str, lease: str) -> None:
        """Extend the lease, and let nobody else take it until the transaction ends. Raises Conflict when it is lost."""
        held = update(sources).where(sources.c.name == name, sources.c.lease == lease)
        if not (await connection.execute(held.values(lease_until=time.time() + LEASE_S))).rowcount:
            raise Conflict(f"source {name!r}: another sync has taken over, this one stood still for {LEASE_S:g} s")


def taken_in(name: str, user_id: str) -> ColumnElement[bool]:
    """Return which rows of `files` a sync of this source took in, for this user."""
    return and_(files.c.metadata[SOURCE_KEY].as_string() == name, files.c.user_id == user_id)


def this_process() -> str:
    """Return the name under which this process takes sources."""
    return f"{socket.gethostname()}:{os.getpid()}"


def shown(lease: str) -> str:
    """Return since when and by whom a source is held."""
    started, owner, _ = lease.split(" ")
    return f"since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(int(started)))} by {owner}"


def path_hash(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


def to_known(row: Row[Any]) -> Known:
    return Known(
        path=row.path,
        tag=row.tag,
        size_bytes=row.size_bytes,
        sha256=row.stored or row.sha256,
        file_id=row.file_id,
        error=row.error,
        failed=bool(row.failed),
    )
