"""A model back end in OpenAI's format whose model calls the tool that it is given, and then says what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.serving import served

from .running import Running, start

MODEL = "caller"


def create_backend() -> FastAPI:
    backend = FastAPI(openapi_url=None)

    @backend.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "tests"}]}

    @backend.post("/v1/chat/completions")
    async def chat(body: dict[str, Any]) -> Response:
        choice = answer(body)
        if body.get("stream"):
            return StreamingResponse(chunks(choice), media_type="text/event-stream")
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        return JSONResponse(whole({"choices": [choice], "object": "chat.completion", "usage": usage}))

    return backend


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Return the choice: a call of the first tool until a message of the role `tool` has its result."""
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if body.get("tools") and not results:
        function = {"name": body["tools"][0]["function"]["name"], "arguments": json.dumps({"city": "Orléans"})}
        call = {"id": "call_1", "index": 0, "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return {"index": 0, "message": message, "finish_reason": "tool_calls"}
    text = f"Il fait {results[-1]}." if results else "Bonjour."
    return {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}


def whole(more: dict[str, Any]) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "created": 1700000000, "model": MODEL} | more


def chunks(choice: dict[str, Any]) -> Iterator[str]:
    """Yield the choice in two events, the end in one more, and `[DONE]`."""
    message = choice["message"]
    deltas = [{"role": "assistant", "content": ""}, {key: message[key] for key in message if key != "role"}, {}]
    for delta in deltas:
        part = {"index": 0, "delta": delta, "finish_reason": None if delta else choice["finish_reason"]}
        yield f"data: {json.dumps(whole({'choices': [part], 'object': 'chat.completion.chunk'}))}\n\n"
    yield "data: [DONE]\n\n"


@contextmanager
def serving_calls(data_dir: Path, models: Path) -> Iterator[Running]:
    """Run a server whose only model calls tools."""
    with served(create_backend()) as url:
        settings = {
            "RAGLINE_PREFECT__ENABLED": "false",
            "RAGLINE_MODELS__ALIASES": "{}",
            "RAGLINE_MODELS__CONNECTIONS": json.dumps([{"name": "calling", "kind": "openai", "url": f"{url}/v1"}]),
        }
        running = start(data_dir, models, settings)
        yield running
        running.stop()
