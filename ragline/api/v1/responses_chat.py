"""A request for a response becomes a chat: items become messages, tools become what chats call tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragline.api.v1.responses_wire import SEND_EARLIER, ResponseBody
from ragline.errors import BadInput
from ragline.retrieval.answer import Question
from ragline.retrieval.filters import of_openai
from ragline.types import CollectionRef, Json

ROLES: Mapping[str, str] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""A developer's message is a system message to models that know no developers."""

NO_MESSAGES = frozenset({"file_search_call", "reasoning"})
"""Items of earlier answers that tell the model nothing: what was found is looked up anew."""

Message = dict[str, Json]


def question_of(body: ResponseBody) -> Question:
    """Return the chat that answers a request. Raises BadInput naming what it cannot do, Invalid for a wrong filter."""
    body.check()
    wanted = body.file_search
    refs: list[CollectionRef] = []
    limit, least_score = None, 0.0
    if wanted is not None:
        where = None if wanted.filters is None else of_openai(wanted.filters, at="file_search.filters")
        refs = [CollectionRef(store_id, where) for store_id in wanted.vector_store_ids]
        limit = wanted.max_num_results
        least_score = (wanted.ranking_options.score_threshold if wanted.ranking_options else None) or 0.0
    return Question(
        model=body.model,
        messages=messages_of(body),
        refs=refs,
        parameters=parameters_of(body),
        limit=limit,
        least_score=least_score,
    )


def messages_of(body: ResponseBody) -> list[Message]:
    """Return the messages of a request in order, the instructions first."""
    messages: list[Message] = [{"role": "system", "content": body.instructions}] if body.instructions else []
    if isinstance(body.input, str):
        return [*messages, {"role": "user", "content": body.input}]
    for position, item in enumerate(body.input):
        add(messages, item, f"input[{position}]")
    return messages


def add(messages: list[Message], item: Mapping[str, Json], at: str) -> None:
    """Add what an item says. Calls that follow each other are one message, as models made them."""
    match item:
        case {"type": "function_call", "call_id": str(call_id), "name": str(name), "arguments": str(arguments)}:
            call: Message = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            last: Message = messages[-1] if messages else {}
            if last.get("role") != "assistant":
                last = {"role": "assistant", "content": None}
                messages.append(last)
            calls = last.get("tool_calls")
            last["tool_calls"] = [*(calls if isinstance(calls, list) else []), call]
        case {"type": "function_call_output", "call_id": str(call_id), "output": output}:
            content = content_of(output, f"{at}.output")
            messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        case {"type": str(kind)} if kind in NO_MESSAGES:
            return
        case {"type": "item_reference"}:
            raise BadInput(f"{at}: item_reference: {SEND_EARLIER}")
        case {"role": str(role), "content": content} if item.get("type", "message") in ("message", None):
            if role not in ROLES:
                raise BadInput(f"{at}.role: no role {role[:60]!r}; known: {', '.join(ROLES)}")
            messages.append({"role": ROLES[role], "content": content_of(content, f"{at}.content")})
        case _:
            raise BadInput(
                f"{at}: of type {str(item.get('type', 'message'))[:60]!r}; known: messages with `role` and `content`, "
                "function_call with `call_id`, `name` and `arguments`, function_call_output with `call_id` and `output`"
            )


def content_of(content: Json, at: str) -> Json:
    """Return the content of a message: its text, or parts where there is an image among them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise BadInput(f"{at}: must be a text or a list of parts")
    parts = [part_of(part, f"{at}[{position}]") for position, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(str(part["text"]) for part in parts)
    return parts


def part_of(part: Json, at: str) -> Message:
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": str(url), "detail": str(detail)}:
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
        case {"type": "input_image", "image_url": str(url)}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "input_image"}:
            raise BadInput(f"{at}: an image is sent in `image_url`, as an address or as data; not as `file_id`")
        case {"type": "input_file"}:
            raise BadInput(
                f"{at}: input_file is not taken; put the file into a vector store, "
                "and name the store in the tool file_search"
            )
        case Mapping():
            kind = str(part.get("type"))[:60]
            raise BadInput(f"{at}: of type {kind!r}; known: input_text, output_text, input_image with `image_url`")
    raise BadInput(f"{at}: must be an object with `type`")


def parameters_of(body: ResponseBody) -> dict[str, Json]:
    """Return the parameters of the chat, only those that were sent."""
    given: dict[str, Json] = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "max_tokens": body.max_output_tokens,
        "user": body.user,
        "reasoning_effort": body.reasoning.effort if body.reasoning else None,
        "response_format": response_format(body),
    }
    if body.functions:
        given["tools"] = [
            {"type": "function", "function": tool.model_dump(include=FUNCTION_KEYS, exclude_none=True)}
            for tool in body.functions
        ]
        given["tool_choice"] = tool_choice(body)
        given["parallel_tool_calls"] = body.parallel_tool_calls
    if body.stream:
        given |= {"stream": True, "stream_options": {"include_usage": True}}
    return {key: value for key, value in given.items() if value is not None}


FUNCTION_KEYS = {"name", "description", "parameters", "strict"}


def tool_choice(body: ResponseBody) -> Json:
    match body.tool_choice:
        case None | str() as word:
            return word
        case {"type": "function", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "file_search"}:
            return "none"
    raise BadInput('tool_choice: known: none, auto, required, {"type": "file_search"}, {"type": "function", "name": …}')


def response_format(body: ResponseBody) -> Json:
    match body.text.format if body.text else None:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "json_object"}
        case {"type": "json_schema", "name": str(), "schema": Mapping()} as wanted:
            named = {key: wanted[key] for key in ("name", "description", "schema", "strict") if key in wanted}
            return {"type": "json_schema", "json_schema": named}
    raise BadInput("text.format: known types: text, json_object, json_schema with `name` and `schema`")
