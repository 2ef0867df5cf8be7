"""`/v1/vector_stores`: collections under OpenAI's names."""

from __future__ import annotations

from fastapi import APIRouter

from ragline.api.caller import Caller, Installation, WholeCaller
from ragline.api.knowledge_files import link, shown_at_once
from ragline.api.strict_json import StrictRoute
from ragline.api.v1.wire import AskedCut, PathId, ends
from ragline.api.v1.wire_stores import NewStore, StoreChange, StoreDeleted, VectorStore, VectorStores
from ragline.app import App
from ragline.errors import RaglineError
from ragline.types import CollectionRecord

router = APIRouter(route_class=StrictRoute, prefix="/v1/vector_stores", tags=["vector stores"])


@router.post("")
async def create(body: NewStore, app: Installation, user: WholeCaller) -> VectorStore:
    """Make a vector store, with files if some are named. Nothing is embedded again."""
    body.check()
    file_ids = list(dict.fromkeys(body.file_ids or ()))
    made = await app.records.collections.add(user_id=user.id, name=body.name or "", description=body.description or "")
    try:
        await link(app, made.id, file_ids, user)
    except RaglineError:
        await app.records.collections.delete(made.id)
        raise
    await shown_at_once(app, file_ids)
    return await described(app, await app.records.collections.visible(made.id, user))


@router.get("")
async def stores(
    *,
    app: Installation,
    user: Caller,
    cut: AskedCut,
) -> VectorStores:
    """List the vector stores that the caller may see."""
    part = await app.records.listings.collections(user, cut)
    tallies = await app.records.listings.tallies([record.id for record in part.rows])
    first, last = ends([record.id for record in part.rows])
    data = [VectorStore.of(record, tallies[record.id]) for record in part.rows]
    return VectorStores(data=data, first_id=first, last_id=last, has_more=part.more)


@router.get("/{vector_store_id}")
async def one(vector_store_id: PathId, app: Installation, user: Caller) -> VectorStore:
    """Return a vector store, and how many of its files are in what state."""
    return await described(app, await app.records.collections.visible(vector_store_id, user))


@router.post("/{vector_store_id}")
async def modify(vector_store_id: PathId, body: StoreChange, app: Installation, user: Caller) -> VectorStore:
    """Give a vector store another name."""
    record = await app.records.collections.owned(vector_store_id, user)
    body.check()
    if body.name is not None:
        await app.records.collections.update(record.id, name=body.name, description=record.description)
    return await described(app, await app.records.collections.visible(vector_store_id, user))


@router.delete("/{vector_store_id}")
async def delete(vector_store_id: PathId, app: Installation, user: Caller) -> StoreDeleted:
    """Delete a vector store; its files stay."""
    record = await app.records.collections.owned(vector_store_id, user)
    await app.records.collections.delete(record.id)
    return StoreDeleted(id=record.id)


async def described(app: App, record: CollectionRecord) -> VectorStore:
    tallies = await app.records.listings.tallies([record.id])
    return VectorStore.of(record, tallies[record.id])
