"""Anthropic's messages over every kind of back end, with references, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
import pytest_asyncio

from ragline.config.settings import Connection, Models, Quotas

from .desk import Desk, open_desk
from .port import on_port
from .talker import Talker
from .test_anthropic_format import events

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTE = "La durée de garantie de la pompe Zéphyr est de 27 mois."
ASK: dict[str, Any] = {"max_tokens": 50, "messages": [{"role": "user", "content": "Combien de mois ?"}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, models_folder: Path, talker: Talker) -> AsyncIterator[Desk]:
    connections = (
        Connection(name="open", kind="openai", url=f"{talker.url}/v1"),
        Connection(name="embedded", kind="embedded"),
        Connection(name="functions", kind="functions"),
    )
    models = Models(connections=connections, aliases={"claude": ("echo",)})
    folder = tmp_path_factory.mktemp("desk")
    async with open_desk(folder, models_folder, models=models, quotas=Quotas(max_tokens_per_day=30)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def forgotten(talker: Talker) -> None:
    talker.forget()


async def test_a_message_is_answered_in_anthropics_shape(desk: Desk, talker: Talker) -> None:
    body = ASK | {
        "model": "echo",
        "system": [{"type": "text", "text": "Réponds court.", "cache_control": {"type": "ephemeral"}}],
        "stop_sequences": ["FIN"],
        "temperature": 0.5,
        "top_p": 0.9,
        "metadata": {"user_id": "u"},
    }
    answer = await desk.admin.client.post("/api/v1/messages", json=body)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "id": "c1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": "Où ça ?"}],
            "model": "echo",
            "stop_reason": "max_tokens",
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 5},
        },
    )
    [(path, sent)] = talker.seen
    assert path == "/v1/chat/completions"
    assert json.loads(sent) == {
        "model": "echo",
        "messages": [{"role": "system", "content": "Réponds court."}, *ASK["messages"]],
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["FIN"],
    }


@pytest.mark.parametrize("path", ["/api/message", "/v1/messages", "/v1/messages/"])
async def test_the_route_has_other_names(desk: Desk, path: str) -> None:
    assert (await desk.admin.client.post(path, json=ASK | {"model": "claude"})).json()["model"] == "claude"


@pytest.mark.parametrize("stream", [False, True])
async def test_files_are_read_and_named_as_sources(desk: Desk, stream: bool) -> None:
    file_id = await desk.upload(desk.admin, "zéphyr.txt", NOTE)
    body = ASK | {"model": "extractive", "files": [{"type": "file", "id": file_id}], "stream": stream}
    answer = await desk.admin.client.post("/api/v1/messages", json=body)
    assert answer.status_code == 200
    found = events(answer.text) if stream else []
    message = found[0]["message"] if stream else answer.json()
    said = "".join(event["delta"]["text"] for event in found if event["type"] == "content_block_delta")
    assert message["sources"][0]["document"] == [NOTE]
    assert "27 mois" in (said if stream else message["content"][0]["text"])


@pytest.mark.parametrize(
    ("more", "status", "named"),
    [
        pytest.param({"model": "nope"}, 404, "nope", id="model"),
        pytest.param({"files": [{"type": "file", "id": "no-f"}]}, 404, "no-f", id="file"),
        pytest.param({"messages": []}, 422, "messages", id="no-messages"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "base64"}}]}]},
            422,
            "upload other files",
            id="pdf",
        ),
        pytest.param({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, 422, "video", id="block"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]}]},
            422,
            "tool_use",
            id="call-of-a-user",
        ),
        pytest.param({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 422, "tools", id="tool"),
        pytest.param(
            {"tools": [{"name": "a", "input_schema": {}}], "tool_choice": {"type": "tool"}}, 422, "name", id="choice"
        ),
        pytest.param({"max_tokens": 0}, 422, "max_tokens", id="max-tokens"),
        pytest.param({"model": "busy"}, 429, "slow down", id="back-end"),
        pytest.param({"model": "page"}, 502, "text/html", id="page"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_wrong_has_its_status(
    desk: Desk, more: dict[str, Any], status: int, named: str, stream: bool
) -> None:
    body = ASK | {"model": "echo", "stream": stream} | more
    answer = await desk.admin.client.post("/api/v1/messages", json=body)
    assert (answer.status_code, named in answer.text) == (status, True), answer.text
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)


async def test_without_a_token_nothing_is_answered(desk: Desk) -> None:
    nobody = await desk.client()
    assert (await nobody.post("/v1/messages", json=ASK | {"model": "echo"})).status_code == 401
    key = {"x-api-key": desk.admin.key}
    assert (await nobody.post("/v1/messages", json=ASK | {"model": "echo"}, headers=key)).status_code == 200


async def test_the_quota_counts_messages(desk: Desk) -> None:
    ada = await desk.person("ada")
    answers = [await ada.client.post("/v1/messages", json=ASK | {"model": "echo"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]  # 12 tokens each, 30 allowed


async def test_what_was_asked_is_in_the_log_without_its_text(desk: Desk) -> None:
    await desk.admin.client.post("/v1/messages", json=ASK | {"model": "echo"})
    await desk.api.state.events.close()
    [event, *_], _ = await desk.app.records.events.page(limit=5, offset=0)
    assert (event.path, event.details) == ("/v1/messages", {"model": "echo", "references": []})


async def test_the_official_client_needs_only_the_address(desk: Desk) -> None:
    tools: Any = [{"name": "weather", "input_schema": {"type": "object"}}]
    async with on_port(desk.api) as url, anthropic.AsyncAnthropic(base_url=url, api_key=desk.admin.key) as client:
        whole = await client.messages.create(model="tools", tools=tools, **ASK)
        async with client.messages.stream(model="tools", tools=tools, **ASK) as stream:
            streamed = await stream.get_final_message()
        for message, texts in ((whole, 0), (streamed, 1)):
            calls: list[Any] = [block for block in message.content if block.type == "tool_use"]
            assert [(call.id, call.name, call.input) for call in calls] == [
                ("t1", "weather", {"city": "Orléans"}),
                ("t2", "clock", {}),
            ]
            assert len(message.content) == texts + 2
            assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 5)
        assert streamed.stop_reason == "tool_use"
        with pytest.raises(anthropic.APIStatusError, match="connection lost"):
            async with client.messages.stream(model="drop", **ASK) as stream:
                await stream.get_final_message()
        with pytest.raises(anthropic.NotFoundError, match="nope"):
            await client.messages.create(model="nope", **ASK)
        assert (await client.messages.count_tokens(model="echo", messages=ASK["messages"])).input_tokens > 3


async def test_tokens_are_counted_by_the_model_that_reads_them(desk: Desk, talker: Talker) -> None:
    asked = {"messages": [{"role": "user", "content": "Bonjour"}]}
    counted = await desk.admin.client.post("/v1/messages/count_tokens", json=asked | {"model": "smollm2:135m"})
    chat = asked | {"model": "smollm2:135m", "max_tokens": 1}
    answered = await desk.admin.client.post("/v1/messages", json=chat)
    assert counted.json() == {"input_tokens": answered.json()["usage"]["input_tokens"]}
    assert counted.json()["input_tokens"] > 5
    lacking = await desk.admin.client.post("/v1/messages/count_tokens", json=asked | {"model": "short"})
    assert (lacking.status_code, "cannot be counted" in lacking.json()["detail"]) == (404, True)
    function = await desk.admin.client.post("/v1/messages/count_tokens", json=asked | {"model": "extractive"})
    assert (function.status_code, "cannot be counted" in function.json()["detail"]) == (404, True)


async def test_passages_are_counted_too(desk: Desk, talker: Talker) -> None:
    file_id = await desk.upload(desk.admin, "zéphyr.txt", NOTE)
    parts = [
        {"type": "image", "source": {"type": "url", "url": "http://x/é.png"}},
        {"type": "text", "text": "Combien ?"},
    ]
    asked = {"model": "claude", "messages": [{"role": "user", "content": parts}], "max_tokens": 9}
    refs = {"files": [{"type": "file", "id": file_id}]}
    assert (await desk.admin.client.post("/v1/messages/count_tokens", json=asked | refs)).status_code == 200
    sent = json.loads(talker.seen[-1][1])
    image, text = sent["messages"][0]["content"]
    assert (sent["model"], sent.keys() & {"files"}, image) == ("echo", set(), parts[0])
    assert NOTE in text["text"]
    assert text["text"].endswith("Combien ?")
