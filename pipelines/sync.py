"""A sync: what changed in a source since the last time is taken over, and nothing that did not is read or embedded."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import Stores
from ragline.config.settings import Source as SourceSettings
from ragline.connectors.records.portions import portions
from ragline.connectors.records.sources import KEPT, Known, State, this_process
from ragline.connectors.sources.protocol import Entry, Source, Vanished
from ragline.errors import Conflict, NotFound, RaglineError
from ragline.pipelines.sync_plan import (
    Memory,
    Plan,
    Row,
    check_deletions,
    deciding,
    make_plan,
    planned_rows,
    too_many,
)
from ragline.pipelines.sync_take import Intake, contents, each, soon
from ragline.types import Status, User

__all__ = ["Row", "Sync"]

log = logging.getLogger(__name__)

Progress = Callable[[int, int], Awaitable[None]]
"""Told (done, total)."""

HEARTBEAT_S = 15.0
LOOK_FILES = 500
"""Files looked at in one go while they are ingested, oldest first: they are done in about this order."""
STOPPED = "stopped before its end"


class Sync:
    """One sync of one source, to be used once: `list`, `compare`, `move`, `take`, `delete`, `wait`, then `close`.

    It writes records and bytes only; whoever owns the vectors follows. From `list` to `close` no other sync of this
    source can run. A dry run writes nothing at all: its later steps do nothing, and `rows` tells what they would do.
    Each step raises what stops the whole; a document that cannot be read is a row and stops nothing.
    """

    def __init__(
        self,
        stores: Stores,
        settings: SourceSettings,
        source: Source,
        user: User,
        *,
        dry_run: bool = False,
        force: bool = False,
    ) -> None:
        """`user` owns the files and the collection. `force`: even where nothing changed, and however much would go."""
        self.settings = settings
        self._stores = stores
        self._source = source
        self._user = user
        self._dry_run = dry_run
        self._force = force
        self._forgets = bool(getattr(source, "forgets", False))
        self._keeps = self._forgets or settings.on_delete == "keep"
        self._lease = ""
        self._heart: asyncio.Task[None] | None = None
        self._state = State()
        self._memory = Memory()
        self._fingerprint: str | None = None
        self._listing: Sequence[Entry] | None = None
        self._plan = Plan()
        self._intake: Intake | None = None
        self._gone: dict[str, Known] = {}
        self._vanished: set[str] = set()
        self._rows: dict[str, Row] = {}
        self._unchanged = 0
        self._skipped = 0
        self._ended = False
        self._error: str | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """What was done so far, or would be in a dry run, by path; documents that did not change have none."""
        return self.plan_rows() if self._dry_run else [self._rows[path] for path in sorted(self._rows)]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many documents by action; those that failed after all, in any action, count as failed only."""
        counted: Counter[str] = Counter("failed" if row.outcome == "failed" else row.action for row in self.rows)
        return {**counted, "unchanged": self._unchanged} if self._unchanged else dict(counted)

    @property
    def taken(self) -> Sequence[str]:
        """The ids of the files that got new bytes, or are tried again."""
        return [
            row.file_id for row in self._rows.values() if row.action in ("added", "changed", "retried") and row.file_id
        ]

    async def list(self) -> None:
        """Take the source and list it, unless it says that nothing changed.

        Raises Conflict while another sync runs, Unavailable when the source cannot be listed.
        """
        with self._noting():
            if not self._dry_run:
                self._lease = await self._stores.records.sources.begin(self.settings.name, this_process())
                self._heart = asyncio.create_task(self._beat(), name=f"heartbeat of {self.settings.name}")
            self._state = await self._stores.records.sources.state(self.settings.name, self._user.id)
            self._memory = Memory.read(self._state.fingerprint)
            self._fingerprint = await self._source.fingerprint()
            if self._force or not await self._is_current():
                self._listing = await self._source.entries()

    async def compare(self) -> Plan:
        """Find out what is to be done; what may have been moved is read for it.

        Raises Conflict, and nothing was changed, when more than `max_delete_share` of the files would be deleted.
        """
        with self._noting():
            if self._listing is None:
                self._plan = Plan(unchanged=[was for was in self._state.entries.values() if not was.kept])
            else:
                plan = self._planned(self._listing, {})
                if plan.candidates:
                    plan = self._planned(self._listing, await contents(self._source, plan.candidates))
                self._plan = plan
            if not self._keeps and not self._force:
                most = self.settings.max_delete_share
                check_deletions(self.settings.name, len(self._plan.gone), self._held(), most=most)
            self._gone = {was.path: was for was in self._plan.gone}
            self._unchanged = len(self._plan.unchanged)
            return self._plan

    def plan_rows(self) -> Sequence[Row]:
        """Return what the later steps would do, by path."""
        return planned_rows(self._plan, keeps=self._keeps)

    async def move(self) -> None:
        """Give what was moved its new path and name; nothing is read or embedded."""
        with self._noting():
            if not self._dry_run:
                intake = await self._settled()
                for was, entry in self._plan.moved:
                    self._add(await intake.move(was, entry, tag=entry.tag))

    async def take(self) -> None:
        """Read what is new or may have changed, a few documents at once, and hand it to the ingestion.

        Waits while as many files as the settings allow wait to be ingested.
        """
        with self._noting():
            if not self._dry_run:
                await self._settled()
                await each([*self._plan.changed, *self._plan.unsure], self._take)
                await each([(None, entry) for entry in self._plan.added], self._take)  # once it is known what is gone
                for was in self._plan.retried:
                    await self._retry(was)

    async def delete(self) -> None:
        """Delete the files of what is gone, or keep them where that is set."""
        with self._noting():
            if self._dry_run:
                return
            self._spare_vanished()
            gone = [was for was in self._gone.values() if not was.kept]
            if self._keeps:
                for was in gone:
                    await (await self._settled()).note(replace(was, tag=None, error=KEPT))
            else:
                await self._delete(gone)
            for was in gone:
                self._add(Row("kept" if self._keeps else "deleted", was.path, "done", None, was.file_id))
            await self._delete(self._plan.forgotten)
            self._ended = True

    async def wait(self, progress: Progress | None = None) -> None:
        """Wait until every file that was taken is ingested or has failed, here or in another process."""
        with self._noting():
            waiting = {row.file_id: row for row in self._rows.values() if row.outcome == "waiting" and row.file_id}
            total = len(waiting)
            while waiting:
                with self._stores.records.changes.watching(next(iter(waiting))) as changed:
                    ended = await self._look_at([*waiting][:LOOK_FILES])
                    for file_id in ended:
                        del waiting[file_id]
                    if progress is not None:
                        await progress(total - len(waiting), total)
                    if not ended:
                        await soon(changed)

    async def close(self) -> None:
        """Let go of the source and note how the sync ended. Can be called twice."""
        if self._heart is None:
            return
        self._heart.cancel()
        await asyncio.gather(self._heart, return_exceptions=True)
        self._heart = None
        error = self._error or (None if self._ended else STOPPED)
        whole = error is None and not self._skipped and (self._intake is None or not self._intake.put_off)
        memory = replace(self._memory, settings=deciding(self.settings), state=self._fingerprint if whole else None)
        try:
            await self._stores.records.sources.finish(
                self.settings.name, self._lease, fingerprint=memory.written(), error=error
            )
        except Conflict as lost:
            log.warning("%s", lost)

    def _planned(self, listing: Sequence[Entry], read: Mapping[str, str | None]) -> Plan:
        return make_plan(self._state.entries, listing, forgets=self._forgets, force=self._force, read=read)

    def _held(self) -> int:
        """Return how many files the source has, those it only left behind not counted."""
        return sum(was.file_id is not None and not was.kept for was in self._state.entries.values())

    async def _is_current(self) -> bool:
        """Tell whether the source says that nothing changed since the last sync, and nothing did here either."""
        memory = self._memory
        if self._fingerprint is None or (memory.state, memory.settings) != (self._fingerprint, deciding(self.settings)):
            return False
        if any(was.file_id is None and was.error is None for was in self._state.entries.values()):
            return False  # deleted here
        try:
            collection = await self._stores.records.collections.visible(memory.collection or "", self._user)
        except NotFound:
            return False
        return collection.name == self.settings.collection

    async def _settled(self) -> Intake:
        """Return what takes documents in, once the files of the source are in the collection of the settings."""
        if self._intake is None:
            collections = self._stores.records.collections
            collection = await collections.named(self.settings.collection, self._user)
            before = self._memory.collection
            if before is not None and before != collection.id:
                files = [was.file_id for was in self._state.entries.values() if was.file_id]
                await collections.link_all(collection.id, files)
                await collections.unlink(before, files)
            self._memory = replace(self._memory, collection=collection.id)
            self._intake = Intake(
                self._stores,
                self._source,
                self._user,
                name=self.settings.name,
                lease=self._lease,
                collection_id=collection.id,
                gone=self._gone,
                forgets=self._forgets,
                force=self._force,
            )
        return self._intake

    async def _take(self, item: tuple[Known | None, Entry]) -> None:
        was, entry = item
        intake = await self._settled()
        row: Row | None
        try:
            row = await intake.take(was, entry)
        except Vanished as error:
            if was is not None and was.file_id is not None:
                self._vanished.add(was.path)
                self._gone[was.path] = was
                intake.look_out_for(was)
                return
            row = Row("skipped", entry.path, "done", str(error))
        if row is None and was is not None and was.failed and self._force:
            await self._retry(was)
        elif row is None:
            self._unchanged += 1
        else:
            self._add(row)

    async def _retry(self, was: Known) -> None:
        """Let the file of a document be ingested again as it is."""
        await self._stores.records.queue.retry([was.file_id or ""])
        self._add(Row("retried", was.path, "waiting", None, was.file_id))

    def _spare_vanished(self) -> None:
        """Skip the documents that were listed and had gone when they were read, where they are too many to delete."""
        deleted, held, most = len(self._gone), self._held(), self.settings.max_delete_share
        if self._keeps or self._force or not too_many(deleted, held, most=most):
            return
        reason = (
            f"gone when it was read; with it {deleted} of {held} files would be deleted (max_delete_share {most:g})"
        )
        for path in self._vanished & self._gone.keys():
            self._add(Row("skipped", path, "done", reason, self._gone.pop(path).file_id))
            self._skipped += 1

    async def _delete(self, known: Sequence[Known]) -> None:
        """Delete the files of these documents, where they have one, and forget them."""
        by_path = {was.path: was for was in known}
        for paths in portions([*by_path]):
            await self._stores.records.sources.renew(self.settings.name, self._lease)  # still ours to delete from
            file_ids = [file_id for path in paths if (file_id := by_path[path].file_id)]
            await self._stores.records.removals.add(file_ids)
            await self._stores.records.sources.drop_entries(self.settings.name, self._lease, paths)

    async def _look_at(self, file_ids: Sequence[str]) -> Sequence[str]:
        """Bring the rows of these files up to date and return the ids of those that are done with."""
        files = await self._stores.records.files.named(file_ids)
        rows = {row.file_id: row for row in self._rows.values()}
        ended = []
        for file_id in file_ids:
            file = files.get(file_id)
            if file is None:
                self._add(replace(rows[file_id], outcome="done", reason="deleted before it was ingested"))
            elif file.status is Status.FAILED:
                self._add(replace(rows[file_id], outcome="failed", reason=file.error))
            elif file.status is Status.COMPLETED:
                self._add(replace(rows[file_id], outcome="done"))
            else:
                continue
            ended.append(file_id)
        return ended

    def _add(self, row: Row) -> None:
        self._rows[row.path] = row

    async def _beat(self) -> None:
        """Keep the lease as long as the sync runs. Who lost it finds out at the next write."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                await self._stores.records.sources.renew(self.settings.name, self._lease)
            except SQLAlchemyError as error:
                log.warning("no heartbeat: %s", error)
            except Conflict as error:
                log.warning("%s", error)
                return

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Keep what ends a step, for the records."""
        try:
            yield
        except RaglineError as error:
            self._error = str(error)
            raise
        except BaseException as error:
            self._error = STOPPED if isinstance(error, asyncio.CancelledError) else f"stopped: {type(error).__name__}"
            raise
