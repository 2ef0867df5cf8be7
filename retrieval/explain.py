"""A search that tells how it came to its result: the product's own steps, and what each made of every passage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ragline.app import App
from ragline.language import language_of
from ragline.retrieval.context import assemble
from ragline.retrieval.explained import Explanation, Stage, Weighing
from ragline.retrieval.follow_up import Wanted, needs_earlier, query_for, recent
from ragline.retrieval.plan import Plan, plan_for
from ragline.retrieval.references import Resolved, resolve, scope_for
from ragline.retrieval.search import MAX_QUESTION_CHARS, NO_WORDS, find, searchable
from ragline.retrieval.surroundings import surrounded
from ragline.retrieval.trail import Trail, told
from ragline.retrieval.wishes import Wishes
from ragline.types import Found, Hit, Ref, Scope, User

MAX_BEFORE = 4
"""Questions before this one that are looked at."""


@dataclass
class Watch:
    """Milliseconds from one stage to the next."""

    stages: list[Stage] = field(default_factory=list)
    since: float = field(default_factory=time.perf_counter)

    def add(self, name: str, passages: int, *, note: str = "") -> None:
        now = time.perf_counter()
        self.stages.append(Stage(name=name, passages=passages, ms=(now - self.since) * 1000, note=note))
        self.since = now


async def explain(
    app: App, user: User, question: str, refs: Sequence[Ref], *, before: Sequence[str] = (), wishes: Wishes
) -> Explanation:
    """Return how a question is searched in what is referred to, or without `refs` in all that this user sees.

    `before` are the questions before it in the conversation. A blank question finds nothing. Raises as `resolve`.
    """
    watch = Watch()
    resolved = await resolve(app, refs, user) if refs else None
    scope = resolved.scope if resolved is not None else await all_of(app, user)
    plan = wishes.over(await plan_for(app, scope, limit=wishes.top_k))
    watch.add("resolved", 0)
    wish = wished(app, question, before)
    query = await query_for(app, wish)
    if query is not None and not wishes.lexical:
        query = replace(query, sparse=NO_WORDS)
    watch.add("embedded", 0)
    asked = wish.searched or question
    said = Explanation(
        question=searchable(question),
        searched=wish.searched,
        language=language_of(asked),
        cut_off=max(0, len(question) - MAX_QUESTION_CHARS),
        weighing=weighing(app, plan),
        stages=watch.stages,
        budget_tokens=app.settings.retrieval.context_tokens,
        notes=list(wish.notes),
    )
    if query is None or scope is None:
        return said
    found = await find(app, asked, query, scope, plan)
    watch.stages += [
        Stage(name=step.name, passages=len(step.hits), ms=step.seconds * 1000, note=step.note) for step in found.steps
    ]
    watch.since = time.perf_counter()
    found = await in_reach(app, user, resolved, found)
    budget = said.budget_tokens
    context = await asyncio.to_thread(
        assemble, asked, found.hits, max_tokens=budget, count_tokens=app.embedder.count_tokens
    )
    context = await surrounded(app, context, max_tokens=budget)
    watch.add("context", len(context.shown))
    said = said.model_copy(update={"stages": watch.stages, "notes": [*said.notes, *found.notes]})
    return await asyncio.to_thread(told, app, said, Trail(plan, query, found, context))


def wished(app: App, question: str, before: Sequence[str]) -> Wanted:
    """Return what is searched for; where a model would rewrite the question, it is not asked."""
    turns = [("user", text) for text in (*before[-MAX_BEFORE:], question)]
    wish = recent(turns) if app.settings.retrieval.follow_up != "off" and needs_earlier(turns) else Wanted(question)
    if app.settings.retrieval.follow_up != "model" or not wish.parts:
        return wish
    return replace(wish, notes=[*wish.notes, NOT_ASKED.get(language_of(question), NOT_ASKED["en"])])


NOT_ASKED = {
    "en": "In a chat, its model would rewrite this question; here the questions before are searched for with it.",
    "fr": "Dans une discussion, le modèle la reformulerait ; ici, les questions précédentes sont cherchées avec elle.",
}


async def all_of(app: App, user: User) -> Scope:
    """Return the scope of all that a user may see."""
    scope = await scope_for(app, user)
    if user.sees_all:
        return scope
    return replace(scope, shared_collection_ids=frozenset(await app.records.collections.readable(user)))


async def in_reach(app: App, user: User, resolved: Resolved | None, found: Found) -> Found:
    """Return what was found without files that the user has just lost, or that have left what is referred to."""
    files = {hit.passage.file_id for step in found.steps for hit in step.hits}
    if resolved is not None:
        left = set(await resolved.owners(app, files))
    else:
        left = await app.records.files.readable_among(files, user)

    def of(hits: Sequence[Hit]) -> list[Hit]:
        return [hit for hit in hits if hit.passage.file_id in left]

    steps = []
    for step in found.steps:
        kept = [(hit, score) for hit, score in zip(step.hits, step.scores, strict=True) if hit.passage.file_id in left]
        steps.append(replace(step, hits=[hit for hit, _ in kept], scores=[score for _, score in kept]))
    return replace(found, hits=of(found.hits), steps=steps)


def weighing(app: App, plan: Plan) -> Weighing:
    return Weighing(
        fusion=plan.fusion,
        dense_weight=plan.dense_weight,
        top_k=plan.limit,
        candidates=plan.candidates,
        min_relevance=plan.min_relevance,
        diversity=plan.diversity,
        recency=plan.recency,
        reranker=app.settings.reranker.kind if plan.rerank else "none",
    )
