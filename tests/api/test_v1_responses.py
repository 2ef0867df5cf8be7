"""`/v1/responses`, as OpenAI's own client calls it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import (
    ResponseFileSearchToolCall,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from openai.types.responses.response_output_text import AnnotationFileCitation

from ragline.config.settings import Connection, Models
from tests.api.desk import Desk, open_desk
from tests.api.test_v1_files import sdk
from tests.serving import body_of, served

PUMP = "La garantie de la pompe Zéphyr dure 27 mois."
MILL = "The mill at Évreux grinds wheat on Tuesdays."
NONE = "00000000-0000-0000-0000-000000000000"
ASKED = "Combien de temps dure la garantie de la pompe ?"
USAGE = {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}
WEATHER = {"type": "function", "name": "météo", "description": "le temps", "parameters": {"type": "object"}}


class Scripted:
    """A model server: `cites` answers with citations, `calls` asks for functions, `cut` is cut off, `drops` breaks."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = await body_of(receive)
        if scope["path"] == "/v1/models":
            models = [{"id": name, "object": "model"} for name in ("cites", "calls", "cut", "drops", "empty")]
            await self.answer(send, "application/json", json.dumps({"data": models}).encode())
            return
        body = json.loads(raw)
        self.seen.append(body)
        if not body.get("stream"):
            await self.answer(send, "application/json", json.dumps(self.whole(body["model"])).encode())
            return
        pieces = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in self.chunks(body["model"])]
        await send(start("text/event-stream"))
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if body["model"] == "drops":
            raise ConnectionAbortedError("broken off on purpose")
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def answer(self, send: Any, content_type: str, data: bytes) -> None:
        await send(start(content_type))
        await send({"type": "http.response.body", "body": data})

    def whole(self, model: str) -> dict[str, Any]:
        if model == "empty":
            return {"choices": []}
        message: dict[str, Any] = {"role": "assistant", "content": "Elle dure 27 mois [1], sûr [1, 9]."}
        if model == "calls":
            message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        reason = {"cut": "length", "calls": "tool_calls"}.get(model, "stop")
        return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": USAGE}

    def chunks(self, model: str) -> Iterator[dict[str, Any]]:
        deltas: list[dict[str, Any]] = [
            {"role": "assistant", "content": "Elle dure 27 mois [1"},
            {"content": "], sûr."},
        ]
        if model == "calls":
            head = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "météo", "arguments": ""}}
            parts = ['{"ville": ', '"Évreux"}']
            deltas = [{"tool_calls": [head]}]
            deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in parts]
        for delta in deltas:
            yield {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        reason = {"cut": "length", "calls": "tool_calls"}.get(model, "stop")
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
        yield {"choices": [], "usage": USAGE}


CALL = {"id": "call_1", "type": "function", "function": {"name": "météo", "arguments": '{"ville": "Évreux"}'}}


def start(content_type: str) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type.encode())]}


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def desk(tmp_path: Path, models_folder: Path, scripted: Scripted) -> AsyncIterator[Desk]:
    with served(scripted) as url:
        connections = (
            Connection(name="scripted", kind="openai", url=f"{url}/v1"),
            Connection(name="functions", kind="functions"),
        )
        async with open_desk(tmp_path, models_folder, models=Models(connections=connections, aliases={})) as opened:
            yield opened


def search(*store_ids: str, **more: Any) -> Any:
    return {"type": "file_search", "vector_store_ids": list(store_ids), **more}


async def test_an_answer_from_a_vector_store_cites_its_files(desk: Desk, scripted: Scripted) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    file_id = await desk.upload(ada, "pompe.txt", PUMP, année=2024)
    store = await desk.collection(ada, "s", file_id)
    answer = await client.responses.create(
        model="cites",
        input=ASKED,
        instructions="Réponds en français.",
        tools=[search(store)],
        include=["file_search_call.results"],
        temperature=0.2,
        top_p=0.9,
        max_output_tokens=100,
        metadata={"clé": "valeur"},
        store=True,
    )
    call, message = answer.output
    assert isinstance(call, ResponseFileSearchToolCall)
    assert (call.status, call.queries) == ("completed", [ASKED])
    assert call.results is not None
    [found] = call.results
    assert (found.file_id, found.filename, found.text) == (file_id, "pompe.txt", PUMP)
    assert found.attributes == {"année": 2024}
    assert isinstance(message, ResponseOutputMessage)
    [part] = message.content
    assert isinstance(part, ResponseOutputText)
    assert (answer.output_text, part.text) == (part.text, "Elle dure 27 mois [1], sûr [1, 9].")
    assert [
        (one.type, one.index, one.file_id, one.filename)
        for one in part.annotations
        if isinstance(one, AnnotationFileCitation)
    ] == [("file_citation", 18, file_id, "pompe.txt"), ("file_citation", 27, file_id, "pompe.txt")]
    assert (answer.status, answer.object, answer.metadata) == ("completed", "response", {"clé": "valeur"})
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (11, 4, 15)
    assert answer.model_dump()["store"] is False
    [sent] = scripted.seen
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.2, 0.9, 100)
    assert sent["messages"][0] == {"role": "system", "content": "Réponds en français."}
    assert PUMP in sent["messages"][1]["content"]
    assert not {"tools", "tool_choice", "metadata", "store", "include", "input"} & set(sent)
    brief = await client.responses.create(model="cites", input=ASKED, tools=[search(store)])
    assert isinstance(brief.output[0], ResponseFileSearchToolCall)
    assert brief.output[0].results is None


