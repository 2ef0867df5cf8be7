"""A question becomes the passages nearest to it: dense and lexical search in one query of the engine."""

from __future__ import annotations

from ragline.app import App
from ragline.connectors.vectors.bm25 import query_vector
from ragline.connectors.vectors.protocol import Query
from ragline.types import Hit, Scope

MAX_QUESTION_CHARS = 8000
"""What is searched for of a longer question: its beginning. Models read 512 tokens at most."""


async def search(app: App, question: str, scope: Scope, *, limit: int | None = None) -> list[Hit]:
    """Return at most `limit` (default: retrieval.top_k) passages in `scope`, best first; a blank question has none."""
    question = question[:MAX_QUESTION_CHARS].encode("utf-8", "replace").decode()  # no tokenizer takes lone surrogates
    if not question.strip():
        return []
    chosen = app.settings.retrieval
    dense = await app.embedder.embed_query(question)
    query = Query(dense=dense.tolist(), sparse=query_vector(question))
    return await app.vectors.search(query, scope, limit=limit or chosen.top_k, candidates=chosen.candidates)
