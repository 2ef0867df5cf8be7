"""What functions yield turned into OpenAI's chat format: the events of a stream, the whole completion."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ragline.connectors.models.openai_wire import DONE, chunk_event, completion, listed, new_id, objects_of
from ragline.errors import BackendError
from ragline.functions import Piece
from ragline.types import Json

DELTA_KEYS = frozenset(
    {"role", "content", "tool_calls", "function_call", "refusal", "reasoning_content", "annotations"}
)
CHUNK_KEYS = frozenset({"choices", "usage", "finish_reason"})
JOINED = ("reasoning_content", "refusal")
"""Keys of a delta whose texts are parts of one, as `content` is."""

EXPECTED = "text (str), or a delta or chunk of OpenAI's (dict) with " + ", ".join(sorted(DELTA_KEYS | CHUNK_KEYS))


class WrongPiece(Exception):
    """Something that is no part of an answer."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer, checked: `delta` as OpenAI has it, why the answer ended, what it used."""

    delta: Mapping[str, Json]
    finish_reason: str | None = None
    usage: Mapping[str, Json] | None = None


def part_of(piece: object) -> Part:
    """Return what a function yielded as part of an answer. Raises WrongPiece that says what is accepted."""
    if isinstance(piece, str):
        return Part({"content": piece.encode("utf-8", "replace").decode()})
    dump = getattr(piece, "model_dump", None)  # the OpenAI client's chunks are pydantic's
    chunk = dump(mode="json", exclude_unset=True) if callable(dump) else piece
    if not isinstance(chunk, Mapping):
        raise WrongPiece(f"{type(piece).__name__} instead of {EXPECTED}")
    return _part(_json(chunk))


def _json(chunk: Mapping[Any, Any]) -> dict[str, Any]:
    """Return plain JSON that can be sent: no NaN, no halves of characters."""
    try:
        plain: dict[str, Any] = orjson.loads(orjson.dumps(dict(chunk)))
    except (TypeError, ValueError) as error:
        raise WrongPiece(f"a dict that is no JSON ({error}) instead of {EXPECTED}") from error
    return plain


def _part(chunk: Mapping[str, Any]) -> Part:
    usage, reason = chunk.get("usage"), chunk.get("finish_reason")
    if isinstance(chunk.get("choices"), list):
        choice = next((each for each in chunk["choices"] if isinstance(each, dict)), {})
        delta, reason = choice.get("delta") or choice.get("message") or {}, choice.get("finish_reason")
    else:
        delta = {key: value for key, value in chunk.items() if key not in CHUNK_KEYS}
        if not delta.keys() <= DELTA_KEYS or not chunk:
            raise WrongPiece(f"a dict with {', '.join(sorted(chunk)) or 'nothing'} instead of {EXPECTED}")
    if not isinstance(delta, dict) or not isinstance(delta.get("content"), str | None):
        raise WrongPiece(f"a dict whose `content` is no text instead of {EXPECTED}")
    if not isinstance(delta.get("tool_calls"), list | None) or not isinstance(usage, dict | None):
        raise WrongPiece("a dict whose `tool_calls` is no list, or whose `usage` is no object")
    return Part(delta, reason if isinstance(reason, str) else None, usage)


def pieces_in(events: bytes) -> Sequence[Piece]:
    """Return what whole server-sent events hold, as functions yield it: texts, and dicts for everything else.

    Raises BackendError for one that reports an error.
    """
    found: list[Piece] = []
    for chunk in objects_of(events):
        if "error" in chunk:
            raise BackendError(f"the other model's answer broke off: {str(chunk['error'])[:200]}")
        if "choices" not in chunk and "usage" not in chunk:
            continue
        part = _part({"choices": [], **chunk})
        rest: dict[str, Json] = {key: value for key, value in part.delta.items() if key not in ("role", "content")}
        if content := part.delta.get("content"):
            found.append(str(content))
        if part.usage is not None:
            rest["usage"] = part.usage
        if part.finish_reason not in (None, "stop"):
            rest["finish_reason"] = part.finish_reason
        if rest:
            found.append(rest)
    return found


async def events_of(model: str, parts: AsyncIterator[Part]) -> AsyncGenerator[bytes, None]:
    """Yield the events of an answer as its parts come: the role, the deltas, the end with `usage`, `[DONE]`."""
    id, created = new_id(), int(time.time())
    usage, reason, called = None, None, False
    yield chunk_event(id, created, model, {"role": "assistant", "content": ""})
    async for part in parts:
        usage, reason = part.usage or usage, part.finish_reason or reason
        delta = {key: value for key, value in part.delta.items() if key != "role"}
        called = called or bool(delta.get("tool_calls"))
        if delta:
            yield chunk_event(id, created, model, delta)
    yield chunk_event(id, created, model, {}, finish_reason=reason or _end(called), usage=usage)
    yield DONE


def whole_of(model: str, parts: Sequence[Part]) -> dict[str, Json]:
    """Return the whole `chat.completion` that the parts make."""
    text = "".join(str(part.delta.get("content") or "") for part in parts)
    extra: dict[str, Json] = {}
    for part in parts:
        for key, value in part.delta.items():
            if key in JOINED and isinstance(value, str):
                extra[key] = f"{extra.get(key) or ''}{value}"
            elif key not in ("role", "content", "tool_calls"):
                extra[key] = value
    if calls := _joined_calls(parts):
        extra["tool_calls"] = calls
    reason = next((part.finish_reason for part in reversed(parts) if part.finish_reason), None)
    usage = next((part.usage for part in reversed(parts) if part.usage), None)
    return completion(model, text, finish_reason=reason or _end(bool(calls)), usage=usage, extra=extra)


def _end(called: bool) -> str:
    return "tool_calls" if called else "stop"


def _joined_calls(parts: Sequence[Part]) -> list[Json]:
    """Return the calls of tools: parts with the same `index` are one, their arguments joined."""
    calls: dict[object, dict[str, Any]] = {}
    for part in parts:
        for call in listed(part.delta.get("tool_calls")):
            if not isinstance(call, dict):
                continue
            known = calls.setdefault(call.get("index", f"new {len(calls)}"), {})
            function = {**(known.get("function") or {})}
            for key, value in (call.get("function") or {}).items():
                joined = key == "arguments" and isinstance(value, str)
                function[key] = (function.get(key) or "") + value if joined else value
            known |= {key: value for key, value in call.items() if value is not None}
            known["function"] = function
    return [{"type": "function", **call} for call in calls.values()]
