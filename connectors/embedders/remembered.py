"""The vectors of the last questions: what is asked again, of whatever model or collection, is not embedded again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from ragline.connectors.embedders.protocol import Embedder, Matrix

MOST_QUESTIONS = 512
"""Kept, the last asked ones; with 384 dimensions that is below a megabyte."""
LONGEST_CHARS = 2000
"""Of a question that is kept."""


class Remembered:
    """An embedder that keeps the vectors of questions in memory. What one asks while it is embedded waits for it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: OrderedDict[str, asyncio.Task[Matrix]] = OrderedDict()

    @property
    def model_id(self) -> str:
        return self._embedder.model_id

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        return await self._embedder.embed_passages(texts)

    async def embed_query(self, text: str) -> Matrix:
        """Return shape (dimension,), read-only. Who goes away while it is made does not end it for the others."""
        if len(text) > LONGEST_CHARS:
            return await self._embedder.embed_query(text)
        task = self._known.get(text)
        if task is None or failed(task):
            task = asyncio.create_task(self._made(text), name="embed a question")
            self._known[text] = task
            if len(self._known) > MOST_QUESTIONS:
                self._known.popitem(last=False)
        self._known.move_to_end(text)
        return await asyncio.shield(task)

    def knows(self, text: str) -> bool:
        """Tell whether the vector of a question is kept."""
        task = self._known.get(text)
        return task is not None and task.done() and not failed(task)

    async def close(self) -> None:
        await self._embedder.close()

    async def _made(self, text: str) -> Matrix:
        vector = await self._embedder.embed_query(text)
        vector.flags.writeable = False
        return vector


def failed(task: asyncio.Task[Matrix]) -> bool:
    """Tell whether a task is over without a vector: it is tried anew."""
    return task.done() and (task.cancelled() or task.exception() is not None)
