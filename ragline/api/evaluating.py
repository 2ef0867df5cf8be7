"""`POST /api/v1/retrieval/trial`: what each way to search would answer, for who measures retrieval."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ragline.api.caller import Caller, Installation
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_retrieval import COLLECTION, CollectionName
from ragline.retrieval.evaluation.asking import Tried, tried
from ragline.retrieval.evaluation.matching import Seen
from ragline.retrieval.evaluation.results import Row
from ragline.retrieval.search import MAX_QUESTION_CHARS

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/retrieval", tags=["retrieval"])

Question = Annotated[str, StringConstraints(min_length=1, max_length=MAX_QUESTION_CHARS)]
Value = Annotated[str, StringConstraints(max_length=100)]


class Trial(BaseModel):
    """A question, the collection to search (without one, all that the caller may see), and settings of `retrieval`
    that are to be others for this search, as texts."""

    model_config = ConfigDict(extra="forbid")
    query: Question = Field(examples=["Quelle est la durée de la garantie ?"])
    collection_name: CollectionName | None = Field(None, examples=[COLLECTION])
    retrieval: dict[Value, Value] = Field(default_factory=dict, max_length=50, examples=[{"fusion": "rrf"}])


class TrialPassage(BaseModel):
    """A passage, with what stands before it if that is embedded. Pages count from 1."""

    model_config = ConfigDict(from_attributes=True)
    file_id: str
    name: str
    text: str
    page: int | None
    page_end: int | None


class TrialDone(BaseModel):
    """What each way to search found, best first, at most 100 passages each, by their positions in `passages`.

    `dense` is by meaning alone, `bm25` by words alone, `fused` by both, `reranked` only where a reranker is set up,
    `answer` what a chat would be given. `says` tells how it was searched.
    """

    passages: list[TrialPassage]
    rows: dict[Row, list[int]]
    embed_s: float = Field(description="Seconds to embed the question; 0 where its vector was kept from before.")
    search_s: float = Field(description="Seconds of the search, without that.")
    notes: list[str]
    says: dict[str, str]


@router.post("/trial")
async def trial(request: Request, body: Trial, app: Installation, user: Caller) -> TrialDone:
    """Search once, with other settings where they are given, and tell what each way to search finds."""
    work = tried(app, user, body.query, body.collection_name, body.retrieval)
    return wired(await while_present(request, work))


def wired(found: Tried) -> TrialDone:
    """Return a search in the wire format: each passage once."""
    places: dict[Seen, int] = {}
    rows = {row: [places.setdefault(one, len(places)) for one in some] for row, some in found.rows.items()}
    return TrialDone(
        passages=[TrialPassage.model_validate(one) for one in places],
        rows=rows,
        embed_s=found.embed_s,
        search_s=found.search_s,
        notes=list(found.notes),
        says=dict(found.says),
    )
