"""Texts to vectors, each distinct text once for each model, ever."""

from __future__ import annotations

from collections.abc import Sequence

from ragline.app import App
from ragline.connectors.embedders.protocol import Matrix

SAVE_SIZE = 256
"""Texts embedded between two writes to the cache: what a crash can cost."""


async def embed_once(app: App, texts: Sequence[str]) -> list[Matrix]:
    """Return one vector, shape (dimension,), for each text, in order; those known from before are not computed."""
    model_id = app.embedder.model_id
    vectors = await app.records.embeddings.find(model_id, list(dict.fromkeys(texts)))
    missing = sorted((text for text in dict.fromkeys(texts) if text not in vectors), key=len)
    for start in range(0, len(missing), SAVE_SIZE):
        part = missing[start : start + SAVE_SIZE]
        computed = dict(zip(part, await app.embedder.embed_passages(part), strict=True))
        await app.records.embeddings.keep(model_id, computed)
        vectors |= computed
    return [vectors[text] for text in texts]
