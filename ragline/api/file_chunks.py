"""The passages of a file, as they are searched: to see how it was read and cut."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import PathId
from ragline.types import Passage

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/files", tags=["files"])

Skip = Annotated[int, Query(ge=0, le=1_000_000_000)]
Limit = Annotated[int, Query(ge=1, le=500)]


class ChunkOut(BaseModel):
    """A passage: `text` is the file's extracted text from `start` to before `end`; pages count from 1.

    `kind` is what most of it is: title, text, list, table or code. `member` is the attachment or the file of an
    archive that it is from. `lead` is embedded and shown to models before it: the headings of its table, or the
    question that it answers. `html` are its rows, where it is of a single table.
    """

    id: str
    index: int
    text: str
    start: int
    end: int
    heading: str
    lead: str
    page: int | None
    page_end: int | None
    language: str
    kind: str
    member: str
    sheet: str | None
    cells: str | None
    html: str | None

    @classmethod
    def of(cls, passage: Passage) -> ChunkOut:
        return cls(id=passage.id, **asdict(passage.chunk))


class ChunkList(BaseModel):
    """A part of the passages in their order in the file, and how many there are."""

    items: list[ChunkOut]
    total: int


@router.get("/{file_id}/chunks")
async def chunks(file_id: PathId, app: Installation, user: Caller, skip: Skip = 0, limit: Limit = 50) -> ChunkList:
    """List the passages of the version of a file that answers; there are none while there is no such version."""
    record = await app.records.files.visible(file_id, user)
    found = await app.vectors.passages(record.id, version=record.version) if record.version else []
    return ChunkList(items=[ChunkOut.of(passage) for passage in found[skip : skip + limit]], total=len(found))
