"""Files: upload, what is known of them, and how far their processing is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Annotated

import orjson
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import Response, StreamingResponse
from pydantic import JsonValue, TypeAdapter, ValidationError

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import Deleted, FileData, FileList, FileOut, Page, ProcessStatus, Uploaded
from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.errors import BadInput, Conflict, Forbidden, NotFound, Unavailable
from ragline.pipelines.accept import accept
from ragline.pipelines.names import clean_name
from ragline.pipelines.tidy import remove
from ragline.types import SOURCE_KEY, FileRecord, Status, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/files", tags=["files"])

PAGE_SIZE = 50
POSITION_S = 2.0
"""How often a waiting file's place in the queue is looked at: others that leave the queue do not change the file."""
TOGETHER_S = 0.05
"""A small file passes several stages within this time: they are one event."""
MAX_METADATA_CHARS = 64_000
METADATA: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


@router.post("", response_model_exclude_unset=True)
async def upload(
    app: Installation,
    user: Caller,
    file: Annotated[list[UploadFile], File(description="one file")],
    metadata: Annotated[
        str | None,
        Form(description="JSON object kept with the file; `knowledge_id`, `directory_id` put it into a collection"),
    ] = None,
    process_in_background: bool = True,
) -> Uploaded:
    """Store a file. It is safe when this answers, and is processed in the background, unless that is to be awaited."""
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
    )
    if not process_in_background:
        async for known in changes(app, user, record.id):
            record = known
    why = {"error": record.error} if record.error else {}
    uploaded = Uploaded.of(record, data=FileData(status=record.status, **why))
    processed = record.status is Status.COMPLETED
    return uploaded.model_copy(update={"hash": record.sha256 if processed else None, "status": True})


@router.get("", response_model_exclude_unset=True)
async def files(
    app: Installation,
    user: Caller,
    page: Page = 1,
    sha256: Annotated[str | None, Query(description="only the caller's files of exactly these bytes")] = None,
) -> FileList:
    """List the caller's files, newest first, 50 a page."""
    if sha256 is not None:
        found = await app.records.files.with_sha256(sha256.lower(), user.id)
        total = len(found)
    else:
        found, total = await app.records.files.page(user, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    return FileList(items=[FileOut.of(file, data=FileData(status=file.status)) for file in found], total=total)


@router.get("/{file_id}")
async def one(file_id: str, app: Installation, user: Caller) -> FileOut:
    """Return a file with its extracted text."""
    record = await app.records.files.visible(file_id, user)
    text = await extracted_text(app, record)
    return FileOut.of(record, data=FileData(status=record.status, content=text, error=record.error))


@router.delete("/{file_id}")
async def delete(file_id: str, app: Installation, user: Caller) -> Deleted:
    """Delete a file: it leaves every collection, and nothing of it stays, unless another file has the same text."""
    record = await app.records.files.visible(file_id, user)
    if not await remove(app, [record.id]):
        raise NotFound(f"no file {file_id!r}")
    return Deleted(message="File deleted successfully")


@router.get("/{file_id}/process/status", response_model=ProcessStatus)
async def status(
    request: Request, file_id: str, app: Installation, user: Caller, stream: bool = False
) -> Response | ProcessStatus:
    """Return how far a file is; with `stream` an event for each change until it is completed or failed."""
    record = await app.records.files.visible(file_id, user)
    runs_url: str | None = request.app.state.runs_url
    if stream:
        return StreamingResponse(events(app, user, record, runs_url), media_type="text/event-stream")
    return await progress_of(app, record, runs_url)


@router.post("/{file_id}/process/cancel")
async def cancel(request: Request, file_id: str, app: Installation, user: Caller) -> ProcessStatus:
    """Stop the processing of a file; an older version of it goes on to answer."""
    record = await app.records.files.visible(file_id, user)
    if not await app.records.queue.cancel(record.id):
        raise Conflict(f"file {file_id!r} is {record.status.value} already: nothing to cancel")
    return await progress_of(app, await app.records.files.visible(file_id, user), request.app.state.runs_url)


@router.post("/{file_id}/process/retry")
async def retry(request: Request, file_id: str, app: Installation, user: Caller) -> ProcessStatus:
    """Process a failed file again."""
    record = await app.records.files.visible(file_id, user)
    if not await app.records.queue.retry([record.id]):
        raise Conflict(f"file {file_id!r} is {record.status.value}: only a failed one can be retried")
    return await progress_of(app, await app.records.files.visible(file_id, user), request.app.state.runs_url)


async def progress_of(app: App, record: FileRecord, runs_url: str | None) -> ProcessStatus:
    position = await app.records.queue.position(record, small_bytes=app.settings.queue.small_file_bytes)
    return ProcessStatus.of(record, position=position, runs_url=runs_url)


async def events(app: App, user: User, record: FileRecord, runs_url: str | None) -> AsyncIterator[bytes]:
    """Give the state of a file as server-sent events, as it changes, each only once."""
    shown = None
    async for known in changes(app, user, record.id):
        if (state := await progress_of(app, known, runs_url)) != shown:
            shown = state
            yield b"data: " + state.model_dump_json().encode() + b"\n\n"


async def changes(app: App, user: User, file_id: str) -> AsyncIterator[FileRecord]:
    """Give a file as it is now and at each change, up to its end; the place in the queue is looked at now and then."""
    with app.records.changes.watching(file_id) as changed:
        while True:
            changed.clear()
            try:
                record = await app.records.files.visible(file_id, user)
            except NotFound:
                return
            yield record
            if record.status in (Status.COMPLETED, Status.FAILED):
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(POSITION_S if record.status is Status.PENDING else None):
                    await changed.wait()
                    await asyncio.sleep(TOGETHER_S)


async def destination(app: App, user: User, metadata: Mapping[str, JsonValue]) -> tuple[str | None, str | None]:
    """Return the collection and the directory that the metadata of an upload name, which must be the user's own."""
    match metadata.get("knowledge_id"), metadata.get("directory_id"):
        case None | "", _:
            return None, None
        case str(collection_id), None | "":
            directory_id = None
        case str(collection_id), str(given):
            directory_id = given
        case _:
            raise BadInput("metadata: knowledge_id and directory_id must be ids as text")
    collection = await app.records.collections.visible(collection_id, user)
    if collection.user_id != user.id:
        raise Forbidden(f"collection {collection_id!r} belongs to another user")
    if directory_id is not None:
        await app.records.directories.get(collection_id, directory_id)
    return collection_id, directory_id


async def extracted_text(app: App, record: FileRecord) -> str:
    """Return the text of the version that answers, else none. Raises Unavailable where it is lost."""
    if record.version is None:
        return ""
    try:
        return (await app.blobs.get(text_key(record.id, record.version))).decode("utf-8", "replace")
    except NotFound as error:
        raise Unavailable(
            f"the extracted text of file {record.id!r} is missing from the data folder; upload the file again"
        ) from error


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
