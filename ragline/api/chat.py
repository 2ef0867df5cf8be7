"""`POST /api/chat/completions`: OpenAI's chat, with `files` that it may draw on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ragline.api.caller import Caller, Installation
from ragline.api.completing import answered
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import EVENTS
from ragline.api.wire_chat import ChatBody, Completion
from ragline.errors import NotFound
from ragline.retrieval.answer import Question

router = APIRouter(route_class=StrictRoute, tags=["chat"])

OWN_KEYS = frozenset({"files", "metadata", "chat_id", "session_id"})
"""Keys of Open WebUI's clients that no back end is sent."""

LOCAL = "local:"
"""Begins the id of a chat that only its client knows."""

ANSWERS: dict[int | str, dict[str, Any]] = {200: EVENTS[200] | {"model": Completion}}


@router.post("/api/chat/completions", response_model=None, responses=ANSWERS)
@router.post("/api/v1/chat/completions", response_model=None, responses=ANSWERS)
@router.post("/v1/chat/completions", response_model=None, responses=ANSWERS)
async def chat(request: Request, body: ChatBody, app: Installation, user: Caller) -> Response:
    """Answer a chat. With `files` the answer has `sources` first: in the object, or as the stream's first event."""
    question = Question(
        model=body.model,
        messages=[message.model_dump(exclude_unset=True) for message in body.messages],
        refs=[reference.ref() for reference in body.files or []],
        parameters=body.model_dump(exclude_unset=True, exclude={"model", "messages", *OWN_KEYS}),
    )
    if body.chat_id and not body.chat_id.startswith(LOCAL):
        raise NotFound(f"no chat {body.chat_id!r}: none are stored here, leave chat_id out")
    return await answered(request, app, question, user, streams=bool(body.stream))
