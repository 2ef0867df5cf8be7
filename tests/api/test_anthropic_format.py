"""OpenAI's chats in Anthropic's format, and back: what the blocks and the events of a stream become."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from ragline.api.anthropic_chat import message_of, question_of
from ragline.api.anthropic_stream import anthropic_events
from ragline.api.anthropic_wire import MessagesBody
from ragline.errors import BackendError

from .talker import CALLS, TEXT, chunk


def events(text: str) -> list[dict[str, Any]]:
    """Return the data of server-sent events, whose names must be their types."""
    found = []
    for event in text.strip().split("\n\n"):
        name, data = event.split("\n", 1)
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def test_blocks_become_messages_of_openai() -> None:
    body = MessagesBody.model_validate(
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Quel temps ?"}]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "…", "signature": "s"},
                        {"type": "text", "text": "Voyons."},
                        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Orléans"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "été"}]},
                        {"type": "document", "title": "Note", "source": {"type": "text", "data": "é"}},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                    ],
                },
            ],
            "tools": [{"name": "weather", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "stream": True,
        }
    )
    question = question_of(body)
    call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Orléans"}'}}
    assert question.messages == [
        {"role": "user", "content": "Quel temps ?"},
        {"role": "assistant", "content": "Voyons.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "été"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Note\né"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ],
        },
    ]
    declared = {"name": "weather", "description": "d", "parameters": {"type": "object"}}
    assert question.parameters == {
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": declared}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }


async def stream(pieces: list[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def translated(pieces: list[bytes]) -> list[dict[str, Any]]:
    return events(b"".join([event async for event in anthropic_events(stream(pieces), model="m")]).decode())


async def test_a_stream_has_anthropics_events_in_order() -> None:
    found = await translated([b'data: {"sources": [{"document": ["\xc3\xa9"]}]}\n\n', *TEXT])
    assert [event["type"] for event in found] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    message = found[0]["message"]
    assert message.pop("id").startswith("msg")
    assert message == {
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "m",
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "sources": [{"document": ["é"]}],
    }
    assert found[1] == {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    assert found[2] == {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Où"}}
    assert found[5]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


async def test_calls_of_tools_are_blocks_one_after_the_other() -> None:
    found = await translated(CALLS)
    blocks = [(event["index"], event["type"].removeprefix("content_block_")) for event in found[1:-2]]
    assert blocks == [
        (0, "start"),
        (0, "delta"),
        (0, "stop"),
        (1, "start"),
        (1, "delta"),
        (1, "delta"),
        (1, "stop"),
        (2, "start"),
        (2, "delta"),
        (2, "stop"),
    ]
    assert found[4]["content_block"] == {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
    assert found[5]["delta"] == {"type": "input_json_delta", "partial_json": '{"city": "Orl'}
    assert found[-2]["delta"]["stop_reason"] == "tool_use"
    assert found[-2]["usage"] == {"input_tokens": 7, "output_tokens": 5}


async def test_calls_without_numbers_are_told_apart_by_their_ids() -> None:
    def call(**more: Any) -> bytes:
        return chunk({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}, **more}]})

    found = await translated([call(id="a"), call(id="b")])
    ids = [event["content_block"]["id"] for event in found if event["type"] == "content_block_start"]
    assert ids == ["a", "b"]


async def test_a_lost_back_end_ends_the_stream_with_an_error() -> None:
    found = await translated([TEXT[0], b'data: {"error": {"message": "perdu"}}\n\n', b"data: [DONE]\n\n"])
    assert [event["type"] for event in found[-2:]] == ["content_block_stop", "error"]
    assert found[-1]["error"] == {"type": "api_error", "message": "perdu"}


async def test_an_empty_answer_is_an_empty_text() -> None:
    assert [event["type"] for event in await translated([b"data: [DONE]\n\n"])] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize(
    ("completion", "why"),
    [
        ({}, "no message"),
        ({"choices": [{}]}, "no message"),
        ({"choices": [{"message": {"tool_calls": ["x"]}}]}, "no function"),
        ({"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": "["}}]}}]}, "no JSON object"),
    ],
)
def test_what_is_no_answer_is_an_error_of_the_back_end(completion: Any, why: str) -> None:
    with pytest.raises(BackendError, match=f"open: .*{why}"):
        message_of(completion, model="m", backend="open")


def test_a_stop_sequence_that_the_back_end_names_is_told() -> None:
    choice: dict[str, Any] = {"message": {"content": "a"}, "finish_reason": "stop", "stop_reason": "FIN"}
    message = message_of({"choices": [choice]}, model="m", backend="open")
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "FIN")
