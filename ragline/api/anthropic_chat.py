"""Anthropic's request as OpenAI's chat, and OpenAI's whole answer as Anthropic's message."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import orjson

from ragline.api.anthropic_wire import (
    Counted,
    DocumentBlock,
    ImageBlock,
    InlineImage,
    MessagesBody,
    TextBlock,
    ThinkingBlock,
    Tool,
    ToolChoice,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
)
from ragline.connectors.models.openai_wire import first_choice, listed, new_id
from ragline.errors import BackendError, Invalid
from ragline.retrieval.answer import Question
from ragline.types import Json

SAME = ("max_tokens", "temperature", "top_p", "top_k")
"""Parameters that both formats call the same."""

CHOICES = {"auto": "auto", "any": "required", "none": "none"}

STOP_REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Anthropic's words for OpenAI's reasons; every other is `end_turn`."""


def question_of(body: Counted) -> Question:
    """Return the chat in OpenAI's format. Raises Invalid for blocks where they cannot stand."""
    system = text_of(body.system or "")
    messages: list[Mapping[str, Json]] = [{"role": "system", "content": system}] if system else []
    for turn in body.messages:
        messages += turned(turn)
    parameters: dict[str, Json] = {}
    if isinstance(body, MessagesBody):
        sent = body.model_dump(include={*SAME}, exclude_none=True)
        parameters = {**sent, **({"stop": body.stop_sequences} if body.stop_sequences else {})}
        if body.stream:
            parameters["stream_options"] = {"include_usage": True}
    if body.tools:
        parameters["tools"] = [declared(tool) for tool in body.tools]
        parameters |= chosen(body.tool_choice)
    return Question(
        model=body.model,
        messages=messages,
        refs=[reference.ref() for reference in body.files or []],
        parameters=parameters,
    )


def turned(turn: Turn) -> list[Mapping[str, Json]]:
    """Return the messages that one turn is in OpenAI's format: each tool's result is a message of its own."""
    if isinstance(turn.content, str):
        return [{"role": turn.role, "content": turn.content}]
    blocks = [block for block in turn.content if not isinstance(block, ThinkingBlock)]
    if turn.role == "assistant":
        return [said(blocks)]
    results: list[Mapping[str, Json]] = []
    parts: list[Json] = []
    for block in blocks:
        match block:
            case ToolResultBlock():
                results.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": text_of(block.content)})
                parts += [part(image) for image in images_in(block)]
            case ToolUseBlock():
                raise Invalid(f"messages: a {block.type!r} block stands in a message of the assistant only")
            case _:
                parts.append(part(block))
    return [*results, {"role": turn.role, "content": plain(parts)}] if parts or not results else results


def said(blocks: Sequence[object]) -> Mapping[str, Json]:
    """Return a message of the assistant: its text, and the tools it called."""
    for block in blocks:
        if not isinstance(block, TextBlock | ToolUseBlock):
            raise Invalid(
                f"messages: a {getattr(block, 'type', '')!r} block cannot stand in a message of the assistant"
            )
    text = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    calls: list[Json] = [call(block) for block in blocks if isinstance(block, ToolUseBlock)]
    if calls:
        return {"role": "assistant", "content": text or None, "tool_calls": calls}
    return {"role": "assistant", "content": text}


def call(block: ToolUseBlock) -> Json:
    arguments = json.dumps(block.input, ensure_ascii=False)
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def part(block: TextBlock | ImageBlock | DocumentBlock) -> Json:
    """Return a part of a message's content."""
    match block:
        case ImageBlock(source=InlineImage() as image):
            return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{image.data}"}}
        case ImageBlock(source=link):
            return {"type": "image_url", "image_url": {"url": getattr(link, "url", "")}}
        case DocumentBlock():
            return {"type": "text", "text": f"{block.title}\n{block.source.data}" if block.title else block.source.data}
        case _:
            return {"type": "text", "text": block.text}


def plain(parts: Sequence[Json]) -> Json:
    """Return a single text as text: not every back end reads parts."""
    match parts:
        case []:
            return ""
        case [{"type": "text", "text": text}]:
            return text
    return parts


def text_of(content: str | Sequence[TextBlock | ImageBlock | DocumentBlock] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = [part(block) for block in content if not isinstance(block, ImageBlock)]
    return "\n".join(str(text["text"]) for text in texts if isinstance(text, Mapping))


def images_in(block: ToolResultBlock) -> Iterable[ImageBlock]:
    content = block.content if isinstance(block.content, list) else []
    return (each for each in content if isinstance(each, ImageBlock))


def declared(tool: Tool) -> Json:
    described = {"description": tool.description} if tool.description is not None else {}
    return {"type": "function", "function": {"name": tool.name, **described, "parameters": tool.input_schema}}


def chosen(choice: ToolChoice | None) -> dict[str, Json]:
    if choice is None:
        return {}
    alone: dict[str, Json] = {"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {}
    if choice.type != "tool":
        return {"tool_choice": CHOICES[choice.type], **alone}
    if choice.name is None:
        raise Invalid("tool_choice: the type 'tool' needs the tool's name")
    return {"tool_choice": {"type": "function", "function": {"name": choice.name}}, **alone}


def message_of(completion: Mapping[str, Json], *, model: str, backend: str) -> dict[str, Json]:
    """Return a whole answer as Anthropic's message, `sources` last. Raises BackendError where it holds no answer."""
    choice = first_choice(completion)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise BackendError(f"{backend}: there is no message in the answer of {model!r}; try again, or another model")
    tools = [tool_use(each, backend) for each in listed(message.get("tool_calls"))]
    text = message.get("content")
    texts: list[Json] = [{"type": "text", "text": text if isinstance(text, str) else ""}] if text or not tools else []
    answer: dict[str, Json] = {
        "id": str(completion.get("id") or new_id("msg")),
        "type": "message",
        "role": "assistant",
        "content": [*texts, *tools],
        "model": model,
        **stopped(choice),
        "usage": usage_of(completion.get("usage")),
    }
    return {**answer, "sources": completion["sources"]} if "sources" in completion else answer


def tool_use(called: Json, backend: str) -> Json:
    """Return a call of a tool as a block. Raises BackendError for arguments that are no JSON object."""
    function = called.get("function") if isinstance(called, Mapping) else None
    if not isinstance(called, Mapping) or not isinstance(function, Mapping):
        raise BackendError(f"{backend}: the model's call of a tool has no function; try again, or another model")
    try:
        given = orjson.loads(str(function.get("arguments") or "{}"))
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise BackendError(
            f"{backend}: the model called {function.get('name')!r} with arguments that are no JSON object; try again"
        )
    id = str(called.get("id") or new_id("toolu"))
    return {"type": "tool_use", "id": id, "name": str(function.get("name") or ""), "input": given}


def stopped(choice: Mapping[str, Json]) -> dict[str, Json]:
    """Return why the answer ended; vLLM says in `stop_reason` which stop sequence it met."""
    met = choice.get("stop_reason")
    if choice.get("finish_reason") == "stop" and isinstance(met, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": met}
    return {"stop_reason": STOP_REASONS.get(str(choice.get("finish_reason")), "end_turn"), "stop_sequence": None}


def usage_of(usage: Json) -> dict[str, Json]:
    """Return the tokens that a back end counted, 0 where it did not say."""
    said = usage if isinstance(usage, Mapping) else {}
    return {"input_tokens": count(said.get("prompt_tokens")), "output_tokens": count(said.get("completion_tokens"))}


def count(value: Json) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
