"""`POST /v1/responses`: OpenAI's responses, with the tool `file_search` on vector stores; nothing is stored."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ragline.api.caller import Caller, Installation
from ragline.api.completing import begin, event_stream, streamed, whole
from ragline.api.strict_json import StrictRoute
from ragline.api.v1.responses_chat import question_of
from ragline.api.v1.responses_items import ResponseOut
from ragline.api.v1.responses_out import draft_of, whole_response
from ragline.api.v1.responses_stream import events_of
from ragline.api.v1.responses_wire import SEND_EARLIER, ResponseBody
from ragline.api.v1.wire import PathId
from ragline.errors import NotFound

router = APIRouter(route_class=StrictRoute, prefix="/v1/responses", tags=["responses"])


@router.post(
    "",
    response_model=ResponseOut,
    responses={200: {"description": "the response; with `stream` its events", "content": {"text/event-stream": {}}}},
)
async def respond(request: Request, body: ResponseBody, app: Installation, user: Caller) -> Response | ResponseOut:
    """Answer with any model. With the tool `file_search` it is given passages of vector stores, and cites them.

    It is answered as a chat would be; functions that the model asks for are the client's to call.
    """
    prepared = await begin(request, app, question_of(body), user)
    draft = await draft_of(app, body, prepared)
    if body.stream:
        return event_stream(events_of(draft, await streamed(request, app, prepared)))
    return whole_response(draft, await whole(request, app, prepared))


@router.get("/{response_id}", response_model=None, status_code=404, include_in_schema=False)
@router.delete("/{response_id}", response_model=None, status_code=404, include_in_schema=False)
async def stored(response_id: PathId, user: Caller) -> None:
    """Answer 404: no response is stored."""
    raise NotFound(f"no response {response_id!r}: {SEND_EARLIER}")
