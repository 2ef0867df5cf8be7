"""What is passed on as it is: OpenAI's and Ollama's own APIs, and the lists of models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import ollama
import openai
import pytest
import pytest_asyncio

from ragline.config.settings import Connection, Models, Quotas
from tests.serving import served

from .desk import Desk, open_desk
from .port import on_port
from .talker import DONE, LAST, LINE, TEXT, Talker

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Où est la clé ?"}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talkers() -> AsyncIterator[tuple[Talker, Talker]]:
    """Two model servers; the second has a model more, and one that the first has, too."""
    first, second = Talker(), Talker(tags=("llama3.2:latest", "mistral:7b"))
    with served(first) as first.url, served(second) as second.url:
        yield first, second


@pytest.fixture
def talker(talkers: tuple[Talker, Talker]) -> Talker:
    return talkers[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    tmp_path_factory: pytest.TempPathFactory, models_folder: Path, talkers: tuple[Talker, Talker]
) -> AsyncIterator[Desk]:
    first, second = talkers
    connections = (
        Connection(name="open", kind="openai", url=f"{first.url}/v1"),
        Connection(name="near", kind="ollama", url=first.url),
        Connection(name="far", kind="ollama", url=second.url),
        Connection(name="embedded", kind="embedded"),
        Connection(name="functions", kind="functions"),
    )
    models = Models(connections=connections, aliases={"gpt-4-turbo": ("mistral:7b",)})
    folder = tmp_path_factory.mktemp("desk")
    async with open_desk(folder, models_folder, models=models, quotas=Quotas(max_tokens_per_day=30)) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> AsyncIterator[Desk]:
    """Without any server of models."""
    connections = (Connection(name="embedded", kind="embedded"), Connection(name="functions", kind="functions"))
    models = Models(connections=connections, aliases={"llama3.2": ("smollm2:135m",)})
    async with open_desk(tmp_path_factory.mktemp("alone"), models_folder, models=models) as opened:
        yield opened


@pytest.fixture(autouse=True)
def forgotten(talkers: tuple[Talker, Talker]) -> None:
    for talker in talkers:
        talker.forget()


@pytest.mark.parametrize("base", ["/openai", "/openai/v1", "/ollama/v1"])
@pytest.mark.parametrize("route", ["/chat/completions", "/completions", "/responses", "/embeddings"])
async def test_a_body_goes_on_byte_for_byte(desk: Desk, talker: Talker, base: str, route: str) -> None:
    raw = '{ "model":"maker/model:7b", "files":[{"type":"file"}], "x":1e2, "input":["é"], "messages":[] }'.encode()
    answer = await desk.admin.client.post(base + route, content=raw, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert talker.seen == [(f"/v1{route}", raw)]


async def test_only_an_alias_changes_the_body(desk: Desk, talkers: tuple[Talker, Talker]) -> None:
    await desk.admin.client.post("/openai/completions", json={"model": "gpt-4-turbo", "prompt": "é", "seed": 1})
    await desk.admin.client.post("/ollama/v1/completions", json={"model": "llama3.2", "prompt": "é"})
    near, far = talkers
    assert [(path, json.loads(raw)) for path, raw in far.seen] == [
        ("/v1/completions", {"model": "mistral:7b", "prompt": "é", "seed": 1})
    ]
    assert json.loads(near.seen[0][1])["model"] == "llama3.2"


@pytest.mark.parametrize("base", ["/openai", "/ollama/v1"])
async def test_a_stream_is_passed_on_unbuffered_and_untouched(desk: Desk, talker: Talker, base: str) -> None:
    body = ASK | {"model": "gated", "stream": True}
    async with (
        on_port(desk.api) as url,
        httpx.AsyncClient(base_url=url, headers=desk.admin.client.headers, trust_env=False) as client,
        client.stream("POST", f"{base}/chat/completions", json=body) as answer,
    ):
        assert answer.headers["content-type"] == "text/event-stream"
        pieces = answer.aiter_bytes()
        assert await asyncio.wait_for(anext(pieces), 5) == TEXT[0]
        talker.release()
        assert b"".join([piece async for piece in pieces]) == b"".join(TEXT[1:])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/openai/chat/completions", {"model": "hang", "stream": True}),
        ("/openai/v1/completions", {"model": "hang"}),
        ("/ollama/api/chat", {"model": "hang"}),
        ("/ollama/v1/chat/completions", {"model": "hang:latest", "stream": True}),
        ("/v1/messages", ASK | {"model": "hang", "stream": True}),
    ],
)
async def test_a_client_that_leaves_ends_the_work_of_the_back_end(
    desk: Desk, talker: Talker, path: str, body: dict[str, Any]
) -> None:
    async with (
        on_port(desk.api) as url,
        httpx.AsyncClient(base_url=url, headers=desk.admin.client.headers, trust_env=False) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            await client.post(path, json=body, timeout=1)
        assert await asyncio.to_thread(talker.left.wait, 5)


async def test_a_back_end_lost_in_mid_stream_is_an_error_and_the_end(desk: Desk) -> None:
    answer = await desk.admin.client.post("/openai/chat/completions", json=ASK | {"model": "drop", "stream": True})
    start, error, done = answer.content.removesuffix(b"\n\n").split(b"\n\n")
    assert start + b"\n\n" == TEXT[0]
    assert "connection lost" in json.loads(error.removeprefix(b"data: "))["error"]["message"]
    assert done + b"\n\n" == DONE
    lines = (await desk.admin.client.post("/ollama/api/chat", json=ASK | {"model": "drop:latest"})).content.splitlines()
    assert lines[0] + b"\n" == LINE
    assert "connection lost" in json.loads(lines[1])["error"]


@pytest.mark.parametrize("path", ["/openai/chat/completions", "/openai/responses", "/ollama/v1/completions"])
async def test_errors_of_the_back_end_are_its_own(desk: Desk, path: str) -> None:
    answer = await desk.admin.client.post(path, json={"model": "busy"})
    assert (answer.status_code, answer.json()) == (429, {"error": {"message": "slow down"}})
    assert (answer.headers["retry-after"], answer.headers["content-type"]) == ("7", "application/json")


async def test_a_page_in_place_of_an_answer_never_reaches_the_client(desk: Desk) -> None:
    answer = await desk.admin.client.post("/openai/chat/completions", json={"model": "page"})
    assert (answer.status_code, "text/html" in answer.json()["detail"]) == (502, True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("base", ["/openai", "/ollama/v1"])
async def test_models_of_this_process_answer_chats(desk: Desk, base: str, stream: bool) -> None:
    body = ASK | {"model": "extractive", "files": "not read here", "stream": stream}
    answer = await desk.admin.client.post(f"{base}/chat/completions", json=body)
    assert answer.status_code == 200
    assert "fichiers" in answer.text or "documents" in answer.text
    assert answer.text.endswith("data: [DONE]\n\n") is stream


@pytest.mark.parametrize(
    ("path", "body", "status", "named"),
    [
        ("/openai/chat/completions", {"model": "nope"}, 404, "nope"),
        ("/openai/chat/completions", {}, 422, "model"),
        ("/openai/chat/completions", {"model": "extractive", "messages": "é"}, 422, "messages"),
        ("/openai/responses", {"model": "extractive"}, 404, "/chat/completions only"),
        ("/openai/embeddings", {"model": "multilingual-e5-small"}, 422, "input"),
        ("/openai/files", {}, 403, "not passed on"),
        ("/openai/audio/speech", {"model": "echo"}, 403, "not passed on"),
    ],
)
async def test_what_cannot_be_passed_on_is_said(
    desk: Desk, talker: Talker, path: str, body: dict[str, Any], status: int, named: str
) -> None:
    answer = await desk.admin.client.post(path, json=body)
    assert (answer.status_code, named in json.dumps(answer.json()["detail"])) == (status, True), answer.text
    assert talker.seen == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/openai/chat/completions", ASK | {"model": "echo"}),
        ("/openai/chat/completions", ASK | {"model": "tools", "stream": True}),
        ("/openai/responses", {"model": "echo", "input": "é"}),
    ],
)
async def test_the_quota_counts_what_the_back_end_says(desk: Desk, path: str, body: dict[str, Any]) -> None:
    ada = await desk.person(f"ada-{len(json.dumps(body))}")
    answers = [await ada.client.post(path, json=body) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]  # 12 tokens each, 30 allowed


async def test_the_quota_counts_ollamas_own_words(desk: Desk) -> None:
    ada = await desk.person("amélie")
    body = ASK | {"model": "llama3.2"}
    answers = [await ada.client.post("/ollama/api/chat", json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]  # 30 tokens, 30 allowed
    assert await desk.app.records.usage.tokens_today(ada.user.id) == 30


async def test_what_was_passed_on_is_in_the_log(desk: Desk) -> None:
    await desk.admin.client.post("/openai/responses", json={"model": "echo", "input": "é"})
    await desk.admin.client.post("/ollama/api/chat", json=ASK | {"model": "llama3.2"})
    await desk.api.state.events.close()
    last, _ = await desk.app.records.events.page(limit=2, offset=0)
    assert {(event.path, json.dumps(event.details)) for event in last} == {
        ("/openai/responses", '{"model": "echo"}'),
        ("/ollama/api/chat", '{"model": "llama3.2"}'),
    }


async def test_a_request_for_ollama_goes_to_the_one_that_has_the_model(
    desk: Desk, talkers: tuple[Talker, Talker]
) -> None:
    near, far = talkers
    for model in ("llama3.2", "mistral:7b", "far.llama3.2:latest", "gpt-4-turbo"):
        answer = await desk.admin.client.post("/ollama/api/chat", json=ASK | {"model": model, "files": [{"no": 1}]})
        assert (answer.status_code, answer.content) == (200, LINE + LINE + LAST)
        assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(raw)["model"] for _, raw in near.seen] == ["llama3.2"]
    assert [json.loads(raw)["model"] for _, raw in far.seen] == ["mistral:7b", "llama3.2:latest", "mistral:7b"]
    assert json.loads(near.seen[0][1])["files"] == [{"no": 1}]


async def test_an_ollama_is_chosen_by_its_place(desk: Desk, talkers: tuple[Talker, Talker]) -> None:
    near, far = talkers
    for index in (0, 1):
        answer = await desk.admin.client.post(f"/ollama/api/chat/{index}", json=ASK | {"model": "llama3.2"})
        assert answer.status_code == 200
    assert (len(near.seen), len(far.seen)) == (1, 1)
    answer = await desk.admin.client.post("/ollama/api/chat/1", json=ASK | {"model": "far.llama3.2"})
    assert (answer.status_code, json.loads(far.seen[-1][1])["model"]) == (200, "llama3.2:latest")
    answer = await desk.admin.client.post("/ollama/api/chat/0", json=ASK | {"model": "mistral:7b"})
    assert (answer.status_code, "'mistral:7b' was not found in near" in answer.json()["detail"]) == (404, True)
    assert len(near.seen) == 1
    listed = (await desk.admin.client.get("/ollama/api/tags/1")).json()["models"]
    assert [(tag["name"], tag["urls"]) for tag in listed] == [("llama3.2:latest", [1]), ("mistral:7b", [1])]
    for path in ("tags/2", "version/2", "ps/9999"):
        missing = await desk.admin.client.get(f"/ollama/api/{path}")
        assert (missing.status_code, "there are 2" in missing.json()["detail"]) == (404, True)
    assert (await desk.admin.client.get("/ollama/api/tags/-1")).status_code == 422


async def test_tags_are_those_of_all_ollamas_under_the_names_that_work_here(desk: Desk) -> None:
    answer = await desk.admin.client.get("/ollama/api/tags")
    tags = {tag["name"]: tag for tag in answer.json()["models"]}
    assert {name: tag["urls"] for name, tag in tags.items()} == {
        "llama3.2:latest": [0],
        "drop:latest": [0],
        "hang:latest": [0],
        "far.llama3.2:latest": [1],
        "mistral:7b": [1],
    }
    assert tags["mistral:7b"] == {
        "name": "mistral:7b",
        "model": "mistral:7b",
        "size": 1,
        "connection_type": "local",
        "urls": [1],
    }


async def test_a_dead_ollama_is_left_out_and_named_when_it_is_asked(
    tmp_path: Path, models_folder: Path, talker: Talker, dead_url: str
) -> None:
    connections = (
        Connection(name="dead", kind="ollama", url=dead_url),
        Connection(name="near", kind="ollama", url=talker.url),
    )
    async with open_desk(tmp_path, models_folder, models=Models(connections=connections, aliases={})) as desk:
        tags = (await desk.admin.client.get("/ollama/api/tags")).json()["models"]
        assert {tuple(tag["urls"]) for tag in tags} == {(1,)}
        assert (await desk.admin.client.get("/ollama/api/version")).json() == {"version": "0.12.9"}
        dead = await desk.admin.client.get("/ollama/api/version/0")
        assert (dead.status_code, "dead" in dead.json()["detail"]) == (502, True)


@pytest.mark.parametrize("call", ["generate", "chat", "embed", "embeddings", "show"])
async def test_an_unknown_model_of_ollama_is_404_and_a_broken_body_422(desk: Desk, call: str) -> None:
    unknown = await desk.admin.client.post(f"/ollama/api/{call}", json={"model": "nope", "input": "a"})
    assert (unknown.status_code, "nope" in unknown.json()["detail"]) == (404, True)
    headers = {"content-type": "application/json"}
    for raw in (b"{", b"[]", b'{"model": "\\ud800"}', b"{}", b'{"model": 7}'):
        broken = await desk.admin.client.post(f"/ollama/api/{call}", content=raw, headers=headers)
        assert broken.status_code == 422, raw


async def test_changing_what_an_ollama_holds_is_for_administrators(desk: Desk, talkers: tuple[Talker, Talker]) -> None:
    ada = await desk.person("ada")
    for method, path in (("POST", "pull"), ("DELETE", "delete"), ("POST", "pull/1"), ("GET", "blobs/x"), ("HEAD", "x")):
        assert (await ada.client.request(method, f"/ollama/api/{path}")).status_code == 403
    _, far = talkers
    body = {"model": "mistral:7b"}
    answer = await desk.admin.client.request("DELETE", "/ollama/api/delete", json=body)
    assert (answer.status_code, answer.json()) == (404, {"error": "no /api/delete"})
    await desk.admin.client.post("/ollama/api/pull/1", json={"model": "phi"})
    assert [path for path, _ in far.seen] == ["/api/delete", "/api/pull"]


@pytest.mark.parametrize(("method", "path"), [("POST", "tags"), ("DELETE", "chat"), ("GET", "embed/1"), ("POST", "ps")])
async def test_a_known_call_with_another_method_is_405(desk: Desk, talker: Talker, method: str, path: str) -> None:
    answer = await desk.admin.client.request(method, f"/ollama/api/{path}")
    assert (answer.status_code, talker.seen) == (405, [])


@pytest.mark.parametrize("path", ["a%00b", "%ED%A0%80", "x%3Fy=1", "..%2F..%2Fx", "%23"])
async def test_odd_paths_are_no_faults(desk: Desk, path: str) -> None:
    assert (await desk.admin.client.post(f"/ollama/api/{path}", json={})).status_code in (400, 404)
    assert (await desk.admin.client.get(f"/openai/{path}")).status_code == 403
    assert (await desk.admin.client.get(f"/v1/models/{path}")).status_code in (404, 422)


async def test_the_root_says_that_ollama_runs(desk: Desk) -> None:
    for path in ("/ollama", "/ollama/"):
        assert (await desk.admin.client.get(path)).text == "Ollama is running"
        assert (await desk.admin.client.head(path)).status_code == 200


async def check_client(desk: Desk, *, listed: str, size: int) -> None:
    """Go through what the client of Ollama does."""
    headers = {"Authorization": f"Bearer {desk.admin.key}"}
    short = {"num_predict": 4}
    async with on_port(desk.api) as url, ollama.AsyncClient(host=f"{url}/ollama", headers=headers) as client:
        assert listed in {model.model for model in (await client.list()).models}
        chat = await client.chat(model="llama3.2", messages=ASK["messages"], stream=True, options=short)
        assert [line.done async for line in chat][-1] is True
        lines = await client.generate(model="llama3.2", prompt="Bonjour", stream=True, options=short)
        assert [line.done async for line in lines][-1] is True
        embedded = await client.embed(model="llama3.2", input=["é", "a"])
        assert [len(vector) for vector in embedded.embeddings] == [size, size]
        with pytest.raises(ollama.ResponseError, match="nope") as caught:
            await client.chat(model="nope", messages=ASK["messages"])
        assert caught.value.status_code == 404


async def test_the_client_of_ollama_works_unmodified_over_servers(desk: Desk) -> None:
    await check_client(desk, listed="far.llama3.2:latest", size=2)


async def test_the_client_of_ollama_works_unmodified_over_embedded_models(alone: Desk) -> None:
    await check_client(alone, listed="smollm2:135m", size=384)
    wrong = await alone.admin.client.post("/ollama/api/generate", json={"model": "llama3.2", "prompt": 7})
    assert (wrong.status_code, wrong.json()["detail"]) == (400, wrong.json()["error"])


async def test_the_model_of_the_documents_embeds_beside_an_ollama(desk: Desk) -> None:
    answer = await desk.admin.client.post("/ollama/api/embed", json={"model": "multilingual-e5-small", "input": "é"})
    assert len(answer.json()["embeddings"][0]) == 384


async def test_models_are_listed_with_their_place(desk: Desk) -> None:
    for path in ("/api/models", "/api/v1/models", "/api/models?refresh=true"):
        models = {model["id"]: model for model in (await desk.admin.client.get(path)).json()["data"]}
    theirs, local = models["echo"], models["far.llama3.2:latest"]
    assert (theirs["urlIdx"], theirs["openai"]) == (0, {"id": "echo", "object": "model", "connection_type": "external"})
    assert (local["urlIdx"], local["ollama"]["urls"], local["ollama"]["connection_type"]) == (1, [1], "local")
    assert {"name", "object", "created", "owned_by", "tags", "actions", "filters"} <= theirs.keys()
    assert "multilingual-e5-small" not in models


@pytest.mark.parametrize("base", ["/v1", "/openai", "/openai/v1", "/ollama/v1"])
async def test_the_client_of_openai_lists_and_finds_models(desk: Desk, base: str) -> None:
    async with on_port(desk.api) as url, openai.AsyncOpenAI(base_url=url + base, api_key=desk.admin.key) as client:
        ids = {model.id async for model in client.models.list()}
        assert {"llama3.2:latest", "mistral:7b", "smollm2:135m", "multilingual-e5-small"} <= ids
        assert ("maker/model:7b" in ids) is (base != "/ollama/v1")
        for id in ("maker/model:7b", "gpt-4-turbo", "multilingual-e5-small"):
            assert (await client.models.retrieve(id)).id == id
        with pytest.raises(openai.NotFoundError, match="nope"):
            await client.models.retrieve("nope/é")


async def test_nothing_here_answers_without_a_token(desk: Desk) -> None:
    nobody = await desk.client()
    for path in ("/v1/models", "/openai/models", "/ollama/v1/models", "/ollama", "/ollama/api/tags", "/v1/models/echo"):
        assert (await nobody.get(path)).status_code == 401
    for path in ("/openai/chat/completions", "/ollama/api/chat", "/v1/embeddings", "/ollama/v1/responses"):
        assert (await nobody.post(path, json={"model": "echo"})).status_code == 401
