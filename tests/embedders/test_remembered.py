"""Questions are embedded once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.embedders.remembered import LONGEST_CHARS, MOST_QUESTIONS, Remembered
from ragline.errors import BackendError


class Counting:
    """An embedder that counts, and fails as often as it is told."""

    model_id, dimension, max_tokens = "counting", 2, 512

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        return np.ones((len(texts), 2), dtype=np.float32)

    async def embed_query(self, text: str) -> Matrix:
        self.asked.append(text)
        await asyncio.sleep(0.01)
        if self.failures:
            self.failures -= 1
            raise BackendError("away")
        return np.array([len(text), 1], dtype=np.float32)

    async def close(self) -> None: ...


async def test_a_question_is_embedded_once_also_by_those_who_ask_it_at_once() -> None:
    embedder = Remembered(counting := Counting())
    first, second = await asyncio.gather(embedder.embed_query("été ?"), embedder.embed_query("été ?"))
    third = await embedder.embed_query("été ?")
    assert counting.asked == ["été ?"]
    assert first.tolist() == second.tolist() == third.tolist() == [5.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        third[0] = 0


async def test_a_failure_is_not_kept() -> None:
    embedder = Remembered(counting := Counting())
    counting.failures = 1
    with pytest.raises(BackendError):
        await embedder.embed_query("q")
    assert (await embedder.embed_query("q")).tolist() == [1.0, 1.0]


async def test_who_goes_away_does_not_end_it_for_others() -> None:
    embedder = Remembered(counting := Counting())
    gone = asyncio.create_task(embedder.embed_query("q"))
    waiting = asyncio.create_task(embedder.embed_query("q"))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await waiting).tolist() == [1.0, 1.0]
    assert counting.asked == ["q"]


async def test_the_longest_unasked_and_the_very_long_are_not_kept() -> None:
    embedder = Remembered(counting := Counting())
    await embedder.embed_query("first")
    await asyncio.gather(*(embedder.embed_query(f"q{i}") for i in range(MOST_QUESTIONS)))
    await embedder.embed_query("first")
    assert counting.asked.count("first") == 2
    long = "x" * (LONGEST_CHARS + 1)
    await embedder.embed_query(long)
    await embedder.embed_query(long)
    assert counting.asked.count(long) == 2
