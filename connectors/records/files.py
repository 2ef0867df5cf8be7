"""Files: what was taken in, and which version of each answers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.changes import QUEUE, Changes
from ragline.connectors.records.file_rows import FRESH, QUEUED, new_id, to_file
from ragline.connectors.records.portions import LOOKUP_SIZE, portions
from ragline.connectors.records.rights import own_files, readable_files
from ragline.connectors.records.tables import files, memberships
from ragline.connectors.records.usage import Room
from ragline.errors import Forbidden, NotFound
from ragline.types import SOURCE_KEY, FileRecord, Json, Scope, Status, User

__all__ = ["FRESH", "QUEUED", "Files", "new_id", "to_file"]

BY_ID = select(files).where(files.c.id == bindparam("file_id"))
"""Made once: to make a statement costs as much as to run it, and this one runs several times a file."""


class Files:
    def __init__(self, engine: AsyncEngine, changes: Changes) -> None:
        self._engine = engine
        self._changes = changes

    async def add(
        self,
        *,
        file_id: str,
        user_id: str,
        filename: str,
        content_type: str,
        size_bytes: int,
        sha256: str,
        blob: str,
        metadata: Mapping[str, Json],
        collection_id: str | None = None,
        directory_id: str | None = None,
        waits: bool = True,
        room: Room | None = None,
        password: str | None = None,
    ) -> FileRecord:
        """Add a file that waits to be ingested, into a collection where one is named. Its bytes must be stored.

        Unless it `waits`, it is only kept until somebody asks for it. `password` is sealed.

        Raises IntegrityError, and adds nothing, when the collection or the directory has gone meanwhile; TooLarge when
        the user has no `room` for it.
        """
        now = time.time()
        row = {
            "id": file_id,
            "user_id": user_id,
            "filename": filename,
            "content_type": content_type,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "blob": blob,
            "metadata": dict(metadata),
            "chunk_count": 0,
            "untidy": 0,
            "password": password,
            "created_at": int(now),
            "updated_at": int(now),
            **(FRESH if waits else FRESH | {"stage": "stored"}),
            "queued_at": now,
        }
        async with self._engine.begin() as connection:
            if room is not None:
                await room.take(connection, user_id, size_bytes=size_bytes)
            added = (await connection.execute(insert(files).values(row).returning(files))).one()
            if collection_id is not None:
                member = {"collection_id": collection_id, "file_id": file_id, "directory_id": directory_id}
                await connection.execute(insert(memberships).values(member | {"created_at": int(now)}))
            await self._changes.publish(connection, QUEUE)
        self._changes.tell(QUEUE)
        return to_file(added)

    async def replace(
        self,
        file_id: str,
        *,
        content_type: str,
        size_bytes: int,
        sha256: str,
        blob: str,
        password: str | None = None,
    ) -> FileRecord | None:
        """Give a file new bytes, which wait to be ingested, and return it as it was before; None when it has gone.

        Work on the old bytes loses its lease. The version that answers goes on to answer until the new one is in. A
        text that somebody wrote for the old bytes counts no more, nor does their password.
        """
        new = {"content_type": content_type, "size_bytes": size_bytes, "sha256": sha256, "blob": blob}
        return await self._renew(file_id, **new, edited=None, password=password)

    async def unlock(self, file_id: str, password: str) -> bool:
        """Let a file be ingested with a password, which is sealed; otherwise as `replace` does. False: it has gone."""
        return await self._renew(file_id, password=password) is not None

    async def edit(self, file_id: str, edited: str) -> FileRecord | None:
        """Let a file be ingested from a text that lies here, not from its bytes; otherwise as `replace` does."""
        return await self._renew(file_id, edited=edited)

    async def _renew(self, file_id: str, **new: object) -> FileRecord | None:
        """Change what a file is ingested from, let it wait, and return it as it was before; None when it has gone."""
        row = files.c.id == file_id
        async with self._engine.begin() as connection:
            await connection.execute(update(files).where(row).values(untidy=files.c.untidy))  # locks it
            before = (await connection.execute(BY_ID, {"file_id": file_id})).first()
            if before is None:
                return None
            now = time.time()
            changed = update(files).where(row).values(**FRESH, **new, queued_at=now, updated_at=int(now))
            await connection.execute(changed)
            await self._changes.publish(connection, file_id, QUEUE)
        self._changes.tell(file_id, QUEUE)
        return to_file(before)

    async def rename(self, file_id: str, filename: str) -> bool:
        """Give a file another name; its passages follow. False: there is no such file."""
        return await self._update(files.c.id == file_id, filename=filename, untidy=files.c.untidy + 1) > 0

    async def release(self, file_ids: Collection[str]) -> None:
        """Take the mark of their source from files: they are like uploads then, and no sync finds them again."""
        async with self._engine.begin() as connection:
            chosen = select(files.c.id, files.c.metadata).where(files.c.id.in_(file_ids))
            for row in (await connection.execute(chosen)).all():
                left = {name: value for name, value in row.metadata.items() if name != SOURCE_KEY}
                await connection.execute(update(files).where(files.c.id == row.id).values(metadata=left))

    async def get(self, file_id: str) -> FileRecord:
        """Return the file, whoever asks. Raises NotFound naming the id."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(BY_ID, {"file_id": file_id})).first()
        if row is None:
            raise NotFound(f"no file {file_id!r}")
        return to_file(row)

    async def visible(self, file_id: str, user: User) -> FileRecord:
        """Return the file if this user may see it. Raises NotFound, the same for a hidden one as for none."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(BY_ID.where(readable_files(user)), {"file_id": file_id})).first()
        if row is None:
            raise NotFound(f"no file {file_id!r}")
        return to_file(row)

    async def owned(self, file_id: str, user: User) -> FileRecord:
        """Return the file if this user may change it. Raises NotFound, or Forbidden if they only see it."""
        query = select(files, own_files(user).label("mine")).where(files.c.id == file_id, readable_files(user))
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"no file {file_id!r}")
        if not row.mine:
            raise Forbidden(f"file {file_id!r} is another user's: only they can change it")
        return to_file(row)

    async def readable_among(self, file_ids: Collection[str], user: User) -> set[str]:
        """Return those of these ids whose files this user may see."""
        return set(await self._among(file_ids, readable_files(user)))

    async def owned_among(self, file_ids: Collection[str], user: User) -> list[str]:
        """Return those of these ids whose files this user may change and delete."""
        return await self._among(file_ids, own_files(user))

    async def named(self, file_ids: Collection[str]) -> dict[str, FileRecord]:
        """Return the files among these ids that exist, by id."""
        found: dict[str, FileRecord] = {}
        async with self._engine.connect() as connection:
            for some in portions(list(file_ids)):
                rows = await connection.execute(select(files).where(files.c.id.in_(some)))
                found |= {row.id: to_file(row) for row in rows}
        return found

    async def versions(self, file_ids: Collection[str], scope: Scope) -> dict[str, str]:
        """Return which version of each of these files answers; those that none does, or beyond the scope, are left out.

        What lies in a collection is read here, so that a file that has just left one is not found there any more.
        """
        named = scope.collection_ids | scope.shared_collection_ids
        member = and_(memberships.c.file_id == files.c.id, memberships.c.collection_id.in_(named))
        query = (
            select(files.c.id, files.c.version, files.c.user_id, memberships.c.collection_id)
            .outerjoin(memberships, member)
            .where(files.c.id.in_(file_ids), files.c.version.is_not(None))
        )
        versions: dict[str, tuple[str, str]] = {}
        lies_in: dict[str, set[str]] = {}
        async with self._engine.connect() as connection:
            for row in await connection.execute(query):
                versions[row.id] = row.version, row.user_id
                lies_in.setdefault(row.id, set()).add(row.collection_id)
        return {
            file_id: version
            for file_id, (version, owner) in versions.items()
            if is_inside(scope, file_id, owner, lies_in[file_id])
        }

    async def with_sha256(self, sha256: str, user_id: str) -> list[FileRecord]:
        """Return this user's files of exactly these bytes, the first one first."""
        query = select(files).where(files.c.sha256 == sha256, files.c.user_id == user_id)
        async with self._engine.connect() as connection:
            return [to_file(row) for row in await connection.execute(query.order_by(files.c.created_at, files.c.id))]

    async def first_names(self, chosen: Collection[FileRecord]) -> dict[tuple[str, str], str]:
        """Return by (user, hash) of these files under what name that user first had exactly those bytes."""
        hashes = list({file.sha256 for file in chosen})
        query = select(files.c.user_id, files.c.sha256, files.c.filename)
        names: dict[tuple[str, str], str] = {}
        async with self._engine.connect() as connection:
            for some in portions(hashes):
                part = query.where(files.c.sha256.in_(some)).order_by(files.c.created_at, files.c.id)
                for row in await connection.execute(part):
                    names.setdefault((row.user_id, row.sha256), row.filename)
        return names

    async def page(self, user: User, *, limit: int, offset: int) -> tuple[list[FileRecord], int]:
        """Return a page of this user's files, of an administrator's all, newest first, and how many there are."""
        mine = select(files).where(own_files(user))
        async with self._engine.connect() as connection:
            total = await connection.scalar(select(func.count()).select_from(mine.subquery()))
            query = mine.order_by(files.c.created_at.desc(), files.c.id).limit(limit).offset(offset)
            rows = (await connection.execute(query)).all()
        return [to_file(row) for row in rows], int(total or 0)

    async def count(self, user: User, *, personal: bool = False) -> int:
        """Return how many files `page` lists; `personal`: of an administrator, too, only those they uploaded."""
        query = select(func.count()).select_from(files).where(listed(user, personal=personal))
        async with self._engine.connect() as connection:
            return int(await connection.scalar(query) or 0)

    async def search(
        self, user: User, *, keep: Callable[[str], bool], personal: bool, limit: int, offset: int
    ) -> list[FileRecord]:
        """Return a part of the files that `count` counts, newest first: of those whose name `keep` says yes to."""
        query = select(files.c.id, files.c.filename).where(listed(user, personal=personal))
        ids: list[str] = []
        async with self._engine.connect() as connection:
            result = await connection.stream(query.order_by(files.c.created_at.desc(), files.c.id))
            async for rows in result.partitions(LOOKUP_SIZE):
                ids += [row.id for row in rows if keep(row.filename)]
                if len(ids) >= offset + limit:
                    break
        chosen = ids[offset : offset + limit]
        found = await self.named(chosen)
        return [found[file_id] for file_id in chosen if file_id in found]

    async def of_status(self, status: Status, *, limit: int) -> list[FileRecord]:
        """Return the files of everybody in this state, longest in the queue first."""
        query = select(files).where(files.c.status == status.value).order_by(files.c.queued_at, files.c.id)
        async with self._engine.connect() as connection:
            return [to_file(row) for row in await connection.execute(query.limit(limit))]

    async def all_pages(self, size: int = 1000) -> AsyncIterator[list[FileRecord]]:
        """Give all files of everybody, `size` at a time, ordered by id."""
        last = ""
        while True:
            query = select(files).where(files.c.id > last).order_by(files.c.id).limit(size)
            async with self._engine.connect() as connection:
                page = [to_file(row) for row in await connection.execute(query)]
            if not page:
                return
            yield page
            last = page[-1].id

    async def untidy(self, *, limit: int) -> list[str]:
        """Return ids of files, none that is worked on, whose vectors are to be brought in line with the records."""
        query = select(files.c.id).where(files.c.untidy > 0, files.c.status != Status.PROCESSING.value)
        async with self._engine.connect() as connection:
            return list(await connection.scalars(query.order_by(files.c.updated_at).limit(limit)))

    async def mark_untidy(self, file_id: str) -> None:
        """Ask for a file's vectors to be brought in line with the records."""
        await self._update(files.c.id == file_id, untidy=files.c.untidy + 1)
        self._changes.tell(QUEUE)

    async def tidied(self, file_id: str, mark: int) -> None:
        """Note that a file's vectors are in line, unless something changed since `mark` was read."""
        async with self._engine.begin() as connection:
            seen = update(files).where(files.c.id == file_id, files.c.untidy == mark)
            await connection.execute(seen.values(untidy=0))

    async def _among(self, file_ids: Collection[str], right: ColumnElement[bool]) -> list[str]:
        found: list[str] = []
        async with self._engine.connect() as connection:
            for some in portions(list(file_ids)):
                found += await connection.scalars(select(files.c.id).where(files.c.id.in_(some), right))
        return found

    async def _update(self, condition: ColumnElement[bool], **values: object) -> int:
        async with self._engine.begin() as connection:
            changed = update(files).where(condition).values(updated_at=int(time.time()), **values)
            ids = list(await connection.scalars(changed.returning(files.c.id)))
            await self._changes.publish(connection, *ids, QUEUE)
        self._changes.tell(*ids)
        return len(ids)


def is_inside(scope: Scope, file_id: str, owner: str, lies_in: Collection[str]) -> bool:
    """Tell whether a file of this owner, which lies in these collections, belongs to the scope of a search."""
    everything = not (scope.file_ids or scope.collection_ids)
    meant = everything or file_id in scope.file_ids or not scope.collection_ids.isdisjoint(lies_in)
    seen = scope.user_id in (None, owner) or not scope.shared_collection_ids.isdisjoint(lies_in)
    return meant and seen


def listed(user: User, *, personal: bool) -> ColumnElement[bool]:
    return and_(own_files(user), files.c.user_id == user.id) if personal else own_files(user)
