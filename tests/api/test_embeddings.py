"""Embeddings in OpenAI's format: by a back end, by an Ollama, by the model that embeds the documents."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import pytest_asyncio

from ragline.api.embeddings import MAX_CHARS, MAX_TEXTS
from ragline.config.settings import Connection, Models, Quotas

from .desk import Desk, open_desk
from .port import on_port
from .talker import Talker

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "multilingual-e5-small"
TEXTS = ["La garantie dure 27 mois.", "A pump"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, models_folder: Path, talker: Talker) -> AsyncIterator[Desk]:
    connections = (
        Connection(name="open", kind="openai", url=f"{talker.url}/v1"),
        Connection(name="ollama", kind="ollama", url=talker.url),
        Connection(name="embedded", kind="embedded"),
        Connection(name="functions", kind="functions"),
    )
    models = Models(connections=connections, aliases={})
    folder = tmp_path_factory.mktemp("desk")
    async with open_desk(folder, models_folder, models=models, quotas=Quotas(max_tokens_per_day=20)) as opened:
        yield opened


async def post(desk: Desk, path: str = "/v1/embeddings", **body: Any) -> Any:
    answer = await desk.admin.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", ["/v1/embeddings", "/api/embeddings", "/api/v1/embeddings", "/openai/embeddings"])
async def test_the_embedding_model_of_the_documents_answers_under_its_name(desk: Desk, path: str) -> None:
    body = await post(desk, path, model=OWN, input=TEXTS)
    assert (body["object"], body["model"]) == ("list", OWN)
    assert [(row["object"], row["index"]) for row in body["data"]] == [("embedding", 0), ("embedding", 1)]
    passages = await desk.app.embedder.embed_passages(TEXTS)
    np.testing.assert_allclose([row["embedding"] for row in body["data"]], passages, atol=1e-6)
    tokens = sum(desk.app.embedder.count_tokens(TEXTS))
    assert body["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


@pytest.mark.parametrize(
    ("model", "vector", "tokens"),
    [("echo", [0.5] * 4, 12), ("llama3.2:latest", [0.25] * 2, 9), ("llama3.2", [0.25] * 2, 9)],
)
async def test_back_ends_answer_in_the_same_shape(desk: Desk, model: str, vector: list[float], tokens: int) -> None:
    assert await post(desk, model=model, input="été") == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


@pytest.mark.parametrize("model", [OWN, "echo", "llama3.2"])
async def test_base64_holds_the_same_numbers(desk: Desk, model: str) -> None:
    [plain] = (await post(desk, model=model, input="été"))["data"]
    [coded] = (await post(desk, model=model, input="été", encoding_format="base64"))["data"]
    numbers = struct.unpack(f"<{len(plain['embedding'])}f", base64.b64decode(coded["embedding"]))
    np.testing.assert_allclose(numbers, plain["embedding"], atol=1e-6)


async def test_dimensions_are_those_asked_for_or_refused(desk: Desk) -> None:
    assert len((await post(desk, model="echo", input="a", dimensions=2))["data"][0]["embedding"]) == 2
    assert len((await post(desk, model=OWN, input="a", dimensions=384))["data"][0]["embedding"]) == 384
    for model, has in ((OWN, 384), ("short", 3), ("llama3.2", 2)):
        refused = await desk.admin.client.post("/v1/embeddings", json={"model": model, "input": "a", "dimensions": 5})
        assert (refused.status_code, f"have {has}, not 5" in refused.json()["detail"]) == (400, True), refused.text


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        pytest.param({"model": "nope", "input": "a"}, 404, "nope", id="unknown"),
        pytest.param({"model": "extractive", "input": "a"}, 400, OWN, id="function"),
        pytest.param({"model": "smollm2:135m", "input": "a"}, 400, OWN, id="language-model"),
        pytest.param({"model": OWN, "input": []}, 422, "at least 1", id="no-texts"),
        pytest.param({"model": OWN, "input": ["a", ""]}, 422, "at least 1", id="empty-text"),
        pytest.param({"model": OWN, "input": [1, 2]}, 422, "check_embedding_ctx_length", id="tokens"),
        pytest.param({"model": OWN, "input": [[1, 2]]}, 422, "check_embedding_ctx_length", id="lists-of-tokens"),
        pytest.param({"model": OWN, "input": ["a"] * (MAX_TEXTS + 1)}, 422, str(MAX_TEXTS), id="many"),
        pytest.param({"model": OWN, "input": ["a" * (MAX_CHARS // 2 + 1)] * 2}, 413, str(MAX_CHARS), id="long"),
        pytest.param({"model": OWN, "input": "a", "encoding_format": "int8"}, 422, "base64", id="format"),
        pytest.param({"model": "busy", "input": "a"}, 429, "slow down", id="back-end"),
        pytest.param({"model": "page", "input": "a"}, 502, "text/html", id="page"),
    ],
)
async def test_what_is_wrong_is_said(desk: Desk, body: dict[str, Any], status: int, named: str) -> None:
    answer = await desk.admin.client.post("/v1/embeddings", json=body)
    assert (answer.status_code, named in answer.text) == (status, True), answer.text[:300]


async def test_the_quota_counts_embeddings(desk: Desk) -> None:
    ada = await desk.person("ada")
    answers = [await ada.client.post("/v1/embeddings", json={"model": "echo", "input": "a"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]  # 12 tokens each, 20 allowed


async def test_a_text_with_a_nul_and_a_very_long_one_have_vectors(desk: Desk) -> None:
    body = await post(desk, model=OWN, input=["a\0b", "mot " * 3000])
    lengths = np.linalg.norm([row["embedding"] for row in body["data"]], axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-3)


async def test_the_same_text_has_the_same_vector_and_counts_each_time(desk: Desk) -> None:
    one = await post(desk, model=OWN, input="été")
    body = await post(desk, model=OWN, input=["été", "hiver", "été"])
    first, other, again = (row["embedding"] for row in body["data"])
    assert first == again != other
    [winter] = desk.app.embedder.count_tokens(["hiver"])
    assert body["usage"]["total_tokens"] == 2 * one["usage"]["total_tokens"] + winter


@pytest.mark.parametrize("base", ["/v1", "/api", "/openai", "/openai/v1"])
async def test_the_official_client_embeds(desk: Desk, base: str) -> None:
    async with on_port(desk.api) as url, openai.AsyncOpenAI(base_url=url + base, api_key=desk.admin.key) as client:
        answer = await client.embeddings.create(model=OWN, input=TEXTS)
    assert [len(row.embedding) for row in answer.data] == [384, 384]
    assert answer.usage.total_tokens > 5