async def test_a_stream_has_the_events_in_order_and_ends_with_the_whole_response(desk: Desk) -> None:
    ada = await desk.person("ada")
    store = await desk.collection(ada, "s", await desk.upload(ada, "pompe.txt", PUMP))
    async with sdk(desk, ada).responses.stream(
        model="cites", input=ASKED, tools=[search(store)], include=["file_search_call.results"]
    ) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(16))
    assert final.output_text == "Elle dure 27 mois [1], sûr."
    assert [item.type for item in final.output] == ["file_search_call", "message"]
    assert final.usage is not None
    assert final.usage.total_tokens == 15
    assert {event.response.id for event in events if event.type in ("response.created", "response.completed")} == {
        final.id
    }


async def test_a_function_is_asked_for_and_its_result_goes_back_to_the_model(desk: Desk, scripted: Scripted) -> None:
    client = sdk(desk, await desk.person("ada"))
    tools: Any = [WEATHER]
    first = await client.responses.create(model="calls", input="Quel temps ?", tools=tools, tool_choice="required")
    [call] = first.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, call.call_id, call.arguments) == ("météo", "call_1", '{"ville": "Évreux"}')
    [sent] = scripted.seen
    assert sent["tools"] == [{"type": "function", "function": {k: v for k, v in WEATHER.items() if k != "type"}}]
    assert sent["tool_choice"] == "required"
    items: Any = [
        {"role": "user", "content": [{"type": "input_text", "text": "Quel temps ?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        *(item.model_dump(exclude_none=True) for item in first.output),
        {"type": "function_call_output", "call_id": "call_1", "output": "Il pleut à Évreux."},
    ]
    await client.responses.create(model="cites", input=items, tools=tools)
    assert scripted.seen[1]["messages"] == [
        {"role": "user", "content": "Quel temps ?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Il pleut à Évreux."},
    ]
    named = await client.responses.create(
        model="calls", input="Quel temps ?", tools=tools, tool_choice={"type": "function", "name": "météo"}
    )
    assert named.output[0].type == "function_call"
    assert scripted.seen[2]["tool_choice"] == {"type": "function", "function": {"name": "météo"}}


async def test_a_call_comes_in_pieces_in_a_stream(desk: Desk) -> None:
    client = sdk(desk, await desk.person("ada"))
    tools: Any = [WEATHER]
    async with client.responses.stream(model="calls", input="Quel temps ?", tools=tools) as stream:
        kinds = [event.type.removeprefix("response.") async for event in stream]
        final = await stream.get_final_response()
    assert kinds[2:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    [call] = final.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, call.call_id, call.arguments) == ("météo", "call_1", '{"ville": "Évreux"}')


async def test_every_kind_of_message_reaches_the_model(desk: Desk, scripted: Scripted) -> None:
    ada = await desk.person("ada")
    items: Any = [
        {"role": "developer", "content": "Sois bref."},
        {"type": "message", "role": "user", "content": "Bonjour"},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Salut !", "annotations": []}],
        },
        {"type": "file_search_call", "id": "fs_1", "queries": ["x"], "status": "completed"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Qu'est-ce ?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
            ],
        },
    ]
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    text: Any = {"format": {"type": "json_schema", "name": "réponse", "schema": schema, "strict": True}}
    await sdk(desk, ada).responses.create(model="cites", input=items, text=text)
    [sent] = scripted.seen
    assert sent["messages"] == [
        {"role": "system", "content": "Sois bref."},
        {"role": "user", "content": "Bonjour"},
        {"role": "assistant", "content": "Salut !"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Qu'est-ce ?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
            ],
        },
    ]
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "réponse", "schema": schema, "strict": True},
    }


