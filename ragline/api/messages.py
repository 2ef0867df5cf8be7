"""`POST /api/v1/messages`: Anthropic's messages, with `files` that they may draw on."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ragline.api.anthropic_chat import message_of, question_of
from ragline.api.anthropic_stream import anthropic_events
from ragline.api.anthropic_wire import AnthropicMessage, Counted, MessagesBody, TokenCount
from ragline.api.caller import Caller, Installation
from ragline.api.completing import begin, event_stream, streamed, whole
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import EVENTS
from ragline.connectors.models.forward import CountsTokens, OpenAIRoute
from ragline.connectors.models.upstream import dump
from ragline.errors import BackendError, NotFound
from ragline.retrieval.answer import Prepared
from ragline.retrieval.messages import question_in
from ragline.types import Json

router = APIRouter(route_class=StrictRoute, tags=["messages"])

LACKING = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
"""How a server answers on a route that it does not have."""


@router.post("/v1/messages", response_model=AnthropicMessage, responses=EVENTS)
@router.post("/api/message", response_model=AnthropicMessage, responses=EVENTS)
@router.post("/api/v1/messages", response_model=AnthropicMessage, responses=EVENTS)
async def messages(request: Request, body: MessagesBody, app: Installation, user: Caller) -> Response:
    """Answer Anthropic's messages with any model. With `files` the answer has `sources`, a stream in its start."""
    prepared = await begin(request, app, question_of(body), user)
    if not body.stream:
        completion = await whole(request, app, prepared)
        return JSONResponse(message_of(completion, model=body.model, backend=prepared.backend.name))
    return event_stream(anthropic_events(await streamed(request, app, prepared), model=body.model))


@router.post("/v1/messages/count_tokens")
@router.post("/api/message/count_tokens")
@router.post("/api/v1/messages/count_tokens")
async def count_tokens(request: Request, body: Counted, app: Installation, user: Caller) -> TokenCount:
    """Count the tokens of a prompt, passages of `files` included, as its model does; 404 where nothing can say."""
    prepared = await begin(request, app, question_of(body), user)
    backend = prepared.backend
    if isinstance(backend, CountsTokens):
        return TokenCount(input_tokens=await while_present(request, backend.count_tokens(prepared.request)))
    if isinstance(backend, OpenAIRoute):
        asked = with_passages(await request.json(), prepared)
        return TokenCount(input_tokens=await while_present(request, counted(backend, prepared, dump(asked))))
    raise cannot_count(prepared)


async def counted(backend: OpenAIRoute, prepared: Prepared, body: bytes) -> int:
    """Return what the back end counts. Raises NotFound where it has no route for it."""
    try:
        answer = await (await backend.forward_openai("/messages/count_tokens", body)).whole()
    except BackendError as error:
        if error.upstream is not None and error.upstream[0] in LACKING:
            raise cannot_count(prepared) from error
        raise
    try:
        return TokenCount.model_validate(orjson.loads(answer)).input_tokens
    except ValueError as error:
        raise BackendError(f"{prepared.backend.name}: its count of tokens holds no `input_tokens`") from error


def cannot_count(prepared: Prepared) -> NotFound:
    return NotFound(
        f"the tokens of {prepared.request.model!r} cannot be counted: {prepared.backend.name} has no route for it; "
        "an answer says in `usage` how many it took"
    )


def with_passages(sent: Mapping[str, Json], prepared: Prepared) -> dict[str, Json]:
    """Return Anthropic's request as the back end is to count it: its own model, and the passages in the question."""
    turns = sent["messages"]
    assert isinstance(turns, list)
    if prepared.sources is not None:
        prompts = prepared.request.body["messages"]
        assert isinstance(prompts, list)
        turns = with_text(turns, question_in(prompts))
    kept = {key: value for key, value in sent.items() if key not in ("files", "metadata", "stream")}
    return {**kept, "model": prepared.request.model, "messages": turns}


def with_text(turns: list[Json], text: str) -> list[Json]:
    """Return the turns with this text for that of the user's last one that is more than the results of tools."""
    for place in reversed(range(len(turns))):
        turn = turns[place]
        if not isinstance(turn, Mapping) or turn.get("role") != "user":
            continue
        blocks = turn.get("content")
        others = [block for block in blocks if kind(block) != "text"] if isinstance(blocks, list) else []
        if not isinstance(blocks, list) or len(others) < len(blocks):
            filled: Json = {**turn, "content": [*others, {"type": "text", "text": text}]}
            return [*turns[:place], filled, *turns[place + 1 :]]
    return turns


def kind(block: Json) -> Json:
    return block.get("type") if isinstance(block, Mapping) else None
