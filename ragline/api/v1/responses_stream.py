"""A chat's stream becomes the events of a response."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from pydantic import BaseModel

from ragline.api.v1.responses_items import (
    FileSearchCall,
    FunctionCall,
    OutputItem,
    OutputMessage,
    OutputText,
    ResponseOut,
)
from ragline.api.v1.responses_out import Draft, citations, new_id, usage_of
from ragline.connectors.models.openai_wire import event, first_choice, listed, objects_of
from ragline.types import Json

LOST = "the back end was lost in the middle of its answer"


@dataclass(slots=True)
class Writing:
    """A response while it is written. Events are numbered from 0; items stay open until the model has ended."""

    draft: Draft
    sequence: int = 0
    output: list[OutputItem] = field(default_factory=list)
    calls: dict[object, int] = field(default_factory=dict)
    message: int | None = None
    finish_reason: Json = None
    usage: Json = None
    error: str | None = None

    def tell(self, kind: str, **fields: object) -> bytes:
        shown = {key: dumped(value) for key, value in fields.items()}
        data = {"type": kind, "sequence_number": self.sequence, **shown}
        self.sequence += 1
        return f"event: {kind}\n".encode() + event(data)

    def begin(self) -> Iterator[bytes]:
        """Give the beginning, and the search that was made."""
        for kind in ("response.created", "response.in_progress"):
            yield self.tell(kind, response=self.draft.response("in_progress"))
        if self.draft.search is not None:
            yield from self.show_search(self.draft.search)

    def show_search(self, search: FileSearchCall) -> Iterator[bytes]:
        at = len(self.output)
        self.output.append(search)
        begun = search.model_copy(update={"status": "in_progress", "results": None})
        yield self.tell("response.output_item.added", output_index=at, item=begun)
        for step in ("in_progress", "searching", "completed"):
            yield self.tell(f"response.file_search_call.{step}", output_index=at, item_id=search.id)
        yield self.tell("response.output_item.done", output_index=at, item=search)

    def take(self, data: Mapping[str, Json]) -> Iterator[bytes]:
        """Give the events for one object of the chat's stream."""
        match data.get("error"):
            case {"message": str(message)}:
                self.error = message
            case None:
                pass
            case _:
                self.error = LOST
        self.usage = data.get("usage") or self.usage
        choice = first_choice(data)
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        delta = choice.get("delta")
        if not isinstance(delta, Mapping):
            return
        if isinstance(text := delta.get("content"), str) and text:
            yield from self.write(text)
        for call in listed(delta.get("tool_calls")):
            if isinstance(call, Mapping):
                yield from self.write_call(call)

    def write(self, text: str) -> Iterator[bytes]:
        if self.message is None:
            yield from self.open_message()
        at, message, part = self.written()
        part.text += text
        yield self.tell("response.output_text.delta", **place(at, message), delta=text, logprobs=[])

    def open_message(self) -> Iterator[bytes]:
        self.message = at = len(self.output)
        message = OutputMessage(id=new_id("msg"), status="in_progress", content=[])
        self.output.append(message)
        yield self.tell("response.output_item.added", output_index=at, item=message)
        part = OutputText(text="")
        yield self.tell("response.content_part.added", **place(at, message), part=part)
        message.content.append(part)

    def written(self) -> tuple[int, OutputMessage, OutputText]:
        assert self.message is not None
        message = self.output[self.message]
        assert isinstance(message, OutputMessage)
        return self.message, message, message.content[0]

    def write_call(self, call: Mapping[str, Json]) -> Iterator[bytes]:
        """Give the events for a piece of a call; its first piece has the name."""
        key = call.get("index") if call.get("index") is not None else call.get("id")
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        if key not in self.calls:
            name, known = function.get("name"), call.get("id")
            made = FunctionCall(
                id=new_id("fc"),
                status="in_progress",
                call_id=known if isinstance(known, str) and known else new_id("call"),
                name=name if isinstance(name, str) else "",
                arguments="",
            )
            self.calls[key] = len(self.output)
            self.output.append(made)
            yield self.tell("response.output_item.added", output_index=self.calls[key], item=made)
        opened = self.output[self.calls[key]]
        piece = function.get("arguments")
        if isinstance(opened, FunctionCall) and isinstance(piece, str) and piece:
            opened.arguments += piece
            kind = "response.function_call_arguments.delta"
            yield self.tell(kind, output_index=self.calls[key], item_id=opened.id, delta=piece)

    def end(self) -> Iterator[bytes]:
        """Close what is open, and give the response as it is then."""
        if self.error is not None:
            yield self.tell("response.failed", response=self.failed(self.error))
            return
        if self.message is None and not self.calls:
            yield from self.open_message()
        for at, item in enumerate(self.output):
            if isinstance(item, OutputMessage):
                yield from self.close_message(at, item)
            elif isinstance(item, FunctionCall):
                yield from self.close_call(at, item)
        response = self.draft.finished(self.output, self.finish_reason, usage_of(self.usage))
        yield self.tell(f"response.{response.status}", response=response)

    def failed(self, message: str) -> ResponseOut:
        for item in self.output:
            if not isinstance(item, FileSearchCall):
                item.status = "incomplete"
        return self.draft.response("failed", output=self.output, error={"message": message}, usage=usage_of(self.usage))

    def close_message(self, at: int, message: OutputMessage) -> Iterator[bytes]:
        [part] = message.content
        here = place(at, message)
        part.annotations = citations(part.text, self.draft.context)
        for number, annotation in enumerate(part.annotations):
            kind = "response.output_text.annotation.added"
            yield self.tell(kind, **here, annotation_index=number, annotation=annotation)
        yield self.tell("response.output_text.done", **here, text=part.text, logprobs=[])
        yield self.tell("response.content_part.done", **here, part=part)
        message.status = "completed"
        yield self.tell("response.output_item.done", output_index=at, item=message)

    def close_call(self, at: int, call: FunctionCall) -> Iterator[bytes]:
        call.status = "completed"
        here = {"output_index": at, "item_id": call.id}
        kind = "response.function_call_arguments.done"
        yield self.tell(kind, **here, name=call.name, arguments=call.arguments)
        yield self.tell("response.output_item.done", output_index=at, item=call)


def place(at: int, message: OutputMessage) -> dict[str, object]:
    return {"item_id": message.id, "output_index": at, "content_index": 0}


def dumped(value: object) -> Json:
    shown: Json = value.model_dump(mode="json") if isinstance(value, BaseModel) else value  # type: ignore[assignment]  # JSON by the callers above
    return shown


async def events_of(draft: Draft, chat: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the server-sent events of a response, from those of its chat. Closing closes the chat."""
    writing = Writing(draft)
    async with aclosing(chat):
        for told in writing.begin():
            yield told
        async for events in chat:
            for data in objects_of(events):
                for told in writing.take(data):
                    yield told
            if writing.error is not None:
                break
    for told in writing.end():
        yield told
