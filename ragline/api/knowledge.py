"""Knowledge collections: named sets of files to chat with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ragline.api import knowledge_files, knowledge_sync
from ragline.api.caller import Caller, Installation
from ragline.api.knowledge_files import PAGE_SIZE, opened
from ragline.api.knowledge_sync import delete_all
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import Collection, CollectionList, ListedCollection, OpenCollection, Owner, Page
from ragline.api.wire_knowledge import NewCollection, Opened, PathId
from ragline.app import App
from ragline.types import User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/knowledge", tags=["knowledge"])


@router.post("/create")
async def create(body: NewCollection, app: Installation, user: Caller) -> Collection:
    """Make an empty collection. Names need not be unique."""
    made = await app.records.collections.add(user_id=user.id, name=body.name, description=body.description)
    return Collection.of(made)


@router.get("")
async def collections(app: Installation, user: Caller, page: Page = 1) -> CollectionList:
    """List the caller's collections, last changed first, 30 a page."""
    return await listed(app, user, page)


@router.get("/search")
async def search(
    app: Installation, user: Caller, query: Annotated[str, Query(max_length=1000)] = "", page: Page = 1
) -> CollectionList:
    """List the caller's collections whose name or description contains the text, whatever its case and accents."""
    return await listed(app, user, page, query)


@router.get("/{collection_id}")
async def one(collection_id: PathId, app: Installation, user: Caller) -> OpenCollection:
    """Return a collection, without its files."""
    record = await app.records.collections.visible(collection_id, user)
    return OpenCollection.of(record)


@router.post("/{collection_id}/update")
async def update(collection_id: PathId, body: NewCollection, app: Installation, user: Caller) -> Opened:
    """Give a collection another name and description."""
    await app.records.collections.visible(collection_id, user)
    await app.records.collections.update(collection_id, name=body.name, description=body.description)
    return await opened(app, collection_id, user)


@router.post("/{collection_id}/reset")
async def reset(
    collection_id: PathId, app: Installation, user: Caller, include_directories: bool = False
) -> OpenCollection:
    """Empty a collection, of its directories, too, if asked.

    Files that were uploaded into it and are in no other are deleted; those that were added to it only leave.
    """
    await app.records.collections.visible(collection_id, user)
    await delete_all(app, await app.records.members.uploaded_into(collection_id))
    await app.records.collections.empty(collection_id)
    if include_directories:
        await app.records.directories.clear(collection_id)
    return OpenCollection.of(await app.records.collections.visible(collection_id, user))


@router.delete("/{collection_id}/delete")
async def delete(collection_id: PathId, app: Installation, user: Caller) -> bool:
    """Delete a collection with its directories; its files stay."""
    await app.records.collections.visible(collection_id, user)
    await app.records.collections.delete(collection_id)
    return True


async def listed(app: App, user: User, page: int, query: str = "") -> CollectionList:
    found, total = await app.records.collections.page(user, query=query, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    users = await app.records.users.named({record.user_id for record, _ in found})
    owners = {owner.id: Owner.of(owner) for owner in users}
    items = [ListedCollection.of(record, user=owners.get(record.user_id), file_count=size) for record, size in found]
    return CollectionList(items=items, total=total)


router.routes += [*knowledge_files.router.routes, *knowledge_sync.router.routes]
