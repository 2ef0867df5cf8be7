"""The files of a vector store: put in, list, give attributes, read, take out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from ragline.api.caller import Caller, Installation
from ragline.api.file_content import extracted_text
from ragline.api.knowledge_files import link, shown_at_once
from ragline.api.strict_json import StrictRoute
from ragline.api.v1.wire import AskedCut, PathId, ends
from ragline.api.v1.wire_stores import (
    AttributesChange,
    FileContent,
    NewStoreFile,
    StoreFile,
    StoreFileDeleted,
    StoreFiles,
    Text,
)
from ragline.app import App
from ragline.connectors.records.listings import Cut, Linked, Part, State
from ragline.errors import NotFound

router = APIRouter(route_class=StrictRoute, prefix="/v1/vector_stores/{vector_store_id}/files", tags=["vector stores"])

POLL_MS = "250"
"""How soon OpenAI's clients ask again, where they wait for a file: they read it from a header."""

InState = Annotated[State | None, Query(alias="filter", description="Only those in this state.")]


@router.post("")
async def add(
    vector_store_id: PathId, body: NewStoreFile, app: Installation, user: Caller, response: Response
) -> StoreFile:
    """Put a file into a vector store; it may still be on its way. Attributes are the file's, wherever it is."""
    await app.records.collections.writable(vector_store_id, user)
    body.check()
    if body.attributes is not None:
        await app.records.files.owned(body.file_id, user)
    await link(app, vector_store_id, [body.file_id], user)
    if body.attributes is not None:
        await app.records.attributes.replace(body.file_id, body.attributes)
    await shown_at_once(app, [body.file_id])
    return polled(response, await member(app, vector_store_id, body.file_id))


@router.get("")
async def files(
    *,
    vector_store_id: PathId,
    app: Installation,
    user: Caller,
    cut: AskedCut,
    state: InState = None,
) -> StoreFiles:
    """List the files of a vector store by when they were put in."""
    await app.records.collections.visible(vector_store_id, user)
    return listed(vector_store_id, await app.records.listings.members(vector_store_id, cut, state=state))


@router.get("/{file_id}")
async def one(
    vector_store_id: PathId, file_id: PathId, app: Installation, user: Caller, response: Response
) -> StoreFile:
    """Return a file of a vector store."""
    await app.records.collections.visible(vector_store_id, user)
    return polled(response, await member(app, vector_store_id, file_id))


@router.post("/{file_id}")
async def set_attributes(
    vector_store_id: PathId, file_id: PathId, body: AttributesChange, app: Installation, user: Caller
) -> StoreFile:
    """Give a file other attributes in place of those it has, in all stores that it is in."""
    await app.records.collections.visible(vector_store_id, user)
    await member(app, vector_store_id, file_id)
    await app.records.files.owned(file_id, user)
    await app.records.attributes.replace(file_id, body.attributes or {})
    return await member(app, vector_store_id, file_id)


@router.delete("/{file_id}")
async def take_out(vector_store_id: PathId, file_id: PathId, app: Installation, user: Caller) -> StoreFileDeleted:
    """Take a file out of a vector store; the file itself stays."""
    await app.records.collections.writable(vector_store_id, user)
    if not await app.records.collections.unlink(vector_store_id, [file_id]):
        raise not_in(vector_store_id, file_id)
    await shown_at_once(app, [file_id])
    return StoreFileDeleted(id=file_id)


@router.get("/{file_id}/content")
async def content(vector_store_id: PathId, file_id: PathId, app: Installation, user: Caller) -> FileContent:
    """Return the text that was extracted from a file, empty until it is processed."""
    await app.records.collections.visible(vector_store_id, user)
    await member(app, vector_store_id, file_id)
    return FileContent(data=[Text(text=await extracted_text(app, await app.records.files.get(file_id)))])


async def member(app: App, store_id: str, file_id: str) -> StoreFile:
    """Return a file of a store that is the caller's to see. Raises NotFound."""
    part = await app.records.listings.members(store_id, Cut(limit=1), among=[file_id])
    if not part.rows:
        raise not_in(store_id, file_id)
    return StoreFile.of(part.rows[0], store_id)


def not_in(store_id: str, file_id: str) -> NotFound:
    return NotFound(f"no file {file_id!r} in vector store {store_id!r}")


def listed(store_id: str, part: Part[Linked]) -> StoreFiles:
    first, last = ends([linked.file.id for linked in part.rows])
    data = [StoreFile.of(linked, store_id) for linked in part.rows]
    return StoreFiles(data=data, first_id=first, last_id=last, has_more=part.more)


def polled(response: Response, file: StoreFile) -> StoreFile:
    if file.status == "in_progress":
        response.headers["openai-poll-after-ms"] = POLL_MS
    return file
