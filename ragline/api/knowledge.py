"""Knowledge collections: named sets of files to chat with."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import Collection, CollectionList, ListedCollection, Member, OpenCollection, Owner, Page
from ragline.errors import Forbidden
from ragline.pipelines.index import follow_collections

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/knowledge", tags=["knowledge"])

PAGE_SIZE = 30


class NewCollection(BaseModel):
    name: str = Field(max_length=1000)
    description: str = Field(max_length=10_000)


class FileToAdd(BaseModel):
    file_id: str = Field(min_length=1)


@router.post("/create")
async def create(body: NewCollection, app: Installation, user: Caller) -> Collection:
    """Make an empty collection. Names need not be unique."""
    made = await app.records.collections.add(user_id=user.id, name=body.name, description=body.description)
    return Collection.of(made)


@router.get("")
async def collections(app: Installation, user: Caller, page: Page = 1) -> CollectionList:
    """List the caller's collections, last changed first, 30 a page."""
    found, total = await app.records.collections.page(user, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    users = await app.records.users.named({record.user_id for record, _ in found})
    owners = {owner.id: Owner.of(owner) for owner in users}
    items = [ListedCollection.of(record, user=owners.get(record.user_id), file_count=size) for record, size in found]
    return CollectionList(items=items, total=total)


@router.get("/{collection_id}")
async def one(collection_id: str, app: Installation, user: Caller) -> OpenCollection:
    """Return a collection, without its files."""
    record = await app.records.collections.visible(collection_id, user)
    return OpenCollection.of(record)


@router.post("/{collection_id}/file/add")
async def add_file(collection_id: str, body: FileToAdd, app: Installation, user: Caller) -> OpenCollection:
    """Put a file into a collection; it may still be on its way. Nothing is embedded again."""
    target = await app.records.collections.visible(collection_id, user)
    file = await app.records.files.visible(body.file_id, user)
    if file.user_id != target.user_id:
        raise Forbidden(f"file {file.id!r} and collection {target.id!r} belong to different users")
    await app.records.collections.link(collection_id, file.id)
    await follow_collections(app, file.id)
    record = await app.records.collections.visible(collection_id, user)
    files = [Member.of(file) for file in await app.records.collections.files(collection_id)]
    return OpenCollection.of(record, files=files)
