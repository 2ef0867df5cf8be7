"""Is one JSON value, or one stream, compatible with another: every key there with the same type, the same order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LITERAL = (
    *("object", "role", "type", "token_type", "owned_by", "connection_type", "model", "index", "code"),
    *("finish_reason", "stop_reason", "stop_sequence", "done", "done_reason", "event"),
)
"""Keys whose value is part of the wire format, not of what was said."""

NULLABLE: Mapping[str, type] = {
    "hash": str,
    "error": str,
    "content": str,
    "files": list,
    "meta": dict,
    "data": dict,
    "directory_id": str,
    "logprobs": dict,
    "finish_reason": str,
    "stop_reason": str,
    "stop_sequence": str,
    "code": str,
}
"""Keys that are null in some answers of the reference, and what they are else."""

LEFT_OUT = re.compile(r"… \d+ (items|events|numbers) in all")
"""Where an example has been cut."""


KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def kind(value: Any) -> str:
    """Return the JSON type; whole numbers are their own, since clients index and count with them."""
    return KINDS[type(value)]


def differences(expected: Any, got: Any, path: str = "$") -> Iterator[str]:
    """Yield what a client of `expected` would miss in `got`; keys that are only in `got` do not matter."""
    name = path.rpartition(".")[2].partition("[")[0]
    if expected is None or got is None:
        allowed = {None: None} if name not in NULLABLE else {None: None, NULLABLE[name]: None}
        for value in (expected, got):
            if value is not None and type(value) not in allowed:
                yield f"{path}: {kind(expected)} expected, got {kind(got)}"
        return
    fits = {kind(expected)} | ({"integer"} if kind(expected) == "number" else set())
    if kind(got) not in fits:
        yield f"{path}: {kind(expected)} expected, got {kind(got)}"
    elif isinstance(expected, dict):
        yield from in_object(expected, got, path)
    elif isinstance(expected, list):
        yield from in_array(expected, got, path)
    elif name in LITERAL and ".user." not in path and expected != got:
        yield f"{path}: {expected!r} expected, got {got!r}"


FREE = frozenset({"input", "ctx"})
"""Of a validation error: we do not send back what was sent."""


def in_object(expected: Mapping[str, Any], got: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in expected.items():
        if key in got and key in FREE:
            continue
        if key in got:
            yield from differences(value, got[key], f"{path}.{key}")
        else:
            yield f"{path}.{key}: missing"


def in_array(expected: Sequence[Any], got: Sequence[Any], path: str) -> Iterator[str]:
    """Each item has to be like one of the example's; where that was cut, other sorts of models were left out."""
    samples = [each for each in expected if not (isinstance(each, str) and LEFT_OUT.fullmatch(each))]
    if samples and not got:
        yield f"{path}: items expected, got none"
    if len(samples) < len(expected):
        sorts = [sort_of(sample) for sample in samples]
        got = [item for item in got if sort_of(item) in sorts]
        if not got:
            yield f"{path}: nothing like {sorts}"
    for position, item in enumerate(got if samples else ()):
        found = [[*differences(sample, item, f"{path}[{position}]")] for sample in samples]
        yield from min(found, key=len)


def sort_of(item: Any) -> Any:
    return item.get("owned_by") if isinstance(item, dict) else None


def step(event: Any) -> str:
    """Return what an event of a stream is: its name where it has one, else what it brings."""
    if event == "[DONE]":
        return "done"
    if not isinstance(event, dict):
        return kind(event)
    for key in ("sources", "status", "error"):
        if key in event:
            return key
    if choices := event.get("choices"):
        return "finish" if choices[0].get("finish_reason") else "text"
    if "done" in event:
        return "finish" if event["done"] else "text"
    return str(event.get("type") or "usage")


def steps(events: Sequence[Any]) -> list[str]:
    """Return the order of a stream: the kinds of its events, those that follow each other once."""
    named = [step(event) for event in events if not (isinstance(event, str) and LEFT_OUT.fullmatch(event))]
    return [name for position, name in enumerate(named) if position == 0 or name != named[position - 1]]


def stream_differences(expected: Sequence[Any], got: Sequence[Any]) -> Iterator[str]:
    """Yield what differs in order, and in the events: each has to be like one of its kind."""
    if steps(expected) != steps(got):
        yield f"order: {steps(expected)} expected, got {steps(got)}"
    for position, event in enumerate(got):
        alike = [each for each in expected if step(each) == step(event)]
        found = [[*differences(sample, event, f"${position}")] for sample in alike]
        yield from min(found, key=len, default=[])
