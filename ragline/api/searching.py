"""`POST /api/v1/retrieval/search`: passages with all their scores, in what a chat could refer to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ragline.api.caller import Caller, Installation
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_chat import MAX_REFERENCES, CollectionReference, FileReference
from ragline.retrieval.wishes import Wishes, matches
from ragline.types import ElementKind

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/retrieval", tags=["retrieval"])

Searchable = Annotated[FileReference | CollectionReference, Field(discriminator="type")]


class Search(Wishes):
    """A question, where to look, and what is to be other than the settings say."""

    query: str = Field(examples=["durée de la garantie"])
    files: list[Searchable] = Field(min_length=1, max_length=MAX_REFERENCES)


class FoundPassage(BaseModel):
    """A passage: its scores and its place. `page` counts from 1, `text` is the file's text from `start` to `end`."""

    model_config = ConfigDict(from_attributes=True)
    text: str
    score: float = Field(description="Orders the passages of one search.")
    cosine: float = Field(description="-1 to 1: how near it is in meaning.")
    lexical: float = Field(description="BM25; 0 without a common word.")
    relevance: float = Field(description="0 to 1: the estimate that it has to do with the question.")
    name: str
    file_id: str
    passage_id: str
    index: int
    start: int
    end: int
    heading: str
    language: str
    kind: ElementKind
    page: int | None
    page_end: int | None
    member: str
    sheet: str | None
    cells: str | None
    html: str | None
    lead: str
    metadata: dict[str, JsonValue]


class Searched(BaseModel):
    """Passages, best first. `below` counts those that were left out as not relevant."""

    model_config = ConfigDict(from_attributes=True)
    passages: list[FoundPassage]
    notes: list[str]
    below: int


@router.post("/search")
async def search(request: Request, body: Search, app: Installation, user: Caller) -> Searched:
    """Return the passages of files and collections that fit a question best; a blank one has none."""
    refs = [reference.ref() for reference in body.files]
    found = await while_present(request, matches(app, refs, user, body.query, body))
    passages = [FoundPassage.model_validate(match) for match in found]
    return Searched(passages=passages, notes=list(found.notes), below=found.below)
