"""OpenAIBackend against a server on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ragline.config.settings import Connection
from ragline.connectors.models.openai import OpenAIBackend
from ragline.errors import BackendError, BackendTimeout, Invalid, SetupError
from ragline.types import ChatRequest, Json

from .loopback import SSE, Loopback


def asked(model: str, **more: Json) -> ChatRequest:
    return ChatRequest(model=model, body={"model": "as sent", "messages": [{"role": "user", "content": "hi"}], **more})


@pytest.fixture
async def backend(loopback: Loopback) -> AsyncIterator[OpenAIBackend]:
    backend = OpenAIBackend(
        Connection.model_validate(
            {"name": "gateway", "kind": "openai", "url": f"{loopback.url}/v1/", "api_key": "sk-secret", "timeout_s": 5}
        )
    )
    yield backend
    await backend.close()


async def test_models_carry_what_the_server_said_and_need_an_id(backend: OpenAIBackend) -> None:
    (model,) = await backend.models()
    assert (model.id, model.backend, model.owned_by, model.created) == ("echo", "gateway", "openai", 1700000000)
    assert model.details == {"id": "echo", "object": "model", "created": 1700000000, "owned_by": "loopback"}


async def test_a_whole_answer_is_the_servers_own_json(backend: OpenAIBackend, loopback: Loopback) -> None:
    answer = await backend.chat(asked("echo", seed=5, unknown_param=1, stream=True))
    assert answer == {"id": "x", "choices": [{"message": {"content": "éONE"}}], "system_fingerprint": "loopback"}
    (seen,) = loopback.seen
    assert seen.headers["authorization"] == "Bearer sk-secret"
    assert seen.body == {
        "model": "echo",
        "messages": [{"role": "user", "content": "hi"}],
        "seed": 5,
        "unknown_param": 1,
        "stream": False,
    }


@pytest.mark.parametrize("model", ["echo", "bytewise"])
async def test_a_stream_is_the_servers_bytes_in_whole_events(backend: OpenAIBackend, model: str) -> None:
    pieces = [piece async for piece in backend.stream_chat(asked(model))]
    assert b"".join(pieces) == b"".join(SSE)
    assert all(piece.endswith(b"\n\n") for piece in pieces)


async def test_the_first_event_comes_before_the_last_is_sent(backend: OpenAIBackend, loopback: Loopback) -> None:
    stream = backend.stream_chat(asked("gated"))
    assert await anext(stream) == SSE[0]
    loopback.release()
    assert b"".join([piece async for piece in stream]) == b"".join(SSE[1:])


async def test_a_stream_without_an_end_mark_gets_one(backend: OpenAIBackend) -> None:
    pieces = [piece async for piece in backend.stream_chat(asked("no-done"))]
    assert b"".join(pieces) == b"".join(SSE)


async def test_a_stream_that_breaks_off_raises_after_its_whole_events(backend: OpenAIBackend) -> None:
    stream = backend.stream_chat(asked("drop"))
    assert await anext(stream) == SSE[0]
    with pytest.raises(BackendError, match="gateway: connection lost") as caught:
        await anext(stream)
    assert caught.value.upstream is None


async def test_closing_the_stream_ends_the_servers_work(backend: OpenAIBackend, loopback: Loopback) -> None:
    stream = backend.stream_chat(asked("hang"))
    await anext(stream)
    await stream.aclose()
    assert await loopback.client_left()


async def test_cancelling_the_reader_ends_the_servers_work(backend: OpenAIBackend, loopback: Loopback) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in backend.stream_chat(asked("hang")):
            begun.set()

    reader = asyncio.create_task(read())
    await begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await loopback.client_left()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("model", "upstream"),
    [
        pytest.param(
            "429",
            (
                429,
                b'{"error": {"message": "slow down"}}',
                {"content-type": "application/json", "retry-after": "7"},
            ),
            id="too-many",
        ),
        pytest.param(
            "500", (500, b'{"error": {"message": "broken"}}', {"content-type": "application/json"}), id="broken"
        ),
        pytest.param("html", None, id="html"),
        pytest.param("moved", None, id="moved"),
    ],
)
async def test_a_refusal_is_raised_before_the_first_byte(
    backend: OpenAIBackend, model: str, upstream: object, stream: bool
) -> None:
    answer = anext(backend.stream_chat(asked(model))) if stream else backend.chat(asked(model))
    with pytest.raises(BackendError) as caught:
        await answer
    assert caught.value.upstream == upstream
    assert caught.value.status == 502


@pytest.mark.parametrize("model", ["nan", "half", "deep"])
async def test_an_answer_that_is_no_strict_json_is_an_error_of_the_back_end(backend: OpenAIBackend, model: str) -> None:
    with pytest.raises(BackendError, match="did not send JSON"):
        await backend.chat(asked(model))


async def test_a_request_that_is_nested_too_deeply_is_invalid(backend: OpenAIBackend) -> None:
    deep: Json = []
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(Invalid, match="nested"):
        await backend.chat(asked("echo", metadata=deep))


async def test_html_in_place_of_an_answer_is_quoted(backend: OpenAIBackend) -> None:
    with pytest.raises(BackendError, match="sent text/html where JSON was expected: '<html>a page</html>'"):
        await backend.chat(asked("html"))


async def test_embeddings_are_in_the_order_of_the_texts(backend: OpenAIBackend) -> None:
    assert await backend.embeddings("echo", ["a", "four", "to"]) == [[1.0], [4.0], [2.0]]
    assert await backend.embeddings("echo", []) == []


async def test_a_missing_vector_is_an_error(backend: OpenAIBackend) -> None:
    with pytest.raises(BackendError, match="'fewer' gave 1 vectors for 2 texts, none for text 1"):
        await backend.embeddings("fewer", ["a", "b"])


async def test_a_server_that_is_not_there_is_named_without_its_address(dead_url: str) -> None:
    url = dead_url.replace("//", "//ann:hidden@")
    backend = OpenAIBackend(Connection(name="gateway", kind="openai", url=url))
    with pytest.raises(BackendError, match="^gateway: not reachable"):
        await backend.chat(asked("echo"))
    await backend.close()


async def test_a_silent_server_times_out(loopback: Loopback) -> None:
    backend = OpenAIBackend(Connection(name="gateway", kind="openai", url=f"{loopback.url}/v1", timeout_s=0.2))
    stream = backend.stream_chat(asked("hang"))
    assert await anext(stream) == SSE[0]
    with pytest.raises(BackendTimeout, match="silent for 0.2 s"):
        await anext(stream)
    await backend.close()


def test_a_connection_without_a_url_cannot_be_made() -> None:
    with pytest.raises(SetupError, match="'gateway': openai needs a url such as https://api.openai.com/v1, got None"):
        OpenAIBackend(Connection(name="gateway", kind="openai"))
