"""What an answer cites is checked when it is complete: of a whole answer at once, of a stream before its end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from ragline.connectors.models.openai_wire import event, first_choice, listed, objects_of
from ragline.retrieval.citations import Citation, check
from ragline.retrieval.evidence import Quote
from ragline.retrieval.whole import whole_id
from ragline.types import Context, Json, Passage

MAX_CHARS = 100_000
"""Of a longer answer the beginning is checked."""
DONE_LINE = re.compile(rb"^data:[ \t]*\[DONE\]", re.MULTILINE)
CHUNK_KEYS = ("id", "object", "created", "model")


async def citations_of(text: str, context: Context) -> list[Json]:
    """Return what an answer cites, as it is sent, an entry for each number of each statement."""
    found = await asyncio.to_thread(check, text[:MAX_CHARS], context.sources, context.shown)
    return [sent(each) for each in found]


async def with_citations(completion: Mapping[str, Json], context: Context) -> dict[str, Json]:
    """Return a whole completion with `citations` of its first choice; as it is where that calls tools."""
    message = first_choice(completion).get("message")
    text = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(message, Mapping) or not isinstance(text, str) or listed(message.get("tool_calls")):
        return dict(completion)
    return {**completion, "citations": await citations_of(text, context)}


async def cited(events: AsyncGenerator[bytes, None], context: Context) -> AsyncGenerator[bytes, None]:
    """Yield the events of a stream as they come, and one with `citations`, if it cites, before the one that ends it.

    There is none where tools are called, nor where the stream breaks off with an error.
    """
    heard = Heard()
    async with aclosing(events):
        async for some in events:
            end = DONE_LINE.search(some)
            if end is None:
                heard.take(some)
                yield some
                continue
            heard.take(some[: end.start()])
            if end.start():
                yield some[: end.start()]
            if found := await heard.citations(context):
                yield found
            heard.end()
            yield some[end.start() :]
    if found := await heard.citations(context):
        yield found


class Heard:
    """The text of a stream's first choice, as far as it came; reasoning is not in it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._chars = 0
        self._over = False
        self.chunk: dict[str, Json] = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": "",
            "choices": [],
        }
        """What an event of the stream begins with: clients of OpenAI's format look for it in every one."""

    @property
    def text(self) -> str | None:
        """The answer; None where there is nothing to check."""
        return None if self._over else "".join(self._pieces)[:MAX_CHARS]

    def take(self, events: bytes) -> None:
        if self._over:
            return
        for data in objects_of(events):
            self.chunk |= {key: data[key] for key in CHUNK_KEYS if data.get(key)}
            for choice in listed(data.get("choices")):
                if isinstance(choice, Mapping) and choice.get("index") in (0, None):
                    self._hear(choice.get("delta"))
            self._over = self._over or "error" in data

    def end(self) -> None:
        self._over = True

    async def citations(self, context: Context) -> bytes:
        """Return the event with what is cited; empty where nothing is, or nothing is to be checked."""
        found = [] if self.text is None else await citations_of(self.text, context)
        return event({**self.chunk, "citations": found}) if found else b""

    def _hear(self, delta: Json) -> None:
        if not isinstance(delta, Mapping):
            return
        self._over = self._over or bool(listed(delta.get("tool_calls")))
        text = delta.get("content")
        if isinstance(text, str) and text and self._chars < MAX_CHARS:
            self._pieces.append(text)
            self._chars += len(text)


def sent(citation: Citation) -> dict[str, Json]:
    """Return an entry of `citations`; `source` is null for a number that no source has."""
    return {
        "n": citation.n,
        "supported": citation.supported,
        "span": list(citation.span),
        "sentence": citation.sentence,
        "missing": list(citation.missing),
        "checked": citation.checked,
        "source": None if citation.quote is None else place_of(citation, citation.quote),
        "quote": None if citation.quote is None else citation.quote.text,
    }


def place_of(citation: Citation, quote: Quote) -> dict[str, Json]:
    """Return where a quote stands: `start` and `end` in the extracted text of its file, `page` counts from 1."""
    assert citation.source is not None
    found = next((hit.passage for hit in citation.source.hits if holds(hit.passage, quote)), None)
    passage = found or quote.hit.passage
    exact = found is not None and found.id != whole_id(found.file_id, found.version)
    return {
        "file_id": passage.file_id if passage.version else None,
        "name": passage.name,
        "page": passage.chunk.page,
        "heading": passage.chunk.heading,
        "start": quote.start,
        "end": quote.end,
        "passage_id": passage.id if exact else None,
        "passage_url": passage_url(passage, at=None if exact else quote.start),
    }


def holds(passage: Passage, quote: Quote) -> bool:
    return passage.chunk.start <= quote.start and quote.end <= passage.chunk.end


def passage_url(passage: Passage, *, at: int | None = None) -> str | None:
    """Return the path that shows a passage in its surroundings, or the one that stands `at` a place of its file.

    None for what is stored nowhere; of a whole file the passage that it begins with.
    """
    if not passage.version:
        return None
    if at is None and passage.id == whole_id(passage.file_id, passage.version):
        at = 0
    return f"/api/v1/files/{passage.file_id}/passages/{passage.id if at is None else f'@{at}'}"
