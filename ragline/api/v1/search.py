"""Search in a vector store: passages with scores, no model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.v1.wire import GivenAttributes, PathId
from ragline.api.v1.wire_stores import Text
from ragline.app import App
from ragline.connectors.records.attributes import attributes_of
from ragline.errors import BadInput
from ragline.retrieval.filters import chosen, of_openai
from ragline.retrieval.references import searched
from ragline.retrieval.search import search
from ragline.types import CollectionRef, Hit, Scope, User, Where

router = APIRouter(route_class=StrictRoute, prefix="/v1/vector_stores", tags=["vector stores"])

MAX_RESULTS = 50
MAX_QUERIES = 16
MAX_QUERY_CHARS = 10_000

Question = Annotated[str, StringConstraints(min_length=1, max_length=MAX_QUERY_CHARS)]


class RankingOptions(BaseModel):
    """`ranker` is taken and changes nothing: dense and lexical search are always fused."""

    ranker: str | None = Field(None, max_length=64)
    score_threshold: float | None = Field(None, ge=0, le=1)


class SearchBody(BaseModel):
    """A question to a store, or several at once. `filters`: by the attributes of the files, as OpenAI writes them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": "Quelle est la durée de garantie ?",
                    "max_num_results": 5,
                    "filters": {"type": "gte", "key": "année", "value": 2023},
                }
            ]
        }
    )
    query: Question | Annotated[list[Question], Field(min_length=1, max_length=MAX_QUERIES)]
    filters: dict[str, JsonValue] | None = None
    max_num_results: int = Field(10, ge=1, le=MAX_RESULTS)
    ranking_options: RankingOptions | None = None
    rewrite_query: bool = False

    def queries(self) -> list[str]:
        if self.rewrite_query:
            raise BadInput("rewrite_query: questions are searched for as they are; leave it out, or send false")
        return [self.query] if isinstance(self.query, str) else self.query


class SearchResult(BaseModel):
    """A passage. `score` is (1 + cosine) / 2, from 0 to 1.

    The order is that of dense and lexical search together, so a score may be more than one before it.
    """

    file_id: str
    filename: str
    score: float
    attributes: GivenAttributes
    content: list[Text]


class SearchResults(BaseModel):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResult]
    has_more: bool = False
    next_page: None = None


@router.post("/{vector_store_id}/search")
async def search_store(vector_store_id: PathId, body: SearchBody, app: Installation, user: Caller) -> SearchResults:
    """Return the passages of a vector store that fit best. Files that are still on their way are not in it yet."""
    await app.records.collections.visible(vector_store_id, user)
    queries = body.queries()
    where = of_openai(body.filters) if body.filters is not None else None
    scope = await scope_of(app, user, vector_store_id, where)
    found = [] if scope is None else [await search(app, query, scope, limit=body.max_num_results) for query in queries]
    least = (body.ranking_options or RankingOptions()).score_threshold or 0.0
    hits = [hit for hit in merged(found) if hit.similarity >= least][: body.max_num_results]
    return SearchResults(search_query=queries, data=await results_of(app, hits))


async def scope_of(app: App, user: User, store_id: str, where: Where | None) -> Scope | None:
    """Return where to look for passages of a store, None where no file of it fits the filter."""
    store = CollectionRef(store_id)
    if where is None:
        return await searched(app, user, [store], [None])
    members = [placed.file for placed in await app.records.members.all(store_id)]
    fitting = await asyncio.to_thread(chosen, where, members)
    return await searched(app, user, [store], [frozenset(file.id for file in fitting)])


def merged(found: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Return the hits of several searches as one list, each passage at the best place it had in any of them."""
    places: dict[str, tuple[int, float, Hit]] = {}
    for hits in found:
        for place, hit in enumerate(hits):
            here = (place, -hit.cosine, hit)
            there = places.setdefault(hit.passage.id, here)
            if here[:2] < there[:2]:
                places[hit.passage.id] = here
    return [hit for _, _, hit in sorted(places.values(), key=lambda one: (*one[:2], one[2].passage.id))]


async def results_of(app: App, hits: Sequence[Hit]) -> list[SearchResult]:
    files = await app.records.files.named({hit.passage.file_id for hit in hits})
    return [
        SearchResult(
            file_id=file.id,
            filename=file.filename,
            score=hit.similarity,
            attributes=attributes_of(file.metadata),
            content=[Text(text=hit.passage.chunk.text)],
        )
        for hit in hits
        if (file := files.get(hit.passage.file_id)) is not None
    ]
