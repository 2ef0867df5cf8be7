"""The files of the queue, read and changed in the records, also beside a running server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select

from ragline.config.settings import Settings
from ragline.connectors.records.store import Records
from ragline.connectors.records.tables import files
from ragline.local import known_records
from ragline.types import Status

SHOWN = (Status.PROCESSING, Status.PENDING, Status.FAILED)
"""The states of unfinished files in the order in which they are shown."""
ENDED = {Status.FAILED: "it has failed already", Status.COMPLETED: "it is completed already"}


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file of the queue. `not_before` is its next try in Unix seconds, 0 for at once."""

    id: str
    name: str
    status: Status
    stage: str
    attempts: int
    not_before: float
    reason: str

    def next_try(self, now: float) -> str:
        """Return when it is tried next, in words."""
        if self.status is not Status.PENDING:
            return ""
        if self.not_before <= now:
            return "now"
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.not_before))


async def unfinished(
    settings: Settings, *, failed_only: bool, limit: int | None
) -> tuple[Mapping[Status, int], list[Unfinished]]:
    """Return how many files are in each state that is not `completed`, and those that are next, at most `limit`."""
    shown = [Status.FAILED] if failed_only else SHOWN
    chosen = files.c.status.in_([status.value for status in shown])
    place = case({status.value: number for number, status in enumerate(SHOWN)}, value=files.c.status)
    numbers = select(files.c.status, func.count().label("number")).where(chosen).group_by(files.c.status)
    listed = select(files).where(chosen).order_by(place, files.c.queued_at, files.c.id).limit(limit)
    async with known_records(settings) as records, records.engine.connect() as connection:
        counted = {Status(row.status): row.number for row in await connection.execute(numbers)}
        found = [
            Unfinished(
                row.id, row.filename, Status(row.status), row.stage, row.attempts, row.not_before, row.error or ""
            )
            for row in await connection.execute(listed)
        ]
    return {status: counted[status] for status in shown if status in counted}, found


async def retried_all(settings: Settings, *, exhausted_only: bool) -> int:
    """Let all failed files wait again and return how many there were."""
    async with known_records(settings) as records:
        return await records.queue.retry(exhausted_only=exhausted_only)


async def retried(settings: Settings, ids: Sequence[str]) -> dict[str, str | None]:
    """Let failed files wait again; returns by id None, or why nothing was done."""

    async def change(records: Records, file_id: str) -> bool:
        return await records.queue.retry([file_id]) > 0

    return await changed(settings, ids, change, lambda status: f"it is {status}: only a failed file can be retried")


async def cancelled(settings: Settings, ids: Sequence[str]) -> dict[str, str | None]:
    """Stop the processing of files; returns by id None, or why nothing was done."""

    async def change(records: Records, file_id: str) -> bool:
        return await records.queue.cancel(file_id)

    return await changed(
        settings, ids, change, lambda status: f"{ENDED.get(status, f'it is {status}')}: nothing to cancel"
    )


async def changed(
    settings: Settings,
    ids: Sequence[str],
    change: Callable[[Records, str], Awaitable[bool]],
    why_not: Callable[[Status], str],
) -> dict[str, str | None]:
    """Change files one by one; returns by id None, or why nothing was done: `why_not` says it of a file's status."""
    async with known_records(settings) as records:
        reasons: dict[str, str | None] = {}
        for file_id in dict.fromkeys(ids):
            done = await change(records, file_id)
            known = {} if done else await records.files.named([file_id])
            reason = why_not(known[file_id].status) if file_id in known else "no such file"
            reasons[file_id] = None if done else reason
        return reasons
