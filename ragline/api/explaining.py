"""`POST /api/v1/retrieval/explain`: a search, step by step, with what became of every candidate."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints

from ragline.api.caller import Caller, Installation
from ragline.api.presence import while_present
from ragline.api.retrieval import named
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_retrieval import COLLECTION, MAX_COLLECTIONS, CollectionName
from ragline.retrieval.explain import MAX_BEFORE, explain
from ragline.retrieval.explained import Explanation
from ragline.retrieval.wishes import Wishes

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/retrieval", tags=["retrieval"])

MAX_BEFORE_CHARS = 8000

Earlier = Annotated[str, StringConstraints(max_length=MAX_BEFORE_CHARS)]


class Asked(Wishes):
    """A question, where to look (nothing named: all that the caller may see), and what is to be other than usual."""

    query: str = Field(examples=["durée de la garantie"])
    collection_names: list[CollectionName] = Field([], max_length=MAX_COLLECTIONS, examples=[[COLLECTION]])
    before: list[Earlier] = Field(
        [], max_length=MAX_BEFORE, description="The questions before it in the conversation, the oldest first."
    )


@router.post("/explain")
async def explained(request: Request, body: Asked, app: Installation, user: Caller) -> Explanation:
    """Return how a question is searched: every step with its candidates, scores and times, and the context it makes."""
    refs = [await named(app, name, user) for name in body.collection_names]
    work = explain(app, user, body.query, refs, before=body.before, wishes=body)
    return await while_present(request, work)
