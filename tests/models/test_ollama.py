"""OllamaBackend against a server on a real port: chats in OpenAI's format, and requests passed on as they are."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ragline.config.settings import Connection
from ragline.connectors.models.ollama import OllamaBackend
from ragline.errors import BackendError, BackendTimeout, Invalid
from ragline.types import ChatRequest, Json

from .loopback import TAG, Loopback, ollama_lines

EXAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "contract" / "examples"
MODEL = "llama3.2:latest"
NESTED_TOOL: Json = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"place": {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}}},
        },
    },
}


def asked(model: str = MODEL, **more: Json) -> ChatRequest:
    body: dict[str, Json] = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return ChatRequest(model=model, body=body | more)


def shape(value: Any) -> Any:
    """The keys and types of `value`, a number being a number."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, int | float) else type(value).__name__


def events(stream: bytes) -> list[Any]:
    found = [event.removeprefix("data: ") for event in stream.decode().split("\n\n")[:-1]]
    return [event if event == "[DONE]" else json.loads(event) for event in found]


@pytest.fixture
async def backend(loopback: Loopback) -> AsyncIterator[OllamaBackend]:
    backend = OllamaBackend(Connection(name="ollama", kind="ollama", url=loopback.url, timeout_s=5))
    yield backend
    await backend.close()


async def test_models_carry_their_tags_and_details(backend: OllamaBackend) -> None:
    (model,) = await backend.models()
    assert (model.id, model.backend, model.owned_by) == (MODEL, "ollama", "ollama")
    assert model.created == 1735689600
    assert model.details["name"] == MODEL
    assert model.details["size"] == 2019393189
    assert model.details["details"] == TAG["details"]


async def test_a_whole_answer_is_in_openai_format_with_usage(backend: OllamaBackend) -> None:
    answer: Any = await backend.chat(asked())
    assert re.fullmatch(r"llama3\.2:latest-[0-9a-f-]{36}", answer["id"])
    assert (answer["object"], answer["model"]) == ("chat.completion", MODEL)
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "éONE"}
    assert choice["finish_reason"] == "length"
    usage = answer["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (10, 20, 30)
    assert (usage["response_token/s"], usage["prompt_token/s"], usage["approximate_total"]) == (
        10000.0,
        10000.0,
        "0h0m0s",
    )


async def test_answers_have_the_shape_of_the_recorded_ones(backend: OllamaBackend) -> None:
    if not EXAMPLES.is_dir():
        pytest.skip("the recorded exchanges are not beside this repository")
    whole = json.loads((EXAMPLES / "chat-ollama-model.json").read_text())["response"]["body"]
    assert shape(await backend.chat(asked())) == shape(whole)
    recorded = json.loads((EXAMPLES / "chat-ollama-model-stream.json").read_text())["response"]["events"]
    first, *_, last, done = events(b"".join([piece async for piece in backend.stream_chat(asked())]))
    assert shape(first) == shape(recorded[0]["data"])
    assert shape(last) == shape(recorded[-2]["data"])
    assert done == recorded[-1]["data"]


@pytest.mark.parametrize("model", [MODEL, "bytewise"])
async def test_a_stream_has_one_event_a_piece_and_usage_in_the_last_chunk(backend: OllamaBackend, model: str) -> None:
    first, second, last, done = events(b"".join([piece async for piece in backend.stream_chat(asked(model))]))
    assert first["choices"][0]["delta"] == {"content": "é", "role": "assistant"}
    assert second["choices"][0]["delta"] == {"content": "ON\u0085E"}
    assert last["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None}
    assert last["usage"]["total_tokens"] == 30
    assert done == "[DONE]"
    assert first["id"] == second["id"] == last["id"]


async def test_the_first_event_comes_before_the_last_is_sent(backend: OllamaBackend, loopback: Loopback) -> None:
    stream = backend.stream_chat(asked("gated"))
    assert "é" in (await anext(stream)).decode()
    loopback.release()
    assert [piece async for piece in stream][-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        pytest.param("drop", "connection lost", id="drop"),
        pytest.param("midway", "out of memory", id="error-line"),
        pytest.param("short", "ended the answer of 'short' before it was done", id="no-last-line"),
    ],
)
async def test_a_stream_that_fails_midway_raises_after_what_came(
    backend: OllamaBackend, model: str, reason: str
) -> None:
    stream = backend.stream_chat(asked(model))
    assert "é" in (await anext(stream)).decode()
    with pytest.raises(BackendError, match=f"ollama: .*{reason}"):
        await anext(stream)


async def leave_by_closing(stream: AsyncGenerator[bytes, None]) -> None:
    await stream.aclose()


async def leave_by_cancelling(stream: AsyncGenerator[bytes, None]) -> None:
    reader = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


@pytest.mark.parametrize("leave", [leave_by_closing, leave_by_cancelling])
async def test_leaving_the_stream_ends_the_servers_work(backend: OllamaBackend, loopback: Loopback, leave: Any) -> None:
    stream = backend.stream_chat(asked("hang"))
    await anext(stream)
    await leave(stream)
    assert await loopback.client_left()


async def test_parameters_become_options(backend: OllamaBackend, loopback: Loopback) -> None:
    await backend.chat(
        asked(
            temperature=0.1,
            top_p=0.9,
            seed=5,
            stop="x",
            max_tokens=7,
            presence_penalty=0.5,
            frequency_penalty=0.25,
            num_ctx=2048,
            response_format={"type": "json_object"},
            user="u",
            n=None,
            tools=[NESTED_TOOL],
            keep_alive="5m",
        )
    )
    assert loopback.seen[-1].body == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        "tools": [NESTED_TOOL],
        "keep_alive": "5m",
        "options": {
            "temperature": 0.1,
            "top_p": 0.9,
            "seed": 5,
            "stop": ["x"],
            "num_predict": 7,
            "presence_penalty": 0.5,
            "frequency_penalty": 0.25,
            "num_ctx": 2048,
        },
        "format": "json",
    }


