"""Bytes on their way through: a stream is begun before anybody is promised it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator


async def started(chunks: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Return `chunks` already begun, so that what fails at once raises here. Closing it early closes `chunks`.

    A generator that never began would not let go of what it holds when it is dropped.
    """
    return _resumed(await anext(chunks, b""), chunks)


async def _resumed(first: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()
