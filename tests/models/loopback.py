"""A model server on a loopback port, in OpenAI's and in Ollama's format; the model's name says how it behaves.

`gated` waits for `release()` after its first piece, `hang` until the client leaves, `drop` breaks off in its second
piece, `bytewise` sends seven bytes at a time, `429`, `500`, `html`, `moved` and `missing` refuse. Everything else
answers. Below `/slow` the lists of models never come, below `/odd` the list is the bytes in `odd_list`. `window` is
what `/api/show` says of every model.
"""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.serving import body_of

STATS = {
    "total_duration": 5_000_000,
    "load_duration": 1_000_000,
    "prompt_eval_count": 10,
    "prompt_eval_duration": 1_000_000,
    "eval_count": 20,
    "eval_duration": 2_000_000,
}
TAG: dict[str, Any] = {
    "name": "llama3.2:latest",
    "model": "llama3.2:latest",
    "modified_at": "2025-01-01T00:00:00.000000Z",
    "size": 2019393189,
    "digest": "17177962e7130a9fe50f07d9058650327164635c12fc381fedc3c2a552886b30",
    "details": {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"]},
}
CALL = {"function": {"name": "weather", "arguments": {"city": "Orléans"}}}
REFUSALS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "429": (429, b'{"error": {"message": "slow down"}}', {"retry-after": "7"}),
    "500": (500, b'{"error": {"message": "broken"}}', {}),
    "missing": (404, b'{"error": "model \'missing\' not found"}', {}),
    "nan": (200, b'{"choices": NaN}', {}),
    "half": (200, b'{"choices": "\\ud800"}', {}),
    "deep": (200, b'{"choices": ' + b"[" * 9000 + b"]" * 9000 + b"}", {}),
    "html": (200, b"<html>a page</html>", {"content-type": "text/html"}),
    "moved": (301, b"", {"location": "/elsewhere"}),
}


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


def sse(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    chunk = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


SSE = [sse({"role": "assistant", "content": "é"}), sse({"content": "ON\u0085E"}), sse({}, "stop"), b"data: [DONE]\n\n"]


def line(**more: Any) -> bytes:
    return json.dumps({"model": "m", "created_at": "t", "done": False, **more}, ensure_ascii=False).encode() + b"\n"


def ollama_lines(model: str) -> list[bytes]:
    message: dict[str, Any] = {"role": "assistant", "content": "é"}
    if model == "calls":
        message = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    first, second = line(message=message), line(message={"role": "assistant", "content": "ON\u0085E"})
    last = line(message={"role": "assistant", "content": ""}, done_reason="stop", **STATS | {"done": True})
    match model:
        case "calls":
            return [first, last]
        case "midway":
            return [first, b'{"error": "out of memory"}\n']
        case "short":
            return [first]
    return [first, second, last]


@dataclass
class Loopback:
    """The server's app and what it saw. Reset between tests by `forget`."""

    url: str = ""
    odd_list: bytes = b""
    window: dict[str, Any] | None = None
    seen: list[Seen] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None

    def forget(self) -> None:
        self.seen, self.left, self.released = [], threading.Event(), asyncio.Event()
        self.window = None

    def release(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.released.set)

    async def client_left(self) -> bool:
        return await asyncio.to_thread(self.left.wait, 5)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.loop = asyncio.get_running_loop()
        raw = await body_of(receive)
        body = json.loads(raw) if raw else {}
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        self.seen.append(Seen(scope["method"], scope["path"], headers, body))
        await self._answer(scope["path"], body, receive, send)

    async def _answer(self, path: str, body: dict[str, Any], receive: Any, send: Any) -> None:
        model = body.get("model", "")
        if path.startswith("/slow"):
            await self._until_left(receive)
        elif path in {"/odd/models", "/odd/api/tags"}:
            await self._send(send, 200, self.odd_list)
        elif model in REFUSALS:
            await self._send(send, *REFUSALS[model])
        elif path == "/v1/models":
            listing = [{"id": "echo", "object": "model", "created": 1700000000, "owned_by": "loopback"}, {"no": "id"}]
            await self._send(send, 200, {"object": "list", "data": listing})
        elif path == "/v1/embeddings":
            rows = [{"index": index, "embedding": [float(len(text))]} for index, text in enumerate(body["input"])]
            await self._send(send, 200, {"data": rows[::-1][model == "fewer" :]})
        elif path == "/api/tags":
            await self._send(send, 200, {"models": [TAG]})
        elif path == "/api/show" and self.window is not None:
            await self._send(send, 200, self.window)
        elif path == "/api/embed":
            await self._send(send, 200, {"embeddings": [[float(len(text))] for text in body["input"]]})
        elif path in {"/v1/chat/completions", "/api/chat"} and not body.get("stream"):
            await self._send(send, 200, self._whole(path, model))
        elif path == "/v1/chat/completions":
            await self._stream(receive, send, "text/event-stream", SSE[: -1 if model == "no-done" else None], model)
        elif path in {"/api/chat", "/api/generate"}:
            await self._stream(receive, send, "application/x-ndjson", ollama_lines(model), model)
        else:
            await self._send(send, 404, {"error": f"no {path}"})

    def _whole(self, path: str, model: str) -> dict[str, Any]:
        if path == "/v1/chat/completions":
            return {"id": "x", "choices": [{"message": {"content": "éONE"}}], "system_fingerprint": "loopback"}
        message: dict[str, Any] = {"role": "assistant", "content": "éONE"}
        if model == "calls":
            message = {"role": "assistant", "content": "", "tool_calls": [CALL]}
        return {"model": model, "message": message, "done_reason": "length", "done": True, **STATS}

    async def _send(self, send: Any, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        fields = {"content-type": "application/json", **(headers or {})}
        await self._start(send, status, fields)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        await send({"type": "http.response.body", "body": data})

    async def _start(self, send: Any, status: int, headers: dict[str, str]) -> None:
        pairs = [(key.encode(), value.encode()) for key, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _stream(self, receive: Any, send: Any, content_type: str, pieces: list[bytes], model: str) -> None:
        async def more(piece: bytes) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

        await self._start(send, 200, {"content-type": content_type})
        if model == "bytewise":
            whole = b"".join(pieces)
            pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
        await more(pieces[0])
        match model:
            case "gated":
                async with asyncio.timeout(10):
                    await self.released.wait()
            case "hang":
                await self._until_left(receive)
                return
            case "drop":
                await more(pieces[1][:20])
                raise ConnectionAbortedError("broken off on purpose")
        for piece in pieces[1:]:
            await more(piece)
        await send({"type": "http.response.body", "body": b""})

    async def _until_left(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()
