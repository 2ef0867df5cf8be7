"""OpenAI's stream as Anthropic's events."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from ragline.api.anthropic_chat import stopped, usage_of
from ragline.connectors.models.openai_wire import first_choice, listed, new_id, objects_of
from ragline.types import Json


async def anthropic_events(chat: AsyncGenerator[bytes, None], *, model: str) -> AsyncGenerator[bytes, None]:
    """Yield Anthropic's events as those of a chat come; a back end that is lost ends them with `error`.

    `sources` of the chat are in `message_start.message`.
    """
    answer = Answer(model)
    async with aclosing(chat):
        async for events in chat:
            for data in objects_of(events):
                for event in answer.take(data):
                    yield event
                if answer.lost:
                    return
        for event in answer.end():
            yield event


@dataclass(slots=True)
class Answer:
    """An answer on its way. Blocks are numbered from 0; at most one is open, text or a call of a tool."""

    model: str
    lost: bool = False
    _begun: bool = False
    _sources: Json = None
    _blocks: int = 0
    _open: int | None = None
    _text_open: bool = False
    _calls: dict[int, int] = field(default_factory=dict)
    _stopped: Mapping[str, Json] = field(default_factory=lambda: stopped({}))
    _usage: Mapping[str, Json] = field(default_factory=lambda: usage_of(None))

    def take(self, data: Mapping[str, Json]) -> Iterator[bytes]:
        """Yield the events that one object of the chat's stream becomes."""
        if "sources" in data and "choices" not in data:
            self._sources = data["sources"]
            return
        yield from self._begin()
        if error := data.get("error"):
            self.lost = True
            yield from self._close()
            message = error.get("message") if isinstance(error, Mapping) else error
            yield named("error", error={"type": "api_error", "message": str(message)})
            return
        if isinstance(data.get("usage"), Mapping):
            self._usage = usage_of(data["usage"])
        yield from self._take(first_choice(data))

    def end(self) -> Iterator[bytes]:
        """Yield what ends a stream."""
        yield from self._begin()
        if not self._blocks:
            yield from self._start_text()
        yield from self._close()
        yield named("message_delta", delta=self._stopped, usage=self._usage)
        yield named("message_stop")

    def _begin(self) -> Iterator[bytes]:
        if self._begun:
            return
        self._begun = True
        message: dict[str, Json] = {
            "id": new_id("msg"),
            "type": "message",
            "role": "assistant",
            "content": [],
            "model": self.model,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage,
        }
        if self._sources is not None:
            message["sources"] = self._sources
        yield named("message_start", message=message)

    def _take(self, choice: Mapping[str, Json]) -> Iterator[bytes]:
        delta = choice.get("delta")
        if isinstance(delta, Mapping):
            text = delta.get("content")
            if isinstance(text, str) and text:
                yield from self._start_text()
                yield self._delta(type="text_delta", text=text)
            for call in listed(delta.get("tool_calls")):
                if isinstance(call, Mapping):
                    yield from self._call(call)
        if choice.get("finish_reason"):
            self._stopped = stopped(choice)

    def _call(self, call: Mapping[str, Json]) -> Iterator[bytes]:
        """Yield a piece of a call. Some back ends number none of their calls: each has an id in its first piece."""
        number = call.get("index")
        if not isinstance(number, int):
            number = len(self._calls) if call.get("id") or not self._calls else len(self._calls) - 1
        said = call.get("function")
        function = said if isinstance(said, Mapping) else {}
        if number not in self._calls:
            id, name = str(call.get("id") or new_id("toolu")), str(function.get("name") or "")
            yield from self._start({"type": "tool_use", "id": id, "name": name, "input": {}})
            self._calls[number] = self._blocks - 1
        arguments = function.get("arguments")
        if isinstance(arguments, str) and arguments:
            yield self._delta(self._calls[number], type="input_json_delta", partial_json=arguments)

    def _start_text(self) -> Iterator[bytes]:
        if not self._text_open:
            yield from self._start({"type": "text", "text": ""})
            self._text_open = True

    def _start(self, block: Mapping[str, Json]) -> Iterator[bytes]:
        yield from self._close()
        self._open = self._blocks
        self._blocks += 1
        yield named("content_block_start", index=self._open, content_block=block)

    def _delta(self, index: int | None = None, **delta: Json) -> bytes:
        return named("content_block_delta", index=self._open if index is None else index, delta=delta)

    def _close(self) -> Iterator[bytes]:
        if self._open is not None:
            yield named("content_block_stop", index=self._open)
        self._open, self._text_open = None, False


def named(name: str, **data: Json) -> bytes:
    """Return a server-sent event of this name, which is in its data, too."""
    line = json.dumps({"type": name, **data}, ensure_ascii=False).encode("utf-8", "replace")
    return b"event: " + name.encode() + b"\ndata: " + line + b"\n\n"
