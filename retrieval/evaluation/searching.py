"""One question, searched as the product searches, and the order of each of its steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragline.app import App
from ragline.connectors.embedders.remembered import Remembered
from ragline.connectors.vectors.protocol import Query
from ragline.retrieval.evaluation.metrics import DEPTH
from ragline.retrieval.evaluation.results import Row
from ragline.retrieval.plan import Plan
from ragline.retrieval.search import candidates, find, query_of, searchable
from ragline.types import Found, Hit, Scope

MOST = 10_000
"""Passages of one search that are looked at, to have DEPTH documents of each kind."""
NO_RERANKER = "no_reranker"
"""Why a row is left out, as a key of `words.py`."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The passages of each row, best first, and how long it took, without the embedding of the question."""

    rows: dict[Row, list[Hit]]
    seconds: float
    notes: Sequence[str]


async def search_stored(app: App, question: str, query: Query, scope: Scope | None, plan: Plan) -> Searched:
    """Search what is stored of an installation, inside a scope; None for nothing."""
    began = time.perf_counter()
    found = await find(app, question, query, scope, plan)
    seconds = time.perf_counter() - began
    deep = replace(plan, candidates=max(2 * DEPTH, plan.candidates))
    legs = [] if scope is None else await candidates(app, query, scope, deep, without=frozenset())
    return Searched(rows_of(found, legs), seconds, found.notes)


async def search_index(app: App, question: str, query: Query, plan: Plan) -> Searched:
    """Search an index of its own, of documents that no records know (`index.py`)."""
    began = time.perf_counter()
    beside = await app.vectors.candidates(query, Scope(), limit=max(plan.candidates, plan.limit))
    found = await find(app, question, query, None, plan, beside=beside)
    seconds = time.perf_counter() - began
    return Searched(rows_of(found, await deep_legs(app, query)), seconds, found.notes)


async def deep_legs(app: App, query: Query) -> list[Hit]:
    """Return the candidates that have DEPTH documents of each of the two searches, as far as there are so many."""
    asked = 2 * DEPTH
    while True:
        hits = await app.vectors.candidates(query, Scope(), limit=asked)
        dense, words = legs_of(hits, asked)
        enough = len(files_in(dense)) >= DEPTH and (len(files_in(words)) >= DEPTH or len(words) < asked)
        if enough or len(dense) < asked or asked >= MOST:
            return hits
        asked *= 2


def rows_of(found: Found, legs: Sequence[Hit]) -> dict[Row, list[Hit]]:
    """Return what each step of a search would have answered. `legs` are the candidates for dense and BM25."""
    steps = {step.name: list(step.hits) for step in found.steps}
    dense, words = legs_of(legs, len(legs))
    rows: dict[Row, list[Hit]] = {"dense": dense, "bm25": words, "fused": steps.get("fused", [])}
    if "reranked" in steps:
        rows["reranked"] = steps["reranked"]
    rows["answer"] = list(found.hits)
    return rows


def legs_of(hits: Sequence[Hit], most: int) -> tuple[list[Hit], list[Hit]]:
    """Return the order by meaning and the order by words, at most so many of each."""
    dense = sorted(hits, key=lambda hit: (-hit.cosine, hit.passage.id))
    words = sorted((hit for hit in hits if hit.lexical > 0), key=lambda hit: (-hit.lexical, hit.passage.id))
    return dense[:most], words[:most]


def files_in(hits: Sequence[Hit]) -> list[str]:
    """Return the files of hits, each where its best passage stands."""
    return list(dict.fromkeys(hit.passage.file_id for hit in hits))


async def embedded(app: App, question: str) -> tuple[Query | None, float]:
    """Return a question as vectors, None for a blank one, and how long that took; 0 where its vector was kept."""
    kept = isinstance(app.embedder, Remembered) and app.embedder.knows(searchable(question))
    began = time.perf_counter()
    query = await query_of(app, question)
    return query, 0.0 if kept else time.perf_counter() - began
