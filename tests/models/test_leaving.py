"""Whoever stops waiting for a back end ends its work, and what was sent once is not sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from ragline.config.settings import Connection
from ragline.connectors.models.ollama import OllamaBackend
from ragline.connectors.models.openai import OpenAIBackend
from ragline.errors import BackendError, BackendTimeout
from ragline.types import ChatRequest

from .loopback import Loopback

ASKED = ChatRequest("echo", {"messages": [{"role": "user", "content": "été"}]})
BODY = b'{"model": "echo", "prompt": "\xc3\xa9t\xc3\xa9"}'


def openai(url: str, timeout_s: float = 30) -> OpenAIBackend:
    return OpenAIBackend(Connection(name="open", kind="openai", url=url, timeout_s=timeout_s))


def ollama(url: str, timeout_s: float = 30) -> OllamaBackend:
    return OllamaBackend(Connection(name="ollama", kind="ollama", url=url, timeout_s=timeout_s))


async def first_event(backend: OpenAIBackend | OllamaBackend) -> bytes:
    async with aclosing(backend.stream_chat(ASKED)) as events:
        return await anext(events)


CALLS = [
    pytest.param(openai, lambda backend: backend.chat(ASKED), id="openai-chat"),
    pytest.param(openai, first_event, id="openai-stream"),
    pytest.param(openai, lambda backend: backend.embeddings("echo", ["été"]), id="openai-embeddings"),
    pytest.param(openai, lambda backend: backend.forward_openai("/completions", BODY), id="openai-forward"),
    pytest.param(openai, lambda backend: backend.models(), id="openai-models"),
    pytest.param(ollama, lambda backend: backend.chat(ASKED), id="ollama-chat"),
    pytest.param(ollama, first_event, id="ollama-stream"),
    pytest.param(ollama, lambda backend: backend.embeddings("echo", ["été"]), id="ollama-embeddings"),
    pytest.param(ollama, lambda backend: backend.forward("POST", "/api/generate", BODY), id="ollama-forward"),
    pytest.param(ollama, lambda backend: backend.models(), id="ollama-models"),
]
Make = Callable[..., OpenAIBackend]
Call = Callable[[OpenAIBackend], Awaitable[object]]


def wait_for_request(loopback: Loopback) -> None:
    deadline = time.monotonic() + 5
    while not loopback.seen and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize(("make", "call"), CALLS)
async def test_who_leaves_before_the_first_byte_ends_the_work(make: Make, call: Call, loopback: Loopback) -> None:
    backend = make(f"{loopback.url}/slow")
    work = asyncio.ensure_future(call(backend))
    await asyncio.to_thread(wait_for_request, loopback)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await loopback.client_left()
    await backend.close()


@pytest.mark.parametrize(("make", "call"), CALLS)
async def test_a_back_end_that_is_silent_for_too_long_is_left(make: Make, call: Call, loopback: Loopback) -> None:
    backend = make(f"{loopback.url}/slow", timeout_s=0.3)
    with pytest.raises(BackendTimeout, match="silent for 0.3 s"):
        await call(backend)
    assert await loopback.client_left()
    assert len(loopback.seen) == 1
    await backend.close()


@asynccontextmanager
async def hanging_up() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads a request and closes the connection without a word, and the requests it got."""
    got: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", got


@pytest.mark.parametrize(("make", "call"), CALLS)
async def test_what_was_sent_is_not_sent_again(make: Make, call: Call) -> None:
    async with hanging_up() as (url, got):
        backend = make(url)
        with pytest.raises(BackendError, match="connection lost"):
            await call(backend)
        assert len(got) == 1
        await backend.close()
