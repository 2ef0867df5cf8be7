"""A document of a source becomes a file: read, compared by its bytes, handed to the ingestion, and noted."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import replace
from io import BufferedRandom
from tempfile import TemporaryFile
from typing import TypeVar

from ragline.app import Stores
from ragline.connectors.records.changes import QUEUE
from ragline.connectors.records.sources import Known
from ragline.connectors.sources.protocol import Entry, Source, Vanished
from ragline.errors import BadInput, Conflict, NotFound, RaglineError, TooMany
from ragline.pipelines import accept
from ragline.pipelines.names import clean_name
from ragline.pipelines.sync_plan import Row, name, suffix
from ragline.types import SOURCE_KEY, FileRecord, Json, User

T = TypeVar("T")

READS_AT_ONCE = 4
LOOK_S = 1.0
"""How often is looked at what changes without being told: the queue while it is full, files while they are ingested."""


class Intake:
    """Takes documents in, under the lease of a sync; several at once. `put_off` counts those to be tried again."""

    def __init__(
        self,
        stores: Stores,
        source: Source,
        user: User,
        *,
        name: str,
        lease: str,
        collection_id: str,
        gone: MutableMapping[str, Known],
        forgets: bool,
        force: bool,
    ) -> None:
        """`gone`: documents that are there no more, by path. What turns up elsewhere is taken out, unless `forgets`."""
        self._stores = stores
        self._source = source
        self._user = user
        self._name = name
        self._lease = lease
        self._collection_id = collection_id
        self._force = force
        self._gone = gone
        self._forgets = forgets
        self._gone_by_content: defaultdict[tuple[str | None, str], list[str]] = defaultdict(list)
        for was in gone.values():
            self.look_out_for(was)
        self.put_off = 0

    def look_out_for(self, was: Known) -> None:
        """A document of `gone` may turn up under another path."""
        if not self._forgets:
            self._gone_by_content[was.sha256, suffix(was.path)].append(was.path)

    async def take(self, was: Known | None, entry: Entry) -> Row | None:
        """Read a document and return what became of it, None where its bytes are what its file has already.

        `was`: what is known of it, None for a new one. Raises Vanished, and Conflict when the lease is lost.
        """
        await room(self._stores)
        with TemporaryFile() as body:
            try:
                read = await self._source.read(entry, body, known_tag=self._known_tag(was))
            except Vanished:
                raise
            except RaglineError as error:
                return await self._refused(was, entry, entry.tag, error)
            if not read.changed:
                return None
            size, sha256 = await asyncio.to_thread(measure, body)
            seen = Known(entry.path, read.tag, size, sha256)
            if was is not None and was.file_id is not None and was.sha256 == sha256:
                await self.note(replace(seen, file_id=was.file_id))
                return None
            if (moved := self._moved_from(was, seen)) is not None:
                return await self.move(moved, entry, tag=read.tag)
            try:
                return await self._store(was, seen, entry, body)
            except BadInput as error:
                return await self._refused(was, entry, read.tag, error)

    async def move(self, was: Known, entry: Entry, *, tag: str | None) -> Row:
        """Give a file the path and the name of the document it is now."""
        try:
            filename = clean_name(name(entry.path))
        except BadInput as error:
            return Row("failed", entry.path, "failed", str(error), was.file_id)
        new = replace(was, path=entry.path, tag=tag, size_bytes=entry.size_bytes or was.size_bytes, error=None)
        metadata = self._metadata(entry)
        if await self._stores.records.sources.move_entry(
            self._name, self._lease, was.path, new, filename=filename, metadata=metadata
        ):
            return Row("moved", entry.path, "done", f"was {was.path}", was.file_id)
        self.put_off += 1
        return Row("skipped", entry.path, "done", f"was {was.path}, whose file was deleted meanwhile")

    async def note(self, known: Known) -> None:
        await self._stores.records.sources.put_entry(self._name, self._lease, known)

    def _known_tag(self, was: Known | None) -> str | None:
        """Return the tag that needs no reading; a document that could not be taken in is read again when forced."""
        return None if was is None or (was.error is not None and self._force) else was.tag

    def _moved_from(self, was: Known | None, seen: Known) -> Known | None:
        if was is not None and was.file_id is not None:
            return None
        fitting = self._gone_by_content[seen.sha256, suffix(seen.path)]
        while fitting:
            if (found := self._gone.pop(fitting.pop(0), None)) is not None:
                return found
        return None

    async def _store(self, was: Known | None, seen: Known, entry: Entry, body: BufferedRandom) -> Row:
        """Give the file of the document its new bytes, or make one."""
        filename = clean_name(name(entry.path))
        if was is not None and (file := await self._replaced(was, filename, body)) is not None:
            await self.note(replace(seen, file_id=file.id))
            return Row("changed", entry.path, "waiting", None, file.id)
        file = await self._accepted(filename, entry, body)
        try:
            await self.note(replace(seen, file_id=file.id))
        except Conflict:
            await self._stores.records.removals.add([file.id])  # who has the source now takes it in
            raise
        return Row("added", entry.path, "waiting", None, file.id)

    async def _replaced(self, was: Known, filename: str, body: BufferedRandom) -> FileRecord | None:
        """Return the file with its new bytes; None where there is none, or none any more."""
        if (
            was.file_id is None
            or (file := (await self._stores.records.files.named([was.file_id])).get(was.file_id)) is None
        ):
            return None
        with suppress(NotFound):
            body.seek(0)
            return await accept.replace(self._stores, file, name=filename, content=body)
        return None

    async def _accepted(self, filename: str, entry: Entry, body: BufferedRandom) -> FileRecord:
        while True:
            body.seek(0)
            with suppress(TooMany):
                return await accept.accept(
                    self._stores,
                    self._user,
                    name=filename,
                    content=body,
                    metadata=self._metadata(entry),
                    collection_id=self._collection_id,
                )
            await room(self._stores)

    async def _refused(self, was: Known | None, entry: Entry, tag: str | None, error: RaglineError) -> Row:
        """Note why a document was not taken in; what its file had stays. What may pass is tried again next time."""
        file_id = was.file_id if was is not None else None
        if error.retryable:
            self.put_off += 1
        else:
            sha256 = was.sha256 if was is not None else None
            await self.note(Known(entry.path, tag, entry.size_bytes, sha256, file_id, error=str(error)))
        return Row("failed", entry.path, "failed", str(error), file_id)

    def _metadata(self, entry: Entry) -> Mapping[str, Json]:
        """Return what a file says of its source; `Sources.state` finds it by this."""
        url: Mapping[str, Json] = {"url": entry.url} if entry.url else {}
        return {SOURCE_KEY: self._name, "path": entry.path, **url}


async def contents(source: Source, entries: Iterable[Entry]) -> dict[str, str | None]:
    """Read documents and return their SHA-256 by path, None for one that cannot be read."""
    found: dict[str, str | None] = {}

    async def read(entry: Entry) -> None:
        found[entry.path] = None
        with TemporaryFile() as body, suppress(RaglineError):
            await source.read(entry, body)
            _, found[entry.path] = await asyncio.to_thread(measure, body)

    await each(entries, read)
    return found


async def each(items: Iterable[T], step: Callable[[T], Awaitable[None]]) -> None:
    """Take a step on all items, READS_AT_ONCE at a time. The first error ends all of them and is raised."""
    rest = iter(items)

    async def work() -> None:
        for item in rest:
            await step(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(READS_AT_ONCE):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def room(stores: Stores) -> None:
    """Wait until fewer files wait to be ingested than the settings allow."""
    with stores.records.changes.watching(QUEUE) as changed:
        while await stores.records.queue.waiting() >= stores.settings.queue.max_waiting:
            await soon(changed)


async def soon(changed: asyncio.Event) -> None:
    """Wait for a change, and not for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await changed.wait()
    changed.clear()


def measure(body: BufferedRandom) -> tuple[int, str]:
    """Return how many bytes a file has and their SHA-256 as hex."""
    body.seek(0)
    digest = hashlib.file_digest(body, "sha256").hexdigest()
    return body.tell(), digest
