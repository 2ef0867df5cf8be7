"""What is in a file: its bytes, and the text that was extracted from them or written in their place."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from ragline.api.caller import Caller, Installation
from ragline.api.file_progress import changes
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import Content, FileData, FileOut, NewContent, NewName, PathId
from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.connectors.streams import started
from ragline.errors import NotFound, ParseFailed, Unavailable
from ragline.pipelines.edit import edit
from ragline.pipelines.names import clean_name
from ragline.pipelines.parse_types import CODE, PDF, TEXT
from ragline.pipelines.tidy import tidy
from ragline.types import FileRecord, Status

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/files", tags=["files"])

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

BINARY: Mapping[str, Any] = {"schema": {"type": "string", "format": "binary"}}
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes, in the type of the file.", "content": {"*/*": BINARY}},
    206: {"description": "The part that `Range` asked for.", "content": {"*/*": BINARY}},
    304: {"description": "The bytes are those that `If-None-Match` names."},
    416: {
        "description": "The file has no such part.",
        "content": {"application/json": {"schema": {"type": "object", "properties": {"detail": {"type": "string"}}}}},
    },
}


@router.get("/{file_id}/content", response_class=Response, responses=BYTES)
@router.get("/{file_id}/content/html", response_class=Response, responses=BYTES)
async def content(
    request: Request, file_id: PathId, app: Installation, user: Caller, attachment: bool = False
) -> Response:
    """Return the bytes of a file as they were uploaded. Plain text and PDF are shown, everything else is saved.

    With `attachment` these are saved, too. `Range` and `If-None-Match` are understood.
    """
    record = await app.records.files.visible(file_id, user)
    return await bytes_of(app, request, record, attachment=attachment)


@router.get("/{file_id}/content/{name}", response_class=Response, responses=BYTES)
async def named_content(request: Request, file_id: PathId, name: PathId, app: Installation, user: Caller) -> Response:
    """Return the bytes of a file to be saved under its own name; the name in the path is for the client only."""
    return await bytes_of(app, request, await app.records.files.visible(file_id, user), attachment=True)


@router.get("/{file_id}/data/content", response_model=Content)
async def text(file_id: PathId, app: Installation, user: Caller) -> Response:
    """Return the extracted text of the version that answers; empty while there is none."""
    record = await app.records.files.visible(file_id, user)
    known = await extracted_text(app, record)
    return as_json(await asyncio.to_thread(lambda: Content(content=known).model_dump_json().encode()))


@router.post("/{file_id}/data/content")
@router.post("/{file_id}/data/content/update")
async def write_text(file_id: PathId, body: NewContent, app: Installation, user: Caller) -> Content:
    """Put a text in the place of the one that was extracted: it is embedded, and answers in every collection.

    The text before it answers until then; this answers when the new one does, or after `server.ready_wait_s`. It
    holds until the file gets new bytes.
    """
    record = await edit(app, await app.records.files.owned(file_id, user), body.content)
    with suppress(TimeoutError):
        async with asyncio.timeout(app.settings.server.ready_wait_s):
            async for known in changes(app, user, record.id):
                record = known
    if record.status is Status.FAILED:
        raise ParseFailed(f"the new text of file {file_id!r} could not be processed: {record.error}")
    return Content(content=body.content)


@router.post("/{file_id}/rename")
async def rename(file_id: PathId, body: NewName, app: Installation, user: Caller) -> FileOut:
    """Give a file another name; it is shown with its passages from now on."""
    filename = clean_name(body.filename)
    await app.records.files.owned(file_id, user)
    if not await app.records.files.rename(file_id, filename):
        raise NotFound(f"no file {file_id!r}")
    await tidy(app, file_id)
    return await whole(app, await app.records.files.visible(file_id, user))


async def whole(app: App, record: FileRecord) -> FileOut:
    """Return a file with its extracted text."""
    known = await extracted_text(app, record)
    return FileOut.of(record, data=FileData.of(record).model_copy(update={"content": known}))


async def extracted_text(app: App, record: FileRecord) -> str:
    """Return the text of the version that answers, else none. Raises Unavailable where it is lost."""
    if record.version is None:
        return ""
    try:
        raw = await app.blobs.get(text_key(record.id, record.version))
    except NotFound as error:
        now = (await app.records.files.named([record.id])).get(record.id)
        if now is not None and now.version != record.version:  # another one answers since
            return await extracted_text(app, now)
        raise Unavailable(
            f"the extracted text of file {record.id!r} is missing from the data folder; upload the file again"
        ) from error
    return await asyncio.to_thread(raw.decode, "utf-8", "replace")


async def bytes_of(app: App, request: Request, record: FileRecord, *, attachment: bool) -> Response:
    """Return a response with the bytes of a file, read as they are sent. Raises NotFound where they are lost."""
    etag = f'"{record.sha256}"'
    headers = {"ETag": etag, "Last-Modified": formatdate(record.updated_at, usegmt=True)}
    headers |= {"Cache-Control": "private, no-cache"}  # rights are looked at each time
    if is_known(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    start, end, size = 0, record.size_bytes, record.size_bytes
    asked = request.headers.get("range")
    if asked is not None and request.headers.get("if-range", etag) == etag and (part := part_of(asked, size)):
        start, end = part
        if start >= end:
            detail = f"file {record.id!r} has {size} bytes: none at {asked[:60]!r}"
            return JSONResponse({"detail": detail}, 416, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers |= disposition(record, attachment=attachment)
    headers |= {"Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    blocks = await started(app.blobs.blocks(record.blob, start, end))
    status = 206 if "Content-Range" in headers else 200
    return StreamingResponse(blocks, status, headers, media_type=sent_type(record))


def disposition(record: FileRecord, *, attachment: bool) -> dict[str, str]:
    """Return the headers because of which no uploaded page or image runs as a page of this server."""
    headers = {"X-Content-Type-Options": "nosniff"}
    if record.content_type != PDF:  # browsers show no PDF in a sandbox
        headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    name = f"filename*=UTF-8''{quote(record.filename, safe='', errors='replace')}"
    if attachment or record.content_type not in (TEXT, PDF):
        headers["Content-Disposition"] = f"attachment; {name}"
    elif record.content_type == PDF:
        headers["Content-Disposition"] = f"inline; {name}"
    return headers


def sent_type(record: FileRecord) -> str:
    """Return the type that browsers know; source code is plain text to them."""
    return TEXT if record.content_type == CODE else record.content_type


def is_known(if_none_match: str, etag: str) -> bool:
    """Tell whether a client has these bytes."""
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return "*" in known or etag in known


def part_of(asked: str, size: int) -> tuple[int, int] | None:
    """Return from where to before where; equal where there is no such part; None for the whole file.

    Several parts at once, and what is no range, are answered with the whole, as RFC 9110 allows.
    """
    match = RANGE.fullmatch(asked.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    return (start, end) if start < size else (size, size)


def as_json(body: bytes) -> Response:
    """Return a response of JSON that was written elsewhere: a long text is not to hold up the event loop."""
    return Response(body, media_type="application/json")