async def test_a_json_schema_becomes_the_format(backend: OllamaBackend, loopback: Loopback) -> None:
    schema: Json = {"type": "object", "properties": {"a": {"type": "string"}}}
    await backend.chat(
        asked(
            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
            options={"num_predict": 3},
            max_completion_tokens=9,
        )
    )
    assert loopback.seen[-1].body["format"] == schema
    assert loopback.seen[-1].body["options"] == {"num_predict": 3}


async def test_content_parts_become_text_and_images(backend: OllamaBackend, loopback: Loopback) -> None:
    parts: Json = [
        {"type": "text", "text": "what is"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}},
        {"type": "text", "text": "this?"},
    ]
    await backend.chat(
        asked(messages=[{"role": "developer", "content": "be brief"}, {"role": "user", "content": parts}])
    )
    assert loopback.seen[-1].body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "what is\nthis?", "images": ["iVBORw0="]},
    ]


async def test_half_a_surrogate_pair_reaches_the_server(backend: OllamaBackend, loopback: Loopback) -> None:
    await backend.chat(asked(messages=[{"role": "user", "content": "\ud83d"}]))
    assert loopback.seen[-1].body["messages"] == [{"role": "user", "content": "\ud83d"}]


@pytest.mark.parametrize("arguments", ["[" * 9000 + "]" * 9000, '{"a": NaN}', '"\\ud800"', "\ud800"])
async def test_arguments_that_are_no_strict_json_are_invalid(backend: OllamaBackend, arguments: str) -> None:
    call: Json = {"id": ["no", "id"], "function": {"name": "weather", "arguments": arguments}}
    with pytest.raises(Invalid, match="'weather' are not JSON"):
        await backend.chat(asked(messages=[{"role": "assistant", "tool_calls": [call]}]))


async def test_calls_of_tools_go_there_and_come_back(backend: OllamaBackend, loopback: Loopback) -> None:
    answer: Any = await backend.chat(asked("calls", tools=[NESTED_TOOL]))
    (choice,) = answer["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Orléans"}'}

    messages: Json = [choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "rain"}]
    first, last, _ = events(b"".join([piece async for piece in backend.stream_chat(asked("calls", messages=messages))]))
    assert loopback.seen[-1].body["messages"] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": call["id"], "function": {"name": "weather", "arguments": {"city": "Orléans"}}}],
        },
        {"role": "tool", "content": "rain", "tool_name": "weather", "tool_call_id": call["id"]},
    ]
    assert first["choices"][0]["delta"]["tool_calls"][0]["index"] == 0
    assert last["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        pytest.param("hello", "a list is needed, got str", id="not-a-list"),
        pytest.param(["hello"], "an object with a role, got str", id="not-an-object"),
        pytest.param([{"role": "user", "content": [{"type": "input_audio"}]}], "'input_audio' cannot", id="audio"),
        pytest.param(
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}],
            "inline only",
            id="image-elsewhere",
        ),
        pytest.param(
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
            "arguments of 'f' are not JSON",
            id="arguments",
        ),
    ],
)
async def test_what_ollama_cannot_take_is_refused_before_it_is_asked(
    backend: OllamaBackend, loopback: Loopback, messages: Json, reason: str
) -> None:
    with pytest.raises(Invalid, match=reason):
        await backend.chat(asked(messages=messages))
    assert loopback.seen == []


