"""Files: upload, what is known of them, and how far their processing is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated

import orjson
from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response, StreamingResponse
from pydantic import JsonValue, TypeAdapter, ValidationError

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import FileData, FileList, FileOut, Page, ProcessStatus, Uploaded
from ragline.app import App
from ragline.errors import BadInput, NotFound, Unavailable
from ragline.pipelines.accept import accept
from ragline.pipelines.ingest import text_key
from ragline.types import FileRecord, Status, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/files", tags=["files"])

PAGE_SIZE = 50
LOOK_S = 0.2
MAX_NAME_CHARS = 200
MAX_METADATA_CHARS = 64_000
METADATA: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters and marks that turn the direction of writing around."""


@router.post("", response_model_exclude_unset=True)
async def upload(
    app: Installation,
    user: Caller,
    file: Annotated[list[UploadFile], File(description="one file")],
    metadata: Annotated[str | None, Form(description="JSON object kept with the file")] = None,
) -> Uploaded:
    """Store a file. It is safe when this answers, and is processed in the background."""
    if len(file) != 1:
        raise BadInput(f"one file a request, not {len(file)}")
    [sent] = file
    record = await accept(
        app,
        user,
        name=clean_name(sent.filename or ""),
        content=sent.file,
        metadata=as_metadata(metadata),
    )
    return Uploaded.of(record, data=FileData(status=record.status)).model_copy(update={"hash": None, "status": True})


@router.get("", response_model_exclude_unset=True)
async def files(app: Installation, user: Caller, page: Page = 1) -> FileList:
    """List the caller's files, newest first, 50 a page."""
    found, total = await app.records.files.page(user, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    return FileList(items=[FileOut.of(file, data=FileData(status=file.status)) for file in found], total=total)


@router.get("/{file_id}")
async def one(file_id: str, app: Installation, user: Caller) -> FileOut:
    """Return a file with its extracted text."""
    record = await app.records.files.visible(file_id, user)
    text = await extracted_text(app, record)
    return FileOut.of(record, data=FileData(status=record.status, content=text, error=record.error))


@router.get("/{file_id}/process/status", response_model=ProcessStatus)
async def status(
    request: Request, file_id: str, app: Installation, user: Caller, stream: bool = False
) -> Response | ProcessStatus:
    """Return how far a file is; with `stream` an event for each change until it is completed or failed."""
    record = await app.records.files.visible(file_id, user)
    runs_url: str | None = request.app.state.runs_url
    if stream:
        return StreamingResponse(changes(app, user, record, runs_url), media_type="text/event-stream")
    return ProcessStatus.of(record, runs_url)


async def changes(app: App, user: User, record: FileRecord, runs_url: str | None) -> AsyncIterator[bytes]:
    shown = None
    while True:
        if (known := ProcessStatus.of(record, runs_url)) != shown:
            shown = known
            yield b"data: " + known.model_dump_json().encode() + b"\n\n"
        if record.status in (Status.COMPLETED, Status.FAILED):
            return
        await asyncio.sleep(LOOK_S)
        try:
            record = await app.records.files.visible(record.id, user)
        except NotFound:
            return


async def extracted_text(app: App, record: FileRecord) -> str:
    """Return the text of a completed file, else none. Raises Unavailable where it is lost."""
    if record.status is not Status.COMPLETED:
        return ""
    try:
        return (await app.blobs.get(text_key(record.id))).decode("utf-8", "replace")
    except NotFound as error:
        raise Unavailable(
            f"the extracted text of file {record.id!r} is missing from the data folder; upload the file again"
        ) from error


def clean_name(name: str) -> str:
    """Return the last part of a path from any system, without what cannot be printed, bounded in length."""
    base = PureWindowsPath(PurePosixPath(name).name).name
    base = UNPRINTABLE.sub("", base).strip()
    if base in ("", ".", ".."):
        raise BadInput(f"the file has no usable name: {name[:MAX_NAME_CHARS]!r}")
    if len(base) > MAX_NAME_CHARS:
        suffix = PurePosixPath(base).suffix[:20]
        base = base[: MAX_NAME_CHARS - len(suffix)] + suffix
    return base


def as_metadata(text: str | None) -> dict[str, JsonValue]:
    """Return the object; checked here with all that reads it later asks of it."""
    if len(text or "") > MAX_METADATA_CHARS:
        raise BadInput(f"metadata is longer than {MAX_METADATA_CHARS} characters")
    try:
        return METADATA.validate_python(orjson.loads(text)) if text else {}
    except orjson.JSONDecodeError as error:
        raise BadInput(f"metadata is not JSON: {error}") from error
    except ValidationError as error:
        raise BadInput(f"metadata is not a JSON object: {error.errors()[0]['msg']}") from error
