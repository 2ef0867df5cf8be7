"""Files: upload, lists, what is known of one, and deletion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import Response, StreamingResponse
from pydantic import JsonValue, TypeAdapter, ValidationError

from ragline.api import file_chunks, file_content, file_progress
from ragline.api.caller import Administrator, Caller, Installation
from ragline.api.file_content import as_json, extracted_text, whole
from ragline.api.file_progress import changes
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import NO_NUL, Deleted, FileData, FileList, FileOut, Id, Page, Password, PathId, Uploaded, read_of
from ragline.app import App
from ragline.connectors.records.members import matching
from ragline.errors import BadInput, Forbidden, NotFound, RaglineError
from ragline.pipelines.accept import accept
from ragline.pipelines.names import clean_name
from ragline.pipelines.tidy import remove
from ragline.types import SOURCE_KEY, FileRecord, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/files", tags=["files"])

PAGE_SIZE = 50
READ_TOGETHER = 8
"""Texts of a list that are read at once."""
DELETED_TOGETHER = 500
MAX_METADATA_CHARS = 64_000
METADATA: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
ID: TypeAdapter[str] = TypeAdapter(Id)

Texts = Annotated[bool, Query(alias="content", description="`false`: without the extracted texts.")]
Glob = Annotated[str, Query(max_length=1000, description="A name with `*` and `?`; case and accents do not matter.")]
Skip = Annotated[int, Query(ge=0, le=1_000_000_000)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post("", response_model_exclude_unset=True)
async def upload(
    *,
    request: Request,
    app: Installation,
    user: Caller,
    file: Annotated[list[UploadFile], File(description="one file")],
    metadata: Annotated[
        str | None,
        Form(description="JSON object kept with the file; `knowledge_id`, `directory_id` put it into a collection"),
    ] = None,
    password: Password = None,
    process: bool = True,
    process_in_background: bool = True,
) -> Uploaded:
    """Store a file. It is safe when this answers, and is processed in the background, unless that is to be awaited.

    With `process=false` it is only stored, until it is added to a collection or its processing is asked for.
    """
    if len(file) != 1:
        raise BadInput(f"one file a request, not {len(file)}")
    [sent] = file
    given = as_metadata(metadata)
    collection_id, directory_id = await destination(app, user, given)
    record = await accept(
        app,
        user,
        name=clean_name(sent.filename or ""),
        content=sent.file,
        metadata=given,
        collection_id=collection_id,
        directory_id=directory_id,
        waits=process,
        password=password or None,
    )
    request.state.details = {"file_id": record.id}
    if process and not process_in_background:
        async for known in changes(app, user, record.id):
            record = known
    why = {"error": record.error} if record.error else {}
    data = FileData.model_validate({"status": record.status, **why, **read_of(record)})
    uploaded = Uploaded.of(record, data=data)
    return uploaded.model_copy(update={"hash": record.sha256 if record.version else None, "status": True})


@router.get("", response_model=FileList, response_model_exclude_unset=True)
async def files(
    app: Installation,
    user: Caller,
    page: Page = 1,
    texts: Texts = True,
    sha256: Annotated[
        str | None, Query(max_length=64, pattern=NO_NUL, description="Only the caller's files of exactly these bytes.")
    ] = None,
) -> Response:
    """List the caller's files, an administrator's all, newest first, 50 a page."""
    if sha256 is not None:
        same = await app.records.files.with_sha256(sha256.lower(), user.id)
        seen = await app.records.files.readable_among([file.id for file in same], user)
        found = [file for file in same if file.id in seen]
        total = len(found)
    else:
        found, total = await app.records.files.page(user, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    return listed(app, found, texts=texts, before=b'{"items":[', after=b'],"total":%d}' % total)


@router.get("/search", response_model=list[FileOut], response_model_exclude_unset=True)
async def search(
    *, app: Installation, user: Caller, filename: Glob, texts: Texts = True, skip: Skip = 0, limit: Limit = 100
) -> Response:
    """List the files of the list above whose whole name fits the pattern, newest first; there may be none."""
    found = await app.records.files.search(user, keep=matching(filename), personal=False, limit=limit, offset=skip)
    return listed(app, found, texts=texts)


@router.get("/count")
async def count(app: Installation, user: Caller) -> int:
    """Return how many files the list has."""
    return await app.records.files.count(user)


@router.get("/user/count")
async def own_count(app: Installation, user: Caller) -> int:
    """Return how many files the caller uploaded."""
    return await app.records.files.count(user, personal=True)


@router.get("/user/search", response_model=list[FileOut], response_model_exclude_unset=True)
async def own_search(
    *, app: Installation, user: Caller, filename: Glob = "*", texts: Texts = True, skip: Skip = 0, limit: Limit = 100
) -> Response:
    """List the files that the caller uploaded and whose whole name fits the pattern, newest first."""
    found = await app.records.files.search(user, keep=matching(filename), personal=True, limit=limit, offset=skip)
    return listed(app, found, texts=texts)


@router.delete("/all")
async def delete_everything(app: Installation, _: Administrator) -> Deleted:
    """Delete all files of everybody; for administrators. What is stored of them goes in the background, soon after."""
    async for some in app.records.files.all_pages(DELETED_TOGETHER):
        await app.records.removals.add([file.id for file in some])
    return Deleted(message="All files deleted successfully")


@router.get("/{file_id}", response_model=FileOut)
async def one(file_id: PathId, app: Installation, user: Caller) -> Response:
    """Return a file with its extracted text."""
    shown = await whole(app, await app.records.files.visible(file_id, user))
    return as_json(await asyncio.to_thread(lambda: shown.model_dump_json().encode()))


@router.delete("/{file_id}")
async def delete(file_id: PathId, app: Installation, user: Caller) -> Deleted:
    """Delete a file: it leaves every collection, and nothing of it stays, unless another file has the same text."""
    record = await app.records.files.owned(file_id, user)
    if not await remove(app, [record.id]):
        raise NotFound(f"no file {file_id!r}")
    return Deleted(message="File deleted successfully")


def listed(
    app: App, found: Sequence[FileRecord], *, texts: bool, before: bytes = b"[", after: bytes = b"]"
) -> Response:
    """Return a list of files, written as it is read: together their texts may not fit into the memory."""

    async def written() -> AsyncIterator[bytes]:
        yield before
        for start in range(0, len(found), READ_TOGETHER):
            some = found[start : start + READ_TOGETHER]
            parts = await asyncio.gather(*(item(app, record, texts=texts) for record in some))
            yield (b"," if start else b"") + b",".join(parts)
        yield after

    return StreamingResponse(written(), media_type="application/json")


async def item(app: App, record: FileRecord, *, texts: bool) -> bytes:
    """Return a file of a list as JSON; its `content` is null where it cannot be read now."""
    data = FileData.of(record)
    if not texts:
        return FileOut.of(record, data=data).model_dump_json(exclude_unset=True).encode()
    try:
        data.content = await extracted_text(app, record)
    except RaglineError:
        data.content = None
    return await asyncio.to_thread(lambda: FileOut.of(record, data=data).model_dump_json(exclude_unset=True).encode())


async def destination(app: App, user: User, metadata: Mapping[str, JsonValue]) -> tuple[str | None, str | None]:
    """Return the collection and the directory that the metadata of an upload name, which the user must be let change.

    Raises Forbidden where an API key is limited to collections and none of them is named.
    """
    collection_id, directory_id = (named_in(metadata, key) for key in ("knowledge_id", "directory_id"))
    if user.collections is not None and collection_id not in user.collections:
        raise Forbidden(
            "this API key is limited to collections: name one of them as `knowledge_id` in the upload's metadata"
        )
    if collection_id is None:
        return None, None
    await app.records.collections.writable(collection_id, user)
    if directory_id is not None:
        await app.records.directories.get(collection_id, directory_id)
    return collection_id, directory_id


def named_in(metadata: Mapping[str, JsonValue], key: str) -> str | None:
    """Return the id under this key. Raises BadInput."""
    value = metadata.get(key)
    try:
        return None if value in (None, "") else ID.validate_python(value, strict=True)
    except ValidationError as error:
        raise BadInput(f"metadata: {key} must be an id as text: {error.errors()[0]['msg']}") from error


def as_metadata(text: str | None) -> dict[str, JsonValue]:
    """Return the object; checked here with all that reads it later asks of it."""
    if len(text or "") > MAX_METADATA_CHARS:
        raise BadInput(f"metadata is longer than {MAX_METADATA_CHARS} characters")
    try:
        given = METADATA.validate_python(orjson.loads(text)) if text else {}
    except orjson.JSONDecodeError as error:
        raise BadInput(f"metadata is not JSON: {error}") from error
    except ValidationError as error:
        raise BadInput(f"metadata is not a JSON object: {error.errors()[0]['msg']}") from error
    if SOURCE_KEY in given:
        raise BadInput(f"metadata: the key {SOURCE_KEY!r} is for files that a sync takes in")
    return given


router.routes += [*file_progress.router.routes, *file_content.router.routes, *file_chunks.router.routes]
