"""Files and where they stand. A lease says which process works on a file; an expired one puts it back in the queue."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.tables import files
from ragline.errors import NotFound
from ragline.types import FileRecord, Json, Stage, Status, User

LEASE_S = 60.0
"""How long a claim holds without a heartbeat."""


class Files:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._claiming = asyncio.Lock()

    async def add(
        self,
        *,
        file_id: str,
        user_id: str,
        filename: str,
        content_type: str,
        size_bytes: int,
        sha256: str,
        metadata: Mapping[str, Json],
    ) -> FileRecord:
        """Add a file that waits to be ingested. Its bytes must be stored already."""
        now = int(time.time())
        row = {
            "id": file_id,
            "user_id": user_id,
            "filename": filename,
            "content_type": content_type,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "status": Status.PENDING.value,
            "stage": "queued",
            "progress": 0.0,
            "chunk_count": 0,
            "metadata": dict(metadata),
            "lease_until": 0.0,
            "created_at": now,
            "updated_at": now,
        }
        async with self._engine.begin() as connection:
            await connection.execute(insert(files).values(row))
        return await self.get(file_id)

    async def get(self, file_id: str) -> FileRecord:
        """Return the file, whoever asks. Raises NotFound naming the id."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(files).where(files.c.id == file_id))).first()
        if row is None:
            raise NotFound(f"no file {file_id!r}")
        return to_file(row)

    async def visible(self, file_id: str, user: User) -> FileRecord:
        """Return the file if this user may see it. Raises NotFound, the same for another's file as for none."""
        file = await self.get(file_id)
        if not user.is_admin and file.user_id != user.id:
            raise NotFound(f"no file {file_id!r}")
        return file

    async def named(self, file_ids: Sequence[str]) -> dict[str, FileRecord]:
        """Return the files among these ids that exist, by id."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(files).where(files.c.id.in_(file_ids)))).all()
        return {row.id: to_file(row) for row in rows}

    async def page(self, user: User, *, limit: int, offset: int) -> tuple[list[FileRecord], int]:
        """Return a page of the files this user may see, newest first, and how many there are."""
        mine = select(files) if user.is_admin else select(files).where(files.c.user_id == user.id)
        async with self._engine.connect() as connection:
            total = await connection.scalar(select(func.count()).select_from(mine.subquery()))
            query = mine.order_by(files.c.created_at.desc(), files.c.id).limit(limit).offset(offset)
            rows = (await connection.execute(query)).all()
        return [to_file(row) for row in rows], int(total or 0)

    async def waiting(self) -> int:
        """Return how many files wait to be claimed."""
        async with self._engine.connect() as connection:
            query = select(func.count()).select_from(files).where(files.c.status == Status.PENDING.value)
            return int(await connection.scalar(query) or 0)

    async def claim(self, owner: str, *, limit: int, max_bytes: int) -> list[FileRecord]:
        """Take the oldest waiting files, at least one where any waits, up to `limit` files or `max_bytes`.

        They become `processing` under a lease of LEASE_S; two owners never get the same file.
        """
        now = time.time()
        waiting = or_(
            files.c.status == Status.PENDING.value,
            and_(files.c.status == Status.PROCESSING.value, files.c.lease_until < now),
        )
        oldest = select(files).where(waiting).order_by(files.c.created_at, files.c.id).limit(limit)
        async with self._claiming, self._engine.begin() as connection:
            rows = (await connection.execute(oldest.with_for_update(skip_locked=True))).all()
            taken: list[str] = []
            size = 0
            for row in rows:
                size += row.size_bytes
                if taken and size > max_bytes:
                    break
                taken.append(row.id)
            if not taken:
                return []
            claimed = (
                update(files)
                .where(files.c.id.in_(taken))
                .values(
                    status=Status.PROCESSING.value,
                    stage="parse",
                    progress=0.0,
                    error=None,
                    lease_owner=owner,
                    lease_until=now + LEASE_S,
                    updated_at=int(now),
                )
                .returning(files)
            )
            return sorted(map(to_file, await connection.execute(claimed)), key=lambda file: taken.index(file.id))

    async def renew(self, owner: str) -> None:
        """The heartbeat: extend every lease of this owner."""
        await self._update(
            and_(files.c.lease_owner == owner, files.c.status == Status.PROCESSING.value),
            lease_until=time.time() + LEASE_S,
        )

    async def release(self, owner: str) -> int:
        """Put every file this owner works on back in the queue and return how many there were."""
        return await self._update(
            and_(files.c.lease_owner == owner, files.c.status == Status.PROCESSING.value),
            status=Status.PENDING.value,
            stage="queued",
            progress=0.0,
            lease_owner=None,
            lease_until=0.0,
        )

    async def advance(self, file_id: str, stage: Stage, progress: float, *, flow_run_id: str | None = None) -> None:
        """Note how far a file is, from 0 to 1."""
        values: dict[str, object] = {"stage": stage, "progress": progress}
        if flow_run_id:
            values["flow_run_id"] = flow_run_id
        await self._update(files.c.id == file_id, **values)

    async def complete(self, file_id: str, *, chunk_count: int) -> None:
        await self._update(
            files.c.id == file_id,
            status=Status.COMPLETED.value,
            stage="done",
            progress=1.0,
            error=None,
            chunk_count=chunk_count,
            lease_owner=None,
        )

    async def fail(self, file_id: str, reason: str) -> None:
        await self._update(files.c.id == file_id, status=Status.FAILED.value, error=reason, lease_owner=None)

    async def delete(self, file_id: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(files).where(files.c.id == file_id))

    async def _update(self, condition: Any, **values: object) -> int:
        async with self._engine.begin() as connection:
            done = await connection.execute(
                update(files).where(condition).values(updated_at=int(time.time()), **values)
            )
        return int(done.rowcount)


def new_id() -> str:
    return str(uuid.uuid4())


def to_file(row: Row[Any]) -> FileRecord:
    return FileRecord(
        id=row.id,
        user_id=row.user_id,
        filename=row.filename,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        status=Status(row.status),
        stage=row.stage,
        progress=row.progress,
        error=row.error,
        chunk_count=row.chunk_count,
        flow_run_id=row.flow_run_id,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
