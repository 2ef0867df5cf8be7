"""Files: upload, what is known of them, and how far their processing is."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response, StreamingResponse

from ragline.api.caller import Caller, Installation
from ragline.api.wire import FileData, FileList, FileOut, ProcessStatus, Uploaded
from ragline.app import App
from ragline.errors import BadInput, NotFound
from ragline.pipelines.accept import accept
from ragline.pipelines.ingest import text_key
from ragline.types import FileRecord, Json, Status, User

router = APIRouter(prefix="/api/v1/files", tags=["files"])

PAGE_SIZE = 50
LOOK_S = 0.2
MAX_NAME_CHARS = 200
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
async def files(app: Installation, user: Caller, page: int = 1) -> FileList:
    """List the caller's files, newest first, 50 a page."""
    if page < 1:
        raise BadInput(f"page is {page}, but pages count from 1")
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
    if record.status is not Status.COMPLETED:
        return ""
    return (await app.blobs.get(text_key(record.id))).decode("utf-8", "replace")


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


def as_metadata(text: str | None) -> dict[str, Json]:
    try:
        metadata = json.loads(text) if text else {}
    except ValueError as error:
        raise BadInput(f"metadata is not JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise BadInput("metadata is not a JSON object")
    return metadata