async def test_filters_number_and_threshold_choose_the_passages(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    pump, mill = await desk.upload(ada, "p.txt", PUMP, lang="fr"), await desk.upload(ada, "m.txt", MILL, lang="en")
    store = await desk.collection(ada, "s", pump, mill)

    async def found(**more: Any) -> set[str | None]:
        answer = await client.responses.create(
            model="extractive", input=ASKED, tools=[search(store, **more)], include=["file_search_call.results"]
        )
        assert isinstance(answer.output[0], ResponseFileSearchToolCall)
        return {one.file_id for one in answer.output[0].results or ()}

    assert await found() == {pump, mill}
    assert await found(max_num_results=1) == {pump}
    assert await found(filters={"type": "eq", "key": "lang", "value": "fr"}) == {pump}
    assert await found(filters={"type": "eq", "key": "lang", "value": "de"}) == set()
    assert await found(ranking_options={"score_threshold": 1.0}) == set()
    none = await client.responses.create(model="extractive", input=ASKED, tools=[search(store)], tool_choice="none")
    assert [item.type for item in none.output] == ["message"]


async def test_an_answer_that_was_cut_off_is_incomplete(desk: Desk) -> None:
    client = sdk(desk, await desk.person("ada"))
    answer = await client.responses.create(model="cut", input="Bonjour")
    assert (answer.status, answer.incomplete_details and answer.incomplete_details.reason) == (
        "incomplete",
        "max_output_tokens",
    )
    events = [event async for event in await client.responses.create(model="cut", input="Bonjour", stream=True)]
    assert events[-1].type == "response.incomplete"


async def test_a_back_end_that_is_lost_in_mid_stream_fails_the_response(desk: Desk) -> None:
    client = sdk(desk, await desk.person("ada"))
    events = [event async for event in await client.responses.create(model="drops", input="Bonjour", stream=True)]
    last = events[-1]
    assert last.type == "response.failed"
    assert (last.response.status, last.response.output[0].to_dict()["status"]) == ("failed", "incomplete")
    assert last.response.error is not None
    assert "scripted" in last.response.error.message
    with pytest.raises(openai.InternalServerError) as lost:
        await client.responses.create(model="empty", input="Bonjour")
    assert lost.value.status_code == 502


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        pytest.param({"previous_response_id": "resp_1"}, 400, "earlier messages in `input`", id="previous"),
        pytest.param({"conversation": "conv_1"}, 400, "earlier messages in `input`", id="conversation"),
        pytest.param({"background": True}, 400, "background", id="background"),
        pytest.param({"prompt": {"id": "p"}}, 400, "prompt", id="prompt"),
        pytest.param({"tools": [{"type": "web_search"}]}, 400, "'web_search'", id="web-search"),
        pytest.param({"tools": [search("a"), search("b")]}, 400, "twice", id="two-searches"),
        pytest.param({"tools": [search()]}, 422, "vector_store_ids", id="no-store"),
        pytest.param({"tools": [search(NONE)]}, 404, NONE, id="unknown-store"),
        pytest.param({"tools": [search(NONE, filters={"type": "like"})]}, 422, "file_search.filters", id="filter"),
        pytest.param({"input": [{"type": "item_reference", "id": "a"}]}, 400, "input[0]", id="reference"),
        pytest.param({"input": [{"role": "robot", "content": "a"}]}, 400, "'robot'", id="role"),
        pytest.param({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, 400, "file_search", id="file"),
        pytest.param({"input": [{"role": "user", "content": 1}]}, 400, "input[0].content", id="number"),
        pytest.param({"input": [{"type": "computer_call"}]}, 400, "'computer_call'", id="item"),
        pytest.param({"text": {"format": {"type": "xml"}}}, 400, "text.format", id="format"),
        pytest.param({"tools": [WEATHER], "tool_choice": {"type": "shell"}}, 400, "tool_choice", id="choice"),
        pytest.param({"model": "nobody"}, 404, "nobody", id="model"),
        pytest.param({"temperature": 3}, 422, "temperature", id="temperature"),
    ],
)
async def test_what_cannot_be_done_is_refused_before_any_model_is_asked(
    desk: Desk, scripted: Scripted, body: dict[str, Any], status: int, said: str
) -> None:
    ada = await desk.person("ada")
    answer = await ada.client.post("/v1/responses", json={"model": "cites", "input": "Bonjour", "stream": True} | body)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert scripted.seen == []


async def test_another_users_store_is_one_that_does_not_exist(desk: Desk, scripted: Scripted) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    store = await desk.collection(ada, "s", await desk.upload(ada, "pompe.txt", PUMP))
    answers = [
        await bob.client.post("/v1/responses", json={"model": "cites", "input": ASKED, "tools": [search(id)]})
        for id in (store, NONE)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(store, NONE) == answers[1].text
    assert scripted.seen == []


async def test_no_response_can_be_read_again(desk: Desk) -> None:
    client = sdk(desk, await desk.person("ada"))
    made = await client.responses.create(model="cites", input="Bonjour")
    with pytest.raises(openai.NotFoundError, match="nothing is stored"):
        await client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError, match="nothing is stored"):
        await client.responses.delete(made.id)


async def test_chat_completions_below_v1_take_files_too(desk: Desk, scripted: Scripted) -> None:
    ada = await desk.person("ada")
    file_id = await desk.upload(ada, "pompe.txt", PUMP)
    answer = await sdk(desk, ada).chat.completions.create(
        model="cites",
        messages=[{"role": "user", "content": ASKED}],
        extra_body={"files": [{"type": "file", "id": file_id}]},
    )
    assert answer.model_extra is not None
    assert answer.model_extra["sources"][0]["document"] == [PUMP]
    assert PUMP in scripted.seen[0]["messages"][0]["content"]
