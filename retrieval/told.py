"""What an answer says of its retrieval: tokens, what was left out, what was searched for, and notes for the user."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ragline.types import Context, Json

USAGE = b'"usage"'


def retrieval_of(context: Context) -> dict[str, Json]:
    """Return the `retrieval` of a completion, and of a stream's first event."""
    return {
        "context_tokens": context.tokens,
        "left_out": context.left_out,
        "not_relevant": context.below,
        "searched": context.searched,
        "notes": list(context.notes),
    }


def counted(usage: Json, context: Context) -> dict[str, Json]:
    """Return a back end's `usage` with the tokens of the context, counted as the embedder does.

    One that says nothing, such as a function, gets the three numbers that clients read, as 0.
    """
    said = usage if isinstance(usage, Mapping) else {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return {**said, "context_tokens": context.tokens}


def events_counted(events: bytes, context: Context) -> bytes:
    """Return whole server-sent events with the tokens of the context in each `usage`; all others byte for byte."""
    if USAGE not in events:
        return events
    return b"\n".join(_line_counted(line, context) if USAGE in line else line for line in events.split(b"\n"))


def _line_counted(line: bytes, context: Context) -> bytes:
    data = line.removeprefix(b"data:").strip()
    try:
        chunk = json.loads(data) if line.startswith(b"data:") else None
    except (ValueError, RecursionError):
        return line
    if not isinstance(chunk, dict) or not isinstance(chunk.get("usage"), dict):
        return line
    chunk["usage"] = counted(chunk["usage"], context)
    ending = b"\r" if line.endswith(b"\r") else b""
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode("utf-8", "replace") + ending
