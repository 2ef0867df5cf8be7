"""Everything that references stand for becomes one context: whole documents first, then the best passages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ragline.app import App
from ragline.errors import Invalid
from ragline.retrieval.context import assemble
from ragline.retrieval.follow_up import Wanted, query_for
from ragline.retrieval.inline import Inline, read_inline
from ragline.retrieval.nearest import nearest
from ragline.retrieval.plan import plan_for
from ragline.retrieval.references import Resolved
from ragline.retrieval.search import find
from ragline.retrieval.surroundings import surrounded
from ragline.retrieval.whole import Room, as_hit, count, whole_files
from ragline.types import Context, Found

INLINE_SHARE = 0.5
"""Part of the passages' tokens that texts and pages may take whole where others have to be searched beside them."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A context, and where its documents are from: by `Source.file_id` the position of their reference.

    `inline` are the texts and pages among them. A document without an entry in `searched` was taken whole.
    """

    context: Context
    owners: Mapping[str, int]
    inline: Mapping[str, Inline]
    searched: frozenset[str]


async def gather(
    app: App,
    asked: str,
    resolved: Resolved,
    *,
    max_tokens: int,
    room: Room,
    limit: int | None = None,
    least_score: float = 0.0,
    wish: Wanted | None = None,
) -> Gathered:
    """Return the context for a question: `max_tokens` of passages, and whole files for which there is `room`.

    `limit`: passages at most, instead of top_k; those with a score, (1 + cosine) / 2, below `least_score` are left out.
    `wish` is what to search for, if that is more than the question.

    Raises Invalid where references were given without any question, TooLarge for what cannot be taken whole, and what
    `read_inline` raises.
    """
    if not resolved.refs:
        return Gathered(Context(asked), {}, {}, frozenset())
    if not asked.strip():
        raise Invalid("files were given without a question: the last message of the user has no text")
    full, full_tokens = await whole_files(app, resolved.whole, room)
    documents = await read_inline(app, resolved.refs)
    short, long, short_tokens = await parted(app, documents, max_tokens, alone=resolved.scope is None)
    whole = [*full, *(as_hit(one.text, file_id=one.id, name=one.name) for one in short)]
    wish = wish or Wanted(asked)
    found = await best(app, wish, resolved, long, limit=limit)
    passages = [hit for hit in found.hits if hit.similarity >= least_score]
    owners = await resolved.owners(app, {hit.passage.file_id for hit in (*full, *passages)})
    owners |= {one.id: one.position for one in documents}
    room_left = max_tokens - short_tokens
    context = await asyncio.to_thread(
        assemble,
        asked,
        [hit for hit in passages if hit.passage.file_id in owners],  # it may have left its collection just now
        max_tokens=room_left,
        count_tokens=app.embedder.count_tokens,
        whole=whole,
    )
    taken_whole = {hit.passage.file_id for hit in whole}
    context = await surrounded(app, context, max_tokens=room_left, whole=taken_whole)
    return Gathered(
        replace(
            context,
            tokens=context.tokens + full_tokens + short_tokens,
            below=found.below,
            notes=(*wish.notes, *found.notes),
            searched=wish.searched,
        ),
        owners,
        {one.id: one for one in documents},
        frozenset(hit.passage.file_id for hit in passages),
    )


async def parted(
    app: App, documents: Sequence[Inline], max_tokens: int, *, alone: bool
) -> tuple[list[Inline], list[Inline], int]:
    """Return the documents that are taken whole, those whose passages are searched, and the tokens of the first.

    `alone`: nothing else is searched; then all may be taken whole that fit together.
    """
    sizes = [await count(app, document.text, most=max_tokens) for document in documents]
    room = max_tokens if alone and sum(sizes) <= max_tokens else int(max_tokens * INLINE_SHARE)
    short: list[Inline] = []
    long: list[Inline] = []
    tokens = 0
    for document, size in zip(documents, sizes, strict=True):
        if tokens + size <= room:
            short.append(document)
            tokens += size
        else:
            long.append(document)
    return short, long, tokens


async def best(
    app: App, wish: Wanted, resolved: Resolved, documents: Sequence[Inline], *, limit: int | None = None
) -> Found:
    """Return the passages that fit what is wanted best, of what is stored and of these documents: at most `limit`."""
    if resolved.scope is None and not documents:
        return Found()
    query = await query_for(app, wish)
    if query is None:
        return Found()
    return await find(
        app,
        wish.searched or wish.question,
        query,
        resolved.scope,
        await plan_for(app, resolved.scope, limit=limit),
        without={file.id for file in resolved.whole},
        beside=await nearest(app, documents, query) if documents else (),
    )
