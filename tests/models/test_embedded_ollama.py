"""Ollama's API answered in this process, asked by the official client on a real port."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import ollama
import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from ragline.connectors.embedders.protocol import Embedder, Matrix
from ragline.connectors.models.embedded import EmbeddedBackend
from ragline.connectors.models.embedded_ollama import EmbeddedOllama
from ragline.connectors.models.forward import OllamaRoute

from . import smollm2

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALIASES: Mapping[str, Sequence[str]] = {"llama3.2": ("absent:1b", "smollm2:135m"), "gpt-4": ("extractive",)}
EMBEDDING_MODEL = "multilingual-e5-small:latest"
SHORT = {"num_predict": 4, "temperature": 0, "seed": 1}
LIMIT_S = 60


class Letters:
    """An embedding model that counts letters."""

    model_id = "letters-1"
    dimension = 3
    max_tokens = 512

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        rows = np.array([[text.count("a"), text.count("e"), 1] for text in texts], dtype=np.float32)
        lengths: Matrix = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, lengths, dtype=np.float32)

    async def embed_query(self, text: str) -> Matrix:
        rows = await self.embed_passages([text])
        return rows.reshape(self.dimension)

    async def close(self) -> None:
        pass


@asynccontextmanager
async def served(route: OllamaRoute) -> AsyncIterator[str]:
    """Serve `route` on a free port and give its address."""

    async def answer(request: Request) -> StreamingResponse:
        forwarded = await route.forward(request.method, request.url.path, await request.body())
        return StreamingResponse(forwarded.chunks, forwarded.status, media_type=forwarded.content_type)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


@asynccontextmanager
async def answered_from(folder: Path) -> AsyncIterator[str]:
    backend, embedder = EmbeddedBackend("embedded", folder, smollm2.ONE_THREAD), Letters()
    checked: Embedder = embedder
    async with served(EmbeddedOllama(backend, checked, aliases=ALIASES)) as url:
        yield url
    await backend.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(models_folder: Path) -> AsyncIterator[str]:
    async with answered_from(models_folder) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def empty_url(tmp_path: Path) -> AsyncIterator[str]:
    """Answered where no model was pulled."""
    async with answered_from(tmp_path) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(url: str) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(url, timeout=LIMIT_S) as client:
        yield client


async def post(url: str, path: str, body: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=LIMIT_S) as http:
        return await http.post(path, content=body if isinstance(body, bytes) else json.dumps(body))


async def get(url: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=LIMIT_S) as http:
        return await http.get(path)


async def test_the_list_has_language_models_and_the_embedding_model(client: ollama.AsyncClient) -> None:
    models = {model.model: model for model in (await client.list()).models}
    assert {"smollm2:135m", EMBEDDING_MODEL} <= models.keys()
    details = models["smollm2:135m"].details
    assert details is not None
    assert (details.family, details.quantization_level) == ("llama", "Q4_1")


async def test_a_whole_chat_has_text_counts_and_durations(client: ollama.AsyncClient) -> None:
    answer = await client.chat("smollm2:135m", [{"role": "user", "content": "Say hello."}], options=SHORT)
    assert answer.message.role == "assistant"
    assert (answer.message.content or "").strip()
    assert (answer.model, answer.done, answer.done_reason, answer.eval_count) == ("smollm2:135m", True, "length", 4)
    assert (answer.prompt_eval_count or 0) > 4
    assert (answer.total_duration or 0) >= (answer.eval_duration or 0) > 0
    assert (answer.load_duration or 0) > 0


async def test_a_streamed_chat_says_the_same_piece_by_piece(client: ollama.AsyncClient) -> None:
    messages = [{"role": "user", "content": "Say hello."}]
    whole = await client.chat("smollm2:135m", messages, options=SHORT)
    *pieces, last = [piece async for piece in await client.chat("smollm2:135m", messages, options=SHORT, stream=True)]
    assert len(pieces) > 1
    assert not any(piece.done for piece in pieces)
    assert "".join(piece.message.content or "" for piece in pieces) == whole.message.content
    assert (last.done, last.message.content, last.eval_count) == (True, "", 4)


async def test_generating_takes_a_system_prompt(client: ollama.AsyncClient) -> None:
    plain = await client.generate("smollm2", "Say hello.", options=SHORT)
    ordered = await client.generate("smollm2", "Say hello.", system="You are a pirate who says arr.", options=SHORT)
    assert (plain.response or "").strip()
    assert plain.prompt_eval_count != ordered.prompt_eval_count
    pieces = [piece async for piece in await client.generate("smollm2", "Say hello.", options=SHORT, stream=True)]
    assert "".join(piece.response or "" for piece in pieces) == plain.response
    assert pieces[-1].context == []


async def test_lines_are_streamed_by_default(url: str) -> None:
    answer = await post(url, "/api/generate", {"model": "smollm2", "prompt": "Say hello.", "options": SHORT})
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[0].keys() == {"model", "created_at", "response", "done"}


async def test_json_is_given_when_asked_for(client: ollama.AsyncClient) -> None:
    shape = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    answer = await client.generate("smollm2", "true or false?", format=shape, options={**SHORT, "num_predict": 40})
    assert "a" in json.loads(answer.response or "")


@pytest.mark.parametrize("name", ["smollm2:135m", "smollm2", "smollm2:latest", "llama3.2", "llama3.2:latest"])
async def test_a_model_has_several_names(url: str, name: str) -> None:
    body = {"model": name, "prompt": "Hi", "stream": False, "options": {"num_predict": 1}}
    answer = await post(url, "/api/generate", body)
    assert (answer.status_code, answer.json()["model"]) == (200, name)


async def test_showing_a_model_tells_what_it_can_do(client: ollama.AsyncClient) -> None:
    language, embedding = await client.show("smollm2"), await client.show(EMBEDDING_MODEL)
    assert (language.capabilities, embedding.capabilities) == (["completion"], ["embedding"])
    assert (language.modelinfo or {})["llama.context_length"] == 8192


async def test_the_loaded_model_is_seen_until_it_is_unloaded(client: ollama.AsyncClient) -> None:
    assert (await client.generate("smollm2")).done_reason == "load"
    (running,) = (await client.ps()).models
    assert (running.model, running.context_length) == ("smollm2:135m", 1024)
    assert (await client.generate("smollm2", keep_alive=0)).done_reason == "unload"
    assert (await client.ps()).models == []


@pytest.mark.parametrize("name", [EMBEDDING_MODEL, "multilingual-e5-small", "smollm2", "llama3.2:latest", "gpt-4"])
async def test_any_model_embeds_with_the_embedding_model(client: ollama.AsyncClient, name: str) -> None:
    if name == "llama3.2:latest":
        assert len((await client.embed(name, "banana")).embeddings) == 1
    answer = await client.embed(name, ["banana", "e"])
    assert answer.embeddings[0] == pytest.approx([0.9487, 0, 0.3162], abs=1e-4)
    assert (len(answer.embeddings), answer.prompt_eval_count) == (2, 2)
    old = await client.embeddings(name, "banana")
    assert old.embedding == pytest.approx(answer.embeddings[0])


@pytest.mark.parametrize("empty", ["", []])
async def test_nothing_to_embed_gives_nothing(client: ollama.AsyncClient, empty: str | list[str]) -> None:
    assert (await client.embed(EMBEDDING_MODEL, empty)).embeddings == []
    assert (await client.embeddings(EMBEDDING_MODEL, "")).embedding == []


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        pytest.param("/api/chat", b"{", 400, "not JSON", id="malformed"),
        pytest.param("/api/chat", b'{"model": NaN}', 400, "not JSON", id="not-a-number"),
        pytest.param("/api/chat", b'{"model": "\\ud800"}', 400, "not JSON", id="half-a-surrogate-pair"),
        pytest.param("/api/embed", b'{"model": ' + b"[" * 9000 + b"]" * 9000 + b"}", 400, "not JSON", id="very-deep"),
        pytest.param("/api/chat", b'{"model": ' + b"[" * 1000 + b"]" * 1000 + b"}", 400, "model", id="deep-name"),
        pytest.param("/api/chat", [], 400, "an object is needed", id="a-list"),
        pytest.param("/api/chat", {}, 400, "model", id="no-model"),
        pytest.param("/api/chat", {"model": "nope", "messages": []}, 404, "model 'nope' not found", id="unknown"),
        pytest.param(
            "/api/generate", {"model": "gpt-4", "prompt": "x"}, 404, "model 'gpt-4' not found", id="no-target"
        ),
        pytest.param("/api/generate", {"model": "smollm2", "prompt": 3}, 400, "texts are needed", id="prompt-number"),
        pytest.param("/api/chat", {"model": "smollm2", "messages": "hi"}, 400, "a list is needed", id="no-list"),
        pytest.param("/api/chat", {"model": "smollm2", "messages": ["hi"]}, 400, "an object", id="no-message"),
        pytest.param(
            "/api/generate", {"model": "smollm2", "prompt": "x", "images": ["aGk="]}, 400, "support images", id="image"
        ),
        pytest.param("/api/generate", {"model": "smollm2", "prompt": "x " * 3000}, 400, "the 1024 that", id="too-long"),
        pytest.param("/api/generate", {"model": "smollm2", "prompt": "x", "options": 1}, 400, "options", id="options"),
        pytest.param("/api/chat", {"model": EMBEDDING_MODEL}, 400, "is an embedding model", id="embedding-model"),
        pytest.param("/api/embed", {"model": "nope", "input": "x"}, 404, "not found", id="embed-unknown"),
        pytest.param("/api/embed", {"model": "smollm2"}, 400, "input", id="embed-nothing"),
        pytest.param("/api/embed", {"model": "smollm2", "input": [3]}, 400, "only texts", id="embed-number"),
        pytest.param(
            "/api/embed", {"model": "smollm2", "input": "x", "dimensions": 2}, 400, "is not 3", id="dimensions"
        ),
        pytest.param("/api/show", {"model": "nope"}, 404, "not found", id="show-unknown"),
        pytest.param("/api/pull", {"model": "smollm2"}, 404, "POST /api/pull is not answered", id="unknown-path"),
    ],
)
async def test_refusals_name_the_reason(url: str, path: str, body: Any, status: int, message: str) -> None:
    answer = await post(url, path, body)
    assert answer.status_code == status
    assert message in answer.json()["error"]


async def test_where_nothing_was_pulled_the_way_out_is_named(empty_url: str) -> None:
    answer = await post(empty_url, "/api/generate", {"model": "llama3.2", "prompt": "x"})
    assert answer.status_code == 404
    assert "run `ragline pull smollm2`" in answer.json()["error"]
    tags = (await get(empty_url, "/api/tags")).json()
    assert [model["name"] for model in tags["models"]] == [EMBEDDING_MODEL]
    embedded = await post(empty_url, "/api/embed", {"model": "llama3.2", "input": "banana"})
    assert embedded.status_code == 200


async def test_the_version_is_one_that_clients_understand(url: str) -> None:
    assert (await get(url, "/api/version")).json() == {"version": "0.12.0"}


async def test_a_client_that_leaves_stops_the_model(url: str, client: ollama.AsyncClient) -> None:
    body = {"model": "smollm2", "prompt": "Tell a very long story.", "options": {"num_predict": 900}}
    async with (
        httpx.AsyncClient(base_url=url, timeout=LIMIT_S) as http,
        http.stream("POST", "/api/generate", json=body) as answer,
    ):
        await anext(answer.aiter_lines())
    async with asyncio.timeout(5):
        await client.generate("smollm2", "Hi", options={"num_predict": 1})
