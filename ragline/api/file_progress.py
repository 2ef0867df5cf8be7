"""How far the processing of a file is, and stopping and repeating it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import EVENTS, NewPassword, PathId, ProcessStatus
from ragline.app import App
from ragline.errors import Conflict, NotFound
from ragline.pipelines import accept
from ragline.types import FileRecord, Status, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/files", tags=["files"])

POSITION_S = 2.0
"""How often a waiting file's place in the queue is looked at: others that leave the queue do not change the file."""
TOGETHER_S = 0.05
"""A small file passes several stages within this time: they are one event."""


@router.get("/{file_id}/process/status", response_model=ProcessStatus, responses=EVENTS)
async def status(
    request: Request, file_id: PathId, app: Installation, user: Caller, stream: bool = False
) -> Response | ProcessStatus:
    """Return how far a file is; with `stream` an event for each change until it is completed or failed."""
    record = await app.records.files.visible(file_id, user)
    runs_url: str | None = request.app.state.runs_url
    if stream:
        return StreamingResponse(events(app, user, record, runs_url), media_type="text/event-stream")
    return await progress_of(app, record, runs_url)


@router.post("/{file_id}/process/cancel")
async def cancel(request: Request, file_id: PathId, app: Installation, user: Caller) -> ProcessStatus:
    """Stop the processing of a file; an older version of it goes on to answer."""
    record = await app.records.files.owned(file_id, user)
    if not await app.records.queue.cancel(record.id):
        raise Conflict(f"file {file_id!r} is {state(record)} already: nothing to cancel")
    return await progress_of(app, await app.records.files.visible(file_id, user), request.app.state.runs_url)


@router.post("/{file_id}/process/retry")
async def retry(request: Request, file_id: PathId, app: Installation, user: Caller) -> ProcessStatus:
    """Process a failed file again."""
    record = await app.records.files.owned(file_id, user)
    if not await app.records.queue.retry([record.id]):
        raise Conflict(f"file {file_id!r} is {state(record)}: only a failed one can be retried")
    return await progress_of(app, await app.records.files.visible(file_id, user), request.app.state.runs_url)


@router.post("/{file_id}/password")
async def unlock(
    request: Request, file_id: PathId, body: NewPassword, app: Installation, user: Caller
) -> ProcessStatus:
    """Give a file the password that opens it, and process it again; what it had goes on to answer until then.

    It takes the place of the one that came with the upload. It is stored sealed, never shown, and goes with the file.
    """
    record = await accept.unlock(app, await app.records.files.owned(file_id, user), body.password)
    return await progress_of(app, record, request.app.state.runs_url)


def state(record: FileRecord) -> str:
    return "stored, not processed" if record.stage == "stored" else record.status.value


async def progress_of(app: App, record: FileRecord, runs_url: str | None) -> ProcessStatus:
    """Return how far a file is; one that is only stored has no place in the queue."""
    position = None
    if record.stage != "stored":
        position = await app.records.queue.position(record, small_bytes=app.settings.queue.small_file_bytes)
    return ProcessStatus.of(record, position=position, runs_url=runs_url)


async def events(app: App, user: User, record: FileRecord, runs_url: str | None) -> AsyncIterator[bytes]:
    """Give the state of a file as server-sent events, as it changes, each only once."""
    shown = None
    async for known in changes(app, user, record.id):
        if (now := await progress_of(app, known, runs_url)) != shown:
            shown = now
            yield b"data: " + now.model_dump_json().encode() + b"\n\n"


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
