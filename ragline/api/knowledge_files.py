"""The files of a collection: list, add, take out, process again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Query
from fastapi.responses import Response, StreamingResponse

from ragline.api.caller import Caller, Installation
from ragline.api.knowledge_access import opened
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import EVENTS, NO_NUL, FileData, FileOut, Owner, Page, PathId
from ragline.api.wire_knowledge import (
    CollectionFile,
    CollectionFiles,
    DirectoryOut,
    FileOf,
    Opened,
    PendingFile,
)
from ragline.app import App
from ragline.connectors.records.changes import QUEUE
from ragline.connectors.records.members import TOP, Placed, folded
from ragline.errors import Forbidden, NotFound
from ragline.pipelines.choices import settle
from ragline.pipelines.tidy import remove, tidy
from ragline.types import FileRecord, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/knowledge", tags=["knowledge"])

PAGE_SIZE = 30
MOST_ADDED = 10_000
"""Files in one batch."""
AT_ONCE = 50
"""Files whose passages are brought in line before the answer; of more, the queue's upkeep does it."""
PENDING_FILES = 1000
WATCHED_FILES = 100
"""Of the pending files, those at the head of the queue change first."""
PAUSE_S = 0.2
"""Between two lists of a stream."""


@router.get("/{collection_id}/files")
async def files(
    *,
    collection_id: PathId,
    app: Installation,
    user: Caller,
    page: Page = 1,
    query: Annotated[str, Query(max_length=1000, description="Part of a name; case and accents do not matter.")] = "",
    directory_id: Annotated[
        str,
        Query(
            max_length=200, pattern=NO_NUL, description="Only what lies right in this directory; `root`: at the top."
        ),
    ] = "",
) -> CollectionFiles:
    """List the files of a collection, those added last first, 30 a page."""
    await app.records.collections.visible(collection_id, user)
    at = directory_id if directory_id not in ("", TOP) else None
    trail = [] if at is None else (await app.records.directories.trails(collection_id, [at])).get(at)
    if trail is None:
        raise NotFound(f"no directory {at!r} in collection {collection_id!r}")
    found, total = await app.records.members.page(
        collection_id, directory_id=directory_id or None, query=query, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE
    )
    inside = await app.records.directories.inside(collection_id, at)
    return CollectionFiles(
        items=await described(app, collection_id, found),
        directories=[DirectoryOut.of(each) for each in inside if folded(query) in folded(each.name)],
        breadcrumbs=[DirectoryOut.of(each) for each in trail],
        total=total,
    )


@router.get("/{collection_id}/files/pending", response_model=list[PendingFile], responses=EVENTS)
async def pending(
    collection_id: PathId, app: Installation, user: Caller, stream: bool = False
) -> Response | list[PendingFile]:
    """List the files that are still on their way; with `stream` an event for each change until there are none."""
    await app.records.collections.visible(collection_id, user)
    if stream:
        return StreamingResponse(events(app, collection_id), media_type="text/event-stream")
    found = await app.records.members.unfinished(collection_id, limit=PENDING_FILES)
    return [PendingFile.on_its_way(file) for file in found]


@router.post("/{collection_id}/file/add")
async def add(collection_id: PathId, body: FileOf, app: Installation, user: Caller) -> Opened:
    """Put a file of one's own into a collection; it may still be on its way. Nothing is embedded again."""
    await link(app, collection_id, [body.file_id], user)
    await shown_at_once(app, [body.file_id])
    return await opened(app, collection_id, user)


@router.post("/{collection_id}/files/batch/add")
async def add_batch(
    collection_id: PathId, body: Annotated[list[FileOf], Body(max_length=MOST_ADDED)], app: Installation, user: Caller
) -> Opened:
    """Put these files of one's own into a collection, all or none of them.

    A search in it finds the first AT_ONCE of them right after the answer, the others a few seconds later.
    """
    file_ids = [each.file_id for each in body]
    await link(app, collection_id, file_ids, user)
    await shown_at_once(app, file_ids)
    return await opened(app, collection_id, user)


