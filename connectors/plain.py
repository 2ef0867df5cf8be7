"""Answers of other servers, kept to what was asked for: not packed, and no longer than one may be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import httpx

PLAIN: Mapping[str, str] = {"accept-encoding": "identity"}
"""Headers that ask for an answer as it is."""
SHOWN_CHARS = 60

Hook = Callable[[httpx.Response], Awaitable[None]]


def plain(most_bytes: int | None = None) -> Mapping[str, list[Hook]]:
    """Return `event_hooks` of an httpx client whose answers are not packed and have at most `most_bytes`.

    The request raises httpx.DecodingError for another one. Two kilobytes that are packed twice, or by zstd, become
    gigabytes before any of it can be counted, while nothing else in the process gets its turn.
    """

    async def check(response: httpx.Response) -> None:
        packed = response.headers.get("content-encoding", "").strip()
        if packed.lower() not in ("", "identity"):
            raise httpx.DecodingError(f"the answer is packed ({packed[:SHOWN_CHARS]!r}), which was not asked for")
        if most_bytes is not None and isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Bounded(response.stream, most_bytes)

    return {"response": [check]}


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, most_bytes: int) -> None:
        self._stream = stream
        self._most_bytes = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size_bytes = 0
        async for piece in self._stream:
            size_bytes += len(piece)
            if size_bytes > self._most_bytes:
                raise httpx.DecodingError(f"the answer has more than the {self._most_bytes} bytes that it may have")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
