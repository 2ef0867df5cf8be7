"""What became of each passage of a search that is over: its places, and why a model is not given it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragline.app import App
from ragline.connectors.vectors.bm25 import passage_vector, query_vector
from ragline.connectors.vectors.protocol import Query
from ragline.retrieval.context import readable, words_of
from ragline.retrieval.explained import Explanation, Given, Outcome, Place, Traced, Word
from ragline.retrieval.plan import Plan
from ragline.retrieval.relevance import judged
from ragline.retrieval.search import searchable
from ragline.types import Context, Found, Hit

MOST_SHOWN = 200
"""Passages of one explanation."""
MOST_WORDS = 64
"""Words of the question that are looked for in the candidates, those that come first."""
TEXT_CHARS = 240
"""Of a passage: its beginning."""
GIVEN_CHARS = 4000
"""Of a text that the model is given: its beginning."""

WORD = re.compile(r"\w+(?:['’.\-@/]\w+)*")
LONGEST_WORD = 64


@dataclass(frozen=True, slots=True)
class Trail:
    """A search that is over: its hits by step, and what came into the context."""

    plan: Plan
    query: Query
    found: Found
    context: Context


def told(app: App, said: Explanation, trail: Trail) -> Explanation:
    """Return the explanation with the words, the passages and the context; computes for some 20 ms."""
    known = trail.found.steps[0].hits
    ordered = before_threshold(trail.found)
    near = ordered[: 2 * trail.plan.limit]
    packaged = app.settings.embedder.kind == "packaged"
    scored = judged(said.searched or said.question, trail.query, near, packaged=packaged, noise=trail.plan.noise)
    relevance = {hit.passage.id: hit.relevance for hit in scored} if trail.query.sparse.indices else {}
    orders = orders_of(trail.found)
    outcomes = outcomes_of(trail, ordered)
    count = app.embedder.count_tokens
    shown = trail.context.shown
    tokens = count([readable(one.hit.passage.chunk) for one in shown]) if shown else []
    return said.model_copy(
        update={
            "words": words_in(said.searched or said.question, trail.query, known),
            "candidates": len(known),
            "passages": [
                traced(hit, relevance.get(hit.passage.id), orders[hit.passage.id], outcomes[hit.passage.id])
                for hit in ordered[:MOST_SHOWN]
            ],
            "context": [
                Given(
                    number=one.number,
                    name=one.hit.passage.name,
                    page=one.hit.passage.chunk.page,
                    tokens=size,
                    text=readable(one.hit.passage.chunk)[:GIVEN_CHARS],
                )
                for one, size in zip(shown, tokens, strict=True)
            ],
            "context_tokens": trail.context.tokens,
        }
    )


def before_threshold(found: Found) -> Sequence[Hit]:
    """Return all candidates in the order in which they are judged."""
    return next(step.hits for step in reversed(found.steps) if step.name not in ("relevant", "diverse"))


def orders_of(found: Found) -> dict[str, dict[str, Place]]:
    """Return by passage its place in each step, in the orders by meaning and by words, and among the results."""
    known = found.steps[0].hits
    worded = sorted((hit for hit in known if hit.lexical > 0), key=lambda hit: -hit.lexical)
    ways: list[tuple[str, Sequence[Hit], Sequence[float]]] = [
        ("dense", known, [hit.cosine for hit in known]),
        ("words", worded, [hit.lexical for hit in worded]),
        *((step.name, step.hits, step.scores) for step in found.steps[1:]),
        ("final", found.hits, [hit.score for hit in found.hits]),
    ]
    orders: dict[str, dict[str, Place]] = {hit.passage.id: {} for hit in known}
    for name, hits, scores in ways:
        for rank, (hit, score) in enumerate(zip(hits, scores, strict=True), start=1):
            orders[hit.passage.id][name] = Place(rank=rank, score=score)
    return orders


def outcomes_of(trail: Trail, ordered: Sequence[Hit]) -> dict[str, Outcome]:
    """Return by passage what became of it."""
    found, limit = trail.found, trail.plan.limit
    relevant = [hit.passage.id for step in found.steps if step.name == "relevant" for hit in step.hits]
    results = {hit.passage.id for hit in found.hits}
    given = {hit.passage.id for source in trail.context.sources for hit in source.hits}
    said: set[str] = set()
    outcomes: dict[str, Outcome] = {}
    for hit in found.hits:
        words = words_of(hit.passage.chunk.text)
        spare: Outcome = "repeated" if words in said else "no_room"
        outcomes[hit.passage.id] = "shown" if hit.passage.id in given else spare
        said.add(words)
    for rank, hit in enumerate(ordered):
        id = hit.passage.id
        if id in results:
            continue
        if id in relevant:
            outcomes[id] = "alike" if relevant.index(id) < limit else "beyond"
        else:
            outcomes[id] = "irrelevant" if rank < 2 * limit else "outranked"
    return outcomes


def traced(hit: Hit, relevance: float | None, orders: dict[str, Place], outcome: Outcome) -> Traced:
    passage, chunk = hit.passage, hit.passage.chunk
    return Traced(
        passage_id=passage.id,
        file_id=passage.file_id,
        name=passage.name,
        page=chunk.page,
        heading=chunk.heading,
        text=chunk.text[:TEXT_CHARS],
        cosine=hit.cosine,
        lexical=hit.lexical,
        relevance=relevance,
        orders=orders,
        outcome=outcome,
    )


def words_in(question: str, query: Query, known: Sequence[Hit]) -> list[Word]:
    """Return the words of a question, each once, and how many candidates have them in any of their forms."""
    asked = set(query.sparse.indices)
    inside = [set(passage_vector(hit.passage.chunk.text, hit.passage.chunk.language).indices) & asked for hit in known]
    words: dict[str, Word] = {}
    for match in WORD.finditer(searchable(question)):
        word = match[0][:LONGEST_WORD]
        if word.casefold() in words:
            continue
        meant = set(query_vector(word).indices) & asked
        having = sum(not meant.isdisjoint(indices) for indices in inside)
        words[word.casefold()] = Word(word=word, passages=having if meant else None)
        if len(words) == MOST_WORDS:
            break
    return list(words.values())
