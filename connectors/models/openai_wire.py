"""OpenAI's chat format made from pieces of text: the whole completion, the events of a stream."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ragline.types import Json

DONE = b"data: [DONE]\n\n"
"""The last event of every stream."""


def new_id(prefix: str = "chatcmpl") -> str:
    return f"{prefix}-{uuid.uuid4()}"


def completion(
    model: str,
    text: str,
    *,
    finish_reason: str = "stop",
    usage: Mapping[str, Json] | None = None,
    id: str | None = None,
    extra: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """Return a whole `chat.completion` with one choice: a new id unless one is given, no `usage` unless known.

    `extra` holds further keys of the message, such as `tool_calls`.
    """
    message: dict[str, Json] = {"role": "assistant", "content": text, **(extra or {})}
    whole: dict[str, Json] = {
        "id": id or new_id(),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
    }
    if usage is not None:
        whole["usage"] = usage
    return whole


def chunk_event(
    id: str,
    created: int,
    model: str,
    delta: Mapping[str, Json],
    *,
    finish_reason: str | None = None,
    usage: Mapping[str, Json] | None = None,
) -> bytes:
    """Return one `chat.completion.chunk` as a server-sent event; `id` and `created` are the same in a whole stream."""
    chunk: dict[str, Json] = {
        "id": id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}],
    }
    if usage is not None:
        chunk["usage"] = usage
    return event(chunk)


def event(data: Json) -> bytes:
    """Return `data` as one server-sent event in UTF-8; half a surrogate pair becomes a question mark."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


def first_choice(answer: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the first choice of a whole answer or of a chunk; empty where it has none."""
    choices = listed(answer.get("choices"))
    return choices[0] if choices and isinstance(choices[0], Mapping) else {}


def listed(value: Json) -> Sequence[Json]:
    """Return a list; empty for what is none, such as `null` for no calls of tools."""
    return value if isinstance(value, list) else []


def objects_of(events: bytes) -> list[Mapping[str, Json]]:
    """Return the JSON objects in whole server-sent events, `[DONE]` left out; what is no JSON is left out, too."""
    found = []
    for line in events.split(b"\n"):
        data = line[5:].strip() if line.startswith(b"data:") else b""
        if data.startswith(b"{"):
            with suppress(ValueError):
                found.append(json.loads(data))
    return found