@router.post("/{collection_id}/file/remove")
async def take_out(
    collection_id: PathId, body: FileOf, app: Installation, user: Caller, delete_file: bool = True
) -> Opened:
    """Delete a file; with `delete_file=false`, or if it is another's, it only leaves this collection."""
    await member(app, collection_id, body.file_id, user)
    if delete_file and await app.records.files.owned_among([body.file_id], user):
        await remove(app, [body.file_id])
    else:
        await app.records.collections.unlink(collection_id, [body.file_id])
        await tidy(app, body.file_id)
    return await opened(app, collection_id, user)


@router.post("/{collection_id}/file/update")
async def update(collection_id: PathId, body: FileOf, app: Installation, user: Caller) -> Opened:
    """Process a file again; what it had goes on to answer until then."""
    await member(app, collection_id, body.file_id, user)
    if not await app.records.queue.again(body.file_id):
        raise NotFound(f"no file {body.file_id!r}")
    return await opened(app, collection_id, user)


async def link(app: App, collection_id: str, file_ids: Sequence[str], user: User) -> None:
    """Put files into a collection, all or none; those that were only stored are processed now.

    Raises NotFound naming one that the user cannot see, Forbidden for another's: who may read it, its owner decides.
    """
    target = await app.records.collections.writable(collection_id, user)
    known = await app.records.files.named(set(file_ids))
    seen = await app.records.files.readable_among(known, user)
    inside = set(await app.records.members.among(collection_id, list(known)))
    for file_id in file_ids:
        if file_id not in seen:
            raise NotFound(f"no file {file_id!r}")
        owner = known[file_id].user_id
        if not (file_id in inside or owner == user.id or (user.is_admin and owner == target.user_id)):
            raise Forbidden(f"file {file_id!r} is another user's: only they can put it into a collection")
    await app.records.collections.link_all(collection_id, file_ids)
    await settle(app, target, [file_id for file_id in known if file_id not in inside])
    for file in known.values():
        if file.stage == "stored":
            await app.records.queue.again(file.id)


async def shown_at_once(app: App, file_ids: Sequence[str]) -> None:
    """Bring the passages of the first AT_ONCE files in line with the collections they are in now."""
    for file_id in file_ids[:AT_ONCE]:
        await tidy(app, file_id)


async def member(app: App, collection_id: str, file_id: str, user: User) -> None:
    """Raise NotFound unless the file is in the collection, Forbidden unless the user may change what is in it."""
    await app.records.collections.writable(collection_id, user)
    if not await app.records.members.among(collection_id, [file_id]):
        raise NotFound(f"no file {file_id!r} in collection {collection_id!r}")


async def described(app: App, collection_id: str, found: Sequence[Placed]) -> list[CollectionFile]:
    """Return files as they are listed, with their owners and where they lie."""
    owners = {user.id: user for user in await app.records.users.named({placed.file.user_id for placed in found})}
    places = {placed.directory_id for placed in found if placed.directory_id}
    trails = await app.records.directories.trails(collection_id, places)
    items = []
    for placed in found:
        file = placed.file
        plain = FileOut.of(file, data=FileData.of(file))
        owner = owners.get(file.user_id)
        items.append(
            CollectionFile(
                **dict(plain),
                user=Owner.of(owner) if owner else None,
                directory_id=placed.directory_id,
                directory_path="/".join(each.name for each in trails.get(placed.directory_id or "", [])),
            )
        )
    return items


async def events(app: App, collection_id: str) -> AsyncIterator[bytes]:
    """Give the files on their way as server-sent events, a list at each change, the last one empty."""
    shown: Sequence[FileRecord] | None = None
    watched: Sequence[str] = ()
    while True:
        with ExitStack() as stack:
            told = [stack.enter_context(app.records.changes.watching(name)) for name in (QUEUE, *watched)]
            found = await app.records.members.unfinished(collection_id, limit=PENDING_FILES)
            if found != shown:
                shown = found
                yield b"data: " + listed(found) + b"\n\n"
            if not found:
                return
            head = [file.id for file in found[:WATCHED_FILES]]
            if head == watched:
                await first(told)
            watched = head
        await asyncio.sleep(PAUSE_S)


def listed(found: Sequence[FileRecord]) -> bytes:
    return orjson.dumps([PendingFile.on_its_way(file).model_dump(mode="json") for file in found])


async def first(told: Sequence[asyncio.Event]) -> None:
    """Return as soon as one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in told]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
