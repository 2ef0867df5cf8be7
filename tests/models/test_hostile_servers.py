"""Servers that break off, answer with what is no answer, or never stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ragline.api.errors import response_of
from ragline.config.settings import Connection
from ragline.connectors.models import openai, upstream
from ragline.connectors.models.openai import OpenAIBackend
from ragline.errors import BackendError, RaglineError
from ragline.types import ChatRequest

CHAT = ChatRequest(model="m", body={"messages": [{"role": "user", "content": "?"}]})
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "Bon"}, "finish_reason": null}]}\n\n'
LAST = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'


@asynccontextmanager
async def answering(*parts: bytes) -> AsyncIterator[OpenAIBackend]:
    """Open a back end whose server answers everything with these bytes and closes the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    backend = OpenAIBackend(Connection(name="gateway", kind="openai", url=f"http://127.0.0.1:{port}/v1"))
    try:
        yield backend
    finally:
        await backend.close()
        server.close()


async def streamed(backend: OpenAIBackend) -> bytes:
    return b"".join([event async for event in backend.stream_chat(CHAT)])


async def whole(backend: OpenAIBackend) -> object:
    return await backend.chat(CHAT)


async def failure(work: Awaitable[object]) -> RaglineError:
    with pytest.raises(BackendError) as caught:
        await work
    return caught.value


@pytest.mark.parametrize("came", [b"", PIECE], ids=["nothing", "a piece"])
async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(came: bytes) -> None:
    async with answering(EVENTS, came) as backend:
        assert "before it was done" in str(await failure(streamed(backend)))


async def test_an_answer_that_came_to_its_end_without_saying_done_is_whole() -> None:
    async with answering(EVENTS, PIECE, LAST) as backend:
        assert (await streamed(backend)).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("ask", [streamed, whole])
async def test_what_would_fill_the_memory_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[OpenAIBackend], Awaitable[object]]
) -> None:
    monkeypatch.setattr(upstream, "MOST_ANSWER_BYTES", 1000)
    monkeypatch.setattr(openai, "MOST_EVENT_BYTES", 1000)
    async with answering(EVENTS, *[b"x" * 600] * 5) as backend:
        assert "more than" in str(await failure(ask(backend)))


@pytest.mark.parametrize(
    ("head", "status", "after"),
    [
        (b"HTTP/1.1 999 Odd\r\nContent-Type: application/json\r\n", 502, None),
        (b"HTTP/1.1 429 No\r\nContent-Type: application/json\r\nRetry-After: a\x01b\r\n", 429, None),
        (b"HTTP/1.1 429 No\r\nContent-Type: text/html\r\nRetry-After: 7\r\n", 429, "7"),
    ],
    ids=["status", "header", "page"],
)
async def test_of_an_odd_error_only_what_can_be_told_is_passed_on(head: bytes, status: int, after: str | None) -> None:
    async with answering(head + b"Connection: close\r\n\r\n{}") as backend:
        response = response_of(await failure(whole(backend)))
    assert (response.status_code, response.headers.get("retry-after")) == (status, after)
    assert response.headers["content-type"] == "application/json"
