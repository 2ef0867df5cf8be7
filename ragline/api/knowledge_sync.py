"""Keeping a collection like a folder: its directories, what differs from a manifest, and cleaning up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from ragline.api.caller import Caller, Installation
from ragline.api.manifest import MANIFEST_SCHEMA, compare, read_manifest
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import PathId
from ragline.api.wire_knowledge import (
    Cleaned,
    Cleanup,
    Difference,
    DirectoryName,
    DirectoryOut,
    ListedDirectory,
    NewDirectory,
)
from ragline.app import App
from ragline.connectors.records.directories import paths_of
from ragline.connectors.records.portions import portions
from ragline.types import User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/knowledge", tags=["knowledge"])


@router.get("/{collection_id}/dirs")
async def dirs(collection_id: PathId, app: Installation, user: Caller) -> list[ListedDirectory]:
    """List all directories of a collection by path."""
    await app.records.collections.visible(collection_id, user)
    found = await app.records.directories.all(collection_id)
    paths = paths_of(found)
    return [ListedDirectory.of(each, path=paths[each.id]) for each in sorted(found, key=lambda each: paths[each.id])]


@router.post("/{collection_id}/dirs/create")
async def make_dir(collection_id: PathId, body: NewDirectory, app: Installation, user: Caller) -> DirectoryOut:
    """Make a directory, or return the one that has this name there already."""
    await app.records.collections.writable(collection_id, user)
    return DirectoryOut.of(await app.records.directories.make(collection_id, body.name, body.parent_id or None))


@router.post("/{collection_id}/dirs/{directory_id}/update")
async def rename_dir(
    collection_id: PathId, directory_id: PathId, body: DirectoryName, app: Installation, user: Caller
) -> DirectoryOut:
    """Give a directory another name."""
    await app.records.collections.writable(collection_id, user)
    return DirectoryOut.of(await app.records.directories.rename(collection_id, directory_id, body.name))


@router.delete("/{collection_id}/dirs/{directory_id}/delete")
async def delete_dir(
    collection_id: PathId, directory_id: PathId, app: Installation, user: Caller, delete_files: bool = False
) -> bool:
    """Delete a directory with those below it; files in them move up to where it was.

    With `delete_files` the caller's own are deleted, and those of others leave the collection.
    """
    await app.records.collections.writable(collection_id, user)
    if delete_files:
        await take_away(
            app, collection_id, await app.records.directories.files_below(collection_id, directory_id), user
        )
    await app.records.directories.delete(collection_id, directory_id)
    return True


@router.post(
    "/{collection_id}/sync/diff",
    response_model=Difference,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": MANIFEST_SCHEMA}}}},
)
async def diff(request: Request, collection_id: PathId, app: Installation, user: Caller) -> Response:
    """Compare a manifest with the collection: what is to be uploaded, deleted and made."""
    await app.records.collections.visible(collection_id, user)
    manifest = await asyncio.to_thread(read_manifest, await request.body())
    found = await app.records.directories.all(collection_id)
    stored = await app.records.members.stored(collection_id)
    answer = await asyncio.to_thread(lambda: orjson.dumps(compare(manifest, found, stored)))
    return Response(answer, media_type="application/json")


@router.post("/{collection_id}/sync/cleanup")
async def cleanup(collection_id: PathId, body: Cleanup, app: Installation, user: Caller) -> Cleaned:
    """Delete these files and those of these directories that are empty; what is not of this collection stays.

    Files of other users are not deleted but leave the collection; `deleted_files` counts them, too.
    """
    await app.records.collections.writable(collection_id, user)
    inside = await app.records.members.among(collection_id, body.file_ids)
    deleted = await take_away(app, collection_id, inside, user)
    gone = await app.records.directories.delete_empty(collection_id, body.dir_ids) if body.dir_ids else []
    return Cleaned(deleted_files=deleted, deleted_dirs=len(gone))


async def take_away(app: App, collection_id: str, file_ids: Sequence[str], user: User) -> int:
    """Delete those of a collection's files that are this user's; the others leave it. Returns how many files went."""
    own = set(await app.records.files.owned_among(file_ids, user))
    left = await app.records.collections.unlink(collection_id, [each for each in file_ids if each not in own])
    return len(left) + await delete_all(app, list(own))


async def delete_all(app: App, file_ids: Sequence[str]) -> int:
    """Delete files and return how many were there. What is stored of them goes in the background, soon after."""
    deleted = 0
    for some in portions(file_ids):
        deleted += len(await app.records.removals.add(some))
    return deleted
