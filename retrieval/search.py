"""A question becomes the passages nearest to it: dense and lexical search in one query of the engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ragline.app import App
from ragline.connectors.vectors.bm25 import query_vector
from ragline.connectors.vectors.protocol import Query
from ragline.retrieval.references import resolve
from ragline.types import Hit, Ref, Scope, SparseVector, User

MAX_QUESTION_CHARS = 8000
"""What is searched for of a longer question: its beginning. Models read 512 tokens at most."""

MOST_ASKED = 3200
"""Hits asked for at most, where most of them turn out to be of versions that do not answer."""

NO_WORDS = SparseVector((), ())


async def search(app: App, question: str, scope: Scope, *, limit: int | None = None, lexical: bool = True) -> list[Hit]:
    """Return at most `limit` (default: retrieval.top_k) passages in `scope`, best first; a blank question has none.

    Each file answers with one version, whole: which one, the records say at the moment of the search. Without `lexical`
    only the meaning counts.
    """
    query = await query_of(app, question, lexical=lexical)
    return [] if query is None else await find(app, query, scope, limit=limit or app.settings.retrieval.top_k)


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
    owners = await resolved.owners(app, {hit.passage.file_id for hit in hits})
    return [hit for hit in hits if hit.passage.file_id in owners]


async def query_of(app: App, question: str, *, lexical: bool = True) -> Query | None:
    """Return a question as vectors; None for a blank one."""
    question = question[:MAX_QUESTION_CHARS].encode("utf-8", "replace").decode()  # no tokenizer takes lone surrogates
    if not question.strip():
        return None
    dense = await app.embedder.embed_query(question)
    return Query(dense=dense.tolist(), sparse=query_vector(question) if lexical else NO_WORDS)


async def find(
    app: App, query: Query, scope: Scope, *, limit: int, without: Collection[str] = frozenset()
) -> list[Hit]:
    """Return at most `limit` passages as `search` does, none of the files in `without`."""
    candidates, asked = app.settings.retrieval.candidates, limit
    while True:
        found = await app.vectors.search(query, scope, limit=asked, candidates=max(candidates, asked))
        current = [hit for hit in await answering(app, found, scope) if hit.passage.file_id not in without]
        if len(current) >= limit or len(found) < asked or asked >= MOST_ASKED:
            return current[:limit]
        asked *= 4  # versions that came or go took the places, or files that are not wanted


async def answering(app: App, hits: Sequence[Hit], scope: Scope) -> list[Hit]:
    """Return the hits of the versions that answer: none of files that were deleted or have left the scope."""
    versions = await app.records.files.versions({hit.passage.file_id for hit in hits}, scope)
    return [hit for hit in hits if versions.get(hit.passage.file_id) == hit.passage.version]
