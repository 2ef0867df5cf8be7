"""References in a chat become a scope of search: what is named must be there, visible to the caller and ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ragline.app import App
from ragline.errors import NotReady, ParseFailed
from ragline.types import CollectionRef, FileRecord, FileRef, Hit, Ref, Scope, Status, User

LOOK_S = 0.1
"""How often files that are being processed are looked at while a chat waits for them."""

WAITING = (Status.PENDING, Status.PROCESSING)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What references stand for. `file_ids` holds the files of each reference, in the order of `refs`."""

    refs: Sequence[Ref]
    file_ids: Sequence[frozenset[str]]
    scope: Scope

    def ref_of(self, hit: Hit) -> int | None:
        """Return the position of the first reference that a hit belongs to."""
        return next((i for i, ids in enumerate(self.file_ids) if hit.passage.file_id in ids), None)


async def resolve(app: App, refs: Sequence[Ref], user: User) -> Resolved:
    """Check every reference and wait for files that are being processed, at most `server.ready_wait_s` together.

    Raises NotFound naming what is unknown or not this user's, NotReady when the wait was too short, ParseFailed with
    the reason for a file that could not be read.
    """
    refs = list(dict.fromkeys(refs))
    deadline = time.monotonic() + app.settings.server.ready_wait_s
    file_ids = []
    for ref in refs:
        match ref:
            case FileRef(id=file_id):
                file = await app.records.files.visible(file_id, user)
                file_ids.append(frozenset([(await ready(app, file, deadline)).id]))
            case CollectionRef(id=collection_id):
                file_ids.append(await ready_files(app, collection_id, user, deadline))
    named = frozenset(ref.id for ref in refs if isinstance(ref, FileRef))
    collection_ids = frozenset(ref.id for ref in refs if isinstance(ref, CollectionRef))
    return Resolved(refs, file_ids, await scope_for(app, user, file_ids=named, collection_ids=collection_ids))


async def scope_for(
    app: App, user: User, *, file_ids: frozenset[str] = frozenset(), collection_ids: frozenset[str] = frozenset()
) -> Scope:
    """Return the scope of a search in what was named, as far as this user may see it."""
    if user.sees_all:
        return Scope(file_ids, collection_ids)
    through = await app.records.members.visible_through(file_ids, user) if file_ids else set()
    return Scope(
        file_ids,
        collection_ids,
        user_id=user.id if user.collections is None else "",  # nobody's: what a limited key sees lies in collections
        shared_collection_ids=collection_ids | through,
    )


async def ready(app: App, file: FileRecord, deadline: float) -> FileRecord:
    """Return the file once a version of it can be searched. Raises NotReady or ParseFailed."""
    while file.status in WAITING and file.version is None:
        if time.monotonic() >= deadline:
            raise NotReady(f"file {file.id!r} ({file.filename}) is still being processed: {file.stage}; try again soon")
        await asyncio.sleep(LOOK_S)
        file = await app.records.files.get(file.id)
    if file.version is None:
        raise ParseFailed(f"file {file.id!r} ({file.filename}) could not be processed: {file.error}")
    return file


async def ready_files(app: App, collection_id: str, user: User, deadline: float) -> frozenset[str]:
    """Return the files of a collection that can be searched. Raises NotReady while all are still on their way."""
    await app.records.collections.visible(collection_id, user)
    while True:
        files = await app.records.collections.files(collection_id)
        waiting = [file for file in files if file.status in WAITING and file.version is None]
        done = frozenset(file.id for file in files if file.version is not None)
        if not waiting or (done and time.monotonic() >= deadline):
            return done
        if time.monotonic() >= deadline:
            raise NotReady(f"collection {collection_id!r}: its {len(waiting)} files are still being processed")
        await asyncio.sleep(LOOK_S)
