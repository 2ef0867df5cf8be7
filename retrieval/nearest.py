"""The passages of documents that are stored nowhere, scored in memory as the engine scores stored ones."""

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
from ragline.pipelines.chunking.embedded import passages_of, text_to_embed
from ragline.retrieval.inline import Inline
from ragline.types import Chunk, Hit, Passage, SparseVector


async def nearest(app: App, documents: Sequence[Inline], query: Query) -> list[Hit]:
    """Return the passages of these documents as candidates: `cosine` and `lexical`, no `score` yet."""
    passages: list[tuple[Inline, Chunk]] = []
    texts: list[str] = []
    for document in documents:
        chunks, embedded = await asyncio.to_thread(cut, app, document)
        passages += [(document, passage) for passage in chunks]
        texts += embedded
    vectors = await app.embedder.embed_passages(texts)
    cosines = (vectors @ np.asarray(query.dense, dtype=np.float32)).tolist()
    settings = app.settings.retrieval
    words = await asyncio.to_thread(
        lexical,
        [(text_to_embed(passage, document.name), passage.language) for document, passage in passages],
        query.sparse,
        k1=settings.bm25_k1,
        b=settings.bm25_b,
    )
    return [
        Hit(as_passage(*passage), score=0.0, cosine=max(-1.0, min(1.0, cosine)), lexical=word)
        for passage, cosine, word in zip(passages, cosines, words, strict=True)
    ]


def cut(app: App, document: Inline) -> tuple[list[Chunk], list[str]]:
    """Return the passages of a document and what is embedded of each."""
    return passages_of(document.elements, document.name, settings=app.settings.chunking, embedder=app.embedder)


def as_passage(document: Inline, passage: Chunk) -> Passage:
    named = f"{document.id}\0{passage.index}"
    return Passage(str(uuid.uuid5(uuid.NAMESPACE_OID, named)), document.id, "", "", document.name, passage)


def lexical(passages: Sequence[tuple[str, str]], asked: SparseVector, *, k1: float, b: float) -> list[float]:
    """Return the BM25 score of each text with its language; how rare a word is, is told from these alone."""
    weights = [passage_vector(text, language, k1=k1, b=b) for text, language in passages]
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
