"""The texts in the messages of a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragline.types import Json


def text_in(message: Mapping[str, Json]) -> str:
    """Return the text of a message; parts that are not text are passed over."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    texts = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))


def last_user(messages: Sequence[Mapping[str, Json]]) -> int | None:
    """Return the position of the last message of the user."""
    return next((i for i in reversed(range(len(messages))) if messages[i].get("role") == "user"), None)


def question_in(messages: Sequence[Mapping[str, Json]]) -> str:
    """Return the text of the last user message."""
    position = last_user(messages)
    return "" if position is None else text_in(messages[position])
