"""A chat on its way through the API, whatever wire format it came in: quota, answer, events, and what it used."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from ragline.api.caller import identity_of
from ragline.api.presence import while_present
from ragline.app import App
from ragline.connectors.models.openai_wire import DONE, event
from ragline.errors import RaglineError
from ragline.retrieval.answer import Prepared, Question, answer, beginning, prepare, stream
from ragline.retrieval.usage import Meter, check_quota
from ragline.types import Json, User

log = logging.getLogger(__name__)


async def begin(request: Request, app: App, question: Question, user: User, *, checks: bool = False) -> Prepared:
    """Find model and passages for a chat. Raises TooMany over the quota, else what `prepare` does.

    `checks`: the format has a place for what a check of the citations tells.
    """
    request.state.details = {"model": question.model, "references": [shown(ref) for ref in question.refs]}
    await check_quota(app, user)
    prepared = await while_present(request, prepare(app, question, user))
    return replace(prepared, checks=prepared.checks and checks)


async def answered(request: Request, app: App, question: Question, user: User, *, streams: bool) -> Response:
    """Answer a chat in OpenAI's format, whole or as a stream. Raises as `begin` and the back end do."""
    prepared = await begin(request, app, question, user, checks=True)
    if streams:
        return event_stream(await streamed(request, app, prepared))
    return JSONResponse(await whole(request, app, prepared))


def event_stream(events: AsyncIterator[bytes]) -> Response:
    """Return whole server-sent events as a response."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def whole(request: Request, app: App, prepared: Prepared) -> Mapping[str, Json]:
    """Return the back end's whole answer, `sources` first where something was referenced."""
    completion = await while_present(request, answer(prepared))
    meter = Meter(app, identity_of(request).user, prepared)
    meter.see(completion)
    await meter.write()
    return completion


async def streamed(request: Request, app: App, prepared: Prepared) -> AsyncGenerator[bytes, None]:
    """Wait for the first event, so that an error before it has a status of its own, and return all of them.

    They are whole server-sent events: the sources where something was referenced, then the back end's. A back end that
    is lost in between is an event with `error`, then the end.
    """
    events = stream(prepared)
    first = await while_present(request, first_of(events))
    return sent(prepared, first, events, Meter(app, identity_of(request).user, prepared))


async def first_of(events: AsyncIterator[bytes]) -> bytes:
    return await anext(events, b"")


async def sent(
    prepared: Prepared, first: bytes, rest: AsyncGenerator[bytes, None], meter: Meter
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(rest):
            if prepared.sources is not None:
                yield event(beginning(prepared))
            meter.see_events(first)
            yield first
            async for chunk in rest:
                meter.see_events(chunk)
                yield chunk
    except RaglineError as error:
        log.warning("lost in mid-stream: backend=%s %s", prepared.backend.name, error)
        yield event({"error": {"message": str(error)}})
        yield DONE
    finally:
        await meter.write()


def shown(ref: object) -> Json:
    """Return a reference as the log of events has it: what it names, never what it holds."""
    return {"type": getattr(ref, "kind", ""), "id": getattr(ref, "id", "")}
