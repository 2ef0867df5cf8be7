"""`GET /api/v1/files/{id}/passages/{chunk}`: a passage in its surroundings, as JSON or as a page to read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from ragline.api.caller import Caller, Installation
from ragline.api.file_chunks import ChunkOut
from ragline.api.passage_page import HEADERS, page
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import NO_NUL, PathId
from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.errors import Invalid, NotFound, NotReady
from ragline.pipelines.index import passage_id
from ragline.retrieval.whole import whole_id
from ragline.types import Chunk, FileRecord, Passage, Status

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/files", tags=["files"])

MOST_AROUND = 5
MAX_DIGITS = 9
SHOWN_CHARS = 60
ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

PassageId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        pattern=NO_NUL,
        description="A passage's id, or its index from 0, or `@` and a place in the extracted text.",
    ),
]
Around = Annotated[int, Query(ge=0, le=MOST_AROUND, description="Passages before and after it.")]
Format = Annotated[Literal["json", "html"] | None, Query(description="Else as the header `Accept` says.")]
PAGE: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
ANSWERS: dict[int | str, dict[str, Any]] = {200: {"description": "The passage, or a page with it.", "content": PAGE}}


class PassageOut(ChunkOut):
    """A passage in its surroundings, all of it from the extracted text of the version of the file that answers.

    `before` is the text from `before_start` to the passage, `after` that from the passage to before `after_end`.
    `previous` and `next` are the ids of the passages beside it; `total` is how many the file has.
    """

    file_id: str
    name: str
    before: str
    before_start: int
    after: str
    after_end: int
    previous: str | None
    next: str | None
    total: int


@router.get("/{file_id}/passages/{chunk}", response_model=PassageOut, responses=ANSWERS)
async def passage(
    *,
    request: Request,
    file_id: PathId,
    chunk: PassageId,
    app: Installation,
    user: Caller,
    around: Around = 1,
    format: Format = None,
) -> Response:
    """Show a passage in its surroundings: as JSON, or as a page where the client wants `text/html`."""
    record = await app.records.files.visible(file_id, user)
    found = await placed(app, record, chunk, around=around)
    if format == "html" or (format is None and wants_page(request.headers.get("accept", ""))):
        language = language_for(request.headers.get("accept-language", ""))
        return HTMLResponse(page(found, around=around, language=language), headers=HEADERS)
    body = found.model_dump_json().encode()
    return Response(body, media_type="application/json", headers={"Vary": "Accept"})


async def placed(app: App, record: FileRecord, chunk: str, *, around: int) -> PassageOut:
    """Return a passage of a file with its surroundings. Raises NotFound, NotReady, Invalid."""
    version = record.version
    if version is None:
        if record.status in (Status.PENDING, Status.PROCESSING):
            raise NotReady(f"file {record.id!r} is still being processed: it has no passages yet; try again soon")
        raise NotFound(f"file {record.id!r} has no passages: it could not be processed")
    index = await index_of(app, record, version, chunk)
    reach = max(1, around)
    near = await app.vectors.around(record.id, version=version, indices=range(max(0, index - reach), index + reach + 1))
    own = next((each for each in near if each.chunk.index == index), None)
    if own is None:
        raise unknown(record, chunk)
    shown = [each for each in near if abs(each.chunk.index - index) <= around]
    return in_text(record, own, shown, near, await text_of(app, record, version))


def in_text(
    record: FileRecord, own: Passage, shown: Sequence[Passage], near: Sequence[Passage], text: str
) -> PassageOut:
    """Return a passage with the text around it that `shown` covers; `near` has those beside it."""
    start, end = own.chunk.start, own.chunk.end
    first = min(each.chunk.start for each in shown)
    last = max(each.chunk.end for each in shown)
    beside = {each.chunk.index: each.id for each in near}
    return PassageOut(
        **ChunkOut.of(own).model_dump(),
        file_id=record.id,
        name=record.filename,
        before=text[first:start],
        before_start=first,
        after=text[end:last],
        after_end=last,
        previous=beside.get(own.chunk.index - 1),
        next=beside.get(own.chunk.index + 1),
        total=record.chunk_count,
    )


async def index_of(app: App, record: FileRecord, version: str, chunk: str) -> int:
    """Return the position of a passage that is named by its id, its position or a place. Raises NotFound, Invalid."""
    number = chunk.removeprefix("@")
    if number.isascii() and number.isdigit():
        if len(number) > MAX_DIGITS:
            raise Invalid(f"a passage's index and place have at most {MAX_DIGITS} digits: {chunk[:SHOWN_CHARS]!r}")
        if number == chunk:
            return int(number)
        return at_place(await app.vectors.passages(record.id, version=version), int(number), record, chunk)
    if chunk == whole_id(record.id, version):
        raise NotFound(
            f"{chunk!r} is the whole text of file {record.id!r}, not a passage of it: it is at "
            f"/api/v1/files/{record.id}/data/content"
        )
    found = await asyncio.to_thread(with_id, record, version, chunk)
    if found is None:
        raise unknown(record, chunk)
    return found


def with_id(record: FileRecord, version: str, id: str) -> int | None:
    """Return the position of the passage with this id: ids are made of file, version and position."""
    each = (Chunk(index, "", 0, 0, "", None, "") for index in range(record.chunk_count))
    return next((one.index for one in each if passage_id(record.id, version, one) == id), None)


def at_place(passages: Sequence[Passage], place: int, record: FileRecord, chunk: str) -> int:
    """Return the position of the passage in which a character stands, or of the last one before it."""
    begun = [each for each in passages if each.chunk.start <= place]
    if not begun or place >= max(each.chunk.end for each in passages):
        raise unknown(record, chunk)
    inside = next((each for each in begun if place < each.chunk.end), begun[-1])
    return inside.chunk.index


def unknown(record: FileRecord, chunk: str) -> NotFound:
    if ID.fullmatch(chunk):
        hint = f"an id of an older version is gone with it; /api/v1/files/{record.id}/chunks lists those of now"
    elif chunk.removeprefix("@").isdecimal():
        hint = f"its passages are 0 to {record.chunk_count - 1}"
    else:
        hint = f"give a number from 0 to {record.chunk_count - 1}, an id, or @ and a place in its text"
    return NotFound(f"file {record.id!r} has no passage {chunk[:SHOWN_CHARS]!r}: {hint}")


async def text_of(app: App, record: FileRecord, version: str) -> str:
    """Return the extracted text of a version. Raises NotReady where another one has just taken its place."""
    try:
        raw = await app.blobs.get(text_key(record.id, version))
    except NotFound as error:
        raise NotReady(f"file {record.id!r} has just changed; ask again") from error
    return await asyncio.to_thread(raw.decode, "utf-8", "replace")


def wants_page(accept: str) -> bool:
    """Tell whether a client names `text/html`, and before JSON if it names that, as browsers do."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if "text/html" not in named:
        return False
    return "application/json" not in named or named.index("text/html") < named.index("application/json")


def language_for(accept_language: str) -> Literal["fr", "en"]:
    """Return the one of our two languages that a client likes best, English where it says nothing."""
    liked: dict[str, float] = {}
    for part in accept_language.split(",")[:20]:
        tag, _, weight = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        try:
            liked.setdefault(name, float(weight.strip().removeprefix("q=")) if weight else 1.0)
        except ValueError:
            continue
    return "fr" if liked.get("fr", 0.0) > liked.get("en", 0.0) else "en"