async def test_embeddings_are_one_vector_a_text(backend: OllamaBackend) -> None:
    assert await backend.embeddings(MODEL, ["a", "four"]) == [[1.0], [4.0]]


async def chat(backend: OllamaBackend, model: str) -> object:
    return await backend.chat(asked(model))


async def stream(backend: OllamaBackend, model: str) -> object:
    return await anext(backend.stream_chat(asked(model)))


async def embed(backend: OllamaBackend, model: str) -> object:
    return await backend.embeddings(model, ["a"])


async def generate(backend: OllamaBackend, model: str) -> object:
    return await backend.forward("POST", "/api/generate", json.dumps({"model": model, "stream": True}).encode())


@pytest.mark.parametrize("ask", [chat, stream, embed, generate])
async def test_a_refusal_keeps_its_status_and_its_body(backend: OllamaBackend, ask: Any) -> None:
    with pytest.raises(BackendError, match="ollama: answered 404") as caught:
        await ask(backend, "missing")
    assert caught.value.upstream is not None
    status, body, headers = caught.value.upstream
    assert (status, json.loads(body)) == (404, {"error": "model 'missing' not found"})
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("ask", [chat, embed])
async def test_html_in_place_of_an_answer_is_an_error_of_the_back_end(backend: OllamaBackend, ask: Any) -> None:
    with pytest.raises(BackendError, match="ollama: ") as caught:
        await ask(backend, "html")
    assert (caught.value.upstream, caught.value.status) == (None, 502)


@pytest.mark.parametrize("ask", [chat, stream, embed, generate])
async def test_a_server_that_is_not_there_is_named(dead_url: str, ask: Any) -> None:
    backend = OllamaBackend(Connection(name="ollama", kind="ollama", url=dead_url))
    with pytest.raises(BackendError, match="^ollama: not reachable"):
        await ask(backend, MODEL)
    await backend.close()


async def test_a_silent_server_times_out(loopback: Loopback) -> None:
    backend = OllamaBackend(Connection(name="ollama", kind="ollama", url=f"{loopback.url}/slow", timeout_s=0.2))
    with pytest.raises(BackendTimeout, match=r"silent for 0.2 s"):
        await backend.models()
    await backend.close()


async def test_a_forwarded_stream_is_untouched_and_unbuffered(backend: OllamaBackend, loopback: Loopback) -> None:
    answer = await backend.forward("POST", "/api/generate", b'{"model": "gated", "stream": true}')
    assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
    first, *others = ollama_lines("gated")
    assert await anext(answer.chunks) == first
    loopback.release()
    assert b"".join([chunk async for chunk in answer.chunks]) == b"".join(others)


async def test_a_forwarded_stream_that_nobody_reads_is_ended(backend: OllamaBackend, loopback: Loopback) -> None:
    answer = await backend.forward("POST", "/api/generate", b'{"model": "hang", "stream": true}')
    del answer
    assert await loopback.client_left()


async def test_forwarded_tags_say_their_connection(backend: OllamaBackend) -> None:
    answer = await backend.forward("GET", "/api/tags", b"")
    listing = json.loads(b"".join([chunk async for chunk in answer.chunks]))
    assert listing == {"models": [{**TAG, "connection_type": "local", "urls": [0]}]}
    assert answer.content_type == "application/json"


async def test_openai_paths_are_forwarded_too(backend: OllamaBackend) -> None:
    answer = await backend.forward("GET", "/v1/models", b"")
    assert json.loads(b"".join([chunk async for chunk in answer.chunks]))["object"] == "list"
