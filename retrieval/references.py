"""References in a chat become what may be read for them: it must be there, visible to the caller and ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ragline.app import App
from ragline.errors import Conflict, Invalid, NotReady, ParseFailed
from ragline.retrieval.filters import chosen
from ragline.types import CollectionRef, FileRecord, FileRef, Ref, Scope, Status, UrlRef, User, Where

LOOK_S = 0.1
"""How often a collection whose files are being processed is looked at while a chat waits for them."""
HEARD_S = 2.0
"""After how long a file is looked at although nobody said that it changed."""
SHOWN_FILES = 1000
"""Files on their way that are looked at in one collection, those that come next."""
MAX_FILTERED_FILES = 5000
"""Files that filters may leave in one search: their ids are part of its query, 20 ms of it for so many."""
MAX_URLS = 8
"""Pages fetched for one chat."""

WAITING = (Status.PENDING, Status.PROCESSING)
KEPT = "stored"
"""The stage of a file that was uploaded without being processed."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What references stand for. `scope` is what to search, None for nothing; `whole` are files to be read whole.

    `file_ids` holds the files of each reference, in the order of `refs`; None: all those of the collection, or what is
    no file at all.
    """

    refs: Sequence[Ref]
    file_ids: Sequence[frozenset[str] | None]
    scope: Scope | None
    whole: Sequence[FileRecord] = ()

    async def owners(self, app: App, file_ids: Collection[str]) -> dict[str, int]:
        """Return the position of the first reference that each of these files fits; those that fit none are left out.

        A file that is read whole stands with the first reference that asks for that.
        """
        owners: dict[str, int] = {}
        whole = {file.id for file in self.whole}
        for position, ref in enumerate(self.refs):
            if not isinstance(ref, FileRef | CollectionRef):
                continue
            left = {one for one in file_ids if one not in owners and (one in whole) is ref.full}
            known = self.file_ids[position]
            if left:
                mine = left & known if known is not None else await app.records.members.among(ref.id, left)
                owners |= dict.fromkeys(mine, position)
        return owners


async def resolve(app: App, refs: Sequence[Ref], user: User) -> Resolved:
    """Check every reference and wait for files that are being processed, at most `server.ready_wait_s` together.

    Raises NotFound naming what is unknown or not this user's, NotReady when the wait was too short, ParseFailed with
    the reason for a file that could not be read, Conflict for one that nobody processes, Invalid for too many.
    """
    refs = distinct(refs)
    if sum(isinstance(ref, UrlRef) for ref in refs) > MAX_URLS:
        raise Invalid(f"more than {MAX_URLS} references of type 'url' in one chat; upload the others as files")
    known = [await visible(app, ref, user) for ref in refs]
    deadline = time.monotonic() + app.settings.server.ready_wait_s
    meant = [await files_of(app, ref, file, deadline) for ref, file in zip(refs, known, strict=True)]
    whole = {
        file.id: file
        for ref, files in zip(refs, meant, strict=True)
        if isinstance(ref, FileRef | CollectionRef) and ref.full
        for file in files or ()
    }
    file_ids = [None if files is None else frozenset(file.id for file in files) for files in meant]
    return Resolved(refs, file_ids, await searched(app, user, refs, file_ids), list(whole.values()))


def distinct(refs: Sequence[Ref]) -> list[Ref]:
    """Return each reference once, in the words in which it came first."""
    once: dict[object, Ref] = {}
    for ref in refs:
        once.setdefault((ref, repr(getattr(ref, "where", None))), ref)  # in a filter true and 1 are equal, not the same
    return list(once.values())


async def visible(app: App, ref: Ref, user: User) -> FileRecord | None:
    """Raise NotFound for what this user cannot see, and return the file where the reference names one."""
    match ref:
        case FileRef(id=file_id):
            return await app.records.files.visible(file_id, user)
        case CollectionRef(id=collection_id):
            await app.records.collections.visible(collection_id, user)
    return None


async def files_of(app: App, ref: Ref, file: FileRecord | None, deadline: float) -> Sequence[FileRecord] | None:
    """Return the files of a reference that can be read; None where it is all those of a collection, or none are."""
    match ref:
        case FileRef(where=where) if file is not None:
            return [await ready(app, one, deadline) for one in chosen(where, [file])]
        case CollectionRef(id=collection_id, where=where, full=full):
            await settled(app, collection_id, where, deadline)
            if where is None and not full:
                return None
            members = [placed.file for placed in await app.records.members.all(collection_id)]
            members = [member for member in members if member.version is not None]
            fitting = await asyncio.to_thread(chosen, where, members)
            return None if len(fitting) == len(members) and not full else fitting
    return None


async def searched(
    app: App, user: User, refs: Sequence[Ref], file_ids: Sequence[frozenset[str] | None]
) -> Scope | None:
    """Return the scope of the search, as far as this user may see it; None where there is nothing to search.

    Raises Invalid where filters leave more files than a query takes.
    """
    named: set[str] = set()
    filtered: dict[str, frozenset[str]] = {}
    collections: set[str] = set()
    for ref, ids in zip(refs, file_ids, strict=True):
        match ref:
            case FileRef(full=False):
                named |= ids or frozenset()
            case CollectionRef(id=collection_id, full=False) if ids is None:
                collections.add(collection_id)
            case CollectionRef(id=collection_id, full=False) if ids:
                filtered[collection_id] = filtered.get(collection_id, frozenset()) | ids
    left = frozenset[str]().union(*filtered.values())
    if len(left) > MAX_FILTERED_FILES:
        raise Invalid(
            f"the filters leave {len(left)} files of the collections {', '.join(map(repr, sorted(filtered)))}, and a "
            f"search takes {MAX_FILTERED_FILES} at most; filter for fewer, or leave the filter out to search them all"
        )
    if not (named or left or collections):
        return None
    scope = await scope_for(app, user, file_ids=frozenset(named), collection_ids=frozenset(collections))
    return replace(
        scope,
        file_ids=scope.file_ids | left,
        shared_collection_ids=scope.shared_collection_ids | (frozenset() if user.sees_all else filtered.keys()),
    )


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
    """Return the file once a version of it can be searched. Raises NotReady, ParseFailed or Conflict."""
    if file.version is None and file.status in WAITING:
        with app.records.changes.watching(file.id) as changed:
            while (file := await app.records.files.get(file.id)).version is None and file.status in WAITING:
                if file.stage == KEPT:
                    raise Conflict(f"file {file.id!r} ({file.filename}) was uploaded without being processed")
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise NotReady(
                        f"file {file.id!r} ({file.filename}) is still being processed: {file.stage}; try again soon"
                    )
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, HEARD_S)):
                        await changed.wait()
                changed.clear()
    if file.version is None:
        raise ParseFailed(f"file {file.id!r} ({file.filename}) could not be processed: {file.error}")
    return file


async def settled(app: App, collection_id: str, where: Where | None, deadline: float) -> None:
    """Wait until no file that is meant is on its way for the first time, or until the deadline.

    Raises NotReady where none can be read by then.
    """
    while True:
        unfinished = await app.records.members.unfinished(collection_id, limit=SHOWN_FILES)
        waiting = chosen(where, [file for file in unfinished if file.version is None])
        if not waiting:
            return
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(LOOK_S)
    members = await app.records.members.all(collection_id)
    if not chosen(where, [placed.file for placed in members if placed.file.version is not None]):
        raise NotReady(f"collection {collection_id!r}: its {len(waiting)} files are still being processed")
