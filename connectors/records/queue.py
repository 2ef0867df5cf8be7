"""The queue of files that wait to be ingested. A lease says who works on a file; who lost it can change nothing."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.changes import QUEUE, Changes
from ragline.connectors.records.files import FRESH, QUEUED, to_file
from ragline.connectors.records.portions import portions
from ragline.connectors.records.tables import files
from ragline.types import Claim, Failure, FileRecord, Json, Lane, Stage, Status

LEASE_S = 60.0
"""How long a claim holds without a heartbeat."""

SUSPECT_AFTER = 2
SUSPECTS_TOGETHER = 32
"""Files worked on when their process died are taken 32 together up to the second time, then 8, 2, and alone."""

WAITING = and_(files.c.status == Status.PENDING.value, files.c.stage != "stored")
WORKED_ON = files.c.status == Status.PROCESSING.value
COMPLETED = files.c.status == Status.COMPLETED.value


class Queue:
    def __init__(self, engine: AsyncEngine, changes: Changes) -> None:
        self._engine = engine
        self._changes = changes
        self._claiming = asyncio.Lock()

    async def waiting(self) -> int:
        """Return how many files wait, those that wait for another try included."""
        async with self._engine.connect() as connection:
            return int(await connection.scalar(select(func.count()).select_from(files).where(WAITING)) or 0)

    async def due(self) -> tuple[int, int]:
        """Return how many files could be claimed now, and their size in bytes."""
        now = time.time()
        free = or_(and_(WAITING, files.c.not_before <= now), and_(WORKED_ON, files.c.lease_until < now))
        query = select(func.count(), func.coalesce(func.sum(files.c.size_bytes), 0)).where(free)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one()
        return int(row[0]), int(row[1])

    async def owners(self) -> set[str]:
        """Return the names under which files are worked on now."""
        query = select(files.c.lease).where(WORKED_ON, files.c.lease_until >= time.time()).distinct()
        async with self._engine.connect() as connection:
            leases: list[str | None] = list(await connection.scalars(query))
        return {lease.rpartition("/")[0] for lease in leases if lease}

    async def silent(self, for_s: float) -> int:
        """Return how many files are worked on under a lease that nobody renewed for so long: who has it may be dead."""
        late = and_(WORKED_ON, files.c.lease_until < time.time() + LEASE_S - for_s)
        async with self._engine.connect() as connection:
            return int(await connection.scalar(select(func.count()).select_from(files).where(late)) or 0)

    async def position(self, file: FileRecord, *, small_bytes: int) -> int | None:
        """Return the place of a waiting file among those of its lane, from 1; None when it does not wait."""
        if file.status is not Status.PENDING:
            return None
        ahead = or_(files.c.queued_at < file.queued_at, and_(files.c.queued_at == file.queued_at, files.c.id < file.id))
        lane = in_lane("small" if file.size_bytes <= small_bytes else "large", small_bytes)
        async with self._engine.connect() as connection:
            query = select(func.count()).select_from(files).where(WAITING, lane, ahead)
            return int(await connection.scalar(query) or 0) + 1

    async def claim(self, owner: str, *, lane: Lane, small_bytes: int, limit: int, max_bytes: int) -> Claim | None:
        """Take the files of a lane that waited longest, at least one where any waits, up to `limit` or `max_bytes`.

        They become `processing` under one lease of LEASE_S; two owners never get the same file. None: nothing waits.
        """
        now = time.time()
        expired = and_(WORKED_ON, files.c.lease_until < now)
        free = and_(or_(and_(WAITING, files.c.not_before <= now), expired), in_lane(lane, small_bytes))
        oldest = select(files).where(free).order_by(files.c.queued_at, files.c.id).limit(limit)
        lease = f"{owner}/{uuid.uuid4().hex}"
        async with self._claiming, self._engine.begin() as connection:
            rows = (await connection.execute(oldest.with_for_update(skip_locked=True))).all()
            taken = together(rows, max_bytes)
            if not taken:
                return None
            claimed = (
                update(files)
                .where(files.c.id.in_(taken), free)  # SQLite has no row locks: look once more
                .values(
                    status=Status.PROCESSING.value,
                    stage="parse",
                    progress=0.0,
                    error=None,
                    failure=None,
                    flow_run_id=None,
                    attempts=files.c.attempts + 1,
                    interruptions=files.c.interruptions + case((WORKED_ON, 1), else_=0),
                    lease=lease,
                    lease_until=now + LEASE_S,
                    updated_at=int(now),
                )
                .returning(files)
            )
            found = sorted(map(to_file, await connection.execute(claimed)), key=lambda file: taken.index(file.id))
            await self._changes.publish(connection, *(file.id for file in found))
        self._changes.tell(*(file.id for file in found))
        return Claim(lease, found) if found else None

    async def renew(self, lease: str) -> None:
        """The heartbeat: extend a lease."""
        async with self._engine.begin() as connection:
            held = update(files).where(files.c.lease == lease, WORKED_ON)
            await connection.execute(held.values(lease_until=time.time() + LEASE_S))

    async def held(self, lease: str) -> set[str]:
        """Return the ids of the files that were not taken away from this lease: worked on, or completed under it."""
        query = select(files.c.id).where(files.c.lease == lease, or_(WORKED_ON, COMPLETED))
        async with self._engine.connect() as connection:
            return set(await connection.scalars(query))

    async def advance(
        self, lease: str, stage: Stage, progress: Mapping[str, float], *, flow_run_id: str | None = None
    ) -> set[str]:
        """Note how far files are, from 0 to 1 by id, and return the ids of those that are still under this lease.

        The others lost it, by cancellation, deletion or time.
        """
        if not progress:
            return set()
        run = {"flow_run_id": flow_run_id} if flow_run_id else {}
        levels = set(progress.values())
        level = levels.pop() if len(levels) == 1 else case(dict(progress), value=files.c.id)
        held = and_(files.c.id.in_(progress), files.c.lease == lease, WORKED_ON)
        return set(await self._change(held, stage=stage, progress=level, **run))

    async def complete(
        self,
        file_id: str,
        lease: str,
        *,
        version: str,
        chunk_count: int,
        untidy: bool = True,
        document: Mapping[str, Json] | None = None,
    ) -> int | None:
        """Make `version` the one that answers. None: the lease is lost and nothing has changed.

        Returns the file's mark: above 0 there is something to bring in line, because `untidy` says so or because
        something changed meanwhile.
        """
        done = (
            update(files)
            .where(files.c.id == file_id, files.c.lease == lease, WORKED_ON)
            .values(
                status=Status.COMPLETED.value,
                stage="done",
                progress=1.0,
                error=None,
                version=version,
                chunk_count=chunk_count,
                document=dict(document or {}),
                interruptions=0,
                untidy=files.c.untidy + int(untidy),
                updated_at=int(time.time()),
            )
            .returning(files.c.untidy)
        )
        async with self._engine.begin() as connection:
            mark = (await connection.execute(done)).scalar()
            await self._changes.publish(connection, file_id)
        self._changes.tell(file_id)
        return mark

    async def fail(self, file_id: str, lease: str, reason: str, failure: Failure = "permanent") -> bool:
        """End the work without a result; an older version goes on to answer."""
        return await self._leased(
            file_id,
            lease,
            status=Status.FAILED.value,
            error=reason,
            failure=failure,
            untidy=files.c.untidy + 1,
            lease=None,
        )

    async def put_back(self, file_id: str, lease: str, reason: str, *, pause_s: float) -> bool:
        """Let a file wait `pause_s` for its next try, because of what a service did."""
        return await self._leased(
            file_id,
            lease,
            **QUEUED,
            error=reason,
            not_before=time.time() + pause_s,
        )

    async def release(self, owner: str, *, died: bool) -> int:
        """Put what this owner works on back at once and return how many files.

        `died`: its process ended without a word, which counts as an interruption. Else the try does not count.
        """
        counted: dict[str, object] = (
            {"interruptions": files.c.interruptions + 1} if died else {"attempts": files.c.attempts - 1}
        )
        held = and_(files.c.lease.startswith(f"{owner}/", autoescape=True), WORKED_ON)
        return len(await self._change(held, **QUEUED, **counted))

    async def give_up(self, max_attempts: int) -> int:
        """Fail the waiting files that were tried so often, and return how many there were."""
        spent = files.c.attempts >= max_attempts
        expired = and_(WORKED_ON, files.c.lease_until < time.time())
        died = f"tried {max_attempts} times: each time the process that worked on it ended; retry it by hand"
        given_up = await self._change(
            and_(spent, or_(WAITING, expired)),
            status=Status.FAILED.value,
            failure="exhausted",
            error=case((files.c.error.is_(None), died), else_="tried often enough: " + files.c.error),
            untidy=files.c.untidy + 1,
            lease=None,
        )
        return len(given_up)

    async def cancel(self, file_id: str) -> bool:
        """End the wait or the work. False: it is over already. An older version goes on to answer."""
        done = await self._change(
            and_(files.c.id == file_id, or_(WAITING, WORKED_ON)),
            status=Status.FAILED.value,
            failure="cancelled",
            error="cancelled",
            untidy=files.c.untidy + 1,
            lease=None,
        )
        return bool(done)

    async def retry(self, file_ids: Sequence[str] | None = None, *, exhausted_only: bool = False) -> int:
        """Let failed files wait again from the first try: these, or all. Returns how many."""
        chosen = [files.c.status == Status.FAILED.value]
        if file_ids is not None:
            chosen.append(files.c.id.in_(file_ids))
        if exhausted_only:
            chosen.append(files.c.failure == "exhausted")
        return len(await self._change(and_(*chosen), **FRESH, queued_at=time.time()))

    async def again(self, file_id: str) -> bool:
        """Ingest a file once more, whatever became of it; the present version answers until then."""
        return bool(await self._change(files.c.id == file_id, **FRESH, queued_at=time.time()))

    async def read_again(self, file_ids: Sequence[str]) -> int:
        """Ingest files once more, and return how many; not those that wait already, or that somebody stopped.

        The present versions answer until then.
        """
        stopped = and_(files.c.status == Status.FAILED.value, func.coalesce(files.c.failure, "") == "cancelled")
        ended = and_(files.c.status != Status.PENDING.value, ~stopped)
        now = time.time()
        again = 0
        for some in portions(file_ids):
            again += len(await self._change(and_(files.c.id.in_(some), ended), **FRESH, queued_at=now))
        return again

    async def _leased(self, file_id: str, under: str, /, **values: object) -> bool:
        return bool(await self._change(and_(files.c.id == file_id, files.c.lease == under, WORKED_ON), **values))

    async def _change(self, condition: ColumnElement[bool], **values: object) -> list[str]:
        changed = update(files).where(condition).values(updated_at=int(time.time()), **values).returning(files.c.id)
        async with self._engine.begin() as connection:
            ids = list(await connection.scalars(changed))
            told = [*ids, QUEUE] if values.get("status") == Status.PENDING.value and ids else ids
            await self._changes.publish(connection, *told)
        self._changes.tell(*told)
        return ids


def in_lane(lane: Lane, small_bytes: int) -> ColumnElement[bool]:
    small = files.c.size_bytes <= small_bytes
    return small if lane == "small" else ~small


def together(rows: Sequence[Any], max_bytes: int) -> list[str]:
    """Return which of the oldest files are taken in one claim.

    One of the files that were being worked on when a process died may be what killed it. So they are taken with fewer
    others each time, and in the end alone.
    """
    taken: list[str] = []
    size, most = 0, len(rows)
    for row in rows:
        size += row.size_bytes
        most = min(most, max(1, SUSPECTS_TOGETHER >> 2 * max(0, row.interruptions - SUSPECT_AFTER)))
        if taken and (size > max_bytes or len(taken) >= most):
            break
        taken.append(row.id)
    return taken
