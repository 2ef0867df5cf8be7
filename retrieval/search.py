"""A question becomes the passages nearest to it: dense and lexical search in one query of the engine."""

from __future__ import annotations

from collections.abc import Sequence

from ragline.app import App
from ragline.connectors.vectors.bm25 import query_vector
from ragline.connectors.vectors.protocol import Query
from ragline.types import Hit, Scope

MAX_QUESTION_CHARS = 8000
"""What is searched for of a longer question: its beginning. Models read 512 tokens at most."""

MOST_ASKED = 3200
"""Hits asked for at most, where most of them turn out to be of versions that do not answer."""


async def search(app: App, question: str, scope: Scope, *, limit: int | None = None) -> list[Hit]:
    """Return at most `limit` (default: retrieval.top_k) passages in `scope`, best first; a blank question has none.

    Each file answers with one version, whole: which one, the records say at the moment of the search.
    """
    question = question[:MAX_QUESTION_CHARS].encode("utf-8", "replace").decode()  # no tokenizer takes lone surrogates
    if not question.strip():
        return []
    chosen = app.settings.retrieval
    dense = await app.embedder.embed_query(question)
    query = Query(dense=dense.tolist(), sparse=query_vector(question))
    wanted, asked = limit or chosen.top_k, limit or chosen.top_k
    while True:
        found = await app.vectors.search(query, scope, limit=asked, candidates=max(chosen.candidates, asked))
        current = await answering(app, found)
        if len(current) >= wanted or len(found) < asked or asked >= MOST_ASKED:
            return current[:wanted]
        asked *= 4  # versions that came or go took the places


async def answering(app: App, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits of the versions that answer: none of files that were deleted, none of a version to come."""
    versions = await app.records.files.versions({hit.passage.file_id for hit in hits})
    return [hit for hit in hits if versions.get(hit.passage.file_id) == hit.passage.version]
