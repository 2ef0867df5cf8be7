"""The best candidates are ordered anew by a model that reads question and passage together, if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragline.app import App
from ragline.connectors.rerankers.guarded import NotRanked
from ragline.retrieval.context import readable
from ragline.types import Chunk, Hit

LONGEST_QUESTION_CHARS = 8000
"""What is read of a longer question: its beginning, which is also what was searched for."""

STEP_BELOW = 1e-3
"""How far those that were not read begin below the least score of those that were."""


async def reranked(app: App, question: str, hits: Sequence[Hit]) -> tuple[list[Hit], str]:
    """Return the hits in the reranker's order, `score` its own, and a note where it did not come to that.

    The best `reranker.candidates` are read; the others follow in the order they had, with scores below.
    """
    if app.reranker is None or len(hits) < 2:
        return list(hits), ""
    most = app.settings.reranker.candidates
    try:
        scores = await app.reranker.rank(
            encodable(question[:LONGEST_QUESTION_CHARS]), [as_read(hit.passage.chunk) for hit in hits[:most]]
        )
    except NotRanked as error:
        return list(hits), f"{error}: passages are in their fused order"
    read = [replace(hit, score=score) for hit, score in zip(hits, scores, strict=False)]
    ordered = sorted(read, key=lambda hit: -hit.score)  # stable: equal ones keep their fused order
    return [*ordered, *behind(hits[most:], ordered[-1].score)], ""


def as_read(chunk: Chunk) -> str:
    """Return what is read of a passage: the titles above it, what it cannot be understood without, its text."""
    text = readable(chunk)
    return encodable(f"{chunk.heading}\n{text}" if chunk.heading else text)


def behind(hits: Sequence[Hit], least: float) -> list[Hit]:
    """Return hits in their order, as far apart as they were, the best of them just below a score."""
    return [replace(hit, score=least - STEP_BELOW - (hits[0].score - hit.score)) for hit in hits]


def encodable(text: str) -> str:
    """Return a text without lone surrogates, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()
