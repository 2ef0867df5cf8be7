"""Knowledge collections: named sets of files to chat with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from ragline.api import calibrating, knowledge_access, knowledge_export, knowledge_files, knowledge_sync
from ragline.api.caller import Caller, Installation, WholeCaller
from ragline.api.knowledge_access import access_of, grant, opened
from ragline.api.knowledge_files import PAGE_SIZE
from ragline.api.knowledge_sync import delete_all
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import Owner, Page, PathId
from ragline.api.wire_knowledge import Changed, CollectionList, ListedCollection, NewCollection, OpenCollection
from ragline.app import App
from ragline.errors import BadInput
from ragline.pipelines.choices import change
from ragline.types import CollectionRecord, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/knowledge", tags=["knowledge"])


@router.post("/create")
async def create(request: Request, body: NewCollection, app: Installation, user: WholeCaller) -> OpenCollection:
    """Make an empty collection, the caller's alone unless it is shared with others. Names need not be unique."""
    options = body.options.stored() if body.options else None
    made = await app.records.collections.add(
        user_id=user.id, name=body.name, description=body.description, options=options
    )
    if body.access_grants:
        try:
            await grant(app, request, made, body.access_grants)
        except BadInput:
            await app.records.collections.delete(made.id)
            raise
    return await shown(app, made, user)


@router.get("")
async def collections(app: Installation, user: Caller, page: Page = 1) -> CollectionList:
    """List the collections that the caller may read, last changed first, 30 a page."""
    return await listed(app, user, page)


@router.get("/search")
async def search(
    app: Installation, user: Caller, query: Annotated[str, Query(max_length=1000)] = "", page: Page = 1
) -> CollectionList:
    """List those whose name or description contains the text, whatever its case and accents."""
    return await listed(app, user, page, query)


@router.get("/{collection_id}")
async def one(collection_id: PathId, app: Installation, user: Caller) -> OpenCollection:
    """Return a collection, without its files."""
    return await shown(app, await app.records.collections.visible(collection_id, user), user)


@router.post("/{collection_id}/update")
async def update(
    request: Request, collection_id: PathId, body: NewCollection, app: Installation, user: Caller
) -> Changed:
    """Give a collection another name and description; only its owner can. `access_grants` share it anew, if given.

    `options`, if given, take the place of all it had. Files that are read otherwise by them are queued, and what they
    had answers meanwhile.
    """
    record = await app.records.collections.owned(collection_id, user)
    if body.access_grants is not None:
        await grant(app, request, record, body.access_grants)
    await app.records.collections.update(collection_id, name=body.name, description=body.description)
    again = await change(app, record, body.options) if body.options is not None else 0
    return Changed(**dict(await opened(app, collection_id, user)), reading_again=again)


@router.post("/{collection_id}/reset")
async def reset(
    collection_id: PathId, app: Installation, user: Caller, include_directories: bool = False
) -> OpenCollection:
    """Empty a collection, of its directories, too, if asked; only its owner can.

    Files that the owner uploaded into it and that are in no other are deleted; those that were added to it, and those
    of other users, only leave.
    """
    await app.records.collections.owned(collection_id, user)
    uploaded = await app.records.members.uploaded_into(collection_id)
    await delete_all(app, await app.records.files.owned_among(uploaded, user))
    await app.records.collections.empty(collection_id)
    if include_directories:
        await app.records.directories.clear(collection_id)
    return await shown(app, await app.records.collections.visible(collection_id, user), user)


@router.delete("/{collection_id}/delete")
async def delete(collection_id: PathId, app: Installation, user: Caller) -> bool:
    """Delete a collection with its directories; only its owner can. Its files stay."""
    await app.records.collections.owned(collection_id, user)
    await app.records.collections.delete(collection_id)
    return True


async def listed(app: App, user: User, page: int, query: str = "") -> CollectionList:
    found, total = await app.records.collections.page(user, query=query, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    users = await app.records.users.named({record.user_id for record, _ in found})
    owners = {owner.id: Owner.of(owner) for owner in users}
    access = await access_of(app, [record for record, _ in found], user)
    items = [
        ListedCollection.of(record, **dict(access[record.id]), user=owners.get(record.user_id), file_count=size)
        for record, size in found
    ]
    return CollectionList(items=items, total=total)


async def shown(app: App, record: CollectionRecord, user: User) -> OpenCollection:
    return OpenCollection.of(record, **dict((await access_of(app, [record], user))[record.id]))


for part in (calibrating, knowledge_access, knowledge_export, knowledge_files, knowledge_sync):
    router.routes += part.router.routes
