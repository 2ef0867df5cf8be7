"""Servers of models whose answers are packed, endless, slow, or lead elsewhere: each is an error, and a small one."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ragline.config.settings import Connection
from ragline.config.settings import Embedder as EmbedderSettings
from ragline.config.settings import Reranker as RerankerSettings
from ragline.connectors.embedders import open_embedder
from ragline.connectors.models.ollama import OllamaBackend
from ragline.connectors.models.openai import OpenAIBackend
from ragline.connectors.rerankers.http import open_http
from ragline.errors import BackendError, BackendTimeout, RaglineError

NOWHERE = Path("unused")
LONG_S = 10.0
"""What none of these may take."""

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Ask = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def served(answer: Server) -> AsyncIterator[str]:
    """Give the address of a server on a loopback port that answers every request so."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def saying(head: str, body: bytes = b"") -> Server:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = f"HTTP/1.1 {head}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(lines.encode() + body)
        await writer.drain()

    return answer


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
    while True:
        writer.write(b"[" * (1 << 16))
        await writer.drain()


async def drops(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def embeds_openai(url: str) -> object:
    settings = EmbedderSettings(kind="openai", url=url, model="m", timeout_s=5)
    return await open_embedder(settings, folder=NOWHERE)


async def embeds_ollama(url: str) -> object:
    settings = EmbedderSettings(kind="ollama", url=url, model="m", timeout_s=5)
    return await open_embedder(settings, folder=NOWHERE)


async def reranks(url: str) -> object:
    reranker = open_http(RerankerSettings(kind="http", url=url, timeout_s=5))
    try:
        return await reranker.rank("a", ["a", "b"])
    finally:
        await reranker.close()


async def lists_openai(url: str) -> object:
    backend = OpenAIBackend(Connection(name="gateway", kind="openai", url=url))
    try:
        return await backend.models()
    finally:
        await backend.close()


async def lists_ollama(url: str) -> object:
    backend = OllamaBackend(Connection(name="gateway", kind="ollama", url=url))
    try:
        return await backend.models()
    finally:
        await backend.close()


everyone = pytest.mark.parametrize("ask", [embeds_openai, embeds_ollama, reranks, lists_openai, lists_ollama])


async def failure(ask: Ask, server: Server) -> RaglineError:
    async with served(server) as url, asyncio.timeout(LONG_S):
        with pytest.raises(BackendError) as caught:
            await ask(url)
    return caught.value


@everyone
@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip", "zstd", "br", "x-odd"])
async def test_a_packed_answer_is_refused_before_it_is_unpacked(ask: Ask, coding: str) -> None:
    packed = gzip.compress(gzip.compress(b"{}"))
    error = await failure(ask, saying(f"200 OK\r\nContent-Encoding: {coding}", packed))
    assert f"the answer is packed ({coding!r})" in str(error)


@pytest.mark.parametrize("ask", [embeds_openai, embeds_ollama, reranks, lists_ollama])
async def test_an_answer_without_an_end_is_left_where_it_is_too_long(ask: Ask) -> None:
    assert "bytes that it may have" in str(await failure(ask, endless))


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_an_answer_that_comes_in_drops_ends_with_the_time_of_the_embedder(kind: str) -> None:
    async with served(drops) as url, asyncio.timeout(LONG_S):
        settings = EmbedderSettings.model_validate({"kind": kind, "url": url, "model": "m", "timeout_s": 0.3})
        with pytest.raises(BackendTimeout, match=r"0\.3 s"):
            await open_embedder(settings, folder=NOWHERE)


@everyone
async def test_nobody_is_followed_to_another_address(ask: Ask) -> None:
    visits: list[bytes] = []

    async def inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(b"visit")
        await saying("200 OK", b"{}")(reader, writer)

    async with served(inside) as hidden:
        await failure(ask, saying(f"307 Temporary Redirect\r\nLocation: {hidden}/secret"))
    assert visits == []


async def test_a_megabyte_of_what_are_no_ranks_is_refused_at_once() -> None:
    junk = b"[" + b",".join([b"{}"] * (1 << 20)) + b"]"
    before = asyncio.get_running_loop().time()
    assert "something else than an index" in str(await failure(reranks, saying("200 OK", junk)))
    assert asyncio.get_running_loop().time() - before < 1.0


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        pytest.param(b"-1", 512, id="negative"),
        pytest.param(b"0", 512, id="zero"),
        pytest.param(b'"many"', 512, id="text"),
        pytest.param(b"[1]", 512, id="list"),
        pytest.param(b"1e300", 512, id="huge"),
        pytest.param(b"true", 512, id="true"),
        pytest.param(b"100", 100, id="a number"),
    ],
)
async def test_an_ollama_model_with_an_odd_context_embeds_as_one_without(context: bytes, expected: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = json.dumps({"embeddings": [[3.0, 4.0]]}).encode()
        whole = saying("200 OK\r\nConnection: close", b'{"model_info": {"x.context_length": %s}}' % context)
        await (whole if next(asked) == 0 else saying("200 OK\r\nConnection: close", said))(reader, writer)

    asked = iter(range(10))
    async with served(answer) as url:
        embedder = await open_embedder(EmbedderSettings(kind="ollama", url=url, model="m"), folder=NOWHERE)
        assert embedder.max_tokens == expected
        await embedder.close()
