"""A question becomes the passages that fit it best, step by step; each step can be looked at afterwards."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from ragline.app import App
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.vectors.bm25 import query_vector
from ragline.connectors.vectors.protocol import Query
from ragline.retrieval.fusion import fuse
from ragline.retrieval.plan import Plan, plan_for
from ragline.retrieval.preferences import age_days, diverse, younger_first
from ragline.retrieval.references import resolve
from ragline.retrieval.relevance import asks_nothing, is_about_documents, judged
from ragline.retrieval.rerank import reranked
from ragline.retrieval.stand_alone import content_words
from ragline.types import Found, Hit, Ref, Scope, SparseVector, Step, User

MAX_QUESTION_CHARS = 8000
"""What is searched for of a longer question: its beginning."""

MAX_QUESTION_TOKENS = 1024
"""What is embedded of a question with more: its beginning and its end, where it may stand behind a long text."""

SHORT_CHARS = 500
"""A question up to this length is analysed in under a millisecond, and need not be put into a thread."""

MOST_ASKED = 3200
"""Hits asked for at most, where most of them turn out to be of versions that do not answer."""

NO_WORDS = SparseVector((), ())


async def search(app: App, question: str, scope: Scope, *, limit: int | None = None, lexical: bool = True) -> list[Hit]:
    """Return at most `limit` (default: retrieval.top_k) passages in `scope`, best first; a blank question has none.

    Each file answers with one version, whole: which one, the records say at the moment of the search. Without `lexical`
    only the meaning counts. Who asks for so many passages gets them: none is left out as not relevant.
    """
    query = await query_of(app, question, lexical=lexical)
    plan = replace(await plan_for(app, scope, limit=limit), min_relevance=0.0)
    return [] if query is None else list((await find(app, question, query, scope, plan)).hits)


async def search_in(
    app: App, refs: Sequence[Ref], user: User, question: str, *, limit: int | None = None, lexical: bool = True
) -> list[Hit]:
    """Return the passages of what files and collections are referred to, as `search` does; none without a reference.

    Raises as `resolve` does.
    """
    resolved = await resolve(app, refs, user)
    if resolved.scope is None:
        return []
    hits = await search(app, question, resolved.scope, limit=limit, lexical=lexical)
    if not resolved.scope.file_ids:
        return hits  # that they lie in the collections now was looked up with their versions
    owners = await resolved.owners(app, {hit.passage.file_id for hit in hits})
    return [hit for hit in hits if hit.passage.file_id in owners]


async def query_of(app: App, question: str, *, lexical: bool = True) -> Query | None:
    """Return a question as vectors; None for a blank one."""
    question = searchable(question)
    if not question.strip():
        return None
    dense = await embedded(app, question)
    if not lexical:
        return Query(dense=dense.tolist(), sparse=NO_WORDS)
    is_short = len(question) <= SHORT_CHARS
    analysed = query_vector(question) if is_short else await asyncio.to_thread(query_vector, question)
    return Query(dense=dense.tolist(), sparse=analysed)


async def embedded(app: App, question: str) -> Matrix:
    """Return the vector of a question; of a very long one that of its beginning and its end, as all takes seconds."""
    if len(question) > MAX_QUESTION_TOKENS:
        [tokens] = await asyncio.to_thread(app.embedder.count_tokens, [question])
        if tokens > MAX_QUESTION_TOKENS:
            half = len(question) * MAX_QUESTION_TOKENS // tokens // 2
            question = f"{question[:half]}\n{question[-half:]}"
    return await app.embedder.embed_query(question)


def searchable(question: str) -> str:
    """Return what is searched for of a question: its beginning, without lone surrogates, which no tokenizer takes.

    One character may stand for eighteen; then it is their beginning.
    """
    beginning = question[:MAX_QUESTION_CHARS].encode("utf-8", "replace").decode()
    if len(beginning) <= SHORT_CHARS:
        return beginning
    spelled_out = unicodedata.normalize("NFKC", beginning)
    return beginning if len(spelled_out) <= MAX_QUESTION_CHARS else spelled_out[:MAX_QUESTION_CHARS]


async def find(
    app: App,
    question: str,
    query: Query,
    scope: Scope | None,
    plan: Plan,
    *,
    without: Collection[str] = frozenset(),
    beside: Sequence[Hit] = (),
) -> Found:
    """Return at most `plan.limit` passages in `scope`, best first, and the steps that led to them.

    `without`: files that are left out. `beside`: candidates of documents that are stored nowhere; `scope` None: only
    those. `question` is what a reranker reads.
    """
    steps = Steps()
    question = searchable(question)
    stored = await candidates(app, query, scope, plan, without=without) if scope is not None else []
    known = steps.add("candidates", [*stored, *beside], by="cosine")
    fused = steps.add("fused", fuse(known, plan.fusion, dense_weight=plan.dense_weight))
    if plan.rerank and app.settings.reranker.kind != "none":
        ordered, note = await reranked(app, question, fused)
        fused = steps.add("reranked", ordered, note=note)
    if plan.recency > 0:
        ages = await ages_of(app, fused)
        half_life = plan.recency_half_life_days
        fused = steps.add("recency", younger_first(fused, ages, weight=plan.recency, half_life_days=half_life))
    relevant, below = await relevant_among(app, question, query, fused, plan)
    best = steps.add("relevant", relevant, by="relevance")
    if plan.diversity > 0:
        vectors = await app.vectors.vectors([hit.passage.id for hit in best])
        chosen = await asyncio.to_thread(diverse, best, vectors, weight=plan.diversity, limit=plan.limit)
        best = steps.add("diverse", chosen)
    return Found(best[: plan.limit], steps.made, [step.note for step in steps.made if step.note], below)


async def relevant_among(
    app: App, question: str, query: Query, hits: Sequence[Hit], plan: Plan
) -> tuple[list[Hit], int]:
    """Return the best hits, judged, or none where not one of them has to do with the question, and how many that were.

    One that has keeps the others: what the second half of an answer stands in may look unlike the question. Nothing is
    refused where the question names nothing, or is about what was given as such: `summarise this document`.
    """
    best = hits[: 2 * plan.limit]
    if plan.min_relevance > 0 and asks_nothing(question):
        return [], len(best)
    if plan.min_relevance <= 0 or is_about_documents(question) or not content_words(question):
        return list(best), 0
    packaged = app.settings.embedder.kind == "packaged"
    words = await app.vectors.words([hit.passage.id for hit in best if hit.passage.version])
    known = await asyncio.to_thread(judged, question, query, best, packaged=packaged, noise=plan.noise, known=words)
    if any(hit.relevance >= plan.min_relevance for hit in known):
        return known, 0
    return [], len(known)


@dataclass
class Steps:
    """The steps of one search, timed from one to the next."""

    made: list[Step] = field(default_factory=list)
    since: float = field(default_factory=time.perf_counter)

    def add(self, name: str, hits: Sequence[Hit], *, by: str = "score", note: str = "") -> list[Hit]:
        now = time.perf_counter()
        self.made.append(Step(name, list(hits), [getattr(hit, by) for hit in hits], now - self.since, note))
        self.since = now
        return list(hits)


async def candidates(app: App, query: Query, scope: Scope, plan: Plan, *, without: Collection[str]) -> list[Hit]:
    """Return the candidates of both searches that are of versions which answer, and of none of the files `without`."""
    asked = max(plan.candidates, plan.limit)
    while True:
        found = await app.vectors.candidates(query, scope, limit=asked)
        current = [hit for hit in await answering(app, found, scope) if hit.passage.file_id not in without]
        if len(current) >= plan.limit or len(found) < asked or asked >= MOST_ASKED:
            return current
        asked *= 4  # versions that came or go took the places, or files that are not wanted


async def answering(app: App, hits: Sequence[Hit], scope: Scope) -> list[Hit]:
    """Return the hits of the versions that answer: none of files that were deleted or have left the scope."""
    versions = await app.records.files.versions({hit.passage.file_id for hit in hits}, scope)
    return [hit for hit in hits if versions.get(hit.passage.file_id) == hit.passage.version]


async def ages_of(app: App, hits: Sequence[Hit]) -> dict[str, float]:
    """Return how old the files of hits are, in days; what is stored nowhere has no age."""
    files = await app.records.files.named({hit.passage.file_id for hit in hits if hit.passage.version})
    now = time.time()
    return {file.id: age_days(file, now=now) for file in files.values()}
