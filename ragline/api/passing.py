"""A request passed on to a back end as it is: its answer on the way back, and what that used."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass

import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from ragline.api.caller import identity_of
from ragline.api.presence import while_present
from ragline.app import App
from ragline.connectors.models.forward import Forwarded
from ragline.connectors.models.openai import end_of_events
from ragline.connectors.models.openai_wire import DONE, event, objects_of
from ragline.connectors.models.upstream import MOST_EVENT_BYTES, dump
from ragline.errors import BackendError, RaglineError
from ragline.retrieval.usage import Meter
from ragline.types import ChatRequest, Json

log = logging.getLogger(__name__)

LATEST = ":latest"
PROMPTS = ("messages", "prompt", "input")
"""Where the formats have what is asked."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How a stream is cut: `end` tells how many bytes are whole pieces, `objects` reads them, `lost` ends it."""

    end: Callable[[bytes], int]
    objects: Callable[[bytes], list[Mapping[str, Json]]]
    lost: Callable[[str], bytes]


def lines_of(lines: bytes) -> list[Mapping[str, Json]]:
    """Return the JSON objects in whole lines."""
    return [each for line in lines.splitlines() if isinstance(each := readable(line), dict)]


def readable(text: bytes) -> Json:
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value


FRAMINGS = {
    "text/event-stream": Framing(end_of_events, objects_of, lambda why: event({"error": {"message": why}}) + DONE),
    "application/x-ndjson": Framing(
        lambda data: data.rfind(b"\n") + 1, lines_of, lambda why: json.dumps({"error": why}).encode() + b"\n"
    ),
}


async def passed(
    request: Request, app: App, work: Coroutine[object, object, Forwarded], asked: Mapping[str, Json]
) -> Response:
    """Return what `work` brings: a stream as it comes, everything else once it is there. Raises as `work`.

    `asked` is the request's body, which the tokens of an answer that does not tell them are estimated from.
    """
    forwarded = await while_present(request, work)
    meter = Meter(app, identity_of(request).user, Asked.of(asked))
    kind = forwarded.content_type.partition(";")[0].strip().lower()
    headers = {"content-type": forwarded.content_type}
    if kind in FRAMINGS:
        pieces = framed(forwarded.chunks, FRAMINGS[kind], meter)
        return StreamingResponse(pieces, forwarded.status, {**headers, "cache-control": "no-cache"})
    body = await while_present(request, forwarded.whole())
    if meter.counts and asked:
        answer = readable(body)
        meter.see(told(answer) if isinstance(answer, Mapping) else {})
        await meter.write()
    return Response(body, forwarded.status, headers)


async def framed(chunks: AsyncIterator[bytes], framing: Framing, meter: Meter) -> AsyncGenerator[bytes, None]:
    """Yield whole events or lines as they come; a back end that is lost ends them with its error."""
    rest = b""
    try:
        async for chunk in chunks:
            rest += chunk
            if end := framing.end(rest):
                whole, rest = rest[:end], rest[end:]
                if meter.counts:
                    for each in framing.objects(whole):
                        meter.see(told(each))
                yield whole
            elif len(rest) > MOST_EVENT_BYTES:
                raise BackendError(f"the model back end sent a piece of more than {MOST_EVENT_BYTES} bytes")
        if rest:
            yield rest
    except RaglineError as error:
        log.warning("lost in mid-stream: %s", error)
        yield framing.lost(str(error))
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
        await meter.write()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the tokens of a prompt are estimated from."""

    request: ChatRequest

    @classmethod
    def of(cls, body: Mapping[str, Json]) -> Asked:
        prompt = next((body[key] for key in PROMPTS if body.get(key)), "")
        return cls(ChatRequest(model="", body={"messages": prompt}))


def told(answer: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return a piece of an answer in the words of OpenAI's chats, as far as the meter reads them."""
    inner = answer.get("response")
    if isinstance(inner, Mapping):  # an event of OpenAI's responses
        return inner
    counts = [count for key in ("prompt_eval_count", "eval_count") if isinstance(count := answer.get(key), int)]
    if counts:
        return {"usage": {"total_tokens": sum(counts)}}
    message = answer.get("message")
    text = inner if isinstance(inner, str) else message.get("content") if isinstance(message, Mapping) else None
    return {"choices": [{"delta": {"content": text}}]} if isinstance(text, str) else answer


def renamed(raw: bytes, asked: Mapping[str, Json], own_id: str) -> bytes:
    """Return the body as it came, or with the model under the name that its back end knows."""
    key = "model" if asked.get("model") else "name"
    if asked.get(key) == own_id or f"{asked.get(key)}{LATEST}" == own_id:
        return raw
    return dump({**asked, key: own_id})
