"""The passages of documents that are stored nowhere, ranked in memory as the engine ranks stored ones."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ragline.app import App
from ragline.connectors.vectors.bm25 import passage_vector
from ragline.connectors.vectors.protocol import Query
from ragline.pipelines.chunk import chunk, text_to_embed
from ragline.retrieval.inline import Inline
from ragline.types import Chunk, Hit, Passage, SparseVector

RRF_K = 60
"""As in the engine's searches, so that hits of both can be put in one order."""


async def nearest(app: App, documents: Sequence[Inline], query: Query, *, limit: int) -> list[Hit]:
    """Return at most `limit` passages of these documents, best first; `score` is the fused rank, as of a search."""
    passages = [
        (document, passage) for document in documents for passage in await asyncio.to_thread(cut, app, document)
    ]
    vectors = await app.embedder.embed_passages([text_to_embed(passage, one.name) for one, passage in passages])
    cosines = (vectors @ np.asarray(query.dense, dtype=np.float32)).tolist()
    words = await asyncio.to_thread(lexical, [passage for _, passage in passages], query.sparse)
    scores = fused(cosines, words)
    best = sorted(range(len(passages)), key=lambda at: (-scores[at], -cosines[at], at))[:limit]
    return [Hit(as_passage(*passages[at]), score=scores[at], cosine=max(-1.0, min(1.0, cosines[at]))) for at in best]


def cut(app: App, document: Inline) -> list[Chunk]:
    return chunk(document.elements, settings=app.settings.chunking, count_tokens=app.embedder.count_tokens)


def as_passage(document: Inline, passage: Chunk) -> Passage:
    named = f"{document.id}\0{passage.index}"
    return Passage(str(uuid.uuid5(uuid.NAMESPACE_OID, named)), document.id, "", "", document.name, passage)


def lexical(passages: Sequence[Chunk], asked: SparseVector) -> list[float]:
    """Return the BM25 score of each passage; how rare a word is, is told from these passages alone."""
    weights = [passage_vector(passage.text, passage.language) for passage in passages]
    seen_in = Counter(index for vector in weights for index in vector.indices)
    wanted = dict(zip(asked.indices, asked.values, strict=True))
    rarity = {index: math.log(1 + (len(passages) - seen_in[index] + 0.5) / (seen_in[index] + 0.5)) for index in wanted}
    return [
        sum(
            wanted[index] * value * rarity[index]
            for index, value in zip(vector.indices, vector.values, strict=True)
            if index in wanted
        )
        for vector in weights
    ]


def fused(cosines: Sequence[float], words: Sequence[float]) -> list[float]:
    """Return the reciprocal rank fusion of both orders; a passage without a word of the question has no rank there."""
    scores = [0.0] * len(cosines)
    for values, counts in ((cosines, [True] * len(cosines)), (words, [word > 0 for word in words])):
        ranked = sorted((at for at in range(len(values)) if counts[at]), key=lambda at: (-values[at], at))
        for rank, at in enumerate(ranked, start=1):
            scores[at] += 1 / (RRF_K + rank)
    return scores
