"""Texts to vectors, each distinct text once for each model, as long as anything needs it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence

from ragline.app import App
from ragline.connectors.embedders.protocol import Matrix

log = logging.getLogger(__name__)

SAVE_SIZE = 16
"""Texts embedded between two writes to the cache: what a crash can cost, about a second of work."""


async def embed_once(
    app: App, texts: Sequence[str], *, wanted: Callable[[str], bool] = lambda _: True
) -> AsyncIterator[dict[str, Matrix]]:
    """Give vectors, shape (dimension,), by text: first those known from before, then those computed, part by part.

    `wanted` is asked again before each part: a text nobody wants any more is not computed.
    """
    model_id = app.embedder.model_id
    distinct = list(dict.fromkeys(texts))
    known = await app.records.embeddings.find(model_id, distinct)
    yield known
    missing = sorted((text for text in distinct if text not in known), key=len)
    while missing := [text for text in missing if wanted(text)]:
        part, missing = missing[:SAVE_SIZE], missing[SAVE_SIZE:]
        log.debug("embedding texts=%d", len(part))
        computed = dict(zip(part, await app.embedder.embed_passages(part), strict=True))
        await app.records.embeddings.keep(model_id, computed)
        yield computed
