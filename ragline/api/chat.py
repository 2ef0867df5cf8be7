"""`POST /api/chat/completions`: OpenAI's chat, with `files` that it may draw on."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from ragline.api.caller import Caller, Installation
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.errors import RaglineError
from ragline.retrieval.answer import Prepared, Question, answer, prepare, stream
from ragline.types import CollectionRef, FileRef, Ref

log = logging.getLogger(__name__)
router = APIRouter(route_class=StrictRoute, tags=["chat"])

OWN_KEYS = frozenset({"files", "metadata", "chat_id", "session_id"})
"""Keys of Open WebUI's clients that no back end is sent."""


MAX_NAME_CHARS = 256
MAX_REFERENCES = 256
"""References in one chat."""


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")
    role: str
    content: str | list[dict[str, object]] | None = None


class Reference(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: Literal["file", "collection"]
    id: str = Field(min_length=1, max_length=MAX_NAME_CHARS)

    def ref(self) -> Ref:
        return FileRef(self.id) if self.type == "file" else CollectionRef(self.id)


class ChatBody(BaseModel):
    """OpenAI's request; keys that are not named here go to the back end unchanged."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "model": "extractive",
                    "messages": [{"role": "user", "content": "Pourquoi le ciel est-il bleu ?"}],
                    "files": [{"type": "file", "id": "your-file-id-here"}],
                }
            ]
        },
    )
    model: str = Field(max_length=MAX_NAME_CHARS)
    messages: list[Message] = []
    files: list[Reference] | None = Field(None, max_length=MAX_REFERENCES)
    stream: bool = False


@router.post("/api/chat/completions", response_model=None)
@router.post("/api/v1/chat/completions", response_model=None)
async def chat(request: Request, body: ChatBody, app: Installation, user: Caller) -> Response:
    """Answer a chat. With `files` the answer has `sources` first: in the object, or as the stream's first event."""
    question = Question(
        model=body.model,
        messages=[message.model_dump(exclude_unset=True) for message in body.messages],
        refs=[reference.ref() for reference in body.files or []],
        parameters=body.model_dump(exclude_unset=True, exclude={"model", "messages", *OWN_KEYS}),
    )
    prepared = await while_present(request, prepare(app, question, user))
    if not body.stream:
        return JSONResponse(await while_present(request, answer(prepared)))
    events = stream(prepared)
    first = await while_present(request, first_of(events))  # an error before it has a status of its own
    return StreamingResponse(
        sent(prepared, first, events), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
    )


async def first_of(events: AsyncIterator[bytes]) -> bytes:
    return await anext(events, b"")


async def sent(prepared: Prepared, first: bytes, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the sources, then the back end's events; a back end lost in between is an event, then the end."""
    if prepared.sources is not None:
        yield event({"sources": prepared.sources})
    yield first
    try:
        async for chunk in events:
            yield chunk
    except RaglineError as error:
        log.warning("lost in mid-stream: backend=%s %s", prepared.backend.name, error)
        yield event({"error": {"message": str(error)}})
        yield b"data: [DONE]\n\n"


def event(content: object) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"
