"""A model server in OpenAI's and in Ollama's format for passing requests on: the model's name says how it behaves.

`tools` calls two tools, `drop` breaks off in its second piece, `gated` waits for `release`, `hang` until the client
leaves, `busy` refuses with 429, `page` sends a page, `short` has vectors of three numbers whatever is wished.
Everything else answers.
"""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.serving import body_of

MODELS = ("echo", "tools", "drop", "gated", "hang", "busy", "page", "short", "maker/model:7b")
TAGS = ("llama3.2:latest", "drop:latest", "hang:latest")
LINE = b'{"model": "m", "message": {"role": "assistant", "content": "\xc3\xa9"}, "done": false}\n'
WRITTEN = b'{"model": "m", "response": "\xc3\xa9", "done": false}\n'
LAST = (
    b'{"model": "m", "message": {"role": "assistant", "content": ""}, "done": true, '
    b'"prompt_eval_count": 10, "eval_count": 20}\n'
)
WRITTEN_LAST = b'{"model": "m", "response": "", "done": true, "prompt_eval_count": 10, "eval_count": 20}\n'


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"id": "c1", "choices": choices, **more}, ensure_ascii=False).encode() + b"\n\n"


def called(index: int, arguments: str, **named: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": named["name"]} if named else {})}
    return {"tool_calls": [{"index": index, **({"id": named["id"]} if named else {}), "function": function}]}


USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
DONE = b"data: [DONE]\n\n"
TEXT = [chunk({"role": "assistant", "content": "Où"}), chunk({"content": " ça ?"}), chunk({}, "stop"), DONE]
CALLS = [
    chunk({"content": "Voyons."}),
    chunk(called(0, "", id="t1", name="weather")),
    chunk(called(0, '{"city": "Orl')),
    chunk(called(0, 'éans"}')),
    chunk(called(1, "{}", id="t2", name="clock")),
    chunk({}, "tool_calls"),
    b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n",
    DONE,
]
TOOLS = [
    {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Orléans"}'}},
    {"id": "t2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
]
TEXTS = {"role": "assistant", "content": "Où ça ?"}


@dataclass
class Talker:
    """The server's app; `seen` has the path and the bytes of each POST."""

    url: str = ""
    tags: tuple[str, ...] = TAGS
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    left: threading.Event = field(default_factory=threading.Event)
    loop: asyncio.AbstractEventLoop | None = None

    def forget(self) -> None:
        """Begin anew, for the next test."""
        self.seen, self.released, self.left = [], asyncio.Event(), threading.Event()

    def release(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.released.set)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.loop = asyncio.get_running_loop()
        raw = await body_of(receive)
        path = scope["path"]
        if scope["method"] == "GET":
            listed = {"data": [{"id": name, "object": "model"} for name in MODELS]}
            tagged = {"models": [{"name": name, "model": name, "size": 1} for name in self.tags]}
            known = {"/v1/models": listed, "/api/tags": tagged, "/api/version": {"version": "0.12.9"}}
            await self.send(send, 200 if path in known else 404, known.get(path, {"error": f"no {path}"}))
            return
        self.seen.append((path, raw))
        await self.answer(path, json.loads(raw), receive, send)

    async def answer(self, path: str, body: dict[str, Any], receive: Any, send: Any) -> None:
        model = body.get("model", "").removesuffix(":latest")
        if model == "busy":
            await self.send(send, 429, {"error": {"message": "slow down"}}, retry_after="7")
        elif model == "page":
            await self.send(send, 200, b"<script>alert(1)</script>", content_type="text/html")
        elif path == "/v1/chat/completions" and body.get("stream"):
            await self.stream(receive, send, "text/event-stream", CALLS if model == "tools" else TEXT, model)
        elif path in {"/api/chat", "/api/generate"}:
            lines = [LINE, LINE, LAST] if path == "/api/chat" else [WRITTEN, WRITTEN_LAST]
            await self.stream(receive, send, "application/x-ndjson", lines, model)
        elif model == "hang":
            await self.stream(receive, send, "application/json", [b"{", b"}"], model)
        elif (whole := self.whole(path, body, model)) is not None:
            await self.send(send, 200, whole)
        else:
            await self.send(send, 404, {"error": f"no {path}"})

    def whole(self, path: str, body: dict[str, Any], model: str) -> dict[str, Any] | None:
        match path:
            case "/v1/chat/completions":
                called = {"message": {"role": "assistant", "content": None, "tool_calls": TOOLS}}
                said = {"message": TEXTS, "finish_reason": "length"}
                return {"id": "c1", "choices": [called if model == "tools" else said], "usage": USAGE}
            case "/v1/embeddings":
                size = 3 if model == "short" else body.get("dimensions") or 4
                rows = [{"index": at, "embedding": [0.5] * size} for at, _ in enumerate(body["input"])]
                return {"data": rows, "usage": USAGE}
            case "/api/embed":
                return {"embeddings": [[0.25] * 2 for _ in body["input"]], "prompt_eval_count": 9}
            case "/v1/messages/count_tokens" if model == "echo":
                return {"input_tokens": len(json.dumps(body).split())}
            case "/v1/completions" | "/v1/responses":
                return {"id": "r1", "asked": body, "usage": USAGE}
        return None

    async def send(self, send: Any, status: int, body: Any, **headers: str) -> None:
        fields = {"content-type": "application/json"} | {key.replace("_", "-"): headers[key] for key in headers}
        pairs = [(key.encode(), value.encode()) for key, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send(
            {"type": "http.response.body", "body": body if isinstance(body, bytes) else json.dumps(body).encode()}
        )

    async def stream(self, receive: Any, send: Any, content_type: str, pieces: list[bytes], model: str) -> None:
        headers = [(b"content-type", content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": pieces[0], "more_body": True})
        if model == "gated":
            async with asyncio.timeout(10):
                await self.released.wait()
        if model == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()
            return
        if model == "drop":
            await send({"type": "http.response.body", "body": pieces[1][:20], "more_body": True})
            raise ConnectionAbortedError("broken off on purpose")
        for piece in pieces[1:]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
