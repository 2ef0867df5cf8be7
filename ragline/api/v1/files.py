"""`/v1/files`: the files of `/api/v1/files` as OpenAI's clients have them: the same ids, rights and limits."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel

from ragline.api.caller import Caller, Installation, WholeCaller
from ragline.api.file_content import BYTES, bytes_of
from ragline.api.strict_json import StrictRoute
from ragline.api.v1.wire import Cursor, Listed, Order, PathId, cut_of, ends
from ragline.api.wire import NO_NUL, Password
from ragline.connectors.records.attributes import PURPOSE_KEY
from ragline.errors import BadInput, NotFound
from ragline.pipelines.accept import accept
from ragline.pipelines.names import clean_name
from ragline.pipelines.tidy import remove
from ragline.types import FileRecord, Status

router = APIRouter(route_class=StrictRoute, prefix="/v1/files", tags=["files"])

USUAL_PURPOSE = "assistants"
"""What a file is for that says nothing else; a file uploaded elsewhere, too."""
MAX_PURPOSE_CHARS = 64
MAX_LISTED = 1000
"""Files in one answer. OpenAI's clients may ask for 10,000, and read on where there are more."""

STATUSES: dict[Status, Literal["uploaded", "processed", "error"]] = {
    Status.PENDING: "uploaded",
    Status.PROCESSING: "uploaded",
    Status.COMPLETED: "processed",
    Status.FAILED: "error",
}


class FileObject(BaseModel):
    """A file. `status` is `uploaded` until it is `processed`, or `error`: `status_details` tells why."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None
    expires_at: int | None = None

    @classmethod
    def of(cls, file: FileRecord) -> FileObject:
        return cls(
            id=file.id,
            bytes=file.size_bytes,
            created_at=file.created_at,
            filename=file.filename,
            purpose=purpose_of(file),
            status=STATUSES[file.status],
            status_details=file.error,
        )


class FileObjects(Listed):
    data: list[FileObject]


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


@router.post("")
async def upload(
    *,
    app: Installation,
    user: WholeCaller,
    file: Annotated[list[UploadFile], File(description="one file")],
    purpose: Annotated[
        str,
        Form(
            min_length=1,
            max_length=MAX_PURPOSE_CHARS,
            pattern=NO_NUL,
            description="Kept and shown; every file can be searched, whatever it is for.",
        ),
    ] = USUAL_PURPOSE,
    password: Password = None,
    expires_after_seconds: Annotated[str | None, Form(alias="expires_after[seconds]", max_length=20)] = None,
) -> FileObject:
    """Store a file. It is safe when this answers, and is processed in the background at once."""
    if len(file) != 1:
        raise BadInput(f"one file a request, not {len(file)}")
    if expires_after_seconds is not None:
        raise BadInput("expires_after: files do not expire here; leave it out, and delete the file when it is time")
    [sent] = file
    metadata = {} if purpose == USUAL_PURPOSE else {PURPOSE_KEY: purpose}
    name = clean_name(sent.filename or "")
    accepted = await accept(app, user, name=name, content=sent.file, metadata=metadata, password=password or None)
    return FileObject.of(accepted)


@router.get("")
async def files(
    *,
    app: Installation,
    user: Caller,
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description=f"Answers have at most {MAX_LISTED}.")] = MAX_LISTED,
    order: Order = "desc",
    purpose: Annotated[str | None, Query(max_length=MAX_PURPOSE_CHARS, pattern=NO_NUL)] = None,
) -> FileObjects:
    """List the caller's files; where `has_more`, the list goes on `after` the last one."""
    part = await app.records.listings.files(
        user,
        cut_of(limit=min(limit, MAX_LISTED), order=order, after=after),
        keep=lambda file: purpose is None or purpose_of(file) == purpose,
    )
    first, last = ends([file.id for file in part.rows])
    return FileObjects(data=list(map(FileObject.of, part.rows)), first_id=first, last_id=last, has_more=part.more)


@router.get("/{file_id}")
async def one(file_id: PathId, app: Installation, user: Caller) -> FileObject:
    """Return what is known of a file."""
    return FileObject.of(await app.records.files.visible(file_id, user))


@router.get("/{file_id}/content", response_class=Response, responses=BYTES)
async def content(request: Request, file_id: PathId, app: Installation, user: Caller) -> Response:
    """Return the bytes of a file as they were uploaded; `Range` and `If-None-Match` are understood."""
    return await bytes_of(app, request, await app.records.files.visible(file_id, user), attachment=True)


@router.delete("/{file_id}")
async def delete(file_id: PathId, app: Installation, user: Caller) -> FileDeleted:
    """Delete a file: it leaves every store, and nothing of it stays, unless another file has the same text."""
    record = await app.records.files.owned(file_id, user)
    if not await remove(app, [record.id]):
        raise NotFound(f"no file {file_id!r}")
    return FileDeleted(id=record.id)


def purpose_of(file: FileRecord) -> str:
    said = file.metadata.get(PURPOSE_KEY)
    return said if isinstance(said, str) else USUAL_PURPOSE
