"""Answers on their way through: a stream is begun before anybody is promised it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


async def started(pieces: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Return `pieces` already begun, so that what fails at once raises here. Closing it early closes `pieces`.

    A generator that never began would not let go of what it holds when it is dropped.
    """
    try:
        first = await anext(pieces)
    except StopAsyncIteration:
        return pieces
    return _resumed(first, pieces)


async def _resumed(first: T, rest: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()
