"""A chat's answer becomes a response: items of output, citations of the sources, and the response around them."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ragline.api.v1.responses_items import (
    FileCitation,
    FileSearchCall,
    FoundPassage,
    FunctionCall,
    InputDetails,
    OutputDetails,
    OutputItem,
    OutputMessage,
    OutputText,
    ResponseOut,
    Usage,
)
from ragline.api.v1.responses_wire import RESULTS, ResponseBody
from ragline.app import App
from ragline.connectors.models.openai_wire import first_choice, listed
from ragline.connectors.records.attributes import attributes_of
from ragline.errors import BackendError
from ragline.retrieval.answer import Prepared
from ragline.types import Context, Json

MARK = re.compile(r"\[\d{1,4}(?:\s*[,;]\s*\d{1,4})*\]")
"""How a model cites sources: [1], or [1, 3]."""


def new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a response has from its beginning: what was asked for, and what was found."""

    body: ResponseBody
    context: Context
    search: FileSearchCall | None
    id: str = field(default_factory=lambda: new_id("resp"))
    created_at: int = field(default_factory=lambda: int(time.time()))

    @property
    def found(self) -> list[OutputItem]:
        return [] if self.search is None else [self.search]

    def response(
        self, status: Literal["in_progress", "completed", "incomplete", "failed"], **more: object
    ) -> ResponseOut:
        """Return the response as far as it is; `more` are fields that differ from its beginning."""
        body = self.body
        asked: dict[str, object] = {
            "id": self.id,
            "created_at": self.created_at,
            "status": status,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": body.model,
            "output": [],
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
            "temperature": body.temperature,
            "text": {"format": (body.text.format if body.text else None) or {"type": "text"}},
            "tool_choice": body.tool_choice or "auto",
            "tools": [tool.model_dump(mode="json", exclude_unset=True) for tool in body.tools or ()],
            "top_p": body.top_p,
            "user": body.user,
        }
        return ResponseOut.model_validate(asked | more)

    def finished(self, output: Sequence[OutputItem], finish_reason: Json, usage: Usage | None) -> ResponseOut:
        """Return the response at its end: incomplete where the model was cut off."""
        reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
        if isinstance(finish_reason, str) and finish_reason in reasons:
            details = {"reason": reasons[finish_reason]}
            return self.response("incomplete", output=list(output), incomplete_details=details, usage=usage)
        return self.response("completed", output=list(output), usage=usage, completed_at=int(time.time()))


async def draft_of(app: App, body: ResponseBody, prepared: Prepared) -> Draft:
    """Return the beginning of a response, with the search that was made for it."""
    if body.file_search is None:
        return Draft(body, prepared.context, None)
    results = None
    if RESULTS in (body.include or ()):
        results = await results_of(app, prepared.context)
    asked = prepared.context.searched or prepared.context.question
    call = FileSearchCall(id=new_id("fs"), status="completed", queries=[asked], results=results)
    return Draft(body, prepared.context, call)


async def results_of(app: App, context: Context) -> list[FoundPassage]:
    """Return the passages that the model was given, best first."""
    files = await app.records.files.named({source.file_id for source in context.sources})
    found = ((source, hit) for source in context.sources for hit in source.hits)
    pairs = sorted(found, key=lambda pair: -pair[1].score)
    return [
        FoundPassage(
            file_id=source.file_id,
            filename=source.name,
            score=hit.similarity,
            text=hit.passage.chunk.text,
            attributes=attributes_of(files[source.file_id].metadata) if source.file_id in files else {},
        )
        for source, hit in pairs
    ]


def citations(text: str, context: Context) -> list[FileCitation]:
    """Return a citation for each number in brackets that is a source's, as they stand in the text."""
    sources = {source.number: source for source in context.sources}
    return [
        FileCitation(index=mark.start(), file_id=sources[number].file_id, filename=sources[number].name)
        for mark in MARK.finditer(text)
        for number in map(int, re.findall(r"\d+", mark.group()))
        if number in sources
    ]


def whole_response(draft: Draft, completion: Mapping[str, Json]) -> ResponseOut:
    """Return the response for a whole `chat.completion`. Raises BackendError where that has no answer."""
    choice = first_choice(completion)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise BackendError("the back end's answer has no message; look whether it speaks OpenAI's chat format")
    text = message.get("content")
    calls = [call for call in map(function_call, listed(message.get("tool_calls"))) if call is not None]
    output: list[OutputItem] = list(draft.found)
    if (isinstance(text, str) and text) or not calls:
        output.append(spoken(draft, text if isinstance(text, str) else ""))
    return draft.finished([*output, *calls], choice.get("finish_reason"), usage_of(completion.get("usage")))


def spoken(draft: Draft, text: str) -> OutputMessage:
    content = OutputText(text=text, annotations=citations(text, draft.context))
    return OutputMessage(id=new_id("msg"), status="completed", content=[content])


def function_call(call: Json) -> FunctionCall | None:
    """Return what a call of a chat is in a response; None for one that names no function."""
    function = inside(call, "function")
    name, arguments, known = inside(function, "name"), inside(function, "arguments"), inside(call, "id")
    if not isinstance(name, str):
        return None
    return FunctionCall(
        id=new_id("fc"),
        status="completed",
        call_id=known if isinstance(known, str) and known else new_id("call"),
        name=name,
        arguments=arguments if isinstance(arguments, str) else "{}",
    )


def usage_of(said: Json) -> Usage | None:
    """Return the usage in a response's words, None where the back end did not say."""
    if not isinstance(said, Mapping):
        return None
    taken, made = number(said, "prompt_tokens"), number(said, "completion_tokens")
    return Usage(
        input_tokens=taken,
        input_tokens_details=InputDetails(cached_tokens=number(said.get("prompt_tokens_details"), "cached_tokens")),
        output_tokens=made,
        output_tokens_details=OutputDetails(
            reasoning_tokens=number(said.get("completion_tokens_details"), "reasoning_tokens")
        ),
        total_tokens=number(said, "total_tokens") or taken + made,
    )


def number(said: Json, key: str) -> int:
    value = inside(said, key)
    return value if isinstance(value, int) else 0


def inside(value: Json, key: str) -> Json:
    return value.get(key) if isinstance(value, Mapping) else None
